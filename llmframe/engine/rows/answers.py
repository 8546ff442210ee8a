"""The checkpoint as one run uses it: answers to take from it, and answers to keep in it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from llmframe.errors import CheckpointError, OutputError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from llmframe.engine.row import Row, Rows
    from llmframe.engine.rows.halt import Halt
    from llmframe.journal import Checkpoint
    from llmframe.options.settings import Settings
    from llmframe.results import Answer, RowResult

MOST_PREVIEWED = 10_000  # answers of previews without a checkpoint that are remembered


class Answers:
    """A run without a checkpoint: nothing is recalled and nothing is kept."""

    def recall(self, key: bytes) -> RowResult | None:
        """The stored answer to a key, if it may be used."""
        [answer] = self.recall_all([key])
        return None if answer is None else answer[0]._replace(values=answer[1])

    def recall_all(
        self,
        keys: Sequence[bytes],
        today: Sequence[bytes] | None = None,  # noqa: ARG002 - nothing is stored here
    ) -> Sequence[Answer | None]:
        """The same for many keys at once, in their order.

        today: for keys of an earlier spelling of the task, what they are now.
        """
        return [None] * len(keys)

    def keep(self, row: Row, result: RowResult) -> RowResult:  # noqa: ARG002 - as above
        """Write a row's line; returns the result that counts."""
        return result

    def note_id(self, key: bytes, row_id: object) -> None:
        """Record that the row with this id has the key's answer."""

    def note_ids(self, key: bytes, positions: Iterable[int]) -> None:
        """The same for the rows at these positions."""


previewed: dict[bytes, Answer] = {}
"""What previews without a checkpoint were answered in this process, by key."""


class PreviewedAnswers(Answers):
    """A run without a checkpoint: it takes what previews of this process were answered.

    remembers: it is a preview, whose answers stay until the process ends or newer ones need the
    room. recheck: as in StoredAnswers.
    """

    def __init__(
        self, *, remembers: bool, recheck: Callable[[dict[str, Any]], bool] | None = None
    ) -> None:
        self._remembers = remembers
        self._recheck = recheck

    def keep(self, row: Row, result: RowResult) -> RowResult:
        """Remember a row's answer, if it is one of a preview."""
        if self._remembers and result.status == "ok" and result.values is not None:
            # without its time, as every answer that was not asked for now
            previewed[row.key] = result._replace(values=None, seconds=None), result.values
            if len(previewed) > MOST_PREVIEWED:
                previewed.pop(next(iter(previewed)), None)
        return result

    def recall_all(
        self,
        keys: Sequence[bytes],
        today: Sequence[bytes] | None = None,  # noqa: ARG002 - no earlier process is remembered
    ) -> Sequence[Answer | None]:
        """The remembered answers to keys, if they may be used."""
        return _valid([previewed.get(key) for key in keys], self._recheck)


class StoredAnswers(Answers):
    """A run with a checkpoint; lives on the run's loop.

    A checkpoint that cannot be read or written any more halts the run: paid answers then stay
    in memory, and nothing new is sent. recheck: whether stored values still hold, None if they
    always do; those that do not are asked again.
    """

    def __init__(
        self,
        checkpoint: Checkpoint,
        *,
        rows: Rows,
        halt: Halt,
        settings: Settings,
        recheck: Callable[[dict[str, Any]], bool] | None = None,
    ) -> None:
        self._checkpoint = checkpoint
        self._rows = rows
        self._halt = halt
        self._settings = settings
        self._recheck = recheck

    def recall_all(
        self, keys: Sequence[bytes], today: Sequence[bytes] | None = None
    ) -> Sequence[Answer | None]:
        """The stored answers to keys, if they may be used."""
        if self._settings.reuse:
            try:
                return _valid(self._checkpoint.get_all(keys, today), self._recheck)
            except CheckpointError as error:
                self._halt.fail(error)
        return [None] * len(keys)

    def keep(self, row: Row, result: RowResult) -> RowResult:
        """Write a row's line; an answer that cannot be written as JSON becomes a failure."""
        # what an answer took in a batch says nothing about the next request
        is_live = self._settings.mode == "live"
        try:
            self._checkpoint.append(
                row.key,
                result if is_live else result._replace(seconds=None),
                # the first vote has them
                id=None if row.vote else self._id(row.position),
                text=row.text if self._settings.store_input and not row.vote else None,
                vote=row.vote,
                of=None if row.first is None else row.first.key,
            )
        except CheckpointError as error:
            self._halt.fail(error)
        except OutputError as error:
            return row.failed("output", str(error))
        return result

    def note_id(self, key: bytes, row_id: object) -> None:
        """Record that the row with this id has the key's answer."""
        try:
            if row_id is not None and not self._checkpoint.has_id(key, row_id):
                self._checkpoint.append_id(key, row_id)
        except CheckpointError as error:
            self._halt.fail(error)

    def note_ids(self, key: bytes, positions: Iterable[int]) -> None:
        """The same for the rows at these positions."""
        for position in positions:
            self.note_id(key, self._id(position))

    def _id(self, position: int) -> object:
        ids = self._rows.ids(position, position + 1)
        return None if ids is None else ids[0]


def _valid(
    answers: Sequence[Answer | None], holds: Callable[[dict[str, Any]], bool] | None
) -> Sequence[Answer | None]:
    """The answers without those that hold no longer; holds: None where all do."""
    if holds is None:
        return answers
    return [one if one is None or holds(one[1]) else None for one in answers]
