"""What a review adds to a frame: the final label, the truth, the weight, the role."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from llmframe.frame.cells import column_cells, is_missing
from llmframe.frame.existing import in_frame
from llmframe.quality.cases import RIGHT, ROLES

if TYPE_CHECKING:
    from collections.abc import Hashable

    from llmframe.quality.cases import Cases
    from llmframe.quality.review_session import ReviewSession


def review_columns(session: ReviewSession) -> pd.DataFrame:
    """A copy of the frame with the four columns; see ``Review.frame``."""
    cases, out = session.cases, session.cases.df.copy()
    first, reviewed = session.records.first(), session.reviewed
    truth = _by_text(cases, {key: given.truth for key, given in first.items()})
    drawn = {row.key: row.role for draw in session.records.draws() for row in draw.rows}
    weight = np.full(len(out), np.nan)
    for one in reviewed.judgements:
        if one.first:
            weight[one.position] = one.weight
    columns = {
        "final": _final(cases, truth),
        "truth": _typed(truth, cases.labels),
        "weight": pd.Series(weight, index=out.index).astype("Float64"),
        "role": pd.Series(pd.Categorical(_by_text(cases, drawn), categories=ROLES)),
    }
    for name, cells in columns.items():
        cells.index = out.index  # by position: the index may hold a label twice
        out[in_frame(out, f"{cases.field}_{name}")] = cells
    return out


def _by_text(cases: Cases, values: dict[int, Any]) -> list[Any]:
    """The value of each row's text, None where it has none."""
    found: list[Any] = [None] * len(cases.df)
    keys = np.array([*values], dtype=np.uint64)
    for at in np.flatnonzero(np.isin(cases.keys, keys)):
        found[at] = values[int(cases.keys[at])]
    return found


def _typed(cells: list[Any], labels: tuple[Hashable, ...]) -> pd.Series[Any]:
    if all(isinstance(label, bool) for label in labels):
        return pd.Series(cells, dtype="boolean")
    # a label of an earlier prompt is none of today's, and is kept
    others = {cell: None for cell in cells if cell is not None and cell not in labels}
    return pd.Series(pd.Categorical(cells, categories=[*labels, *others]))


def _final(cases: Cases, truth: list[Any]) -> pd.Series[Any]:
    """The person's label where there is one, else the model's."""
    said = cases.answers
    if cases.is_verdict:
        wrong = [one is not None and one != RIGHT for one in truth]
        return said.reset_index(drop=True).mask(pd.Series(wrong, dtype=bool))
    model = [None if is_missing(cell) else cell for cell in column_cells(said)]
    pairs = zip(model, truth, strict=True)
    return _typed([own if own is not None else label for label, own in pairs], cases.labels)
