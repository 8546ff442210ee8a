"""Planning every row once, in short slices while others are sent already."""

from __future__ import annotations

import asyncio
import time
from itertools import repeat
from typing import TYPE_CHECKING

from llmframe.engine.events import Planned, RowsDone, RowsReused, TextCut
from llmframe.engine.row import Row
from llmframe.results import SKIPPED, RowResult
from llmframe.system.executor import run_in_daemon_thread

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from llmframe.engine.events import Source
    from llmframe.engine.rows.answers import Answers
    from llmframe.engine.rows.parts import Parts
    from llmframe.engine.rows.settle import Settler
    from llmframe.engine.rows.work import Work
    from llmframe.results import Answer

SLICE = 512  # rows planned in one go, at most: about 1 ms
FIRST_REDACTED = 16  # the same at first where each must be redacted, at a speed not known
STOP_CHECK = 0.1  # seconds between two checks for a stop while a slice is redacted
LONGEST_SLICE = 0.002  # seconds; rows of long texts go in smaller slices
LONGEST_ELSEWHERE = 0.1  # seconds, where other processes do it: all of them must have their share
LAST_RECALL = 0.5  # seconds after a stop in which stored answers are still recalled


class Planner:
    """Gives every row its place: blank, failed unsent, shared, recalled, or fresh work.

    The person's redact runs in a thread, never on the loop.
    """

    def __init__(self, parts: Parts, *, work: Work, answers: Answers, settler: Settler) -> None:
        job = parts.job
        self._rows = job.rows
        self._source = job.source
        self._keys = job.keys
        self._store = parts.store
        self._events = parts.events
        self._halt = parts.halt
        self._work = work
        self._answers = answers
        self._settler = settler
        self._rules = job.rules
        self._processes = parts.processes.get("redact=")
        self._longest = LONGEST_SLICE if self._processes is None else LONGEST_ELSEWHERE
        # what is rendered or redacted once more may be another text, and then another key
        self._keeps_texts = job.rules.redact is not None or not job.rows.is_stable
        self._kept: dict[int, str] = {}
        self._votes = job.votes
        self._first_votes: dict[int, RowResult] = {}  # that the checkpoint has in another spelling
        self._stopped: float | None = None  # when a stop was first noticed

    async def run(self, after_slice: Callable[[], None]) -> None:
        """Plan all rows; after_slice is called after each slice, so that workers can be hired.

        After a stop it goes on for a moment, to recall answers from the checkpoint; rows that
        must be redacted first are left pending, since redacting may take any time.
        """
        start, size = 0, SLICE if self._rules.redact is None else FIRST_REDACTED
        while await self._has_more(start) and not self._is_stopped():
            stop = min(start + size, self._rows.n)
            began = time.perf_counter()
            await self._plan(start, stop)
            took = time.perf_counter() - began
            after_slice()
            await asyncio.sleep(0)
            start, size = stop, next_size(size, took, self._longest)
        self._work.planned()
        if not self._is_stopped():
            self._events.emit(Planned())

    async def _has_more(self, planned: int) -> bool:
        """Whether there are more rows than these; waits for a source to give them."""
        if planned < self._rows.n or self._source is None:
            return planned < self._rows.n
        more = await self._source.more(planned)
        self._events.emit(Planned(self._rows.n))
        return more

    def _is_stopped(self) -> bool:
        """True once a stop was requested and its grace period has passed."""
        if not self._work.closed:
            return False
        now = time.perf_counter()
        self._stopped = self._stopped or now
        immediate = self._rules.redact is not None or self._halt.error is not None
        return immediate or now - self._stopped > LAST_RECALL

    def row(self, position: int) -> Row:
        """A fresh row; where it can be, its text is rendered again: none is kept meanwhile."""
        if self._keeps_texts:
            text: object = self._kept.pop(position)
        else:
            text = self._rules.prepare(self._rows.text(position))
        sent = text if isinstance(text, str) else ""
        row = Row(position, self._keys.key(sent), sent)
        first = self._first_votes.pop(position, None)
        return (self._votes and first and self._votes.following(row, first)) or row

    async def _plan(self, start: int, stop: int) -> None:
        """Plan a slice; a stop may end redacting before its last row."""
        rendered = self._rows.texts(start, stop)
        if self._rules.redact is None:
            texts: list[str | RowResult] = [SKIPPED if text is None else text for text in rendered]
        else:
            texts = await self._redact(rendered)
        if self._rules.max_tokens is not None:
            texts = [self._fit(position, text) for position, text in enumerate(texts, start)]
        if self._rules.answered:
            texts = [*map(self._rules.unless_answered, texts)]
        self._place(start, texts, self._rows.ids(start, stop))

    async def _redact(self, texts: Sequence[str | RowResult | None]) -> list[str | RowResult]:
        """Redact off the loop; a stop does not wait for a function that hangs."""

        def redact_all() -> list[str | RowResult]:
            redacted: list[str | RowResult] = []
            for text in texts:
                if self._work.closed:
                    break
                redacted.append(self._rules.redacted(text))
            return redacted

        redacting = asyncio.ensure_future(
            run_in_daemon_thread(redact_all)
            if self._processes is None
            else self._rules.redacted_by(self._processes, texts)
        )
        try:
            while not (redacting.done() or self._work.closed):
                await asyncio.wait({redacting}, timeout=STOP_CHECK)
            return redacting.result() if redacting.done() else []
        finally:
            redacting.cancel()  # ends a process that is busy with it, and leaves a thread alone

    def _place(
        self, start: int, texts: Sequence[str | RowResult], ids: Sequence[object] | None
    ) -> None:
        """Enter a slice of rows; the checkpoint's answers to all of them are recalled at once."""
        key_of = self._keys.key
        keys = [key_of(text) if isinstance(text, str) else b"" for text in texts]
        # a key that this run asks for has a leader, whose result all its rows share
        leaders = self._store.leaders(keys)
        unasked = [key if at is None else b"" for key, at in zip(keys, leaders, strict=True)]
        answers = self._stored(start, unasked, texts)
        self._store.results.put_answers(start, answers)
        reused: list[int] = []
        rows = zip(texts, keys, ids or repeat(None), answers, strict=False)
        try:
            for position, (text, key, row_id, answer) in enumerate(rows, start):
                if answer is not None:
                    reused.append(position)
                    if row_id is not None:
                        self._answers.note_id(key, row_id)
                elif not isinstance(text, str):
                    self._settle_unsent(position, text, "example" if text.values else "blank")
                elif (leader := self._store.enter(position, key)) != position:
                    if self._follow(position, leader, key, row_id, text):
                        reused.append(position)
                else:
                    if self._keeps_texts:
                        self._kept[position] = text
                    self._work.add(position)
        finally:
            if reused:
                self._events.emit(RowsReused(reused))

    def _stored(
        self, start: int, keys: Sequence[bytes], texts: Sequence[str | RowResult]
    ) -> Sequence[Answer | None]:
        """The stored answers to a slice of rows, each whole: with all its votes."""
        answers = self._answers.recall_all(keys)
        if self._keys.earlier:
            answers = self._recall_earlier(answers, keys, texts)
        if self._votes is None:
            return answers
        whole = self._votes.recalled(answers, texts, self._answers.recall_all)
        # other rows recall their stored votes by today's key, one by one, when it is their turn
        for position, (first, answer) in enumerate(zip(answers, whole, strict=True), start):
            if self._keys.earlier and first is not None and answer is None:
                self._first_votes[position] = first[0]._replace(values=first[1])
        return whole

    def _recall_earlier(
        self,
        answers: Sequence[Answer | None],
        keys: Sequence[bytes],
        texts: Sequence[str | RowResult],
    ) -> Sequence[Answer | None]:
        """The answers, and for rows without one those to the same request spelled otherwise."""
        found = list(answers)
        for earlier in self._keys.earlier:
            left = {
                at: earlier.key(text)
                for at, text in enumerate(texts)
                if keys[at] and found[at] is None and isinstance(text, str)
            }
            recalled = self._answers.recall_all([*left.values()], [keys[at] for at in left])
            for at, answer in zip(left, recalled, strict=True):
                found[at] = answer
        return found

    def _fit(self, position: int, text: str | RowResult) -> str | RowResult:
        if not isinstance(text, str) or not self._rules.is_long(text):
            return text
        fitting = self._rules.fit(text)
        if isinstance(fitting, str):
            self._events.emit(TextCut(position))
        return fitting

    def _follow(self, position: int, leader: int, key: bytes, row_id: object, text: str) -> bool:
        """Share the result of an equal row; True if that came from the checkpoint."""
        result = self._store.results[leader]
        if result is None:
            return False  # settled together with its leader
        if result.status == "ok":
            self._answers.note_id(key, row_id)
            if result.seconds is None:
                self._store.results.share(leader, [position])
                return True
        self._settle_unsent(position, result, "shared", text)
        return False

    def _settle_unsent(
        self, position: int, result: RowResult, source: Source, text: str | None = None
    ) -> None:
        self._store.results[position] = result
        self._events.emit(RowsDone((position,), result, source, text))
        self._settler.fail_unsent(position, result)


def next_size(size: int, took: float, longest: float = LONGEST_SLICE) -> int:
    """Rows of the next slice, after one that took so many seconds; longest: that one may take."""
    # at most twice as many: one quick slice says little about the next, of longer texts perhaps
    fitting = int(size * longest / max(took, 1e-6))
    return max(1, min(fitting, 2 * size, SLICE))
