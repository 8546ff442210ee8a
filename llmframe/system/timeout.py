"""The time-out of one attempt, which a sleeping machine does not use up."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from types import TracebackType

SLICE = 5.0  # seconds between two readings of the clock
SLEPT = 5.0  # seconds by which a reading came late: the machine was asleep


class TimeOut:
    """Raises TimeoutError where what is inside takes longer than so many seconds.

    void: seconds until the machine last woke up, 0 where it did not sleep.
    """

    def __init__(self, seconds: float) -> None:
        self.void = 0.0
        self._seconds = seconds
        self._left = seconds
        self._inner = asyncio.timeout(None)

    async def __aenter__(self) -> Self:
        await self._inner.__aenter__()
        self._loop = asyncio.get_running_loop()
        self._began = self._loop.time()
        self._wait()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._timer.cancel()
        await self._inner.__aexit__(kind, exc, traceback)

    def restart(self) -> None:
        """Begin anew, because something has come; noticed up to SLICE seconds later."""
        self._left = self._seconds

    def _wait(self) -> None:
        seconds = min(SLICE, max(0.0, self._left))
        self._left -= seconds
        self._timer = self._loop.call_later(seconds, self._on_timer)

    def _on_timer(self) -> None:
        # After a sleep it begins anew: a reply that came meanwhile waits to be read, and is paid.
        if self._loop.time() - self._timer.when() > SLEPT:
            self.void = self._loop.time() - self._began
            self._left = self._seconds
        if self._left > 0:
            self._wait()
        else:
            self._inner.reschedule(self._loop.time())
