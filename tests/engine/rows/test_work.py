"""What is sent next: fresh rows in order, waiting rows when they are due, last rows alone."""

from __future__ import annotations

import asyncio

import pytest

from llmframe.engine.row import Row
from llmframe.engine.rows.work import ELSEWHERE, IN_VAIN, MOST_WAITING, Work
from tests.kits import virtual_time
from tests.kits.until import turns


def new_work(limit=10):
    return Work(asyncio.get_running_loop().time, lambda: limit)


def row(position=0):
    return Row(position, b"k", "text")


def ask(work):
    return asyncio.create_task(work.next())


def in_virtual_time(test):
    """Run an async test on a loop of virtual time."""

    def run():
        virtual_time.run(test())

    run.__name__ = test.__name__
    return run


@in_virtual_time
async def test_fresh_rows_come_in_order():
    work = new_work()
    for position in range(3):
        work.add(position)
    work.planned()
    assert [await work.next() for _ in range(3)] == [0, 1, 2]
    for _ in range(3):
        work.done()
    assert await work.next() is None


@in_virtual_time
async def test_there_is_no_end_before_all_is_planned():
    work = new_work()
    waiting = ask(work)
    await turns(5)
    assert not waiting.done()
    work.add(7)
    assert await waiting == 7
    work.done()
    end = ask(work)
    await turns(5)
    assert not end.done()
    work.planned()
    assert await end is None


@in_virtual_time
async def test_there_is_no_end_while_a_row_is_out():
    work = new_work()
    work.add(0)
    work.planned()
    await work.next()
    others = [ask(work) for _ in range(3)]
    await turns(5)
    assert not any(each.done() for each in others)
    work.done()
    assert await asyncio.gather(*others) == [None] * 3


@in_virtual_time
async def test_nothing_to_do_is_the_end_at_once():
    work = new_work()
    work.planned()
    assert await work.next() is None


@in_virtual_time
async def test_a_row_that_waits_comes_when_it_is_due_and_before_fresh_ones():
    work, loop = new_work(), asyncio.get_running_loop()
    for position in range(3):
        work.add(position)
    work.planned()
    waits = row(await work.next())
    began = loop.time()
    work.retry(waits, loop.time() + 5)
    assert work.waiting == 1
    assert await work.next() == 1
    await asyncio.sleep(6)
    assert await work.next() is waits
    assert await work.next() == 2
    later = row(2)
    work.retry(later, loop.time() + 7)
    assert await work.next() is later
    assert loop.time() - began == pytest.approx(13)


@in_virtual_time
async def test_rows_that_wait_come_in_the_order_they_are_due():
    work, loop = new_work(), asyncio.get_running_loop()
    rows = []
    for position in range(4):
        work.add(position)
        rows.append(row(await work.next()))
    for each, wait in zip(rows, (3, 1, 2, 1), strict=True):
        work.retry(each, loop.time() + wait)
    assert [(await work.next()).position for _ in range(4)] == [1, 3, 2, 0]


@in_virtual_time
async def test_a_row_to_be_tried_at_once_wakes_a_worker_at_rest():
    work, loop = new_work(), asyncio.get_running_loop()
    work.add(0)
    work.planned()
    taken = row(await work.next())
    resting = [ask(work) for _ in range(3)]
    await turns(5)
    work.retry(taken, loop.time())
    await turns(5)
    (woken,) = [each for each in resting if each.done()]
    assert await woken is taken
    work.done()
    await asyncio.wait(resting)


@in_virtual_time
async def test_an_earlier_row_moves_the_alarm_forward():
    work, loop = new_work(), asyncio.get_running_loop()
    first, second = row(0), row(1)
    for position in range(2):
        work.add(position)
        await work.next()
    resting = [ask(work), ask(work)]
    await turns(5)
    began = loop.time()
    work.retry(first, began + 100)
    await turns(5)
    work.retry(second, began + 1)
    done, _ = await asyncio.wait(resting, return_when=asyncio.FIRST_COMPLETED)
    assert loop.time() == pytest.approx(began + 1)
    assert [await each for each in done] == [second]
    await asyncio.wait(resting)
    assert loop.time() == pytest.approx(began + 100)


@in_virtual_time
async def test_nothing_fresh_is_taken_while_twice_the_limit_waits():
    work, loop = new_work(limit=2), asyncio.get_running_loop()
    for position in range(10):
        work.add(position)
    for position in range(4):
        assert await work.next() == position
        work.retry(row(position), loop.time() + 10)
    began = loop.time()
    assert (await work.next()).position == 0
    assert loop.time() == pytest.approx(began + 10)


@in_virtual_time
async def test_a_last_row_comes_alone_when_all_others_are_done():
    work, loop = new_work(), asyncio.get_running_loop()
    for position in range(4):
        work.add(position)
    work.planned()
    last = [row(await work.next()), row(await work.next())]
    for each in last:
        each.is_last = True
        work.retry(each, loop.time())
    assert [await work.next(), await work.next()] == [2, 3]
    assert work.waiting == 2
    workers = [ask(work) for _ in range(3)]
    await turns(5)
    work.done()
    await turns(5)
    assert not any(each.done() for each in workers)
    work.done()  # now only last rows are left
    await turns(5)
    (first,) = [each for each in workers if each.done()]
    assert await first is last[0]
    work.done()
    await turns(5)
    assert sum(each.done() for each in workers) == 2
    work.done()
    assert [await each for each in workers].count(None) == 1


@in_virtual_time
async def test_a_last_row_that_has_to_wait_again_is_due_then():
    work, loop = new_work(), asyncio.get_running_loop()
    work.add(0)
    work.planned()
    last = row(await work.next())
    last.is_last = True
    work.retry(last, loop.time() + 5)
    assert await work.next() is last
    work.retry(last, loop.time() + 7)
    assert await work.next() is last
    assert loop.time() == pytest.approx(1012)


@in_virtual_time
async def test_a_last_row_is_not_forgotten_when_planning_ends_with_everybody_at_rest():
    work, loop = new_work(), asyncio.get_running_loop()
    work.add(0)
    last = row(await work.next())
    last.is_last = True
    work.retry(last, loop.time())
    resting = [ask(work) for _ in range(3)]
    await asyncio.sleep(1)
    assert not any(each.done() for each in resting)
    work.planned()  # all other rows were in the checkpoint
    await turns(5)
    (woken,) = [each for each in resting if each.done()]
    assert await woken is last
    work.done()
    await asyncio.wait(resting)


@in_virtual_time
async def test_after_the_close_nothing_comes_and_waiting_workers_are_woken():
    work, loop = new_work(), asyncio.get_running_loop()
    for position in range(5):
        work.add(position)
    work.planned()
    waits, last, out = [row(await work.next()) for _ in range(3)]
    last.is_last = True
    work.retry(waits, loop.time() + 100)
    work.retry(last, loop.time() - 1)
    assert await work.next() == 3
    assert await work.next() == 4  # and puts the last row, which is due, behind all others
    resting = [ask(work) for _ in range(2)]
    await turns(5)
    assert work.close() == [waits, last]
    assert await asyncio.gather(*resting) == [None, None]
    assert await work.next() is None
    assert (work.closed, work.waiting, work.unattended) == (True, 0, 0)
    work.done()
    assert out.position == 2
    assert work.close() == []


@in_virtual_time
async def test_what_is_added_after_the_close_is_not_kept():
    work = new_work()
    work.close()
    work.add(0)
    assert work.unattended == 0


@in_virtual_time
async def test_the_close_while_planning_ends_all_workers():
    work = new_work()
    workers = [ask(work) for _ in range(3)]
    await turns(5)
    work.close()
    assert await asyncio.gather(*workers) == [None] * 3


@in_virtual_time
async def test_rows_are_unattended_beyond_the_workers_at_rest():
    work, loop = new_work(), asyncio.get_running_loop()
    resting = ask(work)
    await turns(5)
    assert work.unattended == 0
    for position in range(3):
        work.add(position)
    await resting
    assert work.unattended == 2
    work.retry(row(0), loop.time() + 9)
    assert work.unattended == 3
    work.close()


@in_virtual_time
async def test_a_worker_that_is_cancelled_at_rest_is_not_woken_for_anybody():
    work = new_work()
    gone, stays = ask(work), ask(work)
    await turns(5)
    gone.cancel()
    await turns(5)
    work.add(0)
    assert await stays == 0


@in_virtual_time
async def test_a_worker_that_is_cancelled_just_after_it_was_woken_passes_it_on():
    work = new_work()
    gone, stays = ask(work), ask(work)
    await turns(5)
    work.add(0)
    gone.cancel()
    assert await stays == 0


@in_virtual_time
async def test_a_cancelled_worker_is_passed_over():
    work = new_work()
    gone, stays = ask(work), ask(work)
    await turns(5)
    gone.cancel()
    work.add(0)  # before the cancelled one has run
    assert await stays == 0


def refused(position, times, since=0.0):
    made = row(position)
    made.refused, made.refused_since = times, since
    return made


@in_virtual_time
async def test_refused_rows_come_after_the_fresh_ones_the_least_refused_first():
    work = new_work()
    for position in range(5):
        work.add(position)
    taken = [await work.next() for _ in range(3)]
    assert taken == [0, 1, 2]
    for each in (refused(0, 2), refused(1, 1, since=5.0), refused(2, 1, since=3.0)):
        work.retry(each, 0.0)
    assert [await work.next() for _ in range(2)] == [3, 4]
    work.planned()
    assert [(await work.next()).position for _ in range(3)] == [2, 1, 0]


@in_virtual_time
async def test_after_three_rows_refused_alone_it_goes_on_elsewhere_in_the_frame():
    work = new_work()
    for position in range(100):
        work.add(position)
    for position in range(IN_VAIN):
        assert await work.next() == position
        work.refused_alone()
    assert await work.next() == IN_VAIN + int(ELSEWHERE * (100 - IN_VAIN))
    rest = [await work.next() for _ in range(100 - IN_VAIN - 1)]
    assert sorted(rest)[0] == IN_VAIN  # none is left out


@in_virtual_time
async def test_a_row_that_is_done_between_keeps_the_order():
    work = new_work()
    for position in range(10):
        work.add(position)
    for position in range(4):
        assert await work.next() == position
        if position == 1:
            work.done()
        else:
            work.refused_alone()
    assert await work.next() == 4


@in_virtual_time
async def test_a_row_that_was_put_back_comes_after_the_fresh_ones():
    work = new_work()
    for position in range(3):
        work.add(position)
    work.planned()
    assert await work.next() == 0
    first = row(0)
    work.put_back(first)
    assert [await work.next() for _ in range(3)] == [1, 2, first]
    assert work.left == 3
    for _ in range(3):
        work.done()
    assert await work.next() is None


@in_virtual_time
async def test_where_a_thousand_rows_wait_no_fresh_one_is_taken():
    work = new_work()
    for position in range(MOST_WAITING + 2):
        work.add(position)
    for position in range(MOST_WAITING):
        assert await work.next() == position
    for position in range(MOST_WAITING):
        work.retry(refused(position, 1), 0.0)
    assert (await work.next()).position == 0
    work.done()
    assert await work.next() == MOST_WAITING
