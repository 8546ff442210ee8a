"""Which row is sent next: fresh rows in order, and rows that wait to be tried again."""

from __future__ import annotations

import asyncio
import heapq
import math
from collections import deque
from typing import TYPE_CHECKING

from llmframe.engine.row import Row

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable


MOST_WAITING = 1000  # rows, of which most were refused; beyond that no fresh one is taken
# Rows that are always refused often stand together.
IN_VAIN = 3  # rows refused alone and in a row: then go on elsewhere in the frame
ELSEWHERE = 0.618  # of the rows that are left; so each time it is far from where it was before


class Work:
    """Rows for the workers; lives on one loop.

    clock: monotonic seconds. limit: requests that may be on the wire now; no more than
    twice as many rows wait, beyond that nothing fresh is taken.
    Rows that were refused come after the fresh ones, those that were refused least first: they
    may be the reason.
    A row that was taken is out until done() is called for it; meanwhile it may come back by
    retry(). elsewhere: rows that are out because another run is asking for their answer.
    endless: more rows may come at any time, so none waits until all are known.
    """

    def __init__(
        self, clock: Callable[[], float], limit: Callable[[], int], *, endless: bool = False
    ) -> None:
        self._clock = clock
        self._limit = limit
        self._endless = endless
        self._fresh: deque[int | Row] = deque()
        self._waiting: list[tuple[float, int, Row]] = []
        self._refused: list[tuple[int, float, int, Row]] = []
        self._last: deque[Row] = deque()
        self._lost = 0
        self._in_vain = 0
        self._goes_on_elsewhere = False
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
        return len(self._waiting) + len(self._refused) + len(self._last)

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
        return not (self._planning or self._fresh or self.waiting or self.closed)

    @property
    def unattended(self) -> int:
        """Rows that no idle worker is about to take."""
        here = len(self._fresh) + len(self._waiting) + len(self._refused)
        return max(0, here - len(self._idle))

    def add(self, position: int) -> None:
        """A fresh row; ignored once closed."""
        if not self.closed:
            self._fresh.append(position)
            self._wake_one()

    def take_fresh(self) -> Row | int | None:
        """A fresh row for the request of another; None if there is none at the moment."""
        if self.closed or not self._fresh:
            return None
        self._out += 1
        return self._fresh.popleft()

    def planned(self) -> None:
        """No more fresh rows will come."""
        self._planning = False
        self._wake_all()

    def put_back(self, row: Row) -> None:
        """A row that was taken and not sent: it comes after the fresh ones."""
        if not self.closed:
            self._out -= 1
            self._fresh.append(row)
            self._wake_one()

    def refused_alone(self) -> None:
        """A row was refused with nothing else on the wire."""
        self._in_vain += 1
        self._goes_on_elsewhere = self._in_vain % IN_VAIN == 0

    def retry(self, row: Row, due: float) -> None:
        """Try a row again, not before this time; rows that are last go alone, after all others."""
        self._order += 1
        self._lost += not row.refused
        heapq.heappush(self._waiting, (due, self._order, row))
        self._wake_one()

    def follow(self, row: Row) -> None:
        """A further vote of a row that was taken: it goes on at once."""
        if not self.closed:
            self._out += 1
            self.retry(row, self._clock())

    def waiting_rows(self) -> list[Row]:
        """The rows that wait to be tried again."""
        waiting = [*[each[-1] for each in self._waiting], *[each[-1] for each in self._refused]]
        return [*waiting, *self._last]

    def await_elsewhere(self) -> None:
        """Another run is asking for the answer of a row that was taken."""
        self.elsewhere += 1
        if self._last:
            self._wake_one()  # it may be the only row left here now

    def back_from_elsewhere(self) -> None:
        """That run is done with it; the row is still out."""
        self.elsewhere -= 1

    def done(self) -> None:
        """A row that was taken needs nothing more."""
        self._out -= 1
        self._in_vain = 0
        if self._is_over():
            self._wake_all()
        elif self._last:
            self._wake_one()  # perhaps all others are done now

    def close(self) -> list[Row]:
        """Give out nothing more; returns the rows that were waiting."""
        self.closed = True
        rows = self.waiting_rows()
        self._out -= _count(rows)
        self._waiting.clear()
        self._refused.clear()
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
            _, order, row = heapq.heappop(self._waiting)
            self._lost -= not row.refused
            if row.is_last:
                self._last.append(row)
            elif often := row.refused + row.doubted:
                heapq.heappush(self._refused, (often, row.refused_since, order, row))
            else:
                return row
        # enough rows wait already: taking more would only make the heaps grow in a storm
        enough = self._lost >= 2 * self._limit() or self.waiting >= MOST_WAITING
        if self._fresh and not enough:
            self._out += 1
            if self._goes_on_elsewhere:
                self._fresh.rotate(-int(ELSEWHERE * len(self._fresh)))
                self._goes_on_elsewhere = False
            return self._fresh.popleft()
        if self._refused:
            return heapq.heappop(self._refused)[-1]
        here = self._out - self.elsewhere  # two runs must not await each other
        may_come = self._planning and not self._endless
        if self._last and not may_come and here == _count(self._last):
            return self._last.popleft()
        return None

    def _is_over(self) -> bool:
        return self.closed or not (self._planning or self._fresh or self._out)

    async def _rest(self) -> None:
        """Wait until something may have changed for one worker."""
        loop = asyncio.get_running_loop()
        waiter = loop.create_future()
        self._idle.append(waiter)
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._waiting:  # one idle worker wakes up when the first waiting row is due
            delay = max(0.0, self._waiting[0][0] - self._clock())
            self._timer = loop.call_later(delay, self._wake_one)
        try:
            await waiter
        except asyncio.CancelledError:
            if waiter in self._idle:
                self._idle.remove(waiter)
            else:
                self._wake_one()  # pass on what woke this one
            raise

    def _wake_one(self) -> None:
        while self._idle:
            waiter = self._idle.popleft()
            if not waiter.done():
                waiter.set_result(None)
                return

    def _wake_all(self) -> None:
        while self._idle:
            self._wake_one()


def _count(rows: Iterable[Row]) -> int:
    """The rows and those that are in the same requests."""
    return sum(1 + len(row.others) for row in rows)
