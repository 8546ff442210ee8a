"""Which keys are being asked right now in this process, so that none is asked twice.

Two runs, a run again during a drain, or a preview beside a run may want the same answer:
the first asks, the others wait for its future.
"""

from __future__ import annotations

import threading
from concurrent.futures import Future
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from llmframe.engine.results import RowResult

Answer = Future["RowResult | None"]


class InFlight:
    """Keys being asked, each with the future of its answer; safe from any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._asked: dict[bytes, Answer] = {}

    def claim(self, key: bytes) -> Answer | None:
        """None if the key is now the caller's to ask; else the future of whoever asks it."""
        with self._lock:
            if key in self._asked:
                return self._asked[key]
            self._asked[key] = Future()
            return None

    def resolve(self, key: bytes, result: RowResult | None) -> None:
        """The asker is done with the key; None means that a waiter has to take over.

        A key that nobody asks is left alone: after a fork the child knows none.
        """
        with self._lock:
            answer = self._asked.pop(key, None)
        if answer is not None:
            answer.set_result(result)

    def forget_all(self) -> None:
        """A forked child asks none of what its parent asks."""
        self._lock = threading.Lock()
        self._asked = {}


in_flight = InFlight()
"""The process's own."""
