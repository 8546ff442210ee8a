"""The time that files and batches live by, which a test can move ahead."""

from __future__ import annotations

import asyncio
import contextlib
import math
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable


class Clock:
    """Seconds since the epoch, and as many more as were added. Lives on one loop."""

    def __init__(self) -> None:
        self._ahead = 0.0
        self._changed = asyncio.Event()

    def now(self) -> float:
        """The time by this clock."""
        return time.time() + self._ahead

    def advance(self, seconds: float) -> None:
        """Move ahead; whoever waits for a time that has come goes on."""
        self._ahead += seconds
        self.wake()

    def wake(self) -> None:
        """Have everybody who waits ask again until when."""
        self._changed.set()
        self._changed = asyncio.Event()

    async def until(self, due: Callable[[], float]) -> None:
        """Wait until ``due()``, which may change meanwhile."""
        while (left := due() - self.now()) > 0:
            seconds = None if left == math.inf else left
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._changed.wait(), seconds)
