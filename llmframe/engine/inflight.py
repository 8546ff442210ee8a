"""Which keys are being asked right now in this process, so that none is asked twice.

Two runs, a run again during a drain, or a preview beside a run may want the same answer:
the first asks, the others wait for its future.
"""

from __future__ import annotations

import threading
from concurrent.futures import Future
from typing import TYPE_CHECKING, NamedTuple

from llmframe.engine.loops import loops

if TYPE_CHECKING:
    import asyncio

    from llmframe.engine.results import RowResult

    Loop = asyncio.AbstractEventLoop | None

Answer = Future["RowResult | None"]


class _Claim(NamedTuple):
    """Who asks: the loop of its run; and the future of its answer."""

    loop: Loop
    answer: Answer


class InFlight:
    """Keys being asked, each with the future of its answer; safe from any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._asked: dict[bytes, _Claim] = {}

    def claim(self, key: bytes, loop: Loop = None) -> Answer | None:
        """None if the key is now the caller's to ask; else the future of whoever asks it.

        loop: the one that the caller lives on; once it is gone the key is free.
        """
        with self._lock:
            if key in self._asked:
                return self._asked[key].answer
            self._asked[key] = _Claim(loop, Future())
            return None

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
            owners = {claim.loop for claim in self._asked.values() if claim.loop is not None}
            gone = {loop for loop in owners if loops.is_gone(loop)}
            freed = {key: claim for key, claim in self._asked.items() if claim.loop in gone}
            for key in freed:
                del self._asked[key]
        for claim in freed.values():
            claim.answer.set_result(None)

    def forget_all(self) -> None:
        """A forked child asks none of what its parent asks."""
        self._lock = threading.Lock()
        self._asked = {}


in_flight = InFlight()
"""The process's own."""
