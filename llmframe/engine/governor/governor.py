"""How fast: who may send now, decided for all runs of one endpoint, key and model.

One lock, a gate, and the runs' shares. A lease comes back when the attempt ends, when the
run leaves, when its loop is found to be gone, or when the waiter was cancelled after the
grant. Nothing is held while waiting.
"""

from __future__ import annotations

import asyncio
import math
import threading
import time
from collections import deque
from typing import TYPE_CHECKING

from llmframe.engine.governor.gate import Binding, Gate
from llmframe.engine.governor.repeats import RepeatBudget
from llmframe.engine.governor.share import Lease, Share
from llmframe.system.loops import loops

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from llmframe.engine.wire.verdict import Verdict
    from llmframe.providers.dialect import Dialect
    from llmframe.results import Usage

FIRST_LIMIT_AUTO = 20  # requests at once while nothing is known
FIRST_LIMIT = 50  # the same when the person asked for more
AUTO_CAP = 512


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
        self._repeats = RepeatBudget()
        self._shares: deque[Share] = deque()

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
        """Seconds since a request was answered."""
        return self.clock() - self._gate.succeeded_at

    @property
    def has_many_loops(self) -> bool:
        """Whether runs of several loops are seated. Under the lock."""
        return len({id(share.loop) for share in tuple(self._shares)}) > 1

    def join(
        self,
        cap: int | None,
        *,
        rpm: float | None = None,
        tpm: float | None = None,
        at_once: int | None = None,
    ) -> Share:
        """A share for a run on the running loop.

        cap: the most requests this run may have on the wire; None finds its own.
        rpm, tpm: requests and tokens a minute that the person allows; None learns them.
        at_once: requests that the server works on at once, where that is known.
        """
        share = Share(self, asyncio.get_running_loop(), cap, rpm=rpm, tpm=tpm)
        with self.lock:
            self._shares.append(share)
            auto = at_once or FIRST_LIMIT_AUTO
            self._expect(auto if cap is None else min(cap, FIRST_LIMIT))
        return share

    def leave(self, share: Share) -> None:
        """Take a share away with all its leases."""
        with self.lock:
            self._remove(share)
            self.pump()

    def grant(self, share: Share, size: int, now: float) -> Lease | None:
        """A lease for a prompt of so many bytes, if it may leave now. Under the lock."""
        if not share.wants_more() or not self._gate.is_open(now):
            return None
        lease = Lease(share, self._gate.send(now, size))
        share.leases.add(lease)
        return lease

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
        with self.lock:
            if self._take_back(lease) and answered:
                self._gate.succeeded(lease.ticket, self.clock(), usage, clean=clean)
            self.pump()

    def give_back(self, lease: Lease) -> None:
        """The lease was not used."""
        with self.lock:
            if self._take_back(lease):
                self._gate.never_sent(lease.ticket)
            self.pump()

    def lose(self, lease: Lease, *, left: float = math.inf, counts: bool = True) -> bool:
        """The attempt was lost: 5xx, connection, time-out. Tells whether an outage took it.

        left: rows of the run that are not done. counts: False while nobody has ever answered.
        """
        with self.lock:
            ours, outage = self._take_back(lease), False
            if ours and counts:
                outage = self._gate.lost(lease.ticket, self.clock(), left)
            elif ours:
                self._gate.nobody_there(self.clock())
            self.pump()
            return outage

    def key_refused(self, lease: Lease) -> bool:
        """The key was not accepted. Tells whether to try once more, alone; else it is hopeless."""
        with self.lock:
            again = self._take_back(lease) and self._gate.key_refused(lease.ticket, self.clock())
            self.pump()
            return again

    @property
    def lost_for(self) -> float:
        """Seconds since nothing gets through; 0 while something does."""
        with self.lock:
            return self._gate.lost_for(self.clock())

    @property
    def streak(self) -> int:
        """Which time it is that nothing gets through; asked right after a loss."""
        return self._gate.streak

    def was_outage(self, streak: int) -> bool:
        """Whether that time it was an outage, as far as is known by now."""
        return self._gate.was_outage(streak)

    def earn_repeats(self) -> None:
        """A row's first request leaves: it pays into the budget of repeats."""
        with self.lock:
            self._repeats.sent()

    def repeat_wait(self) -> float:
        """Take one repeat from the budget of all runs; seconds until it may be sent."""
        with self.lock:
            return self._repeats.wait(self.clock())

    def read_headers(self, headers: Iterable[tuple[bytes, bytes]]) -> None:
        """Take over what a response says of the limits."""
        with self.lock:
            self._gate.read_headers(headers, self.clock())

    def begin_at(self, dialect: Dialect) -> None:
        """Write the first request so; nothing changes once one was sent."""
        with self.lock:
            self._gate.dialects.begin_at(dialect)

    @property
    def dialect(self) -> Dialect:
        """How requests are to be written."""
        return self._gate.dialects.dialect

    def understood(self, dialect: Dialect) -> None:
        """A request written so was answered."""
        if not self._gate.dialects.known:
            with self.lock:
                self._gate.dialects.succeeded(dialect)
                self.pump()
        else:
            self._gate.dialects.succeeded(dialect)

    def misunderstood(
        self, dialect: Dialect, param: str | None, said: str, given: frozenset[str]
    ) -> bool:
        """A request written so got a 400; tells whether to send it again, written anew."""
        with self.lock:
            return self._gate.dialects.refused(dialect, param, said, given)

    def broke(self, dialect: Dialect) -> None:
        """The server answered a request written so with a 5xx."""
        with self.lock:
            self._gate.dialects.broke(dialect)

    def expected(self, size: int) -> tuple[float, float]:
        """Tokens that a prompt of so many bytes and nine of ten answers take."""
        with self.lock:
            return self._gate.meter.tokens_in(size), self._gate.meter.high_out

    def refuse(self, lease: Lease, retry_after: float | None, *, counts: bool = True) -> None:
        """The attempt has ended with a refusal.

        retry_after: seconds the provider asks to wait. counts: False for a row that is
        refused again and again while others succeed: its refusals pause nobody.
        """
        with self.lock:
            if self._take_back(lease) and counts:
                self._gate.refused(lease.ticket, self.clock(), retry_after)
            self.pump()

    def abort_all(self, verdict: Verdict) -> None:
        """Hopeless: every run that is seated now sends nothing more."""
        with self.lock:
            doomed = [share for share in tuple(self._shares) if not share.closed]
        for share in doomed:
            share.abort_all(verdict)

    def pump(self) -> None:
        """Grant what can be granted: one lease a share in turn. Under the lock.

        All at one moment: what becomes due between two looks would be neither granted nor
        waited for.
        """
        now = self.clock()
        gone = [share for share in tuple(self._shares) if loops.is_gone(share.loop)]
        for share in gone:
            self._take_off(share)
            if share.loop.is_closed():
                self._remove(share)
        idle = 0
        while idle < len(self._shares):
            share = self._shares[0]
            self._shares.rotate(-1)
            idle = 0 if share not in gone and share.serve(now) else idle + 1
        for share in tuple(self._shares):
            if share not in gone:
                share.arm(now)

    def binding(self) -> Binding:
        """What binds right now."""
        with self.lock:
            return self._gate.binding(self.clock())

    def _remove(self, share: Share) -> None:
        if share in self._shares:
            self._shares.remove(share)
        self._take_off(share)
        if self._shares:
            self._expect(1)

    def _take_off(self, share: Share) -> None:
        """What the share has leased is no longer on the wire."""
        while share.leases:
            self._gate.take_off(share.leases.pop().ticket)

    def _expect(self, first: int) -> None:
        """Tell the gate what the seated runs want: the strictest limits hold for all."""
        shares = tuple(self._shares)
        finds_own = any(share.cap is None for share in shares)
        wanted = sum(auto_cap() if share.cap is None else share.cap for share in shares)
        self._gate.expect(first, wanted, finds_own=finds_own, now=self.clock())
        self._gate.requests.ask(min((s.rpm for s in shares if s.rpm is not None), default=None))
        self._gate.tokens.ask(min((s.tpm for s in shares if s.tpm is not None), default=None))

    def _take_back(self, lease: Lease) -> bool:
        if lease not in lease.share.leases:
            return False  # the run has left in the meantime
        lease.share.leases.remove(lease)
        self._gate.take_off(lease.ticket)
        return True

    def wait(self, now: float) -> float:
        """Seconds until time alone may allow the next request. Under the lock."""
        return self._gate.wait(now)


def auto_cap() -> int:
    """The most requests at once that a run may find for itself: half the open files, or 512."""
    try:
        import resource
    except ImportError:  # Windows
        return AUTO_CAP
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return AUTO_CAP if soft == resource.RLIM_INFINITY else max(1, min(AUTO_CAP, soft // 2))
