"""The end game: rows later than most are asked once more, and the first valid answer wins."""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Coroutine

    from llmframe.engine.row import Row
    from llmframe.engine.wire.reply import Reply

LEAST = 20  # answers before it is known what late is
MEMORY = 1000  # answers that it is taken from
LATE = 0.95  # share of the answers that come sooner


class Hedges:
    """The requests of one run that are on the wire, and how long answers take."""

    def __init__(self) -> None:
        self._calls: dict[Row, tuple[asyncio.Task[Reply], float]] = {}
        self._took: deque[float] = deque(maxlen=MEMORY)
        self._hedged: set[Row] = set()
        self._overtaken: set[Row] = set()

    @contextlib.asynccontextmanager
    async def watch(
        self, row: Row, sending: Coroutine[object, object, Reply], now: float
    ) -> AsyncIterator[asyncio.Task[Reply]]:
        """A row's own request, as long as it is on the wire."""
        call = asyncio.ensure_future(sending)
        began = asyncio.get_running_loop().time()
        self._calls[row] = (call, now)
        try:
            yield call
            self._took.append(asyncio.get_running_loop().time() - began)
        finally:
            call.cancel()
            self._calls.pop(row, None)
            self._hedged.discard(row)

    def late(self, now: float) -> Row | None:
        """The row that is later than most and was not hedged yet; None if there is none."""
        if len(self._took) < LEAST:
            return None
        # few rows are on the wire and few checks are made: sorting a thousand numbers is cheap
        usual = sorted(self._took)[int(LATE * len(self._took))]
        waiting = [(at, row) for row, (_, at) in self._calls.items() if row not in self._hedged]
        at, row = min(waiting, key=lambda each: each[0], default=(now, None))
        if row is None or now - at <= usual:
            return None
        self._hedged.add(row)
        return row

    def is_open(self, row: Row) -> bool:
        """Whether the row's own request is still on the wire."""
        return row in self._calls and not self._calls[row][0].done()

    def overtake(self, row: Row) -> None:
        """The second request was faster: end the row's own."""
        self._overtaken.add(row)
        self._calls[row][0].cancel()

    def was_overtaken(self, row: Row) -> bool:
        """Whether a faster request ended the row's own one; True only once per row."""
        if row not in self._overtaken:
            return False
        self._overtaken.remove(row)
        return True
