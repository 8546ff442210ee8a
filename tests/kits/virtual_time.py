"""An event loop whose clock jumps to the next timer, so that hours pass in no time.

    run(main(), ...)      # like asyncio.run; time.monotonic() is not asked

A loop that nothing can wake any more raises Stuck: a lost wake-up is a failed test.
"""

from __future__ import annotations

import asyncio
import random
import selectors
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Coroutine

T = TypeVar("T")

TICK = 1e-9  # seconds that pass in each turn of the loop: no clock stands still
PATIENCE = 5.0  # real seconds that a loop waits for a thread


class Stuck(BaseException):
    """Nothing will ever wake the loop; no Exception, so that nothing swallows it."""


class _JumpingSelector(selectors.DefaultSelector):
    """Looks for events without waiting; time jumps instead."""

    loop: VirtualLoop

    def select(self, timeout: float | None = None):
        events = super().select(0)
        if events:
            return events
        if timeout is not None:
            self.loop.now += max(timeout, TICK)
            return []
        events = super().select(PATIENCE)  # a thread may be about to answer
        if not events:
            raise Stuck("every task waits, nothing is scheduled, and no thread answers")
        return events


class VirtualLoop(asyncio.SelectorEventLoop):
    """Its time starts at 1000 and passes only while everything waits."""

    def __init__(self) -> None:
        selector = _JumpingSelector()
        selector.loop = self
        self.now = 1000.0
        super().__init__(selector)

    def time(self) -> float:
        return self.now


def run(main: Coroutine[object, object, T]) -> T:
    """Run a coroutine to its end on a loop of virtual time."""
    random.seed(0)  # pauses are drawn: the same ones in every run
    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        return runner.run(main)


def now() -> float:
    """The running loop's time, in seconds; the clock to inject."""
    return asyncio.get_running_loop().time()
