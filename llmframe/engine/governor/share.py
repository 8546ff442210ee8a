"""A run's place at the governor: it belongs to the run's event loop and hands out leases."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from llmframe.engine.governor.gate import Ticket
    from llmframe.engine.governor.governor import Governor
    from llmframe.engine.wire.verdict import Verdict

WATCH = 1.0  # seconds between two looks whether another run's loop was closed with its leases


@dataclass(eq=False, slots=True)
class Lease:
    """The right to have one request on the wire."""

    share: Share
    ticket: Ticket

    @property
    def alone(self) -> bool:
        """Whether nothing else was on the wire when it was granted."""
        return self.ticket.alone

    @property
    def is_probe(self) -> bool:
        """Whether it is only to find out if anything gets through: no row is sent with it."""
        return self.ticket.look


@dataclass(eq=False, slots=True)
class _Waiter:
    """One row that waits for its lease. size: UTF-8 bytes of its prompt."""

    granted: asyncio.Future[Lease | None]
    size: int


class Share:
    """A run's place at the governor: its cap, its queue and its leases; lives on one loop."""

    def __init__(
        self,
        governor: Governor,
        loop: asyncio.AbstractEventLoop,
        cap: int | None,
        *,
        rpm: float | None = None,
        tpm: float | None = None,
    ) -> None:
        self.cap = cap
        self.rpm = rpm
        self.tpm = tpm
        self.loop = loop
        self.closed = False
        self.leases: set[Lease] = set()
        self.on_hopeless: Callable[[Verdict], None] | None = None
        self._governor = governor
        self._queue: deque[_Waiter] = deque()
        self._held = False
        self._thread = threading.get_ident()
        self._timer: asyncio.TimerHandle | None = None

    @property
    def on_wire(self) -> int:
        """Requests of this run that are on the wire."""
        return len(self.leases)

    @property
    def limit(self) -> int:
        """Requests this run may have on the wire now."""
        limit = self._governor.binding().limit
        return limit if self.cap is None else min(limit, self.cap)

    def wants_more(self) -> bool:
        """Whether this run may and wants to have one more request on the wire."""
        return not (self.closed or self._held) and (self.cap is None or len(self.leases) < self.cap)

    async def acquire(self, size: int = 0) -> Lease | None:
        """Wait in turn for a lease for a prompt of so many bytes; None once the share is closed."""
        with self._governor.lock:
            if self.closed:
                return None
            waiter = _Waiter(self.loop.create_future(), size)
            self._queue.append(waiter)
            self._governor.pump()
        try:
            lease = await waiter.granted
        except asyncio.CancelledError:
            self._abandon(waiter)
            raise
        return None if lease is None else self._unless_closed(lease)

    @property
    def is_held(self) -> bool:
        """Whether the person has paused the run."""
        return self._held

    def hold(self) -> None:
        """Grant nothing more until resume: the person's pause."""
        self._held = True

    def resume(self) -> None:
        """Grant again."""
        with self._governor.lock:
            self._held = False
            self._governor.pump()

    def close(self) -> None:
        """Grant nothing any more and send the waiting away; leases stay until they end."""
        with self._governor.lock:
            self.closed = True
            waiting, self._queue = self._queue, deque()
        for waiter in waiting:
            self._on_loop(self._deliver, waiter, None)

    def leave(self) -> None:
        """The run has ended: close, and give back what is still leased."""
        self.close()
        self._governor.leave(self)
        self.on_hopeless = None
        if self._timer is not None:
            self._timer.cancel()

    def abort_all(self, verdict: Verdict) -> None:
        """Hopeless: close and tell the run."""
        self.close()
        if self.on_hopeless is not None:
            self._on_loop(self.on_hopeless, verdict)

    def serve(self, now: float) -> bool:
        """Grant one lease to the first in the queue, if that can be. Under the lock."""
        while self._queue and self._queue[0].granted.done():  # cancelled
            self._queue.popleft()
        lease = self._governor.grant(self, self._queue[0].size, now) if self._queue else None
        if lease is None:
            return False
        self._on_loop(self._deliver, self._queue.popleft(), lease)
        return True

    def arm(self, now: float) -> None:
        """See to it that the queue is looked at when the next is due. Under the lock."""
        if not self._queue:
            return
        wait = self._governor.wait(now)
        if self._governor.has_many_loops:
            wait = min(wait or WATCH, WATCH)
        due = self.loop.time() + wait
        if wait > 0 and (self._timer is None or self._timer.when() > due):
            self._on_loop(self._set_timer, wait)

    def _set_timer(self, wait: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self.loop.call_later(wait, self._on_timer)

    def _on_timer(self) -> None:
        self._timer = None
        with self._governor.lock:
            self._governor.pump()

    def _deliver(self, waiter: _Waiter, lease: Lease | None) -> None:
        if not waiter.granted.done():
            waiter.granted.set_result(lease)
        elif lease is not None:
            self._governor.give_back(lease)

    def _unless_closed(self, lease: Lease) -> Lease | None:
        """The lease, unless the share was closed between its grant and now."""
        if self.closed:
            self._governor.give_back(lease)
            return None
        return lease

    def _abandon(self, waiter: _Waiter) -> None:
        """A cancelled waiter: give back what it was granted, or leave the queue."""
        if waiter.granted.done() and not waiter.granted.cancelled():
            lease = waiter.granted.result()
            if lease is not None:
                self._governor.give_back(lease)
            return
        with self._governor.lock:
            if waiter in self._queue:
                self._queue.remove(waiter)

    def _on_loop(self, callback: Callable[..., object], *args: object) -> None:
        """Call on this share's loop: at once when we are on it, else from outside."""
        if self.loop.is_closed():
            self.closed = True  # pump finds that out and takes the share away
        elif threading.get_ident() == self._thread:
            callback(*args)
        else:
            with contextlib.suppress(RuntimeError):  # closed in this very moment
                self.loop.call_soon_threadsafe(callback, *args)
