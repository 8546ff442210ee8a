"""How a row ends: its result is kept, told and shared, or it stays pending.

Between a result and its line in the checkpoint there is no await, so a reply that came back
is never lost to a cancel.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from llmframe.engine.asking.asking import failed
from llmframe.engine.events import RowsDone, Spent
from llmframe.engine.rows.breaker import KINDS, Breaker
from llmframe.engine.rows.row_errors import error_info, row_error
from llmframe.engine.wire.verdict import Verdict
from llmframe.errors import CheckpointError, OutputError, RowError

if TYPE_CHECKING:
    from collections.abc import Callable

    from llmframe.engine.events import Source
    from llmframe.engine.row import Row
    from llmframe.engine.rows.parts import Parts
    from llmframe.engine.rows.planner import Planner
    from llmframe.engine.rows.work import Work
    from llmframe.errors import ErrorKind
    from llmframe.results import RowResult


class Settler:
    """Brings the rows of one run to their end; lives on its loop.

    fail: told of an error that the caller must see. give_up: told when the run is hopeless.
    """

    def __init__(
        self,
        parts: Parts,
        work: Work,
        planner: Planner,
        *,
        store_input: bool,
        raise_on_failure: bool,
        fail: Callable[[CheckpointError | RowError], None],
        give_up: Callable[[Verdict], None],
    ) -> None:
        self._parts = parts
        self._work = work
        self._planner = planner
        self._store_input = store_input
        self._raise_on_failure = raise_on_failure
        self._fail = fail
        self._give_up = give_up
        # who wants the first failure gets it at once; a cap of the person's own is no riddle
        rows = 0 if raise_on_failure else parts.rows.n
        kinds = KINDS if parts.asker.is_capped else KINDS | {"truncated"}
        self._breaker = Breaker(rows, self._has_answers, kinds=kinds)

    def drop(self, row: Row) -> None:
        """The row stays pending; who waits for its key takes over."""
        self.unclaim(row)
        self._parts.events.emit(Spent(row.usage))
        self._work.done()

    def finish(self, row: Row, result: RowResult) -> None:
        """The row has its result, unless the first failures are still held back."""
        if self._breaker.holds(row, result):
            self.unclaim(row, result)  # two runs that each hold rows must not await each other's
            self._work.done()
            if self._breaker.has_tripped:
                self._trip(row, result)
            return
        self.release_held()
        self._conclude(row, result)
        self._work.done()

    def _trip(self, last: Row, result: RowResult) -> None:
        """The first ten rows failed alike: they stay pending, as do those in flight that do."""
        for row, _ in self._breaker.release():
            self._parts.events.emit(Spent(row.usage))
        status = None if last.failure is None else last.failure.status
        kind, _, said = (result.error or "").partition(": ")
        self._give_up(Verdict("end_run", cast("ErrorKind", kind), said, status))

    def _has_answers(self) -> bool:
        """Whether any row has an answer, if only an earlier run's."""
        return any(r is not None and r.status == "ok" for r in self._parts.book.results)

    def release_held(self) -> None:
        """It was the rows after all, not the call: their failures count."""
        for row, result in self._breaker.release():
            self._conclude(row, result)

    def _conclude(self, row: Row, result: RowResult) -> None:
        result = self._keep(row, result)
        self._settle(row, result, "request")
        self.unclaim(row, result)
        if result.status == "failed":
            self.on_failed(row.position, result, row.failure)

    def recalled(self, row: Row, result: RowResult) -> None:
        """The checkpoint had the row's answer after all; what its own replies cost is told."""
        self._parts.events.emit(Spent(row.usage))
        self._note_ids(row.key, [row.position])
        self._settle(row, result, "checkpoint")
        self.unclaim(row, result)
        self._work.done()

    def shared(self, row: Row, result: RowResult) -> None:
        """Another run got the row's answer; what its own replies cost is told."""
        self._parts.events.emit(Spent(row.usage))
        if self.recall(row) is None:  # it has another checkpoint, or none
            self._keep(row, result)
        self._note_ids(row.key, [row.position])
        self._settle(row, result, "shared")
        self._work.done()

    def _keep(self, row: Row, result: RowResult) -> RowResult:
        """Write the row's line; where it cannot be written the answer is kept in memory."""
        checkpoint = self._parts.checkpoint
        if checkpoint is None:
            return result
        try:
            checkpoint.append(
                row.key,
                result,
                error_info=error_info(result, row.failure),
                id=self._id(row.position),
                text=row.text if self._store_input else None,
            )
        except CheckpointError as error:
            self._fail(error)
        except OutputError as error:  # values that are no JSON
            return failed(row, "output", str(error))
        return result

    def _settle(self, row: Row, result: RowResult, source: Source) -> None:
        followers = self._parts.book.settle(row.position, result)
        self._parts.events.emit(RowsDone((row.position,), result, source))
        if followers:
            if result.status == "ok":
                self._note_ids(row.key, followers)
            shared: Source = "checkpoint" if source == "checkpoint" else "shared"
            self._parts.events.emit(RowsDone(followers, result, shared))

    def _note_ids(self, key: bytes, positions: list[int]) -> None:
        """The checkpoint knows that these rows have the key's answer."""
        try:
            for position in positions:
                self._planner.note_id(key, self._id(position))
        except CheckpointError as error:
            self._fail(error)

    def _id(self, position: int) -> object:
        ids = self._parts.rows.ids(position, position + 1)
        return None if ids is None else ids[0]

    def unclaim(self, row: Row, result: RowResult | None = None) -> None:
        """The key is nobody's again; without a result whoever waits for it takes over."""
        if row.claimed:
            row.claimed = False
            self._parts.in_flight.resolve(row.key, result, self._parts.share.loop)

    def recall(self, row: Row) -> RowResult | None:
        """The checkpoint's answer to the row, if it may be used."""
        try:
            return self._planner.recall(row.key)
        except CheckpointError as error:
            self._fail(error)
            return None

    def on_failed(self, position: int, result: RowResult, failure: Verdict | None = None) -> None:
        """A row has failed for good."""
        if self._raise_on_failure:
            self._fail(row_error(position, result, failure))
