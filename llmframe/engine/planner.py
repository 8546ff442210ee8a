"""Looking at every row once, in short slices beside sending: blank, shared, answered or fresh."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from llmframe.engine.events import Planned, RowsDone
from llmframe.engine.results import SKIPPED, RowResult

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from llmframe.engine.book import Book, Rows
    from llmframe.engine.events import Events, Source
    from llmframe.engine.identity import KeyMaker
    from llmframe.engine.journal import Checkpoint
    from llmframe.engine.work import Work

SLICE = 256  # rows looked at in one go: about 1 ms


class Planner:
    """Enters every row into the book and the fresh ones into the work.

    redact: the person's function over every text, run in a thread, never on the loop.
    reuse: whether answers are taken from the checkpoint.
    """

    def __init__(
        self,
        rows: Rows,
        keys: KeyMaker,
        book: Book,
        work: Work,
        events: Events,
        *,
        checkpoint: Checkpoint | None,
        reuse: bool = True,
        redact: Callable[[str], str] | None = None,
    ) -> None:
        self._rows = rows
        self._keys = keys
        self._book = book
        self._work = work
        self._events = events
        self._checkpoint = checkpoint
        self._reuse = reuse
        self._redact = redact
        self._redacted: dict[int, str] = {}

    async def run(self, after_slice: Callable[[], None]) -> None:
        """Look at all rows; calls after_slice now and then, so that workers can be hired."""
        for start in range(0, self._rows.n, SLICE):
            await self._plan(start, min(start + SLICE, self._rows.n))
            after_slice()
            await asyncio.sleep(0)
        self._work.planned()
        self._events.emit(Planned())

    def text(self, position: int) -> str:
        """The text to send for a fresh row, rendered again so that none is kept meanwhile."""
        if self._redact is not None:
            return self._redacted.pop(position)
        return self._rows.text(position) or ""

    async def _plan(self, start: int, stop: int) -> None:
        rendered = self._rows.texts(start, stop)
        texts: Sequence[str | Exception | None] = rendered
        if self._redact is not None:
            texts = await asyncio.to_thread(_redact_all, self._redact, rendered)
        ids = self._rows.ids(start, stop)
        for offset, text in enumerate(texts):
            self._place(start + offset, text, ids[offset] if ids is not None else None)

    def _place(self, position: int, text: str | Exception | None, row_id: object) -> None:
        if not isinstance(text, str):
            self._close(position, _unsent(text), "blank")
            return
        key = self._keys.key(text)
        leader = self._book.enter(position, key)
        if leader != position:
            self._follow(position, leader, key, row_id)
            return
        answer = self.recall(key)
        if answer is not None:
            self._close(position, answer, "checkpoint")
            self.note_id(key, row_id)
            return
        if self._redact is not None:
            self._redacted[position] = text
        self._work.add(position)

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

    def _follow(self, position: int, leader: int, key: bytes, row_id: object) -> None:
        result = self._book.results[leader]
        if result is None:
            return  # settled together with its leader
        source: Source = (
            "checkpoint" if result.seconds is None and result.status == "ok" else "shared"
        )
        self._close(position, result, source)
        if result.status == "ok":
            self.note_id(key, row_id)

    def _close(self, position: int, result: RowResult, source: Source) -> None:
        self._book.results[position] = result
        self._events.emit(RowsDone((position,), result, source))


def _unsent(reason: Exception | None) -> RowResult:
    """The result of a row that is never sent: blank, or its text could not be redacted."""
    if reason is None:
        return SKIPPED
    return RowResult(
        "failed", error=f"redact: {type(reason).__name__} in redact=; nothing was sent"
    )


def _redact_all(
    redact: Callable[[str], str], texts: Sequence[str | None]
) -> list[str | Exception | None]:
    return [None if text is None else _redact_one(redact, text) for text in texts]


def _redact_one(redact: Callable[[str], str], text: str) -> str | Exception | None:
    try:
        redacted: object = redact(text)
    except Exception as exc:  # noqa: BLE001 - fails closed: the row is not sent
        return exc
    if not isinstance(redacted, str):
        return TypeError(f"redact= returned {type(redacted).__name__}")
    clean = redacted.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return clean if clean.strip() else None
