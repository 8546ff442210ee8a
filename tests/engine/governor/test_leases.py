"""Leases are granted in turn, within every limit, and come back once."""

from __future__ import annotations

import asyncio
import functools

import pytest

from llmframe.engine.governor import Governor
from llmframe.engine.governor.governor import FIRST_LIMIT, FIRST_LIMIT_AUTO
from tests.kits import virtual_time
from tests.kits.governor import HOPELESS, FixedGate, binds, new_governor, settled


@pytest.mark.parametrize(
    ("cap", "first"), [(None, FIRST_LIMIT_AUTO), (1, 1), (30, 30), (50, 50), (400, FIRST_LIMIT)]
)
def test_a_run_starts_at_its_cap_or_at_what_is_safe(cap, first):
    async def main():
        governor = new_governor()
        share = governor.join(cap)
        assert governor.limit_of(share) == first

    virtual_time.run(main())


def test_a_lease_is_granted_at_once_or_in_order():
    async def main():
        governor = new_governor()
        share = governor.join(2)
        held = [
            await governor.acquire(
                share,
            ),
            await governor.acquire(
                share,
            ),
        ]
        assert (share.on_wire, governor.binding().on_wire) == (2, 2)
        order = []

        async def wait_for(name):
            lease = await governor.acquire(
                share,
            )
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
        governor = new_governor(FixedGate(1))
        shares = {name: governor.join(10) for name in "ab"}
        blocker = await governor.acquire(
            shares["a"],
        )
        order = []

        async def work(name):
            lease = await governor.acquire(
                shares[name],
            )
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
        governor.refuse(
            await governor.acquire(
                share,
            ),
            1.0,
        )
        order = []

        async def work(name):
            lease = await governor.acquire(
                share,
            )
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
            asyncio.create_task(governor.acquire(share))
            for share in (small, large)
            for _ in range(60)
        ]
        await settled()
        assert (small.on_wire, large.on_wire) == (2, 38)
        assert binds(governor) == (0.0, 40, 40)
        governor.leave(small)
        await settled()
        assert (small.on_wire, large.on_wire) == (0, 40)
        governor.leave(large)
        await asyncio.gather(*tasks)
        assert governor.binding().on_wire == 0

    virtual_time.run(main())


def test_a_lease_comes_back_once():
    async def main():
        governor = new_governor()
        share = governor.join(5)
        lease = await governor.acquire(
            share,
        )
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
        leases = [
            await governor.acquire(
                share,
            )
            for _ in range(5)
        ]
        governor.refuse(leases.pop(), 100.0)
        waiting = asyncio.create_task(governor.acquire(share))
        await settled()
        governor.leave(share)
        governor.leave(share)
        assert await waiting is None
        assert (
            await governor.acquire(
                share,
            )
            is None
        )
        assert governor.binding().on_wire == 0
        governor.release(leases[0], answered=True)
        assert governor.successes == 0

    virtual_time.run(main())


def test_a_held_run_waits_and_others_do_not():
    async def main():
        governor = new_governor()
        held, free = governor.join(5), governor.join(5)
        governor.hold(held)
        waiting = asyncio.create_task(governor.acquire(held))
        assert (
            await governor.acquire(
                free,
            )
            is not None
        )
        await settled()
        assert not waiting.done()
        governor.resume(held)
        assert await waiting is not None

    virtual_time.run(main())


def test_a_hopeless_verdict_reaches_every_run_that_has_joined():
    async def main():
        governor = new_governor()
        reached = []
        shares = [governor.join(1) for _ in range(3)]
        for number, share in enumerate(shares[:2]):
            share.on_hopeless = lambda verdict, number=number: reached.append((number, verdict))
        governor.close(shares[1])  # it knows already
        waiting = [asyncio.create_task(governor.acquire(shares[0])) for _ in range(3)]
        await settled()
        governor.abort_all(HOPELESS)
        assert reached == [(0, HOPELESS)]
        assert all(share.closed for share in shares)
        (lease,) = [each for each in await asyncio.gather(*waiting) if each is not None]
        governor.release(lease)
        later = governor.join(1)
        assert (
            await governor.acquire(
                later,
            )
            is not None
        )  # who comes later may have a better key

    virtual_time.run(main())


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
def test_a_lease_that_comes_back_after_its_run_has_left_changes_nothing(end):
    async def main():
        governor = new_governor()
        share, other = governor.join(2), governor.join(2)
        lease = await governor.acquire(
            share,
        )
        governor.leave(share)
        assert not end(governor, lease)
        assert other.on_wire == 0
        assert governor.binding().on_wire == 0

    virtual_time.run(main())


def test_a_recall_sends_the_waiting_away_and_leaves_the_leases():
    async def main():
        governor = new_governor()
        share = governor.join(1)
        held = await governor.acquire(share)
        waiting = [asyncio.create_task(governor.acquire(share)) for _ in range(3)]
        await settled()
        governor.recall(share)
        assert await asyncio.gather(*waiting) == [None] * 3
        assert (share.closed, share.on_wire) == (False, 1)
        governor.release(held)
        assert await governor.acquire(share) is not None

    virtual_time.run(main())
