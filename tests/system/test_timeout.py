"""A time-out ends what takes too long, and a sleep of the machine is not held against it."""

from __future__ import annotations

import asyncio

import pytest

from llmframe.system.timeout import SLEPT, SLICE, TimeOut
from tests.kits import virtual_time


def sleep_through(seconds):
    """The machine sleeps: the clock goes on, nothing else does."""
    asyncio.get_running_loop().now += seconds


async def wait(seconds, limit, *, asleep=0.0, at=1.0):
    """Wait inside a time-out, the machine asleep for a while; seconds it took, and the time-out."""
    begun = virtual_time.now()
    asyncio.get_running_loop().call_later(at, sleep_through, asleep)
    timed = TimeOut(limit)
    try:
        async with timed:
            await asyncio.sleep(seconds)
    except TimeoutError:
        return "ended", round(virtual_time.now() - begun, 3), timed
    return "done", round(virtual_time.now() - begun, 3), timed


@pytest.mark.parametrize("limit", [0.5, SLICE, 2.5 * SLICE])
def test_what_takes_too_long_ends_in_time_and_what_does_not_is_left_alone(limit):
    assert virtual_time.run(wait(1e6, limit))[:2] == ("ended", limit)
    assert virtual_time.run(wait(limit - 0.1, limit))[:2] == ("done", round(limit - 0.1, 3))


def test_without_time_it_ends_at_once():
    assert virtual_time.run(wait(1.0, 0.0))[:2] == ("ended", 0.0)
    assert virtual_time.run(wait(1.0, -3.0))[:2] == ("ended", 0.0)


def test_after_a_sleep_it_begins_anew():
    result, took, timed = virtual_time.run(wait(1e6, 10.0, asleep=600.0, at=7.0))
    assert result == "ended"
    assert took == 600.0 + 7.0 + 10.0
    assert timed.void == pytest.approx(607.0)


def test_what_came_during_a_sleep_is_read():
    result, _, timed = virtual_time.run(wait(9.0, 10.0, asleep=600.0))
    assert result == "done"
    assert timed.void > 600


def test_a_short_hiccup_is_no_sleep():
    result, took, timed = virtual_time.run(wait(1e6, 10.0, asleep=SLEPT - 1))
    assert (result, timed.void) == ("ended", 0.0)
    assert took <= 10.0 + SLEPT


def test_a_cancel_passes_through():
    async def main():
        task = asyncio.ensure_future(wait(1e6, 10.0))
        await asyncio.sleep(1)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    virtual_time.run(main())
