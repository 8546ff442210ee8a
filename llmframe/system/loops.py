"""Event loops that are gone: closed, or stopped and left alone, with requests still on them.

An interrupt that ends ``loop.run_until_complete(...)`` leaves its tasks where they were: what
they hold must not hold up the next run. A loop that goes on after all is alive again.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
import time
from weakref import WeakKeyDictionary

STANDING = 0.5  # seconds after which a loop that does not run is taken for gone


def running_loop() -> asyncio.AbstractEventLoop | None:
    """The event loop that is running in this thread, if one is."""
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        return None


class Loops:
    """Which loops are gone; safe from any thread."""

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._standing: WeakKeyDictionary[asyncio.AbstractEventLoop, float] = WeakKeyDictionary()

    def is_gone(self, loop: asyncio.AbstractEventLoop) -> bool:
        """Whether the loop is closed, or has not run for a while since it was first asked about."""
        if loop.is_closed():
            return True
        if loop.is_running():
            return False
        with self._lock:
            since = self._standing.get(loop)
            if since is None:
                self._standing[loop] = time.monotonic()
        if since is not None:
            return time.monotonic() - since >= STANDING
        with contextlib.suppress(RuntimeError):  # closed in this very moment
            loop.call_soon_threadsafe(self._goes_on, loop)
        return False

    def _goes_on(self, loop: asyncio.AbstractEventLoop) -> None:
        """Called by the loop itself as soon as it runs."""
        with self._lock:
            self._standing.pop(loop, None)

    def forget_all(self) -> None:
        """A forked child has none of its parent's loops."""
        self._lock = threading.RLock()


loops = Loops()
"""The process's own."""
