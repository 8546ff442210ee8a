"""``Review``: what ``df.llm.review`` returns."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from llmframe.notebook.reviewing import open_view, wait_for
from llmframe.quality.precision import half_width
from llmframe.quality.review_columns import review_columns
from llmframe.quality.review_session import ReviewSession

if TYPE_CHECKING:
    from collections.abc import Hashable

    import pandas as pd

    from llmframe.quality.drawing import Wish
    from llmframe.quality.review_session import Manner


def open_review(df: pd.DataFrame, field: object, wish: Wish, manner: Manner) -> Review:
    """Draw rows, show the first of them here, and return at once."""
    session = ReviewSession(df, field, wish, manner)
    return Review(session, open_view(session))


class Review:
    """Rows that a person judges one by one, drawn by ``df.llm.review``.

    >>> r = df.llm.review("intent")   # press keys in the notebook
    >>> df = r.frame()                # + intent_final, intent_truth, intent_weight, intent_role

    In code, ``answer(label)``, ``skip()`` and ``undo()`` do what keys do.
    """

    def __init__(self, session: ReviewSession, view: Any = None) -> None:
        self._session = session
        self._view = view

    @property
    def row(self) -> int | None:
        """The position in the frame of the row that is shown; None at the end."""
        return self._session.row

    @property
    def labels(self) -> tuple[Hashable, ...]:
        """The labels to choose from; "right" and "wrong" for a field that is no closed choice."""
        return self._session.cases.labels

    @property
    def done(self) -> int:
        """How many of the drawn rows have a label by a person."""
        return self._session.done

    @property
    def left(self) -> int:
        """How many rows are still to be shown, repeats included."""
        return self._session.left

    @property
    def precision(self) -> float | None:
        """Half the width of the accuracy's 95 % interval so far: 0.07 is 7 points.

        Not the accuracy, so that nobody stops when they like it. None for an order that is no
        sample, and before there are judgements.
        """
        return half_width(self._session.reviewed)

    def answer(self, label: object) -> None:
        """Give the row that is shown this label, save it, and go to the next row.

        Raises PlanError for what is no label and at the end, CheckpointError if it cannot be
        saved; the row then stays.
        """
        self._session.answer(label)

    def skip(self) -> None:
        """Put the row that is shown last; a row that is put last twice stays undecided."""
        self._session.skip()

    def undo(self) -> None:
        """Take back the last answer (or skip) and show its row again; as often as you like."""
        self._session.undo()

    def wait(self, timeout: float | None = None) -> bool:
        """Wait until all rows are judged; False if the time (seconds) is over before.

        In a terminal it asks on the line. Raises PlanError where nobody can answer.
        """
        return wait_for(self._session, timeout)

    def frame(self) -> pd.DataFrame:
        """A copy of the frame with ``<field>_final``, ``_truth``, ``_weight`` and ``_role``.

        final: the person's label, else the model's. truth: the person's, missing where nobody
        judged. weight: how many rows a judged row stands for; missing for rows outside the sample.
        role: measure or learn, of the drawn rows; measure rows must never become examples.
        Rows with an equal text have its label, too. Where answers are judged as right or wrong,
        a wrong one is missing in final.
        """
        session = self._session
        if self._view is not None and session.row is None:
            self._view.close()  # a saved notebook keeps what was found, and no dead widget
        return review_columns(session)

    def _ipython_display_(self) -> None:
        # a cell that ends in `r` must not show its widget a second time
        if self._view is None or not self._view.show_again():
            from IPython.display import display

            display({"text/plain": repr(self)}, raw=True)  # type: ignore[no-untyped-call]

    def __repr__(self) -> str:
        question = self._session.question()
        words = [f"llmframe: review of {question.field!r}: {question.progress}"]
        if question.has_row:
            words.append("answer(label), skip(), undo() do what keys do; wait() asks in a terminal")
        return "\n  ".join((*words, *question.closing))
