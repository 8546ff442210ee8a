"""Event loops that are gone: closed, or stopped and left alone, with requests still on them.

An interrupt that ends ``loop.run_until_complete(...)`` leaves its tasks where they were: what
they hold must not hold up the next run. A loop that runs again is no longer gone.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
import time
from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary

if TYPE_CHECKING:
    from collections.abc import Callable

STOPPED = 0.5  # seconds after which a loop that does not run counts as gone


def running_loop() -> asyncio.AbstractEventLoop | None:
    """The event loop that is running in this thread, if one is."""
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        return None


class Loops:
    """Which loops are gone; safe from any thread. clock: monotonic seconds, for tests."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.RLock()
        self._stopped: WeakKeyDictionary[asyncio.AbstractEventLoop, float] = WeakKeyDictionary()

    def check_gone(self, loop: asyncio.AbstractEventLoop) -> bool:
        """Check the loop: True if it is closed, or has not run for a while since a check."""
        if loop.is_closed():
            return True
        if loop.is_running():
            return False
        with self._lock:
            since = self._stopped.get(loop)
            if since is None:
                self._stopped[loop] = self._clock()
        if since is not None:
            return self._clock() - since >= STOPPED
        # the loop itself takes the note back, as soon as it runs
        with contextlib.suppress(RuntimeError):  # it was closed since the first check
            loop.call_soon_threadsafe(self._runs_again, loop)
        return False

    def _runs_again(self, loop: asyncio.AbstractEventLoop) -> None:
        with self._lock:
            self._stopped.pop(loop, None)

    def forget_all(self) -> None:
        """A forked child has none of its parent's loops."""
        self._lock = threading.RLock()


loops = Loops()
"""The process's own."""
