"""Runs of several loops in several threads share one governor."""

from __future__ import annotations

import asyncio
import threading

from llmframe.engine.governor import Governor
from llmframe.engine.governor.governor import WATCH
from tests.kits import virtual_time
from tests.kits.engine import knowing
from tests.kits.governor import HOPELESS, FixedGate, join, new_governor, settled
from tests.kits.loop_in_thread import LoopInThread


def test_loops_in_threads_share_one_limit(two_loops):
    governor = knowing(Governor(gate=FixedGate(3)))
    peak = []

    async def work(share):
        for _ in range(200):
            lease = await governor.acquire(
                share,
            )
            peak.append(governor.binding().on_wire)
            await asyncio.sleep(0)
            governor.release(lease, answered=True)

    async def crowd(cap):
        share = governor.join(cap)
        try:
            await asyncio.gather(*(work(share) for _ in range(8)))
        finally:
            governor.leave(share)

    running = [each.start(crowd(8)) for each in two_loops]
    for each in running:
        each.result(30)
    assert governor.successes == 2 * 8 * 200
    assert max(peak) <= 3
    assert governor.binding().on_wire == 0


def test_a_lease_that_a_run_of_another_loop_gives_back_wakes_who_waits(two_loops):
    governor = knowing(Governor(gate=FixedGate(1)))
    one, other = two_loops
    mine, theirs = one.call(join(governor, 1)), other.call(join(governor, 1))
    lease = one.call(governor.acquire(mine))
    waiting = other.start(governor.acquire(theirs))
    one.loop.call_soon_threadsafe(governor.release, lease)
    assert waiting.result(10) is not None


def test_the_leases_of_a_loop_that_was_closed_in_mid_run_come_back(two_loops):
    governor = knowing(Governor(gate=FixedGate(2)))
    killed, lives = two_loops
    doomed, share = killed.call(join(governor, 5)), lives.call(join(governor, 5))
    for _ in range(2):
        killed.call(governor.acquire(doomed))
    waiting_there = killed.start(governor.acquire(doomed))
    killed.call(settled())
    waiting = [lives.start(governor.acquire(share)) for _ in range(2)]
    killed.kill()
    assert all(each.result(WATCH + 10) is not None for each in waiting)
    assert governor.binding().on_wire == 2
    waiting_there.cancel()


def test_a_closed_loop_is_not_called(two_loops):
    governor = knowing(Governor())
    killed, lives = two_loops
    doomed, share = killed.call(join(governor, 5)), lives.call(join(governor, 5))
    waiting = killed.start(governor.acquire(doomed))
    waiting.result(10)
    killed.kill()
    governor.abort_all(HOPELESS)
    assert doomed.closed
    assert share.closed


def test_a_loop_that_was_closed_in_this_very_thread_is_no_obstacle():
    governor = knowing(Governor())

    async def hold_and_wait():
        share = governor.join(1)
        await governor.acquire(
            share,
        )
        waiting = asyncio.ensure_future(governor.acquire(share))
        await settled()
        waiting._log_destroy_pending = False
        return share, waiting

    loop = asyncio.new_event_loop()
    share, _waiting = loop.run_until_complete(hold_and_wait())
    loop.close()

    async def go_on():
        later = governor.join(1)
        lease = await governor.acquire(
            later,
        )
        governor.release(lease)
        governor.leave(later)
        return lease

    assert asyncio.run(go_on()) is not None
    governor.close(share)
    governor.leave(share)
    assert governor.binding().on_wire == 0


def test_who_waits_out_a_pause_finds_another_loop_closed_within_a_second():
    async def main():
        governor = new_governor()
        share, waits = governor.join(2), governor.join(2)
        refused = await governor.acquire(share)
        other = asyncio.new_event_loop()

        async def join_and_acquire():
            return await governor.acquire(governor.join(2))

        elsewhere = threading.Thread(target=other.run_until_complete, args=[join_and_acquire()])
        elsewhere.start()
        elsewhere.join()
        governor.refuse(refused, 100.0)
        waiting = asyncio.create_task(governor.acquire(waits))
        await settled()
        assert governor.binding().on_wire == 1
        other.close()
        await asyncio.sleep(WATCH)
        assert governor.binding().on_wire == 0
        await waiting

    virtual_time.run(main())


def test_a_hopeless_verdict_from_another_thread_arrives_on_the_runs_own_loop(two_loops):
    governor = knowing(Governor())
    one, _ = two_loops
    share = one.call(join(governor, 1))
    reached = threading.Event()
    where = []

    def on_hopeless(verdict):
        where.append(threading.current_thread())
        reached.set()

    share.on_hopeless = on_hopeless
    governor.abort_all(HOPELESS)
    assert reached.wait(10)
    assert where == [one.thread]


def test_a_loop_that_closes_after_the_check_is_no_error():
    governor = knowing(Governor())
    each = LoopInThread()
    share = each.call(join(governor, 1))
    each.kill()
    share.port.loop.is_closed = lambda: False
    share.on_hopeless = lambda verdict: None
    governor.abort_all(HOPELESS)
    del share.port.loop.is_closed
