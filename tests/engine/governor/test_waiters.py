"""Who waits for a lease and is cancelled, or whose run is closed, loses no lease."""

from __future__ import annotations

import asyncio
import functools
import threading

import pytest

from llmframe.engine.governor import Governor
from tests.kits import virtual_time
from tests.kits.engine import knowing
from tests.kits.governor import join, new_governor, settled


def test_a_closed_run_gets_nothing_more_and_keeps_what_it_has():
    async def main():
        governor = new_governor()
        share = governor.join(1)
        lease = await governor.acquire(
            share,
        )
        waiting = [asyncio.create_task(governor.acquire(share)) for _ in range(3)]
        await settled()
        governor.close(share)
        assert await asyncio.gather(*waiting) == [None] * 3
        assert share.on_wire == 1
        governor.release(lease, answered=True)
        assert governor.successes == 1

    virtual_time.run(main())


def test_a_lease_that_was_granted_just_before_the_close_is_given_back():
    async def main():
        governor = new_governor()
        share = governor.join(1)
        lease = await governor.acquire(
            share,
        )
        waiting = asyncio.create_task(governor.acquire(share))
        await settled()
        governor.release(lease)  # grants to the waiting one, which has not run yet
        governor.close(share)
        assert await waiting is None
        assert governor.binding().on_wire == 0

    virtual_time.run(main())


def test_a_waiter_that_is_cancelled_leaves_the_queue():
    async def main():
        governor = new_governor()
        share = governor.join(1)
        lease = await governor.acquire(
            share,
        )
        gone, stays = (asyncio.create_task(governor.acquire(share)) for _ in range(2))
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
        lease = await governor.acquire(
            share,
        )
        gone, stays = (asyncio.create_task(governor.acquire(share)) for _ in range(2))
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
        lease = await governor.acquire(
            share,
        )
        waiting = asyncio.create_task(governor.acquire(share))
        await settled()
        close = functools.partial(governor.close, share)
        for step in (waiting.cancel, close) if cancel_first else (close, waiting.cancel):
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
    lease = one.call(governor.acquire(share))

    async def wait_and_cancel():
        task = asyncio.ensure_future(governor.acquire(share))
        await settled()
        target, argument = (governor.close, share) if step == "close" else (governor.release, lease)
        other = threading.Thread(target=target, args=(argument,))
        other.start()
        other.join()  # its call is on its way to this loop
        task.cancel()
        await asyncio.wait([task])
        return task.cancelled()

    assert one.call(wait_and_cancel())
    one.loop.call_soon_threadsafe(governor.release, lease)
    one.call(settled())
    assert governor.binding().on_wire == 0


def test_many_cancelled_waiters_are_passed_over():
    async def main():
        governor = new_governor()
        share = governor.join(1)
        lease = await governor.acquire(
            share,
        )
        waiting = [asyncio.create_task(governor.acquire(share)) for _ in range(3000)]
        last = asyncio.create_task(governor.acquire(share))
        await settled()
        for task in waiting:
            task.cancel()
        governor.release(lease)  # before any of the cancelled has run
        assert await last is not None

    virtual_time.run(main())
