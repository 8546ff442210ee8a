"""What is to be sent next: fresh rows in order, and rows that wait to be tried again."""

from __future__ import annotations

import asyncio
import heapq
import math
from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from llmframe.engine.governor.ladder import TOP_RUNG, Rung
from llmframe.engine.results import NOTHING_USED, Usage

if TYPE_CHECKING:
    from collections.abc import Callable

    from llmframe.engine.retry import Verdict


@dataclass(eq=False, slots=True)
class Row:
    """One row on its way, over all its legs.

    sent: requests so far. charged: of them, those that use up attempts. refused: of them,
    refused by the provider. paid: replies that came back. began: when the first request
    left; elapsed: seconds from then to the last reply. busy: seconds that count against
    the row's deadline. correction: messages appended for the one re-ask.
    cap: a larger cap on the output than asked for. reasked, larger, again: which of the
    once-only legs are used up. claimed: no other run asks its key. is_last: it goes behind
    all others. failure: the last failed request, None after a reply.
    refused_alone: refusals while nothing else was on the wire. refused_since: when it was
    first refused. successes_before, refusals_before: of all requests, then. rung: how the
    last request was written. lost_in: the streak of losses in which it was last lost; lost:
    how often in it, as far as that is charged.
    """

    position: int
    key: bytes
    text: str
    sent: int = 0
    charged: int = 0
    refused: int = 0
    refused_alone: int = 0
    refused_since: float = 0.0
    successes_before: int = 0
    refusals_before: int = 0
    paid: int = 0
    usage: Usage = NOTHING_USED
    began: float | None = None
    elapsed: float = 0.0
    busy: float = 0.0
    correction: list[dict[str, str]] = field(default_factory=list)
    cap: int | None = None
    reasked: bool = False
    larger: bool = False
    again: bool = False
    raw: str | None = None
    claimed: bool = False
    is_last: bool = False
    failure: Verdict | None = None
    rung: Rung = TOP_RUNG
    lost_in: int | None = None
    lost: int = 0

    def note_sent(self, now: float, rung: Rung) -> None:
        """A request leaves, written so."""
        if self.began is None:
            self.began = now
        self.rung = rung
        self.sent += 1
        self.charged += 1

    def note_back(self, sent_at: float, now: float, void: float = 0.0) -> None:
        """The request has ended, whatever came of it; void: seconds of it that do not count."""
        self.busy += now - sent_at - void
        self.elapsed = now - (self.began if self.began is not None else sent_at)

    def note_paid(self, usage: Usage) -> None:
        """A reply came back that is paid; without output it costs next to nothing."""
        self.usage += usage
        self.paid += usage.tokens_out > 0

    def note_lost(self, streak: int) -> None:
        """A request was lost, and it is not known yet whether in an outage."""
        if streak != self.lost_in:
            self.lost_in, self.lost = streak, 0
        self.lost += 1

    def forgive(self) -> None:
        """It was an outage that lost it: that charges no row."""
        self.charged -= self.lost
        self.lost = 0

    def note_refused(self, now: float, *, alone: bool, successes: int, refusals: int) -> None:
        """The provider refused it; successes, refusals: of all requests so far."""
        self.charged -= 1
        self.refused += 1
        self.refused_alone += alone
        if self.refused == 1:
            self.refused_since = now
            self.successes_before = successes
            self.refusals_before = refusals


class Work:
    """Rows for the workers; lives on one loop.

    clock: monotonic seconds. limit: requests that may be on the wire now; no more than
    twice as many rows wait, beyond that nothing fresh is taken.
    A row that was taken is out until it is told done; meanwhile it may be given back to wait.
    elsewhere: of those that are out, rows whose answer another run asks for.
    """

    def __init__(self, clock: Callable[[], float], limit: Callable[[], int]) -> None:
        self._clock = clock
        self._limit = limit
        self._fresh: deque[int] = deque()
        self._waiting: list[tuple[float, int, Row]] = []
        self._last: deque[Row] = deque()
        self._order = 0
        self._out = 0
        self.elsewhere = 0
        self._planning = True
        self.closed = False
        self._idle: deque[asyncio.Future[None]] = deque()
        self._timer: asyncio.TimerHandle | None = None

    @property
    def waiting(self) -> int:
        """Rows that wait to be tried again."""
        return len(self._waiting) + len(self._last)

    @property
    def left(self) -> float:
        """Rows that are not done; inf while not all of them are known."""
        return math.inf if self._planning else len(self._fresh) + self._out

    @property
    def none_fresh(self) -> bool:
        """Whether every row that is left is on its way."""
        return not (self._planning or self._fresh)

    @property
    def is_drained(self) -> bool:
        """Whether all that is left is on the wire."""
        return not (self._planning or self._fresh or self._waiting or self._last or self.closed)

    @property
    def unattended(self) -> int:
        """Rows that no idle worker is about to take."""
        return max(0, len(self._fresh) + len(self._waiting) - len(self._idle))

    def add(self, position: int) -> None:
        """A fresh row; once closed nobody wants it any more."""
        if not self.closed:
            self._fresh.append(position)
            self._wake_one()

    def planned(self) -> None:
        """No more fresh rows will come."""
        self._planning = False
        self._wake_all()

    def give_back(self, row: Row, due: float) -> None:
        """Try a row again, not before this time; one that is last, alone after all others."""
        self._order += 1
        heapq.heappush(self._waiting, (due, self._order, row))
        self._wake_one()

    def at_hand(self) -> list[Row]:
        """The rows that wait to be tried again."""
        return [row for _, _, row in self._waiting] + list(self._last)

    def lend(self) -> None:
        """Another run asks for the answer of a row that was taken."""
        self.elsewhere += 1
        if self._last:
            self._wake_one()  # perhaps nothing else is here any more

    def regain(self) -> None:
        """The other run is done with it; the row is still out."""
        self.elsewhere -= 1

    def done(self) -> None:
        """A row that was taken needs nothing more."""
        self._out -= 1
        if self._is_over():
            self._wake_all()
        elif self._last:
            self._wake_one()  # perhaps all others are done now

    def close(self) -> list[Row]:
        """Give out nothing more; returns the rows that were waiting."""
        self.closed = True
        rows = self.at_hand()
        self._out -= len(rows)
        self._waiting.clear()
        self._last.clear()
        self._fresh.clear()
        self._wake_all()
        return rows

    async def next(self) -> Row | int | None:
        """A waiting row that is due, else the position of a fresh one; None at the end."""
        while not self._is_over():
            found = self._take()
            if found is not None:
                self._wake_one()  # it takes more, or sets the timer and rests again
                return found
            await self._rest()
        return None

    def _take(self) -> Row | int | None:
        while self._waiting and self._waiting[0][0] <= self._clock():
            row = heapq.heappop(self._waiting)[2]
            if not row.is_last:
                return row
            self._last.append(row)
        if len(self._waiting) >= 2 * self._limit():
            return None
        if self._fresh:
            self._out += 1
            return self._fresh.popleft()
        here = self._out - self.elsewhere  # two runs must not each wait for the other's last
        if self._last and not self._planning and here == len(self._last):
            return self._last.popleft()
        return None

    def _is_over(self) -> bool:
        return self.closed or not (self._planning or self._fresh or self._out)

    async def _rest(self) -> None:
        """Wait until something may have changed for one worker."""
        waiter = asyncio.get_running_loop().create_future()
        self._idle.append(waiter)
        self._set_timer()
        try:
            await waiter
        except asyncio.CancelledError:
            if waiter in self._idle:
                self._idle.remove(waiter)
            else:
                self._wake_one()  # pass on what woke this one
            raise

    def _set_timer(self) -> None:
        """Wake a worker when the first waiting row is due."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._waiting and self._idle:
            delay = max(0.0, self._waiting[0][0] - self._clock())
            self._timer = asyncio.get_running_loop().call_later(delay, self._on_timer)

    def _on_timer(self) -> None:
        self._timer = None
        self._wake_one()

    def _wake_one(self) -> None:
        while self._idle:
            waiter = self._idle.popleft()
            if not waiter.done():
                waiter.set_result(None)
                return

    def _wake_all(self) -> None:
        while self._idle:
            self._wake_one()
