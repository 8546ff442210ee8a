"""How fast: who may send now, decided for all runs of one endpoint, key and model.

A lease comes back when the attempt ends, when its run leaves, when the loop of its run is
gone, or when the waiter was cancelled after the grant. Nothing is held while waiting.
"""

from __future__ import annotations

import asyncio
import math
import threading
import time
from collections import deque
from typing import TYPE_CHECKING

from llmframe.engine.governor.doubt import Doubt
from llmframe.engine.governor.gate import Binding, Gate, Learnt
from llmframe.engine.governor.port import LoopPort
from llmframe.engine.governor.repeats import RepeatBudget
from llmframe.engine.governor.share import Lease, Share, Waiter
from llmframe.system.loops import loops

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from llmframe.providers.dialect import Dialect, Feature
    from llmframe.results import Usage
    from llmframe.task.labels.enums import EnumSize

FIRST_LIMIT_AUTO = 20  # concurrent requests while nothing is known
FIRST_LIMIT = 50  # the same when the person asked for more
AUTO_CAP = 512
WATCH = 1.0  # seconds between two checks whether another run's loop was closed with its leases


class Governor:
    """One endpoint, key and model; shared by all runs and loops of the process.

    clock: monotonic seconds. gate: the limits; a fresh one when None. Both for tests.
    """

    def __init__(
        self, clock: Callable[[], float] = time.monotonic, gate: Gate | None = None
    ) -> None:
        self.clock = clock
        # reentrant: the garbage collector may end an abandoned run while its thread holds it
        self._lock = threading.RLock()
        self._gate = gate or Gate()
        self.dialects = self._gate.dialects
        self._repeats = RepeatBudget()
        self._shares: deque[Share] = deque()  # the next to be served first

    # -- a run's share ------------------------------------------------------------

    def join(
        self,
        cap: int | None,
        *,
        rpm: float | None = None,
        tpm: float | None = None,
        slots: int | None = None,
    ) -> Share:
        """A share for a run on the running loop; cap, rpm and tpm as in Share.

        slots: requests that the server handles concurrently, where that is known.
        """
        share = Share(port=LoopPort(self._on_timer), cap=cap, rpm=rpm, tpm=tpm)
        with self._lock:
            self._shares.append(share)
            self._gate.look(self.clock())
            auto = slots or FIRST_LIMIT_AUTO
            self._expect(auto if cap is None else min(cap, FIRST_LIMIT))
        return share

    async def acquire(self, share: Share, size: int = 0, cap: int | None = None) -> Lease | None:
        """Wait in turn for a lease; None once the share is closed, or when it is recalled.

        size: bytes of the prompt. cap: tokens that the answer may have, None for any.
        """
        with self._lock:
            if share.closed:
                return None
            waiter = Waiter(share.port.loop.create_future(), size, cap)
            share.queue.append(waiter)
            self._pump()
        try:
            lease = await waiter.granted
        except asyncio.CancelledError:
            self._abandon(share, waiter)
            raise
        if lease is not None and lease.share.closed:  # closed between the grant and now
            self.give_back(lease)
            return None
        return lease

    def hold(self, share: Share) -> None:
        """Grant the run nothing more until resume: the person's pause."""
        with self._lock:
            share.held = True
            self._gate.doubt.drop(share)
            self._pump()

    def resume(self, share: Share) -> None:
        """Grant the run leases again."""
        with self._lock:
            share.held = False
            self._gate.look(self.clock())
            self._pump()

    def close(self, share: Share) -> None:
        """Grant nothing any more and send the waiting away; leases stay until they end."""
        with self._lock:
            share.closed = True
            self._gate.doubt.drop(share)
        self.recall(share)

    def recall(self, share: Share) -> None:
        """Send the waiting away without a lease: other rows shall queue before them."""
        with self._lock:
            waiting, share.queue = share.queue, deque()
        for waiter in waiting:
            share.port.call(self._deliver, waiter, None)

    def leave(self, share: Share) -> None:
        """The run has ended: close its share and take back its leases."""
        self.close(share)
        with self._lock:
            self._remove(share)
            self._pump()
        share.on_hopeless = None
        share.port.cancel_timer()

    def limit_of(self, share: Share) -> int:
        """Requests that the run may have on the wire now."""
        with self._lock:
            limit = self._gate.limit
        return limit if share.cap is None else min(limit, share.cap)

    def abort_all(self, reason: object) -> None:
        """Hopeless: every run that has joined sends nothing more."""
        with self._lock:
            self._gate.doubt = Doubt()  # a later run asks anew
            doomed = [share for share in tuple(self._shares) if not share.closed]
        for share in doomed:
            self.close(share)
            if share.on_hopeless is not None:
                share.port.call(share.on_hopeless, reason)

    # -- how an attempt ended -----------------------------------------------------

    def release(
        self,
        lease: Lease,
        *,
        answered: bool = False,
        clean: bool = False,
        usage: Usage | None = None,
    ) -> None:
        """The attempt has ended.

        answered: the provider gave an answer; clean: at the row's first attempt; usage:
        what it took.
        """
        with self._lock:
            if self._take_back(lease) and answered:
                self._gate.succeeded(lease.ticket, self.clock(), usage, clean=clean)
            self._pump()

    def give_back(self, lease: Lease) -> None:
        """The lease was not used."""
        with self._lock:
            if self._take_back(lease):
                self._gate.never_sent(lease.ticket)
            self._pump()

    def refuse(
        self,
        lease: Lease,
        retry_after: float | None,
        *,
        counts: bool = True,
        probe: bool = False,
    ) -> float:
        """The attempt has ended with a refusal; seconds for which nothing is sent now.

        retry_after: seconds the provider asks to wait. counts: False for a row that is
        refused again and again while others succeed: its refusals pause nobody. probe: a health
        probe is sent before the next row.
        """
        with self._lock:
            if self._take_back(lease) and counts:
                self._gate.refused(lease.ticket, self.clock(), retry_after)
            self._gate.probe_next |= probe
            self._pump()
            return self._gate.pause.left(self.clock())

    def lose(self, lease: Lease, *, left: float = math.inf, counts: bool = True) -> bool:
        """The attempt was lost (5xx, connection, time-out); True if an outage is to blame.

        left: rows of the run that are not done. counts: False while nobody has ever answered.
        """
        with self._lock:
            ours, outage = self._take_back(lease), False
            if ours and counts:
                outage = self._gate.lost(lease.ticket, self.clock(), left)
            elif ours:
                self._gate.nobody_there(self.clock())
            self._pump()
            return outage

    def read_headers(
        self, headers: Iterable[tuple[bytes, bytes]], lease: Lease | None = None
    ) -> None:
        """Take over the limits in the headers of the response to this lease's request."""
        with self._lock:
            ticket = None if lease is None else lease.ticket
            self._gate.read_headers(headers, self.clock(), ticket)

    # -- how requests are written -------------------------------------------------

    def understood(
        self, dialect: Dialect, tried: Sequence[Dialect] = (), *, enums: EnumSize | None = None
    ) -> None:
        """A request in this dialect was answered; tried: those in which its row was refused."""
        searches = not self.dialects.known
        self.dialects.succeeded(dialect, tried, enums=enums)
        if searches:  # all others were waiting for it
            with self._lock:
                if not self.dialects.known:
                    self._gate.search_goes_on(self.clock())
                self._pump()

    def rewrite(
        self,
        tried: Sequence[Dialect],
        param: str | None,
        message: str,
        *,
        features: frozenset[Feature],
        sure: bool = False,
        enums: EnumSize | None = None,
    ) -> Dialect | None:
        """The dialect to send a refused row in, as DialectSearch.refused; None for none."""
        dialect = self.dialects.refused(
            tried, param, message, features=features, sure=sure, enums=enums
        )
        if dialect is not None:
            with self._lock:
                self._gate.search_goes_on(self.clock())
        return dialect

    # -- whose fault a refusal is -------------------------------------------------

    @property
    def in_doubt(self) -> bool:
        """Whether a health probe is to show whose fault the last refusals are."""
        return self._gate.doubt.is_on

    def suspect(self, lease: Lease, *, counts: bool = True, of_key: bool = False) -> None:
        """The attempt has ended with a refusal that may be its row's fault, or everybody's.

        counts: False where it is the row's in any case. of_key: the key was not accepted.
        """
        with self._lock:
            if self._take_back(lease):
                self._gate.responded(lease.ticket, self.clock())
                if counts:
                    self._gate.suspect(self.clock(), of_key=of_key)
            if counts or self.dialects.known:  # else the same row is sent next
                self._pump()

    def probe_refused(self, lease: Lease) -> bool:
        """A health probe has ended with such a refusal; True if no row can succeed."""
        with self._lock:
            if self._take_back(lease):
                self._gate.responded(lease.ticket, self.clock())
            hopeless = self._gate.doubt.probe_refused(answered=self._gate.successes > 0)
            self._pump()
        return hopeless

    def ask(self, share: Share) -> None:
        """Send a health probe of this run before anything else."""
        with self._lock:
            self._gate.doubt.ask(share)
            self._pump()

    # -- repeats ------------------------------------------------------------------

    def earn_repeats(self) -> None:
        """A row's first request leaves: it pays into the budget of repeats."""
        with self._lock:
            self._repeats.earn()

    def take_repeat(self) -> float:
        """Take one repeat from the budget of all runs; seconds until it may be sent."""
        with self._lock:
            return self._repeats.take(self.clock())

    # -- what is known ------------------------------------------------------------

    @property
    def successes(self) -> int:
        """Requests answered so far, over all runs."""
        return self._gate.successes

    @property
    def refusals(self) -> int:
        """Requests refused so far, over all runs; those that count for nobody left out."""
        return self._gate.refusals

    @property
    def refused_for(self) -> float:
        """Seconds since a request was refused; inf if none ever was."""
        return self.clock() - self._gate.refused_at

    @property
    def quiet(self) -> float:
        """Seconds since a request was answered; inf if none ever was."""
        return self.clock() - self._gate.succeeded_at

    @property
    def is_slow(self) -> bool:
        """Whether so little was sent in the last minute that no limit a minute is exceeded."""
        with self._lock:
            return self._gate.pace.is_slow(self._gate.requests.used(self.clock()))

    @property
    def lost_for(self) -> float:
        """Seconds since an outage began; 0 outside one."""
        with self._lock:
            return self._gate.outage.lasts(self.clock())

    @property
    def streak(self) -> int:
        """The number of the latest series of losses; asked right after a loss."""
        return self._gate.outage.streak

    def was_outage(self, streak: int) -> bool:
        """Whether that series of losses was an outage, as far as is known by now."""
        return self._gate.outage.was_sure(streak)

    def binding(self) -> Binding:
        """What binds right now."""
        with self._lock:
            return self._gate.binding(self.clock())

    def learnt(self) -> Learnt:
        """What the requests so far have shown."""
        with self._lock:
            return self._gate.learnt(self.clock())

    # -- under the lock -----------------------------------------------------------

    def _pump(self) -> None:
        """Grant what can be granted, one lease a share in turn, then set the timers."""
        # One moment for all: what becomes due between two readings of the clock would be
        # neither granted nor waited for.
        now = self.clock()
        self._gate.advance(now)
        gone = self._take_off_gone()
        idle = 0
        while idle < len(self._shares):
            share = self._shares[0]
            self._shares.rotate(-1)
            idle = 0 if share not in gone and self._grant(share, now) else idle + 1
        waiting = [share for share in tuple(self._shares) if share.queue and share not in gone]
        if not waiting:
            return
        wait = self._gate.wait(now)
        if len({id(share.port.loop) for share in tuple(self._shares)}) > 1:
            wait = min(wait or WATCH, WATCH)  # a closed loop notifies nobody
        if wait > 0:
            for share in waiting:
                share.port.wake_in(wait)

    def _grant(self, share: Share, now: float) -> bool:
        """Grant one lease to the first in the share's queue; False if that cannot be now."""
        queue = share.queue
        while queue and queue[0].granted.done():  # cancelled
            queue.popleft()
        if not (queue and share.may_send and self._gate.is_open(now)):
            return False
        if self._gate.doubt.owner not in (None, share):
            return False
        waiter = queue.popleft()
        lease = Lease(share, self._gate.send(now, waiter.size, waiter.cap))
        share.leases.add(lease)
        share.port.call(self._deliver, waiter, lease)
        return True

    def _take_off_gone(self) -> list[Share]:
        """The shares whose loops are gone; what they have leased is no longer on the wire."""
        gone = [share for share in tuple(self._shares) if loops.check_gone(share.port.loop)]
        for share in gone:
            if share.port.loop.is_closed():
                self._remove(share)
            else:  # a loop that stands still may go on, and then its share is served again
                self._take_off(share)
        return gone

    def _remove(self, share: Share) -> None:
        if share in self._shares:
            self._shares.remove(share)
        self._take_off(share)
        if self._shares:
            self._expect(1)

    def _take_off(self, share: Share) -> None:
        while share.leases:
            self._gate.take_off(share.leases.pop().ticket)

    def _take_back(self, lease: Lease) -> bool:
        """Take a request off the wire; False if its run has left in the meantime."""
        if lease not in lease.share.leases:
            return False
        lease.share.leases.remove(lease)
        self._gate.take_off(lease.ticket)
        return True

    def _expect(self, first: int) -> None:
        """Pass on to the gate what all runs want: the strictest rates hold for all."""
        shares = tuple(self._shares)
        finds_own = any(share.cap is None for share in shares)
        wanted = sum(auto_cap() if share.cap is None else share.cap for share in shares)
        self._gate.expect(first, wanted, finds_own=finds_own, now=self.clock())
        self._gate.requests.ask(min((s.rpm for s in shares if s.rpm is not None), default=None))
        self._gate.tokens.ask(min((s.tpm for s in shares if s.tpm is not None), default=None))

    # -- on the loop of the share -------------------------------------------------

    def _on_timer(self) -> None:
        with self._lock:
            self._pump()

    def _deliver(self, waiter: Waiter, lease: Lease | None) -> None:
        if not waiter.granted.done():
            waiter.granted.set_result(lease)
        elif lease is not None:  # cancelled while the grant was on its way from another thread
            self.give_back(lease)

    def _abandon(self, share: Share, waiter: Waiter) -> None:
        """A cancelled waiter gives back what it was granted, or leaves the queue."""
        if waiter.granted.done() and not waiter.granted.cancelled():
            lease = waiter.granted.result()
            if lease is not None:
                self.give_back(lease)
            return
        with self._lock:
            if waiter in share.queue:
                share.queue.remove(waiter)


def auto_cap() -> int:
    """The most concurrent requests that a run may reach by itself: half the open files, or 512."""
    try:
        import resource
    except ImportError:  # Windows
        return AUTO_CAP
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return AUTO_CAP if soft == resource.RLIM_INFINITY else max(1, min(AUTO_CAP, soft // 2))
