"""How fast: leases are neither lost nor given twice, in turn, and refusals pause and cut."""

from __future__ import annotations

import asyncio
import functools
import itertools
import random
import sys
import threading

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llmframe.engine import governor as governors
from llmframe.engine.governor import Governor, Share, auto_cap, governor_for
from llmframe.engine.governor.gate import Gate
from llmframe.engine.governor.governor import AUTO_CAP, FIRST_LIMIT, FIRST_LIMIT_AUTO
from llmframe.engine.governor.limiter import CUT_INTERVAL, Limiter
from llmframe.engine.governor.pause import QUICK, SURE, Pause
from llmframe.engine.governor.share import WATCH
from llmframe.engine.wire.verdict import Verdict
from llmframe.providers.dialect import Dialect
from tests.kits import virtual_time
from tests.kits.loop_in_thread import LoopInThread

HOPELESS = Verdict("end_run", "bad_request", "wrong key", 401)


def whole(top):
    """No jitter."""
    return top


def new_governor():
    """A governor in the running loop's time, whose pauses have no jitter."""
    return knowing(Governor(asyncio.get_running_loop().time, Gate(whole)))


def knowing(governor):
    """One that need not wait for the first answer: it knows what is understood."""
    governor.understood(Dialect())
    return governor


def binds(governor):
    """Seconds of pause, requests on the wire, and how many may be."""
    binding = governor.binding()
    return binding.pause, binding.on_wire, binding.limit


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
    assert pause.wait(0.0, 100) == 0
    assert pause.refused(10.0, 0, 7.0, 0.1)
    assert pause.left(10.0) == 7.0
    assert pause.wait(16.5, 10) == 0.5
    assert pause.wait(17.0, 10) == 0


def test_a_pause_ends_with_one_request_and_the_others_follow_evenly_once_it_is_answered():
    pause = Pause(whole)
    pause.refused(0.0, 0, 1.0, 0.1)
    assert pause.wait(1.0, 10) == 0
    pause.sent(1.0)
    assert pause.wait(1.0, 10) > 0
    pause.succeeded(1, 1.25, 1.0)  # an answer takes a second: ten requests in one second
    left = []
    now = 1.25
    while now < 2.2:
        now += pause.wait(now, 10)
        left.append(now)
        pause.sent(now)
    assert left == pytest.approx([1.25 + 0.1 * n for n in range(11)])
    assert pause.wait(2.3, 10) == 0


def test_a_hair_before_its_end_a_pause_lets_no_more_through_than_after_it():
    pause = Pause(whole)
    pause.refused(0.0, 0, 30.0, 0.1)
    early = 30.0 - 1e-9
    assert pause.wait(early, 10) == 0
    pause.sent(early)
    assert pause.wait(early, 10) > 0


def test_a_probe_that_is_not_refused_for_longer_than_refusals_take_has_passed():
    pause = Pause(whole)
    pause.refused(0.0, 0, 1.0, 0.5)
    pause.sent(1.0)
    assert pause.wait(1.0, 10) == SURE * 0.5
    assert pause.wait(2.6, 10) == 0


def test_a_probe_after_an_outage_must_be_answered():
    pause = Pause(whole)
    assert pause.look_later(0.0, 0, 2.0)
    assert not pause.look_later(0.0, 0, 2.0)  # the others of that time say the same
    assert pause.wait(0.0, 10) == 2.0
    pause.sent(2.0)
    assert pause.wait(1000.0, 10) == float("inf")
    pause.succeeded(1, 1000.0, 1.0)
    assert pause.wait(1000.0, 10) == 0


def test_a_probe_that_ends_without_a_word_makes_room_for_another():
    pause = Pause(whole)
    pause.look_later(0.0, 0, 2.0)
    pause.sent(2.0)
    pause.gave_up(0)  # one of before
    assert pause.wait(3.0, 10) == float("inf")
    pause.gave_up(1)
    assert pause.wait(3.0, 10) == 0


def test_without_a_header_the_first_refusal_warns_and_the_second_pauses():
    pause = Pause(whole)
    assert not pause.refused(0.0, 0, None, 0.1)
    assert pause.wait(0.0, 10) == 0
    assert pause.refused(0.0, 0, None, 0.1)
    assert pause.left(0.0) == 0.5


def test_a_success_between_takes_the_warning_back():
    pause = Pause(whole)
    for _ in range(3):
        assert not pause.refused(0.0, 0, None, 0.1)
        pause.succeeded(0, 0.0, 1.0)


def test_pauses_without_a_header_double_up_to_a_minute_while_the_one_request_is_refused():
    pause = Pause(whole)
    pause.refused(0.0, 0, None, 0.1)
    waits = []
    for epoch in range(9):
        assert pause.refused(1000.0 * epoch, epoch, None, 0.1)
        waits.append(pause.left(1000.0 * epoch))
    assert waits == [0.5, 1, 2, 4, 8, 16, 32, 60, 60]


def test_a_success_begins_the_doubling_anew():
    pause = Pause(whole)
    for epoch in (0, 0, 1, 2):
        pause.refused(0.0, epoch, None, 0.1)
    pause.succeeded(3, 90.0, 1.0)
    pause.refused(100.0, 3, None, 0.1)
    pause.refused(100.0, 3, None, 0.1)
    assert pause.left(100.0) == 0.5


def test_jitter_is_between_nothing_and_the_whole():
    def first_wait(_):
        pause = Pause()
        pause.refused(0.0, 0, None, 0.1)
        pause.refused(0.0, 0, None, 0.1)
        return pause.left(0.0)

    waits = [first_wait(n) for n in range(300)]
    assert 0 <= min(waits) < 0.1
    assert 0.4 < max(waits) <= 0.5


def test_refusals_of_before_a_pause_do_not_make_it_grow():
    pause = Pause(whole)
    for _ in range(2):
        pause.refused(0.0, 0, None, 0.1)
    for _ in range(50):
        assert not pause.refused(0.1, 0, None, 0.1)
    assert pause.epoch == 1
    assert pause.left(0.1) == 0.4
    assert pause.refused(0.5, 1, None, 0.1)
    assert pause.left(0.5) == 1.0


def test_successes_of_before_a_pause_do_not_open_it():
    pause = Pause(whole)
    pause.look_later(0.0, 0, 1.0)
    pause.sent(1.0)
    for _ in range(50):
        pause.succeeded(0, 1.0, 1.0)
    assert pause.wait(1.0, 10) == float("inf")


def test_a_straggler_may_prolong_a_pause():
    pause = Pause(whole)
    pause.refused(0.0, 0, 1.0, 0.1)
    assert not pause.refused(0.5, 0, 60.0, 0.1)
    assert pause.left(0.5) == 60.0
    assert not pause.refused(0.6, 0, 1.0, 0.1)
    assert pause.left(0.5) == 60.0


def test_a_pause_that_a_straggler_began_ends_half_open_too():
    pause = Pause(whole)
    pause.refused(0.0, 0, 1.0, 0.1)
    pause.sent(1.0)
    pause.succeeded(1, 1.1, 0.1)
    assert pause.wait(10.0, 10) == 0
    assert not pause.refused(10.0, 0, 30.0, 0.1)
    assert pause.epoch == 1
    assert pause.wait(40.0, 10) == 0
    pause.sent(40.0)
    assert pause.wait(40.0, 10) > 0


def test_retry_after_of_nothing_still_ends_half_open():
    pause = Pause(whole)
    assert pause.refused(5.0, 0, 0.0, 0.1)
    assert pause.wait(5.0, 10) == 0
    pause.sent(5.0)
    assert pause.wait(5.0, 10) > 0


# -- the gate ----


def test_refusals_of_before_a_pause_do_not_cut():
    gate = Gate(whole)
    gate.expect(100, 100, finds_own=False, now=0.0)
    gate.send(0.0, 100)
    before_cut = gate.send(0.0, 100)
    gate.refused(before_cut, 0.5, 1.0)
    assert gate.limit == 80
    late = gate.send(2.0, 100)
    early_in_pause = gate.send(2.0, 100)
    gate.refused(late, 4.0, 1.0)  # within five seconds of the cut: a pause, and no cut
    assert gate.limit == 80
    gate.refused(early_in_pause, 9.0, None)
    assert gate.limit == 80


def test_a_refusal_of_what_was_alone_on_the_wire_cuts_nothing():
    gate = Gate(whole)
    gate.expect(50, 50, finds_own=False, now=0.0)
    now = 0.0
    for _ in range(9):  # a storm: one request after each pause
        probe = gate.send(now, 100)
        gate.take_off(probe)
        gate.refused(probe, now + 0.1, 6.0)
        now += 6.1
    assert gate.limit == 50


def test_the_gate_counts_what_happens():
    gate = Gate(whole)
    gate.expect(2, 2, finds_own=False, now=0.0)
    first, second = gate.send(1.0, 100), gate.send(1.0, 100)
    assert (first.alone, second.alone) == (True, False)
    assert not gate.is_open(1.0)
    assert (gate.binding(1.0).on_wire, gate.binding(1.0).limit) == (2, 2)
    gate.take_off(first)
    gate.succeeded(first, 3.0, None, clean=True)
    gate.take_off(second)
    gate.refused(second, 4.0, 6.0)
    assert (gate.successes, gate.refusals, gate.succeeded_at) == (1, 1, 3.0)
    binding = gate.binding(4.0)
    assert (binding.pause, binding.on_wire, binding.limit) == (6.0, 0, 1)


def test_a_success_after_a_retry_is_neutral():
    gate = Gate(whole)
    gate.expect(4, 100, finds_own=False, now=0.0)
    for _ in range(50):
        for ticket in [gate.send(1.0, 100) for _ in range(4)]:
            gate.take_off(ticket)
            gate.succeeded(ticket, 2.0, None, clean=False)
    assert gate.limit == 4


# -- leases ----


@pytest.mark.parametrize(
    ("cap", "first"), [(None, FIRST_LIMIT_AUTO), (1, 1), (30, 30), (50, 50), (400, FIRST_LIMIT)]
)
def test_a_run_starts_at_its_cap_or_at_what_is_safe(cap, first):
    async def main():
        share = new_governor().join(cap)
        assert share.limit == first

    virtual_time.run(main())


def test_a_lease_is_granted_at_once_or_in_order():
    async def main():
        governor = new_governor()
        share = governor.join(2)
        held = [await share.acquire(), await share.acquire()]
        assert (share.on_wire, governor.binding().on_wire) == (2, 2)
        order = []

        async def wait_for(name):
            lease = await share.acquire()
            order.append(name)
            return lease

        waiting = [asyncio.create_task(wait_for(name)) for name in "abc"]
        await settled()
        assert order == []
        governor.release(held[0], answered=True)
        await settled()
        assert order == ["a"]
        governor.release(held[1])
        governor.release(await waiting[0])
        await settled()
        assert order == ["a", "b", "c"]
        assert governor.successes == 1

    virtual_time.run(main())


def test_runs_take_turns():
    async def main():
        governor = new_governor()
        shares = {name: governor.join(10) for name in "ab"}
        governor._gate.expect(1, 1, finds_own=False, now=0.0)
        governor._gate._limiter = Limiter(1, 1)
        blocker = await shares["a"].acquire()
        order = []

        async def work(name):
            lease = await shares[name].acquire()
            order.append(name)
            await asyncio.sleep(1)
            governor.release(lease)

        tasks = [asyncio.create_task(work(name)) for name in "aaaabbbb"]
        await settled()
        governor.release(blocker)
        await asyncio.gather(*tasks)
        assert order in (list("abababab"), list("babababa"))

    virtual_time.run(main())


def test_a_newcomer_does_not_overtake_who_waits_for_the_end_of_a_pause():
    async def main():
        governor = new_governor()
        share = governor.join(10)
        governor.refuse(await share.acquire(), 1.0)
        order = []

        async def work(name):
            lease = await share.acquire()
            order.append(name)
            governor.release(lease, answered=True)

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
        tasks = [
            asyncio.create_task(share.acquire()) for share in (small, large) for _ in range(60)
        ]
        await settled()
        assert (small.on_wire, large.on_wire) == (2, 38)
        assert binds(governor) == (0.0, 40, 40)
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
        share = governor.join(5)
        lease = await share.acquire()
        governor.release(lease, answered=True)
        governor.release(lease, answered=True)
        governor.refuse(lease, 60.0)
        assert binds(governor) == (0.0, 0, 5)
        assert (governor.successes, governor.refusals) == (1, 0)

    virtual_time.run(main())


def test_a_run_that_leaves_gives_all_back_and_nothing_of_it_counts_later():
    async def main():
        governor = new_governor()
        share = governor.join(5)
        leases = [await share.acquire() for _ in range(5)]
        governor.refuse(leases.pop(), 100.0)
        governor.release(leases.pop())  # the limit was cut: now time alone can open it
        waiting = asyncio.create_task(share.acquire())
        await settled()
        share.leave()
        share.leave()
        assert await waiting is None
        assert await share.acquire() is None
        assert governor.binding().on_wire == 0
        assert share._timer.cancelled()
        governor.release(leases[0], answered=True)
        assert governor.successes == 0

    virtual_time.run(main())


def test_a_closed_run_gets_nothing_more_and_keeps_what_it_has():
    async def main():
        governor = new_governor()
        share = governor.join(1)
        lease = await share.acquire()
        waiting = [asyncio.create_task(share.acquire()) for _ in range(3)]
        await settled()
        share.close()
        assert await asyncio.gather(*waiting) == [None] * 3
        assert share.on_wire == 1
        governor.release(lease, answered=True)
        assert governor.successes == 1

    virtual_time.run(main())


def test_a_lease_that_was_granted_just_before_the_close_is_given_back():
    async def main():
        governor = new_governor()
        share = governor.join(1)
        lease = await share.acquire()
        waiting = asyncio.create_task(share.acquire())
        await settled()
        governor.release(lease)  # grants to the waiting one, which has not run yet
        share.close()
        assert await waiting is None
        assert governor.binding().on_wire == 0

    virtual_time.run(main())


def test_a_waiter_that_is_cancelled_leaves_the_queue():
    async def main():
        governor = new_governor()
        share = governor.join(1)
        lease = await share.acquire()
        gone, stays = (asyncio.create_task(share.acquire()) for _ in range(2))
        await settled()
        gone.cancel()
        await settled()
        governor.release(lease)
        assert await stays is not None
        assert governor.binding().on_wire == 1

    virtual_time.run(main())


def test_a_waiter_that_is_cancelled_after_the_grant_gives_it_on():
    async def main():
        governor = new_governor()
        share = governor.join(1)
        lease = await share.acquire()
        gone, stays = (asyncio.create_task(share.acquire()) for _ in range(2))
        await settled()
        governor.release(lease)
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
        share = governor.join(1)
        lease = await share.acquire()
        waiting = asyncio.create_task(share.acquire())
        await settled()
        for step in (
            (waiting.cancel, share.close) if cancel_first else (share.close, waiting.cancel)
        ):
            step()
        await settled()
        assert waiting.cancelled()
        governor.release(lease)
        assert governor.binding().on_wire == 0

    virtual_time.run(main())


@pytest.mark.parametrize("step", ["close", "release"])
def test_what_another_thread_does_for_a_waiter_that_is_cancelled_loses_nothing(two_loops, step):
    governor = knowing(Governor())
    one, _ = two_loops
    share = one.call(join(governor, 1))
    lease = one.call(share.acquire())

    async def wait_and_give_up():
        task = asyncio.ensure_future(share.acquire())
        await settled()
        target, arguments = (share.close, ()) if step == "close" else (governor.release, (lease,))
        other = threading.Thread(target=target, args=arguments)
        other.start()
        other.join()  # the news is on its way to this loop
        task.cancel()
        await asyncio.wait([task])
        return task.cancelled()

    assert one.call(wait_and_give_up())
    one.loop.call_soon_threadsafe(governor.release, lease)
    one.call(settled())
    assert governor.binding().on_wire == 0


def test_many_cancelled_waiters_are_passed_over():
    async def main():
        governor = new_governor()
        share = governor.join(1)
        lease = await share.acquire()
        waiting = [asyncio.create_task(share.acquire()) for _ in range(3000)]
        last = asyncio.create_task(share.acquire())
        await settled()
        for task in waiting:
            task.cancel()
        governor.release(lease)  # before any of the cancelled has run
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
        shares = [governor.join(1) for _ in range(3)]
        for number, share in enumerate(shares[:2]):
            share.on_hopeless = lambda verdict, number=number: told.append((number, verdict))
        shares[1].close()  # it knows already
        waiting = [asyncio.create_task(shares[0].acquire()) for _ in range(3)]
        await settled()
        governor.abort_all(HOPELESS)
        assert told == [(0, HOPELESS)]
        assert all(share.closed for share in shares)
        (lease,) = [each for each in await asyncio.gather(*waiting) if each is not None]
        governor.release(lease)
        later = governor.join(1)
        assert await later.acquire() is not None  # who comes later may have a better key

    virtual_time.run(main())


def test_a_pause_wakes_who_waits_when_it_ends():
    async def main():
        governor = new_governor()
        share = governor.join(5)
        loop = asyncio.get_running_loop()
        governor.refuse(await share.acquire(), 3600.0)
        began = loop.time()
        await share.acquire()
        assert loop.time() - began == pytest.approx(3600.0)

    virtual_time.run(main())


def test_a_pause_that_is_prolonged_wakes_nobody_early():
    async def main():
        governor = new_governor()
        share = governor.join(5)
        loop = asyncio.get_running_loop()
        first, second = await share.acquire(), await share.acquire()
        governor.refuse(first, 10.0)
        waiting = asyncio.create_task(share.acquire())
        await asyncio.sleep(5)
        governor.refuse(second, 100.0)
        began = loop.time()
        await waiting
        assert loop.time() - began == pytest.approx(100.0)
        share.leave()

    virtual_time.run(main())


def test_after_a_pause_one_request_leaves_and_then_the_others_evenly_and_in_order():
    async def main():
        governor = new_governor()
        share = governor.join(20)
        loop = asyncio.get_running_loop()
        first, second = await share.acquire(), await share.acquire()
        governor.refuse(second, 10.0)
        governor.release(first)
        began = loop.time()
        left = []

        async def work(number):
            lease = await share.acquire()
            left.append((loop.time() - began, number))
            await asyncio.sleep(1)
            governor.release(lease, answered=True, clean=True)

        await asyncio.gather(*(work(number) for number in range(31)))
        assert [number for _, number in left] == list(range(31))
        gaps = [later - earlier for (earlier, _), (later, _) in itertools.pairwise(left)]
        assert left[0][0] == pytest.approx(10.0)
        assert gaps[0] >= 0.99 * QUICK
        assert min(gaps[1:16]) >= 0.99 / 16  # four fifths of the limit of 20, in a second

    virtual_time.run(main())


def test_the_one_request_after_a_pause_may_fail_and_the_next_one_goes():
    async def main():
        governor = new_governor()
        share = governor.join(20)
        governor.refuse(await share.acquire(), 10.0)
        for _ in range(3):
            lease = await share.acquire()
            assert lease.alone
            waiting = asyncio.create_task(share.acquire())
            await settled()
            assert not waiting.done()
            waiting.cancel()
            governor.release(lease)  # a lost connection: neither a success nor a refusal
        assert governor.quiet == float("inf")

    virtual_time.run(main())


def test_refusals_that_count_for_nobody_pause_nobody():
    async def main():
        governor = new_governor()
        share = governor.join(20)
        governor.refuse(await share.acquire(), 3600.0, counts=False)
        assert binds(governor) == (0.0, 0, 20)
        assert governor.refusals == 0

    virtual_time.run(main())


def test_it_is_quiet_since_the_last_answer():
    async def main():
        governor = new_governor()
        share = governor.join(20)
        assert governor.quiet == float("inf")
        governor.release(await share.acquire(), answered=True)
        await asyncio.sleep(7)
        governor.release(await share.acquire())
        assert governor.quiet == pytest.approx(7)

    virtual_time.run(main())


# -- anything in any order ----

ENDS = ["answer", "lose", "outage", "refuse", "unsent"]
DEEDS = [*ENDS, "ask", "ask", "ask", "cancel", "sleep", "hold", "resume", "leave"]
steps = st.lists(st.tuples(st.sampled_from(DEEDS), st.integers(0, 3)), max_size=60)


class Battle:
    """Runs that share a governor and do anything; what must hold is looked at all the time."""

    def __init__(self, caps):
        self.governor = new_governor()
        self.shares = [self.governor.join(cap) for cap in caps]
        self.waiting = [[] for _ in caps]
        self.held = [[] for _ in caps]
        self.granted = [[] for _ in caps]
        self.asked = [0 for _ in caps]

    async def acquire(self, run, share):
        number = self.asked[run]
        self.asked[run] += 1
        lease = await share.acquire(100 * number)
        assert (lease is None) == share.closed
        if lease is not None:
            self.granted[run].append(number)
            self.held[run].append(lease)

    async def step(self, what, run):
        share, held = self.shares[run], self.held[run]
        if what == "ask":
            self.waiting[run].append(asyncio.create_task(self.acquire(run, share)))
        elif what == "cancel" and self.waiting[run]:
            self.waiting[run].pop(len(self.waiting[run]) // 2).cancel()
        elif what == "sleep":
            await asyncio.sleep(0.4)
        elif what == "hold":
            share.hold()
        elif what == "resume":
            share.resume()
        elif held and what in ENDS:
            self.end(what, held.pop(0), random.Random(run).choice([None, 1.0]))
        elif what == "leave":
            share.leave()
            self.shares[run] = self.governor.join(share.cap)
            self.waiting[run], self.held[run], self.granted[run] = [], [], []
        if run % 2:
            await settled()
        self.check()

    def end(self, what, lease, retry_after):
        if what in ("answer", "lose"):
            self.governor.release(lease, answered=what == "answer", clean=True)
        elif what == "outage":
            self.governor.lose(lease)
        elif what == "unsent":
            self.governor.give_back(lease)
        else:
            self.governor.refuse(lease, retry_after)

    def check(self):
        binding = self.governor.binding()
        assert sum(share.on_wire for share in self.shares) == binding.on_wire
        for share, numbers in zip(self.shares, self.granted, strict=True):
            assert share.cap is None or share.on_wire <= share.cap
            assert numbers == sorted(numbers)  # first come, first served

    async def finish(self):
        """Everybody who still waits is served in the end, and every lease comes back."""
        for share in self.shares:
            share.resume()
        async with asyncio.timeout(100_000):
            while any(not task.done() for tasks in self.waiting for task in tasks):
                await asyncio.sleep(0.1)
                for held in self.held:
                    while held:
                        self.governor.release(held.pop(), answered=True)
        for held in self.held:
            while held:
                self.governor.release(held.pop())
        assert self.governor.binding().on_wire == 0
        assert all(share.on_wire == 0 for share in self.shares)


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


async def join(governor, cap):
    return governor.join(cap)


def test_loops_in_threads_share_one_limit(two_loops):
    governor = knowing(Governor())
    peak = []

    async def work(share):
        for _ in range(200):
            lease = await share.acquire()
            peak.append(governor.binding().on_wire)
            await asyncio.sleep(0)
            governor.release(lease, answered=True)

    async def crowd(cap):
        share = governor.join(cap)
        try:
            await asyncio.gather(*(work(share) for _ in range(8)))
        finally:
            share.leave()

    governor._gate._limiter = Limiter(3, 3)
    governor._gate.expect = lambda *_, **__: None
    running = [each.start(crowd(8)) for each in two_loops]
    for each in running:
        each.result(30)
    assert governor.successes == 2 * 8 * 200
    assert max(peak) <= 3
    assert governor.binding().on_wire == 0


def test_a_lease_that_a_run_of_another_loop_gives_back_wakes_who_waits(two_loops):
    governor = knowing(Governor())
    one, other = two_loops
    mine, theirs = one.call(join(governor, 1)), other.call(join(governor, 1))
    governor._gate._limiter = Limiter(1, 1)
    lease = one.call(mine.acquire())
    waiting = other.start(theirs.acquire())
    one.loop.call_soon_threadsafe(governor.release, lease)
    assert waiting.result(10) is not None


def test_the_leases_of_a_loop_that_was_closed_in_mid_run_come_back(two_loops):
    governor = knowing(Governor())
    killed, lives = two_loops
    doomed, share = killed.call(join(governor, 5)), lives.call(join(governor, 5))
    governor._gate._limiter = Limiter(2, 2)
    for _ in range(2):
        killed.call(doomed.acquire())
    waiting_there = killed.start(doomed.acquire())
    killed.call(settled())
    waiting = [lives.start(share.acquire()) for _ in range(2)]
    killed.kill()
    assert all(each.result(WATCH + 10) is not None for each in waiting)
    assert governor.binding().on_wire == 2
    waiting_there.cancel()


def test_a_closed_loop_is_told_nothing(two_loops):
    governor = knowing(Governor())
    killed, lives = two_loops
    doomed, share = killed.call(join(governor, 5)), lives.call(join(governor, 5))
    waiting = killed.start(doomed.acquire())
    waiting.result(10)
    killed.kill()
    governor.abort_all(HOPELESS)
    assert doomed.closed
    assert share.closed


def test_a_loop_that_was_closed_in_this_very_thread_is_no_obstacle():
    governor = knowing(Governor())

    async def hold_and_wait():
        share = governor.join(1)
        await share.acquire()
        waiting = asyncio.ensure_future(share.acquire())
        await settled()
        waiting._log_destroy_pending = False
        return share, waiting

    loop = asyncio.new_event_loop()
    share, _waiting = loop.run_until_complete(hold_and_wait())
    loop.close()

    async def go_on():
        later = governor.join(1)
        lease = await later.acquire()
        governor.release(lease)
        later.leave()
        return lease

    assert asyncio.run(go_on()) is not None
    share.close()
    share.leave()
    assert governor.binding().on_wire == 0


def test_who_waits_out_a_pause_looks_more_often_once_another_loop_takes_part():
    async def main():
        governor = new_governor()
        loop = asyncio.get_running_loop()
        share, waits = governor.join(2), governor.join(2)
        governor.refuse(await share.acquire(), 100.0)
        waiting = asyncio.create_task(waits.acquire())
        await settled()
        other = asyncio.new_event_loop()
        governor._shares.append(Share(governor, other, 2))
        with governor.lock:
            governor.pump()
        assert waits._timer.when() == loop.time() + WATCH
        await asyncio.sleep(2 * WATCH)
        assert waits._timer.when() <= loop.time() + WATCH
        other.close()
        await waiting
        assert len(governor._shares) == 2

    virtual_time.run(main())


def test_news_from_another_thread_arrive_on_the_runs_own_loop(two_loops):
    governor = knowing(Governor())
    one, _ = two_loops
    share = one.call(join(governor, 1))
    told = threading.Event()
    where = []

    def on_hopeless(verdict):
        where.append(threading.current_thread())
        told.set()

    share.on_hopeless = on_hopeless
    governor.abort_all(HOPELESS)
    assert told.wait(10)
    assert where == [one.thread]


def test_a_loop_that_closes_in_this_very_moment_is_no_error():
    governor = knowing(Governor())
    each = LoopInThread()
    share = each.call(join(governor, 1))
    is_closed = share.loop.is_closed
    each.kill()
    share.loop.is_closed = lambda: False
    share.on_hopeless = lambda verdict: None
    share.abort_all(HOPELESS)
    share.loop.is_closed = is_closed


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
        assert governor._gate._limiter.ceiling == auto_cap()

    virtual_time.run(main())


def test_where_open_files_are_not_counted_the_cap_is_the_most(monkeypatch):
    monkeypatch.setitem(sys.modules, "resource", None)
    assert auto_cap() == AUTO_CAP


@pytest.mark.parametrize(
    "end",
    [
        Governor.give_back,
        Governor.lose,
        functools.partial(Governor.lose, counts=False),
        Governor.release,
    ],
    ids=["unsent", "lost", "lost where nobody answers", "ended"],
)
def test_a_lease_that_comes_back_after_its_run_has_left_is_no_news(end):
    async def main():
        governor = new_governor()
        share, other = governor.join(2), governor.join(2)
        lease = await share.acquire()
        share.leave()
        assert not end(governor, lease)
        assert other.on_wire == 0
        assert governor.binding().on_wire == 0

    virtual_time.run(main())


def test_what_becomes_due_between_two_looks_is_not_forgotten():
    async def main():
        loop = asyncio.get_running_loop()
        looks = itertools.count()

        def clock():  # time goes on while the governor looks: it is over a pause's end at some look
            return loop.time() + 0.002 * next(looks)

        governor = knowing(Governor(clock))
        share = governor.join(4)
        for wait in (0.001 * k for k in range(1, 40)):
            lease = await share.acquire()
            governor.refuse(lease, wait)
            waiting = asyncio.ensure_future(share.acquire())
            lease = await asyncio.wait_for(waiting, 5.0)
            governor.release(lease, answered=True)

    virtual_time.run(main())
