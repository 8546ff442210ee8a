"""How fast: leases are neither lost nor given twice, in turn, and refusals pause and cut."""

from __future__ import annotations

import asyncio
import contextlib
import random
import threading

import pytest
import virtual_time
from hypothesis import given, settings
from hypothesis import strategies as st

from llmframe.engine import governor as governors
from llmframe.engine.governor import AUTO_CAP, Binding, Governor, Seat, governor_for
from llmframe.engine.governor.gate import Gate
from llmframe.engine.governor.governor import FIRST_LIMIT, FIRST_LIMIT_AUTO, WATCH
from llmframe.engine.governor.limiter import CUT_INTERVAL, Limiter
from llmframe.engine.governor.pause import Pause
from llmframe.engine.retry import Verdict

HOPELESS = Verdict("end_run", "bad_request", "wrong key", 401)


def whole(top):
    """No jitter."""
    return top


def new_governor():
    """A governor in the running loop's time, whose pauses have no jitter."""
    return Governor(asyncio.get_running_loop().time, Gate(whole))


async def settled():
    """Everything that is scheduled for now has happened."""
    for _ in range(10):
        await asyncio.sleep(0)


# -- the limiter: numbers ----


class Rounds:
    """Drives a limiter through rounds that keep it full."""

    def __init__(self, start, ceiling=1000):
        self.limiter = Limiter(start, ceiling)
        self.now = 100.0

    def clean(self, share=1.0):
        """A round of successes, of requests that kept a share of the limit on the wire."""
        for _ in range(max(self.limiter.limit, 4)):
            self.limiter.sent(round(share * self.limiter.limit))
            self.limiter.succeeded(self.now)
        return self.limiter.limit

    def refused(self, after=10.0):
        self.now += after
        self.limiter.refused(self.now, self.now)
        return self.limiter.limit


def test_the_limit_doubles_each_clean_round_until_the_first_refusal():
    rounds = Rounds(20)
    assert [rounds.clean() for _ in range(4)] == [40, 80, 160, 320]


def test_the_limit_ends_at_its_ceiling():
    rounds = Rounds(20, ceiling=50)
    assert [rounds.clean() for _ in range(3)] == [40, 50, 50]
    assert Limiter(80, 50).limit == 50
    assert Limiter(0, 0).limit == 1


def test_a_refusal_leaves_four_fifths_and_growth_is_by_a_tenth_after_it():
    rounds = Rounds(100)
    assert rounds.refused() == 80
    assert [rounds.clean() for _ in range(2)] == [88, 96]


def test_growth_is_by_one_near_the_limit_that_was_refused():
    rounds = Rounds(100)
    rounds.refused()
    assert [rounds.clean() for _ in range(6)] == [88, 96, 97, 98, 99, 100]


def test_a_small_limit_grows_by_one_at_least():
    rounds = Rounds(5)
    assert rounds.refused() == 4
    assert rounds.clean() == 5


def test_a_cut_never_goes_below_one():
    rounds = Rounds(2)
    assert [rounds.refused() for _ in range(5)] == [1, 1, 1, 1, 1]
    assert rounds.clean() == 2


def test_a_round_that_used_less_than_four_fifths_does_not_grow():
    assert Rounds(20).clean(share=0.75) == 20
    assert Rounds(20).clean(share=0.8) == 40


def test_cuts_are_five_seconds_apart():
    rounds = Rounds(100)
    assert rounds.refused() == 80
    assert rounds.refused(after=CUT_INTERVAL - 0.1) == 80
    assert rounds.refused(after=0.2) == 64


def test_a_refusal_of_what_was_sent_before_the_cut_cuts_no_more():
    limiter = Limiter(100, 100)
    limiter.refused(10.0, sent_at=9.0)
    limiter.refused(20.0, sent_at=9.5)
    assert limiter.limit == 80
    limiter.refused(20.0, sent_at=11.0)
    assert limiter.limit == 64


def test_a_success_of_what_was_sent_before_the_cut_does_not_grow_the_limit():
    limiter = Limiter(10, 100)
    limiter.sent(10)
    limiter.refused(10.0, sent_at=9.0)
    limiter.sent(8)
    for _ in range(50):
        limiter.succeeded(sent_at=9.5)
    assert limiter.limit == 8


def test_a_refusal_begins_the_round_anew():
    limiter = Limiter(10, 100)
    limiter.sent(10)
    for _ in range(9):
        limiter.succeeded(1.0)
    limiter.refused(2.0, 1.0)
    limiter.succeeded(2.0)
    assert limiter.limit == 8


def test_a_refused_limit_is_not_raised_by_a_newcomer():
    limiter = Limiter(10, 100)
    limiter.raise_to(50)
    assert limiter.limit == 50
    assert not limiter.refused_before
    limiter.refused(10.0, 9.0)
    limiter.raise_to(50)
    assert limiter.limit == 40
    assert limiter.refused_before


def test_a_newcomer_does_not_lower_the_limit():
    limiter = Limiter(40, 100)
    limiter.raise_to(20)
    assert limiter.limit == 40


# -- the pause ----


def test_a_pause_lasts_as_long_as_the_provider_asks():
    pause = Pause(whole)
    assert pause.allows(0.0, 100)
    assert pause.refused(10.0, 0, 7.0)
    assert pause.left(10.0) == 7.0
    assert not pause.allows(16.9, 0)
    assert pause.allows(17.0, 0)


def test_a_pause_ends_half_open_and_then_ramps_up():
    pause = Pause(whole)
    pause.refused(0.0, 0, 1.0)
    assert (pause.allows(1.0, 0), pause.allows(1.0, 1)) == (True, False)
    for width in (2, 3, 4):
        pause.succeeded(1, limit=5)
        assert (pause.allows(1.0, width - 1), pause.allows(1.0, width)) == (True, False)
    pause.succeeded(1, limit=5)
    assert pause.allows(1.0, 1000)


def test_without_a_header_the_first_refusal_warns_and_the_second_pauses():
    pause = Pause(whole)
    assert not pause.refused(0.0, 0, None)
    assert pause.allows(0.0, 1000)
    assert pause.refused(0.0, 0, None)
    assert pause.left(0.0) == 0.5


def test_a_success_between_takes_the_warning_back():
    pause = Pause(whole)
    for _ in range(3):
        assert not pause.refused(0.0, 0, None)
        pause.succeeded(0, limit=10)


def test_pauses_without_a_header_double_up_to_a_minute_while_the_one_request_is_refused():
    pause = Pause(whole)
    pause.refused(0.0, 0, None)
    waits = []
    for epoch in range(9):
        assert pause.refused(1000.0 * epoch, epoch, None)
        waits.append(pause.left(1000.0 * epoch))
    assert waits == [0.5, 1, 2, 4, 8, 16, 32, 60, 60]


def test_a_success_begins_the_doubling_anew():
    pause = Pause(whole)
    for epoch in (0, 0, 1, 2):
        pause.refused(0.0, epoch, None)
    pause.succeeded(3, limit=10)
    pause.refused(100.0, 3, None)
    pause.refused(100.0, 3, None)
    assert pause.left(100.0) == 0.5


def test_jitter_is_between_nothing_and_the_whole():
    def first_wait(_):
        pause = Pause()
        pause.refused(0.0, 0, None)
        pause.refused(0.0, 0, None)
        return pause.left(0.0)

    waits = [first_wait(n) for n in range(300)]
    assert 0 <= min(waits) < 0.1
    assert 0.4 < max(waits) <= 0.5


def test_refusals_of_before_a_pause_do_not_make_it_grow():
    pause = Pause(whole)
    for _ in range(2):
        pause.refused(0.0, 0, None)
    for _ in range(50):
        assert not pause.refused(0.1, 0, None)
    assert pause.epoch == 1
    assert pause.left(0.1) == 0.4
    assert pause.refused(0.5, 1, None)
    assert pause.left(0.5) == 1.0


def test_successes_of_before_a_pause_do_not_open_it():
    pause = Pause(whole)
    pause.refused(0.0, 0, 1.0)
    for _ in range(50):
        pause.succeeded(0, limit=10)
    assert not pause.allows(1.0, 1)


def test_a_straggler_may_prolong_a_pause():
    pause = Pause(whole)
    pause.refused(0.0, 0, 1.0)
    assert not pause.refused(0.5, 0, 60.0)
    assert pause.left(0.5) == 60.0
    assert not pause.refused(0.6, 0, 1.0)
    assert pause.left(0.5) == 60.0


def test_a_pause_that_a_straggler_began_ends_half_open_too():
    pause = Pause(whole)
    pause.refused(0.0, 0, 1.0)
    for _ in range(9):
        pause.succeeded(1, limit=5)
    assert pause.allows(2.0, 1000)
    assert not pause.refused(2.0, 0, 30.0)
    assert pause.epoch == 1
    assert (pause.allows(32.0, 0), pause.allows(32.0, 1)) == (True, False)


def test_retry_after_of_nothing_still_ends_half_open():
    pause = Pause(whole)
    assert pause.refused(5.0, 0, 0.0)
    assert (pause.allows(5.0, 0), pause.allows(5.0, 1)) == (True, False)


# -- the gate ----


def test_refusals_of_before_a_pause_do_not_cut():
    gate = Gate(whole)
    gate.expect(100, 100)
    before_cut = gate.send(0.0)
    gate.refused(before_cut, 0.5, 1.0)
    assert gate.limiter.limit == 80
    late = gate.send(2.0)
    early_in_pause = gate.send(2.0)
    gate.refused(late, 4.0, 1.0)  # within five seconds of the cut: a pause, and no cut
    assert gate.limiter.limit == 80
    gate.refused(early_in_pause, 9.0, None)
    assert gate.limiter.limit == 80


def test_the_gate_counts_what_happens():
    gate = Gate(whole)
    gate.expect(2, 2)
    first, second = gate.send(1.0), gate.send(1.0)
    assert (first.alone, second.alone) == (True, False)
    assert not gate.is_open(1.0)
    assert gate.binding(1.0) == Binding(0.0, 2, 2)
    gate.take_off(first)
    gate.succeeded(first, 3.0, clean=True)
    gate.take_off(second)
    gate.refused(second, 4.0, 6.0)
    assert (gate.successes, gate.refusals, gate.succeeded_at) == (1, 1, 3.0)
    assert gate.binding(4.0) == Binding(6.0, 0, 1)


def test_a_success_after_a_retry_is_neutral():
    gate = Gate(whole)
    gate.expect(4, 100)
    for _ in range(50):
        for ticket in [gate.send(1.0) for _ in range(4)]:
            gate.take_off(ticket)
            gate.succeeded(ticket, 2.0, clean=False)
    assert gate.limiter.limit == 4


# -- leases ----


@pytest.mark.parametrize(
    ("cap", "first"), [(None, FIRST_LIMIT_AUTO), (1, 1), (30, 30), (50, 50), (400, FIRST_LIMIT)]
)
def test_a_run_starts_at_its_cap_or_at_what_is_safe(cap, first):
    async def main():
        seat = new_governor().join(cap)
        assert seat.limit == first

    virtual_time.run(main())


def test_a_lease_is_granted_at_once_or_in_order():
    async def main():
        governor = new_governor()
        seat = governor.join(2)
        held = [await seat.acquire(), await seat.acquire()]
        assert (seat.on_wire, governor.binding().on_wire) == (2, 2)
        order = []

        async def wait_for(name):
            lease = await seat.acquire()
            order.append(name)
            return lease

        waiting = [asyncio.create_task(wait_for(name)) for name in "abc"]
        await settled()
        assert order == []
        seat.release(held[0], answered=True)
        await settled()
        assert order == ["a"]
        seat.release(held[1])
        seat.release(await waiting[0])
        await settled()
        assert order == ["a", "b", "c"]
        assert governor.successes == 1

    virtual_time.run(main())


def test_runs_take_turns():
    async def main():
        governor = new_governor()
        seats = {name: governor.join(10) for name in "ab"}
        governor._gate.expect(1, 1)
        governor._gate.limiter = Limiter(1, 1)
        blocker = await seats["a"].acquire()
        order = []

        async def work(name):
            lease = await seats[name].acquire()
            order.append(name)
            await asyncio.sleep(1)
            seats[name].release(lease)

        tasks = [asyncio.create_task(work(name)) for name in "aaaabbbb"]
        await settled()
        seats["a"].release(blocker)
        await asyncio.gather(*tasks)
        assert order in (list("abababab"), list("babababa"))

    virtual_time.run(main())


def test_a_newcomer_does_not_overtake_who_waits_for_the_end_of_a_pause():
    async def main():
        seat = new_governor().join(10)
        seat.refuse(await seat.acquire(), 1.0)
        order = []

        async def work(name):
            lease = await seat.acquire()
            order.append(name)
            seat.release(lease, answered=True)

        first = asyncio.create_task(work("first"))
        await settled()
        asyncio.get_running_loop().now += 1.0  # the timer has not run yet
        await asyncio.gather(first, work("newcomer"))
        assert order == ["first", "newcomer"]

    virtual_time.run(main())


def test_a_cap_binds_one_run_and_the_limit_all():
    async def main():
        governor = new_governor()
        small, large = governor.join(2), governor.join(40)
        tasks = [asyncio.create_task(seat.acquire()) for seat in (small, large) for _ in range(60)]
        await settled()
        assert (small.on_wire, large.on_wire) == (2, 38)
        assert governor.binding() == Binding(0.0, 40, 40)
        small.leave()
        await settled()
        assert (small.on_wire, large.on_wire) == (0, 40)
        large.leave()
        await asyncio.gather(*tasks)
        assert governor.binding().on_wire == 0

    virtual_time.run(main())


def test_a_lease_comes_back_once():
    async def main():
        governor = new_governor()
        seat = governor.join(5)
        lease = await seat.acquire()
        seat.release(lease, answered=True)
        seat.release(lease, answered=True)
        seat.refuse(lease, 60.0)
        assert governor.binding() == Binding(0.0, 0, 5)
        assert (governor.successes, governor.refusals) == (1, 0)

    virtual_time.run(main())


def test_a_run_that_leaves_gives_all_back_and_nothing_of_it_counts_later():
    async def main():
        governor = new_governor()
        seat = governor.join(5)
        leases = [await seat.acquire() for _ in range(5)]
        seat.refuse(leases.pop(), 100.0)
        waiting = asyncio.create_task(seat.acquire())
        await settled()
        seat.leave()
        seat.leave()
        assert await waiting is None
        assert await seat.acquire() is None
        assert governor.binding().on_wire == 0
        assert seat._timer.cancelled()
        seat.release(leases[0], answered=True)
        assert governor.successes == 0

    virtual_time.run(main())


def test_a_closed_run_gets_nothing_more_and_keeps_what_it_has():
    async def main():
        governor = new_governor()
        seat = governor.join(1)
        lease = await seat.acquire()
        waiting = [asyncio.create_task(seat.acquire()) for _ in range(3)]
        await settled()
        seat.close()
        assert await asyncio.gather(*waiting) == [None] * 3
        assert seat.on_wire == 1
        seat.release(lease, answered=True)
        assert governor.successes == 1

    virtual_time.run(main())


def test_a_lease_that_was_granted_just_before_the_close_is_given_back():
    async def main():
        governor = new_governor()
        seat = governor.join(1)
        lease = await seat.acquire()
        waiting = asyncio.create_task(seat.acquire())
        await settled()
        seat.release(lease)  # grants to the waiting one, which has not run yet
        seat.close()
        assert await waiting is None
        assert governor.binding().on_wire == 0

    virtual_time.run(main())


def test_a_waiter_that_is_cancelled_leaves_the_queue():
    async def main():
        governor = new_governor()
        seat = governor.join(1)
        lease = await seat.acquire()
        gone, stays = (asyncio.create_task(seat.acquire()) for _ in range(2))
        await settled()
        gone.cancel()
        await settled()
        seat.release(lease)
        assert await stays is not None
        assert governor.binding().on_wire == 1

    virtual_time.run(main())


def test_a_waiter_that_is_cancelled_after_the_grant_gives_it_on():
    async def main():
        governor = new_governor()
        seat = governor.join(1)
        lease = await seat.acquire()
        gone, stays = (asyncio.create_task(seat.acquire()) for _ in range(2))
        await settled()
        seat.release(lease)
        gone.cancel()
        assert await stays is not None
        assert governor.binding().on_wire == 1
        with pytest.raises(asyncio.CancelledError):
            await gone

    virtual_time.run(main())


@pytest.mark.parametrize("cancel_first", [True, False])
def test_a_waiter_that_is_cancelled_and_closed_at_once_loses_nothing(cancel_first):
    async def main():
        governor = new_governor()
        seat = governor.join(1)
        lease = await seat.acquire()
        waiting = asyncio.create_task(seat.acquire())
        await settled()
        for step in (waiting.cancel, seat.close) if cancel_first else (seat.close, waiting.cancel):
            step()
        await settled()
        assert waiting.cancelled()
        seat.release(lease)
        assert governor.binding().on_wire == 0

    virtual_time.run(main())


@pytest.mark.parametrize("step", ["close", "release"])
def test_what_another_thread_does_for_a_waiter_that_is_cancelled_loses_nothing(two_loops, step):
    governor = Governor()
    one, _ = two_loops
    seat = one.call(join(governor, 1))
    lease = one.call(seat.acquire())

    async def wait_and_give_up():
        task = asyncio.ensure_future(seat.acquire())
        await settled()
        arguments = (lease,) if step == "release" else ()
        other = threading.Thread(target=getattr(seat, step), args=arguments)
        other.start()
        other.join()  # the news is on its way to this loop
        task.cancel()
        await asyncio.wait([task])
        return task.cancelled()

    assert one.call(wait_and_give_up())
    one.loop.call_soon_threadsafe(seat.release, lease)
    one.call(settled())
    assert governor.binding().on_wire == 0


def test_many_cancelled_waiters_are_passed_over():
    async def main():
        governor = new_governor()
        seat = governor.join(1)
        lease = await seat.acquire()
        waiting = [asyncio.create_task(seat.acquire()) for _ in range(3000)]
        last = asyncio.create_task(seat.acquire())
        await settled()
        for task in waiting:
            task.cancel()
        seat.release(lease)  # before any of the cancelled has run
        assert await last is not None

    virtual_time.run(main())


def test_a_held_run_waits_and_others_do_not():
    async def main():
        governor = new_governor()
        held, free = governor.join(5), governor.join(5)
        held.hold()
        waiting = asyncio.create_task(held.acquire())
        assert await free.acquire() is not None
        await settled()
        assert not waiting.done()
        held.resume()
        assert await waiting is not None

    virtual_time.run(main())


def test_the_hopeless_news_reach_every_run_that_is_seated():
    async def main():
        governor = new_governor()
        told = []
        seats = [governor.join(1) for _ in range(3)]
        for number, seat in enumerate(seats[:2]):
            seat.on_doom = lambda verdict, number=number: told.append((number, verdict))
        seats[1].close()  # it knows already
        waiting = [asyncio.create_task(seats[0].acquire()) for _ in range(3)]
        await settled()
        governor.doom(HOPELESS)
        assert told == [(0, HOPELESS)]
        assert all(seat.closed for seat in seats)
        (lease,) = [each for each in await asyncio.gather(*waiting) if each is not None]
        seats[0].release(lease)
        later = governor.join(1)
        assert await later.acquire() is not None  # who comes later may have a better key

    virtual_time.run(main())


def test_a_pause_wakes_who_waits_when_it_ends():
    async def main():
        governor = new_governor()
        seat = governor.join(5)
        loop = asyncio.get_running_loop()
        seat.refuse(await seat.acquire(), 3600.0)
        began = loop.time()
        await seat.acquire()
        assert loop.time() - began == pytest.approx(3600.0)

    virtual_time.run(main())


def test_a_pause_that_is_prolonged_wakes_nobody_early():
    async def main():
        governor = new_governor()
        seat = governor.join(5)
        loop = asyncio.get_running_loop()
        first, second = await seat.acquire(), await seat.acquire()
        seat.refuse(first, 10.0)
        waiting = asyncio.create_task(seat.acquire())
        await asyncio.sleep(5)
        seat.refuse(second, 100.0)
        began = loop.time()
        await waiting
        assert loop.time() - began == pytest.approx(100.0)
        seat.leave()

    virtual_time.run(main())


def test_after_a_pause_one_request_leaves_and_then_more_and_more_in_order():
    async def main():
        governor = new_governor()
        seat = governor.join(20)
        loop = asyncio.get_running_loop()
        seat.refuse(await seat.acquire(), 10.0)
        began = loop.time()
        left = []

        async def work(number):
            lease = await seat.acquire()
            left.append((round(loop.time() - began), number))
            await asyncio.sleep(1)
            seat.release(lease, answered=True, clean=True)

        await asyncio.gather(*(work(number) for number in range(31)))
        assert [number for _, number in left] == list(range(31))
        seconds = [second for second, _ in left]
        assert [seconds.count(s) for s in (10, 11, 12, 13, 14)] == [1, 2, 4, 8, 16]

    virtual_time.run(main())


def test_the_one_request_after_a_pause_may_fail_and_the_next_one_goes():
    async def main():
        governor = new_governor()
        seat = governor.join(20)
        seat.refuse(await seat.acquire(), 10.0)
        for _ in range(3):
            lease = await seat.acquire()
            assert lease.alone
            waiting = asyncio.create_task(seat.acquire())
            await settled()
            assert not waiting.done()
            waiting.cancel()
            seat.release(lease)  # a lost connection: neither a success nor a refusal
        assert governor.quiet == float("inf")

    virtual_time.run(main())


def test_refusals_that_count_for_nobody_pause_nobody():
    async def main():
        governor = new_governor()
        seat = governor.join(20)
        seat.refuse(await seat.acquire(), 3600.0, counts=False)
        assert governor.binding() == Binding(0.0, 0, 20)
        assert governor.refusals == 0

    virtual_time.run(main())


def test_it_is_quiet_since_the_last_answer():
    async def main():
        governor = new_governor()
        seat = governor.join(20)
        assert governor.quiet == float("inf")
        seat.release(await seat.acquire(), answered=True)
        await asyncio.sleep(7)
        seat.release(await seat.acquire())
        assert governor.quiet == pytest.approx(7)

    virtual_time.run(main())


# -- anything in any order ----

steps = st.lists(
    st.tuples(
        st.sampled_from(["ask", "answer", "lose", "refuse", "cancel", "sleep", "hold", "resume"]),
        st.integers(0, 3),
    ),
    max_size=60,
)


class Battle:
    """Runs that share a governor and do anything; what must hold is looked at all the time."""

    def __init__(self, caps):
        self.governor = new_governor()
        self.seats = [self.governor.join(cap) for cap in caps]
        self.waiting = [[] for _ in caps]
        self.held = [[] for _ in caps]
        self.granted = [[] for _ in caps]
        self.asked = [0 for _ in caps]

    async def acquire(self, run):
        number = self.asked[run]
        self.asked[run] += 1
        lease = await self.seats[run].acquire()
        assert lease is not None
        self.granted[run].append(number)
        self.held[run].append(lease)

    async def step(self, what, run):
        seat, held = self.seats[run], self.held[run]
        if what == "ask":
            self.waiting[run].append(asyncio.create_task(self.acquire(run)))
        elif what == "cancel" and self.waiting[run]:
            self.waiting[run].pop(len(self.waiting[run]) // 2).cancel()
        elif what == "sleep":
            await asyncio.sleep(0.4)
        elif what == "hold":
            seat.hold()
        elif what == "resume":
            seat.resume()
        elif held and what in ("answer", "lose"):
            seat.release(held.pop(0), answered=what == "answer", clean=True)
        elif held and what == "refuse":
            seat.refuse(held.pop(0), random.Random(run).choice([None, 1.0]))
        if run % 2:
            await settled()
        self.check()

    def check(self):
        binding = self.governor.binding()
        assert sum(seat.on_wire for seat in self.seats) == binding.on_wire
        for seat, numbers in zip(self.seats, self.granted, strict=True):
            assert seat.cap is None or seat.on_wire <= seat.cap
            assert numbers == sorted(numbers)  # first come, first served

    async def finish(self):
        """Everybody who still waits is served in the end, and every lease comes back."""
        for seat in self.seats:
            seat.resume()
        async with asyncio.timeout(100_000):
            while any(not task.done() for tasks in self.waiting for task in tasks):
                await asyncio.sleep(0.1)
                for seat, held in zip(self.seats, self.held, strict=True):
                    while held:
                        seat.release(held.pop(), answered=True)
        for seat, held in zip(self.seats, self.held, strict=True):
            while held:
                seat.release(held.pop())
        assert self.governor.binding().on_wire == 0
        assert all(seat.on_wire == 0 for seat in self.seats)


@settings(max_examples=150, deadline=None)
@given(st.lists(st.sampled_from([None, 1, 2, 5]), min_size=1, max_size=4), steps)
def test_no_lease_is_lost_and_nobody_waits_for_ever(caps, told):
    async def main():
        battle = Battle(caps)
        limit_before = battle.governor.binding().limit
        for what, run in told:
            on_wire_before = battle.governor.binding().on_wire
            limit_before = max(limit_before, battle.governor.binding().limit)
            await battle.step(what, run % len(caps))
            binding = battle.governor.binding()
            # a cut leaves on the wire what is there; nothing new is granted above the limit
            assert binding.on_wire <= max(binding.limit, on_wire_before, limit_before)
        await battle.finish()

    virtual_time.run(main())


# -- several loops in several threads ----


class LoopInThread:
    """An event loop in a thread of its own."""

    def __init__(self):
        self.loop = asyncio.new_event_loop()
        self.thread = threading.Thread(target=self.loop.run_forever, daemon=True)
        self.thread.start()

    def start(self, coroutine):
        return asyncio.run_coroutine_threadsafe(coroutine, self.loop)

    def call(self, coroutine):
        return self.start(coroutine).result(10)

    def kill(self):
        """Stop and close it in the middle of everything."""
        self.loop.call_soon_threadsafe(self.loop.stop)
        self.thread.join(10)
        with contextlib.suppress(RuntimeError):
            for task in asyncio.all_tasks(self.loop):
                task._log_destroy_pending = False
        self.loop.close()


async def join(governor, cap):
    return governor.join(cap)


@pytest.fixture
def two_loops():
    loops = [LoopInThread(), LoopInThread()]
    yield loops
    for each in loops:
        if not each.loop.is_closed():
            each.kill()


def test_loops_in_threads_share_one_limit(two_loops):
    governor = Governor()
    peak = []

    async def work(seat):
        for _ in range(200):
            lease = await seat.acquire()
            peak.append(governor.binding().on_wire)
            await asyncio.sleep(0)
            seat.release(lease, answered=True)

    async def crowd(cap):
        seat = governor.join(cap)
        try:
            await asyncio.gather(*(work(seat) for _ in range(8)))
        finally:
            seat.leave()

    governor._gate.limiter = Limiter(3, 3)
    governor._gate.expect = lambda first, ceiling: None
    running = [each.start(crowd(8)) for each in two_loops]
    for each in running:
        each.result(30)
    assert governor.successes == 2 * 8 * 200
    assert max(peak) <= 3
    assert governor.binding().on_wire == 0


def test_a_lease_that_a_run_of_another_loop_gives_back_wakes_who_waits(two_loops):
    governor = Governor()
    one, other = two_loops
    mine, theirs = one.call(join(governor, 1)), other.call(join(governor, 1))
    governor._gate.limiter = Limiter(1, 1)
    lease = one.call(mine.acquire())
    waiting = other.start(theirs.acquire())
    one.loop.call_soon_threadsafe(mine.release, lease)
    assert waiting.result(10) is not None


def test_the_leases_of_a_loop_that_was_closed_in_mid_run_come_back(two_loops):
    governor = Governor()
    killed, lives = two_loops
    doomed, seat = killed.call(join(governor, 5)), lives.call(join(governor, 5))
    governor._gate.limiter = Limiter(2, 2)
    for _ in range(2):
        killed.call(doomed.acquire())
    waiting_there = killed.start(doomed.acquire())
    killed.call(settled())
    waiting = [lives.start(seat.acquire()) for _ in range(2)]
    killed.kill()
    assert all(each.result(WATCH + 10) is not None for each in waiting)
    assert governor.binding().on_wire == 2
    waiting_there.cancel()


def test_a_closed_loop_is_told_nothing(two_loops):
    governor = Governor()
    killed, lives = two_loops
    doomed, seat = killed.call(join(governor, 5)), lives.call(join(governor, 5))
    waiting = killed.start(doomed.acquire())
    waiting.result(10)
    killed.kill()
    governor.doom(HOPELESS)
    assert doomed.closed
    assert seat.closed


def test_a_loop_that_was_closed_in_this_very_thread_is_no_obstacle():
    governor = Governor()

    async def hold_and_wait():
        seat = governor.join(1)
        await seat.acquire()
        waiting = asyncio.ensure_future(seat.acquire())
        await settled()
        waiting._log_destroy_pending = False
        return seat, waiting

    loop = asyncio.new_event_loop()
    seat, _waiting = loop.run_until_complete(hold_and_wait())
    loop.close()

    async def go_on():
        later = governor.join(1)
        lease = await later.acquire()
        later.release(lease)
        later.leave()
        return lease

    assert asyncio.run(go_on()) is not None
    seat.close()
    seat.leave()
    assert governor.binding().on_wire == 0


def test_who_waits_out_a_pause_looks_more_often_once_another_loop_takes_part():
    async def main():
        governor = new_governor()
        loop = asyncio.get_running_loop()
        seat, waits = governor.join(2), governor.join(2)
        seat.refuse(await seat.acquire(), 100.0)
        waiting = asyncio.create_task(waits.acquire())
        await settled()
        other = asyncio.new_event_loop()
        governor._seats.append(Seat(governor, other, 2))
        with governor.lock:
            governor.pump()
        assert waits._timer.when() == loop.time() + WATCH
        await asyncio.sleep(2 * WATCH)
        assert waits._timer.when() <= loop.time() + WATCH
        other.close()
        await waiting
        assert len(governor._seats) == 2

    virtual_time.run(main())


def test_news_from_another_thread_arrive_on_the_runs_own_loop(two_loops):
    governor = Governor()
    one, _ = two_loops
    seat = one.call(join(governor, 1))
    told = threading.Event()
    where = []

    def on_doom(verdict):
        where.append(threading.current_thread())
        told.set()

    seat.on_doom = on_doom
    governor.doom(HOPELESS)
    assert told.wait(10)
    assert where == [one.thread]


def test_a_loop_that_closes_in_this_very_moment_is_no_error():
    governor = Governor()
    each = LoopInThread()
    seat = each.call(join(governor, 1))
    is_closed = seat.loop.is_closed
    each.kill()
    seat.loop.is_closed = lambda: False
    seat.on_doom = lambda verdict: None
    seat.doom(HOPELESS)
    seat.loop.is_closed = is_closed


# -- the process's governors ----


def test_one_endpoint_key_and_model_have_one_governor():
    here = governor_for("https://x/v1", "sk-secret", "m")
    assert governor_for("https://x/v1", "sk-secret", "m") is here
    others = [
        governor_for("https://y/v1", "sk-secret", "m"),
        governor_for("https://x/v1", "sk-other", "m"),
        governor_for("https://x/v1", "sk-secret", "n"),
    ]
    assert len({id(each) for each in [here, *others]}) == 4
    assert "sk-secret" not in repr(governors._governors)


def test_a_forked_child_begins_with_fresh_governors():
    here = governor_for("https://x/v1", "k", "m")
    before = dict(governors._governors)
    governors.forget_governors()
    try:
        assert governor_for("https://x/v1", "k", "m") is not here
    finally:
        governors._governors.update(before)


def test_the_cap_of_a_run_that_finds_its_own_is_known():
    async def main():
        governor = new_governor()
        governor.join(None)
        assert governor._gate.limiter.ceiling == AUTO_CAP

    virtual_time.run(main())
