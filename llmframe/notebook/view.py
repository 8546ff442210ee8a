"""What a view is: it draws a run while it goes and says at the end what became of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


if TYPE_CHECKING:
    from llmframe.engine.report import RunReport, Snapshot


class Controls(Protocol):
    """What a view's buttons may do to a run. Called from any thread; returns at once."""

    def stop(self) -> None:
        """Send nothing new; keep what is done."""

    def pause(self) -> None:
        """Send nothing new until ``resume``."""

    def resume(self) -> None:
        """Go on after ``pause``."""


@dataclass(frozen=True, slots=True)
class Ending:
    """A run's end, for the card that stays.

    snapshot, report: the last counts; the snapshot's message says why a run was given up.
    model: as the person named it.
    headline: one or two words, such as "finished", "stopped", "interrupted", "aborted".
    next_step: one or two sentences: how to go on; empty when nothing is left to do.
    notes: warnings, such as damaged lines in the checkpoint.
    """

    snapshot: Snapshot
    report: RunReport
    model: str
    headline: str
    next_step: str
    notes: tuple[str, ...] = ()


class View(Protocol):
    """Draws one run. ``open`` once, then ``refresh`` a few times a second, then ``close`` once.

    ``open`` is called in the cell that starts the run; ``refresh`` and ``close`` from any thread,
    one call at a time. Nothing but what ``open`` displayed is ever changed, because output of a
    background thread lands in whichever cell runs at that moment.
    """

    def open(self) -> None:
        """Show that a run begins."""

    def refresh(self, snapshot: Snapshot) -> None:
        """Draw the run as it is now; cheap, at most five times a second."""

    def close(self, ending: Ending) -> None:
        """Replace the live view by what stays."""


class SilentView:
    """Shows nothing (``progress=False``)."""

    def open(self) -> None:
        """Nothing."""

    def refresh(self, snapshot: Snapshot) -> None:
        """Nothing."""

    def close(self, ending: Ending) -> None:
        """Nothing."""


@dataclass(frozen=True, slots=True)
class Sample:
    """One row as a view shows it; all of it is foreign text.

    label: of the frame's index. text: what was asked about.
    values: field name -> JSON value, None for a row that failed. error: ``kind: message``,
    empty for a row that was answered.
    """

    label: str
    text: str
    values: Mapping[str, Any] | None = None
    error: str = ""


class Peek(Protocol):
    """What tells a view about single rows; may be called from any thread, and must be cheap."""

    def newest(self) -> Sequence[Sample]:
        """The newest answers, the newest first."""

    def failures(self) -> Sequence[Sample]:
        """The last failures of the most frequent kinds, the newest of each kind first."""

    def rates(self) -> Sequence[float]:
        """Rows a second since the start, in bins of equal time, the oldest first."""
