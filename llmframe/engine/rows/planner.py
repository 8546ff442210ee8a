"""Looking at every row once, in short slices beside sending: blank, shared, answered or fresh."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

from llmframe.engine.asking.outgoing import NO_RULES
from llmframe.engine.events import Planned, RowsDone, RowsReused, TextCut
from llmframe.system.executor import beside

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from llmframe.engine.asking.keys import KeyMaker
    from llmframe.engine.asking.outgoing import TextRules
    from llmframe.engine.events import Events, Source
    from llmframe.engine.rows.result_store import ResultStore, Rows
    from llmframe.engine.rows.work import Work
    from llmframe.journal import Checkpoint
    from llmframe.results import RowResult

SLICE = 256  # rows looked at in one go, at most: about 1 ms
FIRST_REDACTED = 16  # the same at first where each must be redacted, at a speed not known
LOOK = 0.1  # seconds between two looks for a stop while a slice is redacted
LONGEST_SLICE = 0.002  # seconds; rows of long texts go in smaller slices
LAST_LOOK = 0.5  # seconds after a stop for the answers that are in the checkpoint


class Planner:
    """Enters every row into the book and the fresh ones into the work.

    rules: what is done to every text; redact runs in a thread, never on the loop.
    reuse: whether answers are taken from the checkpoint. on_unsent: told of each row that
    fails without being sent.
    """

    def __init__(
        self,
        rows: Rows,
        keys: KeyMaker,
        book: ResultStore,
        work: Work,
        events: Events,
        *,
        checkpoint: Checkpoint | None,
        reuse: bool = True,
        rules: TextRules = NO_RULES,
        on_unsent: Callable[[int, RowResult], None] | None = None,
    ) -> None:
        self._rows = rows
        self._keys = keys
        self._book = book
        self._work = work
        self._events = events
        self._checkpoint = checkpoint
        self._reuse = reuse
        self._rules = rules
        self._on_unsent = on_unsent
        self._redacted: dict[int, str] = {}
        self._stopped: float | None = None  # when a stop was first seen

    async def run(self, after_slice: Callable[[], None]) -> None:
        """Look at all rows; calls after_slice now and then, so that workers can be hired.

        After a stop it goes on for a moment, for the answers that are in the checkpoint; but
        what must be redacted first is left, for that may take any time.
        """
        start, size = 0, SLICE if self._rules.redact is None else FIRST_REDACTED
        while start < self._rows.n and not self._gives_up():
            stop = min(start + size, self._rows.n)
            took = await self._plan(start, stop)
            after_slice()
            await asyncio.sleep(0)
            start, size = stop, _next_size(size, took)
        self._work.planned()
        if not self._gives_up():
            self._events.emit(Planned())

    def _gives_up(self) -> bool:
        if not self._work.closed:
            return False
        now = time.perf_counter()
        self._stopped = self._stopped or now
        return self._rules.redact is not None or now - self._stopped > LAST_LOOK

    def text(self, position: int) -> str:
        """The text to send for a fresh row, rendered again so that none is kept meanwhile."""
        if self._rules.redact is not None:
            return self._redacted.pop(position)
        text = self._rules.prepare(self._rows.text(position))
        return text if isinstance(text, str) else ""  # a list in the cell was emptied meanwhile

    async def _plan(self, start: int, stop: int) -> float:
        """Plan a slice; the seconds it took."""
        began = time.perf_counter()
        rendered = self._rows.texts(start, stop)
        if self._rules.redact is None:
            texts = [self._rules.redacted(text) for text in rendered]
        else:
            texts = await self._redact_slice(rendered)
        self._place_all(start, texts, self._rows.ids(start, stop) or [None] * len(texts))
        return time.perf_counter() - began

    def _place_all(
        self, start: int, texts: Sequence[str | RowResult], ids: Sequence[object]
    ) -> None:
        """Enter a slice; redacting may have ended before the last of its rows."""
        reused: list[int] = []
        try:
            for position, (text, row_id) in enumerate(zip(texts, ids, strict=False), start):
                if self._place(position, text, row_id):
                    reused.append(position)
        finally:
            if reused:
                self._events.emit(RowsReused(reused))

    async def _redact_slice(self, texts: Sequence[str | None]) -> list[str | RowResult]:
        """In a thread; a stop does not wait for a function that hangs."""
        redacting = asyncio.ensure_future(beside(lambda: self._redact_all(texts)))
        while not (redacting.done() or self._work.closed):
            await asyncio.wait({redacting}, timeout=LOOK)
        return redacting.result() if redacting.done() else []

    def _redact_all(self, texts: Sequence[str | None]) -> list[str | RowResult]:
        """In a thread: as many as are redacted before the run is told to stop."""
        redacted: list[str | RowResult] = []
        for text in texts:
            if self._work.closed:
                break
            redacted.append(self._rules.redacted(text))
        return redacted

    def _place(self, position: int, text: str | RowResult, row_id: object) -> bool:
        """Enter one row; whether the checkpoint has its answer."""
        if isinstance(text, str) and self._rules.is_long(text):
            text = self._rules.fit(text)
            if isinstance(text, str):
                self._events.emit(TextCut(position))
        if not isinstance(text, str):
            self._close(position, text, "blank")
            return False
        key = self._keys.key(text)
        leader = self._book.enter(position, key)
        if leader != position:
            return self._follow(position, leader, key, row_id)
        answer = self.recall(key)
        if answer is not None:
            self.note_id(key, row_id)
            self._book.results[position] = answer
            return True
        if self._rules.redact is not None:
            self._redacted[position] = text
        self._work.add(position)
        return False

    def recall(self, key: bytes) -> RowResult | None:
        """The checkpoint's answer, if it may be used."""
        if self._checkpoint is None or not self._reuse:
            return None
        return self._checkpoint.get(key)

    def note_id(self, key: bytes, row_id: object) -> None:
        """See to it that the checkpoint knows that this id has this answer."""
        checkpoint = self._checkpoint
        if checkpoint is not None and row_id is not None and not checkpoint.has_id(key, row_id):
            checkpoint.append_id(key, row_id)

    def _follow(self, position: int, leader: int, key: bytes, row_id: object) -> bool:
        result = self._book.results[leader]
        if result is None:
            return False  # settled together with its leader
        if result.status == "ok":
            self.note_id(key, row_id)
        if result.status == "ok" and result.seconds is None:
            self._book.results.share(leader, [position])
            return True
        self._close(position, result, "shared")
        return False

    def _close(self, position: int, result: RowResult, source: Source) -> None:
        self._book.results[position] = result
        self._events.emit(RowsDone((position,), result, source))
        if result.status == "failed" and self._on_unsent is not None:
            self._on_unsent(position, result)


def _next_size(size: int, took: float) -> int:
    """Rows of the next slice, after one that took so many seconds."""
    fitting = int(size * LONGEST_SLICE / max(took, 1e-6))
    return max(1, min(fitting, 2 * size, SLICE))
