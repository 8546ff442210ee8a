"""What every view of a run has in common, and the values that it draws."""

from __future__ import annotations

from dataclasses import KW_ONLY, dataclass, field
from typing import TYPE_CHECKING, Any, Literal, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping

    from llmframe.report import RunReport, Snapshot


State = Literal["done", "failed", "waiting", "writing", "pending"]


class Controls(Protocol):
    """What a view's buttons do to a run. Called from any thread; returns immediately."""

    def stop(self) -> None:
        """Send nothing new; keep what is done."""

    def pause(self) -> None:
        """Send nothing new until ``resume``."""

    def resume(self) -> None:
        """Go on after ``pause``."""


@dataclass(frozen=True, slots=True)
class Ending:
    """A run's end, for the card that stays.

    snapshot, report: the last counts; the snapshot's message says why a run was aborted.
    model: as the person named it.
    headline: one or two words, such as "finished", "stopped", "interrupted", "aborted".
    next_step: some sentences on how to go on; empty if nothing is left to do.
    notes: warnings, such as damaged lines in the checkpoint. time_went_to: in words, empty where
    there is nothing to tell. next_lines: what to type to see more.
    """

    snapshot: Snapshot
    _: KW_ONLY
    report: RunReport
    model: str
    headline: str
    next_step: str
    notes: tuple[str, ...] = ()
    time_went_to: str = ""
    next_lines: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ShownRow:
    """One row as a view shows it; all of it is foreign text.

    label: of the frame's index. text: the input. values: field name -> JSON value, None for a
    failed row. error: ``kind: message``, empty for an answered row.
    """

    label: str
    _: KW_ONLY
    text: str
    values: Mapping[str, Any] | None = None
    error: str = ""


@dataclass(frozen=True, slots=True)
class LabelCounts:
    """How often the labels of one field were answered; the labels are foreign text.

    labels: label and number of answers, the most frequent first.
    """

    name: str
    _: KW_ONLY
    labels: tuple[tuple[str, int], ...]

    @property
    def total(self) -> int:
        """Labels counted; of a list, each of its labels."""
        return sum(number for _, number in self.labels)


@dataclass(frozen=True, slots=True)
class PreviewRow:
    """One row as a preview shows it; all of it is foreign text.

    label: of the frame's index. text: the input. alike: rows of the frame with this text.
    values: field name -> the answer as text, None where it is missing. brief: fields of labels
    and numbers, which are read first. error: ``kind: message``.
    """

    label: str
    _: KW_ONLY
    text: str
    state: State
    alike: int = 1
    values: Mapping[str, str | None] = field(default_factory=dict)
    brief: frozenset[str] = frozenset()
    error: str = ""


@dataclass(frozen=True, slots=True)
class Choice:
    """The answers of a field with labels: each label's number of rows, the most frequent first.

    uncovered: answered rows that got the label for all else, or none. answered: of how many.
    unlabelled: how none is named.
    """

    name: str
    _: KW_ONLY
    labels: tuple[tuple[str, int], ...]
    uncovered: int
    answered: int
    unlabelled: str


class LiveRows(Protocol):
    """The rows of a preview while their answers are written."""

    def rows(self) -> list[PreviewRow]:
        """Every row as it is now, in the frame's order."""


class View:
    """Draws one run: ``open`` once, ``refresh`` a few times a second, ``close`` once.

    ``open`` is called in the cell that starts the run; ``refresh`` and ``close`` from any thread,
    one call at a time. They only change what ``open`` displayed, because new output of a
    background thread lands in whichever cell runs at that moment. This one shows nothing
    (``progress=False``).
    draws_card: what stays is a card below a notebook's cell, not text.
    """

    draws_card = False

    def open(self) -> None:
        """Show that a run begins."""

    def refresh(self, snapshot: Snapshot) -> None:
        """Draw the run as it is now; cheap, at most five times a second."""

    def close(self, ending: Ending | str) -> None:
        """Replace the live view by the card, or by a sentence in its place."""
