"""How a row ends: its result is written, counted and shared, or it stays pending.

Between a result and its line in the checkpoint there is no await, so a reply that came back
is never lost to a cancel.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from llmframe.engine.events import RowsDone, Spent, Voted
from llmframe.engine.rows.breaker import KINDS, Breaker
from llmframe.engine.wire.verdict import Verdict
from llmframe.errors import CallError, OutputError, RowError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from llmframe.engine.events import Source
    from llmframe.engine.row import Row
    from llmframe.engine.rows.answers import Answers
    from llmframe.engine.rows.claims import Claims
    from llmframe.engine.rows.parts import Parts
    from llmframe.engine.rows.work import Work
    from llmframe.results import Failure, RowResult


class Settler:
    """Brings the rows of one run to their end; lives on its loop."""

    def __init__(self, parts: Parts, *, work: Work, claims: Claims, answers: Answers) -> None:
        self._parts = parts
        self._work = work
        self._claims = claims
        self._answers = answers
        self._is_stream = parts.job.source is not None
        # with on_error="raise" the first failure ends the run, so none is held back
        rows = 0 if parts.hurried else parts.most_rows
        # answers that meet a cap of the person's own say nothing about the call
        kinds = KINDS if parts.asker.is_capped else KINDS | {"truncated"}

        def has_answers() -> bool:  # if only an earlier run's
            return any(r is not None and r.status == "ok" for r in parts.store.results)

        self._breaker = Breaker(rows, has_answers, kinds=kinds)

    def drop(self, row: Row) -> None:
        """The rows of a request stay pending; whoever waits for a key of theirs takes over."""
        for member in row.members:
            self._claims.release(member)
            self._parts.events.emit(Spent(member.usage))
            self._work.done()

    def finish(self, row: Row, result: RowResult) -> None:
        """The row has its result, unless the circuit breaker holds the first failures back."""
        if not self._breaker.holds(row, result):
            self.release_held()
            self._conclude(row, result)
            self._work.done()
            return
        if self._is_stream:  # its source may wait for this result before it gives another record
            self._conclude(row, result)
        else:  # release the key now: two runs that each hold rows must not wait for each other's
            self._claims.release(row, result)
        self._work.done()
        if self._breaker.has_tripped:
            self._drop_held(result)
        elif self._breaker.is_full:
            self._parts.governor.ask(self._parts.share)

    @property
    def in_doubt(self) -> bool:
        """Whether a health probe is to show whose fault the first failures are."""
        return self._breaker.is_full

    def probed(self, valid: bool) -> None:
        """A health probe was answered, if only with what is not valid."""
        if not self._breaker.is_full:
            return
        if valid:
            self.release_held()
        else:
            held = self._breaker.trip()
            self._drop_held(held[-1][1], held)

    def _drop_held(self, last: RowResult, held: Sequence[tuple[Row, RowResult]] = ()) -> None:
        """The first ten rows failed alike: they stay pending, and those in flight that do too."""
        for row, _ in held or self._breaker.release():
            if not self._is_stream:
                self._parts.events.emit(Spent(row.usage))
        if last.error is not None:
            kind, message, status, _ = last.error
            self._parts.halt.hopeless(Verdict("end_run", kind, message, status))

    def release_held(self) -> None:
        """It was the rows after all, not the call: their failures count."""
        for row, result in self._breaker.release():
            if not self._is_stream:
                self._conclude(row, result)

    def recalled(self, row: Row, result: RowResult) -> None:
        """The checkpoint had the row's answer after all; what its own replies cost is counted."""
        self._parts.events.emit(Spent(row.usage))
        self._note_id(row)
        self._record(row, result, "checkpoint")
        self._claims.release(row, result)
        self._work.done()

    def shared(self, row: Row, result: RowResult) -> None:
        """Another run got the row's answer; what its own replies cost is counted."""
        self._parts.events.emit(Spent(row.usage))
        if self._answers.recall(row.key) is None:  # that run has another checkpoint, or none
            self._answers.keep(row, result)
        self._note_id(row)
        self._record(row, result, "shared")
        self._work.done()

    def fail_unsent(self, position: int, result: RowResult) -> None:
        """A row that was never sent has failed: its text is too long, or redact= raised."""
        if self._parts.hurried and result.error is not None:
            self._parts.halt.fail(row_error(position, result.error, None))

    def _conclude(self, row: Row, result: RowResult) -> None:
        result = self._answers.keep(row, result)
        self._record(row, result, "request")
        self._claims.release(row, result)
        if self._parts.hurried and result.error is not None:
            self._parts.halt.fail(row_error(row.position, result.error, row.failure))

    def _note_id(self, row: Row) -> None:
        if not row.vote:  # the row's id is that of its first vote
            self._answers.note_ids(row.key, [row.position])

    def _record(self, row: Row, result: RowResult, source: Source) -> None:
        """Give the result to the row and to all that ask the same, if it needs no other vote."""
        votes = self._parts.job.votes
        if votes is not None:
            bought = source == "request"
            if bought:
                self._parts.events.emit(Voted(result.usage))
            following = votes.following(row, result)
            if following is not None:
                following.bought = row.bought or bought
                self._work.follow(following)
                return
            source = "request" if row.bought else source
            result, row = votes.result((*row.votes, result)), row.first or row
        # first the result, then the events: an observer may read the frame as it is now
        followers = self._parts.store.settle(row.position, result)
        counted = votes is not None
        self._parts.events.emit(RowsDone((row.position,), result, source, row.text, counted))
        if followers:
            if result.status == "ok":
                self._answers.note_ids(row.key, followers)
            shared: Source = "checkpoint" if source == "checkpoint" else "shared"
            self._parts.events.emit(RowsDone(followers, result, shared, row.text))


def row_error(position: int, failure: Failure, verdict: Verdict | None) -> RowError:
    """The error to raise for a failed row; verdict: on its last request, None after a reply."""
    message = f"row {position}: {failure}"
    if verdict is None:
        error: RowError = OutputError(message, kind=failure.kind)
    else:
        error = CallError(
            message,
            kind=failure.kind,
            status=failure.status,
            code=failure.code,
            retry_after=verdict.retry_after,
        )
    error.position = position
    return error
