"""The rows that ``preview`` returns: a DataFrame whose view can be judged at a glance."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pandas as pd

from llmframe.frame.cells import cell_text, is_missing
from llmframe.notebook.drawing import style
from llmframe.notebook.drawing.format import count, plural
from llmframe.notebook.drawing.preview import (
    NONE,
    choice_html,
    head_html,
    preview_text,
    rows_html,
)
from llmframe.notebook.shown_frame import ShownFrame, shown_cell
from llmframe.notebook.view import Choice, PreviewRow

if TYPE_CHECKING:
    from collections.abc import Hashable, Sequence

    from llmframe.notebook.view import State

_STATES: dict[str, State] = {"ok": "done", "failed": "failed"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What a preview knows beside its frame.

    texts: the rows' inputs as they were sent. given: the columns that they were made from.
    alike: how many rows of the frame have each.
    rows, distinct: rows of the frame with a text, and distinct texts. answers: the columns of
    the fields. status, error: those of the rows' ends. others: labels for all that fits no label.
    unlabelled: how an answer without a label is named. estimate: of the whole frame; an object
    with both views, or None.
    """

    texts: Sequence[str]
    given: pd.DataFrame
    alike: Sequence[int]
    rows: int
    distinct: int
    answers: Sequence[Hashable]
    status: Hashable
    error: Hashable
    others: frozenset[str] = frozenset()
    unlabelled: str = NONE
    estimate: object = None


class PreviewedRows(ShownFrame):
    """The rows of a preview: their input, and beside it the answers.

    Displayed it shows each text with its answers and what the whole frame will take. Otherwise
    it is an ordinary frame, and all that pandas makes of it is one.
    """

    def _view(self, *, as_html: bool) -> str | None:
        facts: Facts | None = getattr(self, "_llmframe_facts", None)
        # somebody has added, dropped or sorted rows: the facts no longer fit them
        if facts is None or not _cells(facts.given).equals(_cells(self[[*facts.given.columns]])):
            return None
        rows, choices = _rows(self, facts), _choices(self, facts)
        if not as_html:
            text = preview_text(rows, _of(facts), choices)
            return text if facts.estimate is None else f"{text}\n{facts.estimate!r}"
        parts = [head_html(rows, _of(facts)), *map(choice_html, choices), style.line("")]
        shown = style.frame((*parts, rows_html(rows)))
        estimate: Any = facts.estimate
        return shown if estimate is None else shown + str(estimate._repr_html_())


def previewed(frame: pd.DataFrame, facts: Facts) -> PreviewedRows:
    """The frame of a preview with its view."""
    rows = PreviewedRows(frame)
    # past pandas, which would take it for a column
    object.__setattr__(rows, "_llmframe_facts", facts)
    return rows


def _of(facts: Facts) -> str:
    equal = f", {count(facts.distinct)} of them distinct" if facts.distinct < facts.rows else ""
    return f"previewed of {plural(facts.rows, 'row')} with a text{equal}"


def _cells(df: pd.DataFrame) -> pd.DataFrame:
    """The cells alone: another index, or another dtype for the same cells, moves no row."""
    return df.reset_index(drop=True).astype(object)


def _rows(df: pd.DataFrame, facts: Facts) -> list[PreviewRow]:
    cells = {str(name): list(df[name]) for name in facts.answers}
    brief = frozenset(str(name) for name in facts.answers if _is_brief(df[name].dtype))
    unsure = {
        str(name): facts.unlabelled
        for name in facts.answers
        if facts.unlabelled != NONE and isinstance(df[name].dtype, pd.CategoricalDtype)
    }
    ends = zip(df.index, df[facts.status], df[facts.error], strict=True)
    return [
        PreviewRow(
            str(label),
            text=facts.texts[at],
            alike=facts.alike[at],
            state=_STATES.get(str(status), "pending"),
            values={
                name: shown_cell(column[at]) or unsure.get(name) for name, column in cells.items()
            }
            if status == "ok"
            else {},
            brief=brief,
            error="" if is_missing(error) else str(error),
        )
        for at, (label, status, error) in enumerate(ends)
    ]


def _is_brief(dtype: Any) -> bool:
    """Whether a column holds labels or numbers, which are read before texts."""
    return isinstance(dtype, pd.CategoricalDtype) or pd.api.types.is_numeric_dtype(dtype)


def _choices(df: pd.DataFrame, facts: Facts) -> list[Choice]:
    """The labels of each field that is a closed choice, or true or false."""
    answered = df[(df[facts.status] == "ok").to_numpy()]
    return [
        _choice(str(name), answered[name], facts)
        for name in facts.answers
        if isinstance(df[name].dtype, pd.CategoricalDtype | pd.BooleanDtype) and len(answered)
    ]


def _choice(name: str, cells: pd.Series[Any], facts: Facts) -> Choice:
    # only a closed choice can be answered with "unsure"; a missing boolean is null
    none = facts.unlabelled if isinstance(cells.dtype, pd.CategoricalDtype) else NONE
    labels = Counter(none if is_missing(cell) else cell_text(cell) for cell in cells)
    uncovered = int(cells.isna().sum())
    uncovered += sum(n for label, n in labels.items() if label.casefold() in facts.others)
    ranked = tuple(labels.most_common())
    return Choice(name, labels=ranked, uncovered=uncovered, answered=len(cells), unlabelled=none)
