"""Event loops that are gone: closed, or stopped and left alone, with requests still on them.

An interrupt that ends ``loop.run_until_complete(...)`` leaves its tasks where they were: what
they hold must not hold up the next run. A loop that runs again is no longer gone.
"""

from __future__ import annotations

import asyncio
import contextlib
import sys
import threading
import time
from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary

from llmframe.errors import PlanError

if TYPE_CHECKING:
    from collections.abc import Callable

STOPPED = 0.5  # seconds after which a loop that does not run counts as gone


def running_loop() -> asyncio.AbstractEventLoop | None:
    """The event loop that is running in this thread, if one is."""
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        return None


def foreign_loop() -> str:
    """The library other than asyncio whose loop runs in this thread, such as "trio", else ""."""
    sniffio = sys.modules.get("sniffio")  # such a library imports it, to say that it runs
    if sniffio is None or running_loop() is not None:
        return ""
    try:
        return str(sniffio.current_async_library())
    except Exception:  # noqa: BLE001 - sniffio's own, where nothing runs
        return ""


def require_asyncio(what: str) -> None:
    """Raise PlanError unless an event loop of asyncio runs in this thread."""
    if running_loop() is None:
        library = foreign_loop()
        here = f"{library} runs here" if library else "none is running here"
        raise PlanError(
            f"{what} needs asyncio's event loop, and {here}; df.llm.tag(...) runs anywhere, "
            "in trio by `await trio.to_thread.run_sync(lambda: df.llm.tag(...))`"
        )


def green_threads() -> str:
    """The library that has put its own in place of threads, "gevent" or "eventlet", else ""."""
    gevent, eventlet = sys.modules.get("gevent.monkey"), sys.modules.get("eventlet.patcher")
    if gevent is not None and gevent.is_module_patched("threading"):
        return "gevent"
    return "eventlet" if eventlet is not None and eventlet.is_monkey_patched("thread") else ""


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
