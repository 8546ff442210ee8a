"""Short turns between Python's threads, so that a cell that computes does not starve a run.

A thread that computes keeps the interpreter for 5 ms whenever another asks for it, and a run
asks some five times a row: around its system calls. Then it has a third of its rows a second;
with turns of 1 ms nearly all of them (``python -m tests.benchmarks.panel`` shows it).
"""

from __future__ import annotations

import contextlib
import sys
import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

TURN = 0.001  # seconds


class Turns:
    """Shortens the process's turns while anybody wants that, then gives back what was set."""

    def __init__(self) -> None:
        self._lock = threading.RLock()  # a collected run gives back within it
        self._wanted_by = 0
        self._before = self._set = 0.0

    @contextlib.contextmanager
    def short(self) -> Iterator[None]:
        """Turns of a millisecond within the block; shorter ones of the person's stay."""
        with self._lock:
            self._wanted_by += 1
            if self._wanted_by == 1:
                self._before = sys.getswitchinterval()
                if self._before > TURN:
                    sys.setswitchinterval(TURN)
                self._set = sys.getswitchinterval()  # in whole microseconds
        try:
            yield
        finally:
            with self._lock:
                self._wanted_by -= 1
                untouched = sys.getswitchinterval() == self._set
                if not self._wanted_by and untouched and self._set != self._before:
                    sys.setswitchinterval(self._before)

    def forget_all(self) -> None:
        """A forked child has none of its parent's runs; the parent's short turns end here."""
        wanted = self._wanted_by
        self._lock, self._wanted_by = threading.RLock(), 0
        if wanted and sys.getswitchinterval() == self._set:
            sys.setswitchinterval(self._before)


turns = Turns()
"""The process's own."""
