"""Take over the answers in a file of plain ``{"id": ..., field: ...}`` lines."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from llmframe.errors import CheckpointError, OutputError
from llmframe.journal import lines

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from llmframe.journal.checkpoint import Checkpoint
    from llmframe.journal.store import Journal

_REASONS = 3  # how many are reported in words


@dataclass(slots=True)
class AdoptReport:
    """How many plain lines were taken over; each id is counted once.

    accepted: written as answers of this task. present: answered before. rejected: not valid, or
    one id with two different answers. unknown: ids that are not in the frame.
    reasons: why the first few were rejected. other_task: the task that was asked first in this
    file and owns the lines; None if it is this one.
    """

    accepted: int = 0
    present: int = 0
    rejected: int = 0
    unknown: int = 0
    reasons: list[str] = field(default_factory=list)
    other_task: str | None = None

    @property
    def sentence(self) -> str:
        """The report as a sentence for the person."""
        if self.other_task is not None:
            return (
                f"its plain lines were left alone: they belong to task {self.other_task}, which "
                "was asked first. To use them for this one, copy them to a new file."
            )
        counts = (
            f"{self.accepted} answers taken over, {self.present} were there already, "
            f"{self.rejected} rejected, {self.unknown} with an id that the frame has not"
        )
        return ". ".join([counts, *self.reasons])

    def reject(self, row_id: str, reason: str) -> None:
        """Count a rejected id."""
        self.rejected += 1
        if len(self.reasons) < _REASONS:
            self.reasons.append(f"id {row_id}: {reason}")


def adopt_plain(
    checkpoint: Checkpoint,
    key_of: Mapping[str, bytes],
    validate: Callable[[dict[str, Any]], dict[str, Any]],
) -> AdoptReport:
    """Append the plain lines of the checkpoint's own file again, as answers of this task.

    key_of: the key of each row, by its id_text. validate: returns the answer's values for a
    plain line's values, or raises OutputError.
    Raises CheckpointError if the file cannot be read or written.
    """
    report, journal = AdoptReport(), checkpoint.written
    if journal is None:
        return report
    # A changed prompt must not get another's answers: the lines are the first task's.
    first = next(iter(journal.index.tasks), checkpoint.task.digest)
    if first != checkpoint.task.digest:
        report.other_task = first.hex()[:12]
        return report
    # The index has counted them: without any the file need not be read once more.
    found = _plain_lines(journal) if journal.index.foreign else {}
    for row_id, answers in found.items():
        key = key_of.get(row_id)
        if key is None:
            report.unknown += 1
        elif checkpoint.get(key) is not None:
            report.present += 1
            if not checkpoint.has_id(key, row_id):
                checkpoint.append_id(key, row_id)
        elif len(answers) > 1:  # which is right is not ours to choose
            report.reject(row_id, f"{len(answers)} different answers")
        else:
            try:
                values = validate(answers[0])
            except OutputError as exc:
                report.reject(row_id, str(exc))
                continue
            checkpoint.append_adopted(key, values, row_id)
            report.accepted += 1
    return report


def _plain_lines(journal: Journal) -> dict[str, list[dict[str, Any]]]:
    """The different answers of each id, in file order."""
    found: dict[str, list[dict[str, Any]]] = {}
    try:
        for line in journal.foreign_lines():
            content = lines.foreign(line)
            if content is not None and "id" in content:
                answers = found.setdefault(lines.id_text(content.pop("id")), [])
                if content not in answers:
                    answers.append(content)
    except OSError as exc:
        raise CheckpointError(f"cannot read {journal.path}: {exc.strerror or exc}") from exc
    return found
