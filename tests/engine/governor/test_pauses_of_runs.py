"""A pause holds all runs, wakes them in time, and ends with one request."""

from __future__ import annotations

import asyncio
import itertools

import pytest

from llmframe.engine.governor import Governor
from llmframe.engine.governor.pause import QUICK
from tests.kits import virtual_time
from tests.kits.engine import knowing
from tests.kits.governor import binds, new_governor, settled


def test_a_pause_wakes_who_waits_when_it_ends():
    async def main():
        governor = new_governor()
        share = governor.join(5)
        loop = asyncio.get_running_loop()
        governor.refuse(
            await governor.acquire(
                share,
            ),
            3600.0,
        )
        began = loop.time()
        await governor.acquire(
            share,
        )
        assert loop.time() - began == pytest.approx(3600.0)

    virtual_time.run(main())


def test_a_pause_that_is_prolonged_wakes_nobody_early():
    async def main():
        governor = new_governor()
        share = governor.join(5)
        loop = asyncio.get_running_loop()
        first, second = (
            await governor.acquire(
                share,
            ),
            await governor.acquire(
                share,
            ),
        )
        governor.refuse(first, 10.0)
        waiting = asyncio.create_task(governor.acquire(share))
        await asyncio.sleep(5)
        governor.refuse(second, 100.0)
        began = loop.time()
        await waiting
        assert loop.time() - began == pytest.approx(100.0)
        governor.leave(share)

    virtual_time.run(main())


def test_after_a_pause_one_request_leaves_and_then_the_others_evenly_and_in_order():
    async def main():
        governor = new_governor()
        share = governor.join(20)
        loop = asyncio.get_running_loop()
        for lease in [await governor.acquire(share) for _ in range(20)]:
            governor.release(lease)
        governor.refuse(await governor.acquire(share), 10.0)
        began = loop.time()
        left = []

        async def work(number):
            lease = await governor.acquire(
                share,
            )
            left.append((loop.time() - began, number))
            await asyncio.sleep(1)
            governor.release(lease, answered=True, clean=True)

        await asyncio.gather(*(work(number) for number in range(31)))
        assert [number for _, number in left] == list(range(31))
        gaps = [later - earlier for (earlier, _), (later, _) in itertools.pairwise(left)]
        assert left[0][0] == pytest.approx(10.0)
        assert gaps[0] >= 0.99 * QUICK
        assert min(gaps[1:20]) >= 0.99 / 20  # as many as the limit, in a second

    virtual_time.run(main())


def test_the_one_request_after_a_pause_may_fail_and_the_next_one_goes():
    async def main():
        governor = new_governor()
        share = governor.join(20)
        governor.refuse(
            await governor.acquire(
                share,
            ),
            10.0,
        )
        for _ in range(3):
            lease = await governor.acquire(
                share,
            )
            assert lease.alone
            waiting = asyncio.create_task(governor.acquire(share))
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
        governor.refuse(
            await governor.acquire(
                share,
            ),
            3600.0,
            counts=False,
        )
        assert binds(governor) == (0.0, 0, 20)
        assert governor.refusals == 0

    virtual_time.run(main())


def test_it_is_quiet_since_the_last_answer():
    async def main():
        governor = new_governor()
        share = governor.join(20)
        assert governor.quiet == float("inf")
        governor.release(
            await governor.acquire(
                share,
            ),
            answered=True,
        )
        await asyncio.sleep(7)
        governor.release(
            await governor.acquire(
                share,
            )
        )
        assert governor.quiet == pytest.approx(7)

    virtual_time.run(main())


def test_what_becomes_due_between_two_readings_of_the_clock_is_not_forgotten():
    async def main():
        loop = asyncio.get_running_loop()
        readings = itertools.count()

        def clock():  # each reading is later, so a pause ends between some two of them
            return loop.time() + 0.002 * next(readings)

        governor = knowing(Governor(clock))
        share = governor.join(4)
        for wait in (0.001 * k for k in range(1, 40)):
            lease = await governor.acquire(
                share,
            )
            governor.refuse(lease, wait)
            waiting = asyncio.ensure_future(governor.acquire(share))
            lease = await asyncio.wait_for(waiting, 5.0)
            governor.release(lease, answered=True)

    virtual_time.run(main())
