"""What a person is shown of one row, and what they can do."""

from __future__ import annotations

from dataclasses import KW_ONLY, dataclass
from typing import TYPE_CHECKING, Protocol

from llmframe.notebook.drawing.format import count, plural
from llmframe.notebook.review.keys import SKIP, UNDO

if TYPE_CHECKING:
    from collections.abc import Callable

    from llmframe.notebook.review.keys import Keys

HELP = (
    "One key decides and shows the next row. u takes the last answer back, as often as you like; "
    "n puts this row last; h shows or hides this. Every key is saved at once: after a restart, run "
    "the cell again to go on. "
)
BLIND = "What the model said is not shown, because a label that is shown draws people towards it."


@dataclass(frozen=True, slots=True)
class Question:
    """One row as it is shown, and how far the review is. Texts are foreign.

    field: what is asked. row: the row's label in the index, "" once all rows are judged. texts:
    name and text of each input column. said: the model's label, "" when blind. sure: its
    confidence. quote: of the text, to be highlighted. judged, planned, left, undecided: rows.
    precision: half the width of the interval so far, in points. again: the row is a repeat.
    closing: what to say at the end.
    """

    field: str
    _: KW_ONLY
    row: str = ""
    texts: tuple[tuple[str, str], ...] = ()
    said: str = ""
    sure: float | None = None
    quote: str = ""
    judged: int = 0
    planned: int = 0
    left: int = 0
    undecided: int = 0
    precision: float | None = None
    again: bool = False
    is_blind: bool = True
    closing: tuple[str, ...] = ()

    @property
    def has_row(self) -> bool:
        """Whether there is a row to judge."""
        return bool(self.texts)

    @property
    def progress(self) -> str:
        """How far it is, in words."""
        words = f"{count(self.judged)} of {plural(self.planned, 'row')}"
        if self.precision is not None and self.judged:
            words += f", ± {self.precision:.0f} points so far"
        return words + (", judged before: judge it anew" if self.again else "")


class Reviewing(Protocol):
    """What a view needs of a review."""

    keys: Keys
    changed: Callable[[], None]

    def question(self) -> Question:
        """What is to be shown now."""

    def answer_at(self, at: int) -> None:
        """Give the row the label at this position."""

    def skip(self) -> None:
        """Put the row last."""

    def undo(self) -> None:
        """Take the last answer back."""


def act(review: Reviewing, meant: int | str | None) -> bool:
    """Do what a key means; False for what is no label and no command of a review.

    Raises PlanError for a label once all rows are judged, CheckpointError if it cannot be saved.
    """
    if isinstance(meant, int):
        review.answer_at(meant)
    elif meant == UNDO:
        review.undo()
    elif meant == SKIP:
        review.skip()
    else:
        return False
    return True
