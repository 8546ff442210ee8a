"""How fast: who may send now, decided for all runs of one endpoint, key and model.

One lock, a gate, and the runs' seats. A seat belongs to the run's event loop and hands
out leases. A lease comes back when the attempt ends, when the run leaves, when its loop
is found closed, or when the waiter was cancelled after the grant. Nothing is held while
waiting.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
import time
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING

from llmframe.engine.governor.gate import Binding, Gate, Ticket

if TYPE_CHECKING:
    from collections.abc import Callable

    from llmframe.engine.retry import Verdict

FIRST_LIMIT_AUTO = 20  # requests at once while nothing is known
FIRST_LIMIT = 50  # the same when the person asked for more
AUTO_CAP = 512
WATCH = 1.0  # seconds between two looks whether another run's loop was closed with its leases


@dataclass(eq=False, slots=True)
class Lease:
    """The right to have one request on the wire."""

    seat: Seat
    ticket: Ticket

    @property
    def alone(self) -> bool:
        """Whether nothing else was on the wire when it was granted."""
        return self.ticket.alone


class Governor:
    """One endpoint, key and model; shared by all runs and loops of the process.

    clock: monotonic seconds. gate: the limits; a fresh one when None. Both for tests.
    """

    def __init__(
        self, clock: Callable[[], float] = time.monotonic, gate: Gate | None = None
    ) -> None:
        self.clock = clock
        self.lock = threading.RLock()
        self._gate = gate or Gate()
        self._seats: deque[Seat] = deque()

    @property
    def successes(self) -> int:
        """Requests answered so far, over all runs."""
        return self._gate.successes

    @property
    def refusals(self) -> int:
        """Requests refused so far, over all runs; those that count for nobody left out."""
        return self._gate.refusals

    @property
    def quiet(self) -> float:
        """Seconds since a request was answered."""
        return self.clock() - self._gate.succeeded_at

    @property
    def has_many_loops(self) -> bool:
        """Whether runs of several loops are seated. Under the lock."""
        return len({id(seat.loop) for seat in self._seats}) > 1

    def join(self, cap: int | None) -> Seat:
        """A seat for a run on the running loop.

        cap: the most requests this run may have on the wire; None finds its own.
        """
        seat = Seat(self, asyncio.get_running_loop(), cap)
        with self.lock:
            self._seats.append(seat)
            first = FIRST_LIMIT_AUTO if cap is None else min(cap, FIRST_LIMIT)
            self._gate.expect(first, self._wanted())
        return seat

    def leave(self, seat: Seat) -> None:
        """Take a seat away with all its leases."""
        with self.lock:
            self._remove(seat)
            self.pump()

    def grant(self, seat: Seat) -> Lease | None:
        """A lease for this seat if it may have one now. Under the lock."""
        now = self.clock()
        if not seat.wants_more() or not self._gate.is_open(now):
            return None
        lease = Lease(seat, self._gate.send(now))
        seat.leases.add(lease)
        return lease

    def release(self, lease: Lease, *, answered: bool = False, clean: bool = False) -> None:
        """The attempt has ended.

        answered: the provider gave an answer; clean: at the row's first attempt.
        """
        with self.lock:
            if self._take_back(lease) and answered:
                self._gate.succeeded(lease.ticket, self.clock(), clean=clean)
            self.pump()

    def refuse(self, lease: Lease, retry_after: float | None, *, counts: bool = True) -> None:
        """The attempt has ended with a refusal.

        retry_after: seconds the provider asks to wait. counts: False for a row that is
        refused again and again while others succeed: its refusals pause nobody.
        """
        with self.lock:
            if self._take_back(lease) and counts:
                self._gate.refused(lease.ticket, self.clock(), retry_after)
            self.pump()

    def doom(self, verdict: Verdict) -> None:
        """Hopeless: every run that is seated now sends nothing more."""
        with self.lock:
            doomed = [seat for seat in self._seats if not seat.closed]
        for seat in doomed:
            seat.doom(verdict)

    def pump(self) -> None:
        """Grant what can be granted: one lease a seat in turn. Under the lock."""
        for seat in [seat for seat in self._seats if seat.loop.is_closed()]:
            self._remove(seat)
        idle = 0
        while idle < len(self._seats):
            seat = self._seats[0]
            self._seats.rotate(-1)
            idle = 0 if seat.serve() else idle + 1
        for seat in self._seats:
            seat.arm()

    def binding(self) -> Binding:
        """What binds right now."""
        with self.lock:
            return self._gate.binding(self.clock())

    def _remove(self, seat: Seat) -> None:
        if seat in self._seats:
            self._seats.remove(seat)
        for lease in seat.leases:
            self._gate.take_off(lease.ticket)
        seat.leases.clear()
        if self._seats:
            self._gate.expect(1, self._wanted())

    def _take_back(self, lease: Lease) -> bool:
        if lease not in lease.seat.leases:
            return False  # the run has left in the meantime
        lease.seat.leases.remove(lease)
        self._gate.take_off(lease.ticket)
        return True

    def _wanted(self) -> int:
        return sum(AUTO_CAP if seat.cap is None else seat.cap for seat in self._seats)


class Seat:
    """A run's place at the governor: its cap, its queue and its leases; lives on one loop."""

    def __init__(
        self, governor: Governor, loop: asyncio.AbstractEventLoop, cap: int | None
    ) -> None:
        self.cap = cap
        self.loop = loop
        self.closed = False
        self.leases: set[Lease] = set()
        self.on_doom: Callable[[Verdict], None] | None = None
        self._governor = governor
        self._queue: deque[asyncio.Future[Lease | None]] = deque()
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

    async def acquire(self) -> Lease | None:
        """Wait in turn for a lease; None once the seat is closed."""
        with self._governor.lock:
            if self.closed:
                return None
            waiter: asyncio.Future[Lease | None] = self.loop.create_future()
            self._queue.append(waiter)
            self._governor.pump()
        try:
            lease = await waiter
        except asyncio.CancelledError:
            self._abandon(waiter)
            raise
        return None if lease is None else self._unless_closed(lease)

    def release(self, lease: Lease, *, answered: bool = False, clean: bool = False) -> None:
        """See Governor.release."""
        self._governor.release(lease, answered=answered, clean=clean)

    def refuse(self, lease: Lease, retry_after: float | None, *, counts: bool = True) -> None:
        """See Governor.refuse."""
        self._governor.refuse(lease, retry_after, counts=counts)

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
        if self._timer is not None:
            self._timer.cancel()

    def doom(self, verdict: Verdict) -> None:
        """Hopeless: close and tell the run."""
        self.close()
        if self.on_doom is not None:
            self._on_loop(self.on_doom, verdict)

    def serve(self) -> bool:
        """Grant one lease to the first in the queue, if that can be. Under the lock."""
        while self._queue and self._queue[0].done():  # cancelled
            self._queue.popleft()
        lease = self._governor.grant(self) if self._queue else None
        if lease is None:
            return False
        self._on_loop(self._deliver, self._queue.popleft(), lease)
        return True

    def arm(self) -> None:
        """See to it that the queue is looked at when the provider's pause ends. Under the lock."""
        if not self._queue:
            return
        wait = self._governor.binding().pause
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

    def _deliver(self, waiter: asyncio.Future[Lease | None], lease: Lease | None) -> None:
        if not waiter.done():
            waiter.set_result(lease)
        elif lease is not None:
            self._governor.release(lease)

    def _unless_closed(self, lease: Lease) -> Lease | None:
        """The lease, unless the seat was closed between its grant and now."""
        if self.closed:
            self._governor.release(lease)
            return None
        return lease

    def _abandon(self, waiter: asyncio.Future[Lease | None]) -> None:
        """A cancelled waiter: give back what it was granted, or leave the queue."""
        if waiter.done() and not waiter.cancelled():
            lease = waiter.result()
            if lease is not None:
                self._governor.release(lease)
            return
        with self._governor.lock:
            if waiter in self._queue:
                self._queue.remove(waiter)

    def _on_loop(self, callback: Callable[..., object], *args: object) -> None:
        """Call on this seat's loop: at once when we are on it, else from outside."""
        if self.loop.is_closed():
            self.closed = True  # pump finds that out and takes the seat away
        elif threading.get_ident() == self._thread:
            callback(*args)
        else:
            with contextlib.suppress(RuntimeError):  # closed in this very moment
                self.loop.call_soon_threadsafe(callback, *args)
