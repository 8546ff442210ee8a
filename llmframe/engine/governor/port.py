"""One event loop as seen from any thread: futures, one timer, calls on its own thread."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable


class LoopPort:
    """The running loop. on_timer: called on it when a timer set by ``wake_in`` fires."""

    def __init__(self, on_timer: Callable[[], None]) -> None:
        self.loop = asyncio.get_running_loop()
        self._thread = threading.get_ident()
        self._on_timer = on_timer
        self._timer: asyncio.TimerHandle | None = None

    def call(self, callback: Callable[..., object], *args: object) -> None:
        """Call on the loop: now if this is its thread, else soon; never if it is closed."""
        if self.loop.is_closed():
            return
        if threading.get_ident() == self._thread:
            callback(*args)
        else:
            with contextlib.suppress(RuntimeError):  # it was closed since the check
                self.loop.call_soon_threadsafe(callback, *args)

    def wake_in(self, seconds: float) -> None:
        """Set the timer, unless it fires sooner already."""
        timer, due = self._timer, self.loop.time() + seconds

        def set_timer() -> None:
            self.cancel_timer()
            self._timer = self.loop.call_later(seconds, self._fire)

        if timer is None or timer.when() > due:
            self.call(set_timer)

    def cancel_timer(self) -> None:
        """Cancel the timer, if one is set."""
        if self._timer is not None:
            self._timer.cancel()

    def _fire(self) -> None:
        self._timer = None
        self._on_timer()
