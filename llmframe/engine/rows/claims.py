"""Which run asks for which key, so that no key is asked for twice at the same time.

Two runs, a run again during a drain, or a preview during a run may want the same answer: the
first asks, the others wait for its future.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import threading
from concurrent.futures import Future
from typing import TYPE_CHECKING, NamedTuple

from llmframe.system.forks import after_fork
from llmframe.system.loops import loops

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from llmframe.engine.row import Row
    from llmframe.results import RowResult

    Loop = asyncio.AbstractEventLoop | None

WATCH = 0.25  # seconds between two checks whether the run that asks for an awaited key is gone

Answer = Future["RowResult | None"]


class _Claim(NamedTuple):
    """The loop of the run that asks, and the future of its answer."""

    loop: Loop
    answer: Answer


class InFlight:
    """The keys that are being asked for in this process; safe from any thread.

    The lock is re-entrant: a run that was abandoned frees its keys when the garbage collector
    takes it, which may happen in any thread at any moment, also inside these methods.
    """

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._claims: dict[bytes, _Claim] = {}

    @property
    def count(self) -> int:
        """Keys that are being asked for now."""
        return len(self._claims)

    def claim(self, key: bytes, loop: Loop = None) -> Answer | None:
        """None if the key is now the caller's to ask for; else the future of another run's answer.

        loop: the caller's; once it is gone the key is free.
        """
        mine = _Claim(loop, Future())
        with self._lock:
            claim = self._claims.setdefault(key, mine)
        return None if claim is mine else claim.answer

    def resolve(self, key: bytes, result: RowResult | None, loop: Loop = None) -> None:
        """The run that asked is done with the key; None means that a waiter has to take over.

        A key that is not claimed by this loop is left alone: after a fork the child has none.
        """
        with self._lock:
            claim = self._claims.get(key)
            if claim is None or claim.loop is not loop:
                return
            del self._claims[key]
        claim.answer.set_result(result)

    def free_abandoned(self) -> None:
        """Free the keys of loops that are gone: whoever waits for them takes over."""
        with self._lock:
            claims = self._claims.copy()
        owners = {claim.loop for claim in claims.values() if claim.loop is not None}
        gone = {loop for loop in owners if loops.check_gone(loop)}
        for key, claim in claims.items():
            if claim.loop in gone:
                self.resolve(key, None, claim.loop)

    def forget_all(self) -> None:
        """In a forked child: none of the parent's requests are its own."""
        self._lock = threading.RLock()
        self._claims = {}


in_flight = InFlight()
"""The process's own."""
after_fork(in_flight.forget_all)


class Claims:
    """One run's part in it: claim a key, release it, take over from another run. On its loop.

    on_answer: called on this loop with a row whose key another run was asking for, and with that
    run's result, which is None where it stopped without one.
    """

    def __init__(
        self, in_flight: InFlight, *, on_answer: Callable[[Row, RowResult | None], None]
    ) -> None:
        self._in_flight = in_flight
        self._on_answer = on_answer
        self._loop = asyncio.get_running_loop()
        self._awaited = 0
        self._watch: asyncio.TimerHandle | None = None

    def claim(self, row: Row) -> bool:
        """Whether the row's key is now this run's to ask for; if not, on_answer will be called."""
        answer = self._in_flight.claim(row.key, self._loop)
        row.claimed = answer is None
        if answer is not None:
            self._awaited += 1
            answer.add_done_callback(functools.partial(self._from_outside, row))
            self._watch = self._watch or self._loop.call_later(WATCH, self._check_awaited)
        return row.claimed

    def release(self, row: Row, result: RowResult | None = None) -> None:
        """Give the key back; without a result whoever waits for it takes over."""
        if row.claimed:
            row.claimed = False
            self._in_flight.resolve(row.key, result, self._loop)

    @contextlib.contextmanager
    def released_on_error(self, row: Row) -> Iterator[None]:
        """Release the request's keys if the block raises, so that nobody waits for them in vain."""
        try:
            yield
        except BaseException:
            for member in row.members:
                self.release(member)
            raise

    def close(self) -> None:
        """Check no longer on the runs whose answers were awaited."""
        if self._watch is not None:
            self._watch.cancel()

    def _from_outside(self, row: Row, answer: Answer) -> None:
        def answered() -> None:
            self._awaited -= 1
            self._on_answer(row, answer.result())

        with contextlib.suppress(RuntimeError):  # this run's loop is closed: it needs nothing
            self._loop.call_soon_threadsafe(answered)

    def _check_awaited(self) -> None:
        """A run whose loop is gone will never answer: take its keys away from it."""
        self._watch = None
        self._in_flight.free_abandoned()
        if self._awaited:
            self._watch = self._loop.call_later(WATCH, self._check_awaited)
