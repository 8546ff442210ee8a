"""A short switch interval, so that a cell that computes does not starve a run.

A thread that computes keeps the interpreter for 5 ms whenever another asks for it, and a run
asks some five times a row: around its system calls. Then it has a third of its rows a second;
at 1 ms nearly all of them (``python -m tests.benchmarks.panel`` shows it).
"""

from __future__ import annotations

import contextlib
import sys
import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

SHORT = 0.001  # seconds


class SwitchInterval:
    """Shortens the process's switch interval while any run wants that, then restores it."""

    def __init__(self) -> None:
        self._lock = threading.RLock()  # a collected run may leave its block within it
        self._wanted_by = 0
        self._before = self._set = 0.0

    @contextlib.contextmanager
    def short(self) -> Iterator[None]:
        """One millisecond within the block; a shorter interval of the person's stays."""
        with self._lock:
            self._wanted_by += 1
            if self._wanted_by == 1:
                self._before = sys.getswitchinterval()
                if self._before > SHORT:
                    sys.setswitchinterval(SHORT)
                self._set = sys.getswitchinterval()  # Python rounds it to microseconds
        try:
            yield
        finally:
            with self._lock:
                self._wanted_by -= 1
                if not self._wanted_by:
                    self._restore()

    def _restore(self) -> None:
        # What the person has set in the meantime stays.
        if self._set != self._before and sys.getswitchinterval() == self._set:
            sys.setswitchinterval(self._before)

    def forget_all(self) -> None:
        """In a forked child, which has none of its parent's runs: restore the interval."""
        wanted = self._wanted_by
        self._lock, self._wanted_by = threading.RLock(), 0
        if wanted:
            self._restore()


switch_interval = SwitchInterval()
"""The process's own."""
