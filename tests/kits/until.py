"""Waiting for what another thread or process makes true: the one place in the tests that polls."""

from __future__ import annotations

import asyncio
import time

PATIENCE = 60.0  # seconds until a condition counts as never coming true
PAUSE = 0.005  # seconds between two checks


def until(condition, timeout: float = PATIENCE, pause: float = PAUSE):
    """Check again and again until the condition holds; returns what it gave."""
    end = time.monotonic() + timeout
    while not (found := condition()):
        assert time.monotonic() < end, f"this did not come true within {timeout:g} s"
        time.sleep(pause)
    return found


async def until_true(condition):
    """The same on a running loop, whose other tasks go on meanwhile."""
    end = time.monotonic() + PATIENCE
    while not (found := condition()):
        assert time.monotonic() < end, f"this did not come true within {PATIENCE:g} s"
        await asyncio.sleep(PAUSE)
    return found


async def turns(count: int = 20) -> None:
    """Let the running loop go round: what was ready to run has run then."""
    for _ in range(count):
        await asyncio.sleep(0)
