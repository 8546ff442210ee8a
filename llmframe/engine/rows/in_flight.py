"""Which keys are being asked right now in this process, so that none is asked twice.

Two runs, a run again during a drain, or a preview beside a run may want the same answer:
the first asks, the others wait for its future.

A run that was left alone frees its keys when the garbage collector takes it: at any moment, in
any thread, within the blocks of this module too. So the lock lets its own thread in again.
"""

from __future__ import annotations

import threading
from concurrent.futures import Future
from typing import TYPE_CHECKING, NamedTuple

from llmframe.system.loops import loops

if TYPE_CHECKING:
    import asyncio

    from llmframe.results import RowResult

    Loop = asyncio.AbstractEventLoop | None

Answer = Future["RowResult | None"]


class _Claim(NamedTuple):
    """Who asks: the loop of its run; and the future of its answer."""

    loop: Loop
    answer: Answer


class InFlight:
    """Keys being asked, each with the future of its answer; safe from any thread."""

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._asked: dict[bytes, _Claim] = {}

    def claim(self, key: bytes, loop: Loop = None) -> Answer | None:
        """None if the key is now the caller's to ask; else the future of whoever asks it.

        loop: the one that the caller lives on; once it is gone the key is free.
        """
        mine = _Claim(loop, Future())
        with self._lock:
            claim = self._asked.setdefault(key, mine)
        return None if claim is mine else claim.answer

    def resolve(self, key: bytes, result: RowResult | None, loop: Loop = None) -> None:
        """The asker is done with the key; None means that a waiter has to take over.

        A key that nobody asks is left alone, for after a fork the child knows none; and so is
        one that has become another loop's.
        """
        with self._lock:
            claim = self._asked.get(key)
            if claim is None or claim.loop is not loop:
                return
            del self._asked[key]
        claim.answer.set_result(result)

    def free_the_gone(self) -> None:
        """Free the keys of loops that are gone: whoever waits for them takes over."""
        with self._lock:
            asked = self._asked.copy()
        owners = {claim.loop for claim in asked.values() if claim.loop is not None}
        gone = {loop for loop in owners if loops.is_gone(loop)}
        for key, claim in asked.items():
            if claim.loop in gone:
                self.resolve(key, None, claim.loop)

    def forget_all(self) -> None:
        """A forked child asks none of what its parent asks."""
        self._lock = threading.RLock()
        self._asked = {}


in_flight = InFlight()
"""The process's own."""
