"""Take over a file of plain ``{"id": ..., field: ...}`` lines, as scripts write them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from llmframe.errors import CheckpointError, OutputError
from llmframe.journal import lines

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from llmframe.journal.checkpoint import Checkpoint
    from llmframe.journal.store import Journal

_REASONS = 3  # reported in words


@dataclass(slots=True)
class AdoptReport:
    """What became of the plain lines; each id is counted once.

    accepted: written as answers of this task. present: answered before. rejected: not valid, or
    one id with two different answers. unknown: ids that the frame has not.
    reasons: why the first few were rejected. other_task: the task that took the lines over
    before, in which case this one leaves them alone.
    """

    accepted: int = 0
    present: int = 0
    rejected: int = 0
    unknown: int = 0
    reasons: list[str] = field(default_factory=list)
    other_task: str | None = None

    @property
    def sentence(self) -> str:
        """The same for the person."""
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


def adopt_plain(
    checkpoint: Checkpoint,
    key_of: Mapping[str, bytes],
    validate: Callable[[dict[str, Any]], dict[str, Any]],
) -> AdoptReport:
    """Make answers of this task out of the plain lines of the checkpoint's own file.

    key_of: the key of each row, by its id_text. validate: a plain line's values -> the
    answer's values, or OutputError.
    The file's bytes stay; each accepted row is appended as a keyed line. Only the first task of
    a file may do so: a changed prompt must not get another's answers.
    Raises CheckpointError if the file cannot be read or written.
    """
    report, journal = AdoptReport(), checkpoint.written
    if journal is None:
        return report
    first = next(iter(journal.index.tasks), checkpoint.task.digest)
    if first != checkpoint.task.digest:
        report.other_task = first.hex()[:12]
    elif journal.index.foreign:  # else the file need not be read once more
        for row_id, answers in _plain_lines(journal).items():
            _adopt_one(checkpoint, key_of.get(row_id), row_id, answers, validate, report)
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


def _adopt_one(
    checkpoint: Checkpoint,
    key: bytes | None,
    row_id: str,
    answers: list[dict[str, Any]],
    validate: Callable[[dict[str, Any]], dict[str, Any]],
    report: AdoptReport,
) -> None:
    if key is None:
        report.unknown += 1
    elif checkpoint.get(key) is not None:
        report.present += 1
        if not checkpoint.has_id(key, row_id):
            checkpoint.append_id(key, row_id)
    elif len(answers) > 1:
        _reject(report, row_id, f"{len(answers)} different answers")
    else:
        try:
            values = validate(answers[0])
        except OutputError as exc:
            _reject(report, row_id, str(exc))
        else:
            checkpoint.append_adopted(key, values, row_id)
            report.accepted += 1


def _reject(report: AdoptReport, row_id: str, reason: str) -> None:
    report.rejected += 1
    if len(report.reasons) < _REASONS:
        report.reasons.append(f"id {row_id}: {reason}")
