"""A seeded random sample of a frame's rows: distinct texts, no blank ones, perhaps by group."""

from __future__ import annotations

from dataclasses import KW_ONLY, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from llmframe.errors import PlanError

if TYPE_CHECKING:
    import numpy.typing as npt

    from llmframe.frame.rows import RowPlan

    Positions = npt.NDArray[np.intp]

SLICE = 4096  # rows whose texts are held at once


@dataclass(frozen=True, slots=True)
class Sample:
    """Rows drawn from a frame.

    at: their positions, ascending. alike: for each, how many rows of the frame have its text.
    rows, distinct: rows of the whole frame that are not blank, and distinct texts among them.
    """

    at: Positions
    _: KW_ONLY
    alike: list[int]
    rows: int
    distinct: int


def draw(rows: RowPlan, n: int, *, seed: int, groups: pd.Series[Any] | None = None) -> Sample:
    """Draw up to n rows with distinct texts; the same rows for the same seed and frame.

    groups: a group for each row, a missing one is a group too. The groups take turns, so that
    each has as many rows as any other, as far as it has so many; where there are more groups
    than n, frequent ones are more likely to be drawn. Raises PlanError for cells that no group
    can be made of.
    """
    marks, is_blank = _marks(rows)
    # rows, not texts, are shuffled: a text that is in many rows is more likely to be drawn
    shuffled = np.random.default_rng(seed).permutation(np.flatnonzero(~is_blank))
    # the first row of each text, in the shuffled order
    _, first, counts = np.unique(marks[shuffled], return_index=True, return_counts=True)
    by_order = np.argsort(first)
    distinct, counts = shuffled[first[by_order]], counts[by_order]
    chosen = _by_turns(distinct, groups)[:n]
    # back into the frame's order, in which a person finds the rows
    chosen = chosen[np.argsort(distinct[chosen])]
    return Sample(
        distinct[chosen],
        alike=counts[chosen].tolist(),
        rows=len(shuffled),
        distinct=len(distinct),
    )


def _marks(rows: RowPlan) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.bool_]]:
    """A number for each row, equal for equal texts; and which rows are blank."""
    # Numbers in place of texts: a million texts would have to be held together.
    marks = np.zeros(rows.n, dtype=np.int64)
    is_blank = np.zeros(rows.n, dtype=bool)
    for start in range(0, rows.n, SLICE):
        texts = rows.texts(start, start + SLICE)
        stop = start + len(texts)
        # a row without a text has the result with which it fails; its message tells it apart
        marks[start:stop] = [hash(t if isinstance(t, str) else t and str(t.error)) for t in texts]
        is_blank[start:stop] = [text is None for text in texts]
    return marks, is_blank


def _by_turns(distinct: Positions, groups: pd.Series[Any] | None) -> Positions:
    """The order in which to take the rows: one of each group, then a second one of each."""
    if groups is None:
        return np.arange(len(distinct))
    try:
        codes, _ = pd.factorize(groups.iloc[distinct], use_na_sentinel=False)
    except TypeError as exc:
        raise PlanError(
            f"by={groups.name!r} holds {type(groups.iloc[0]).__name__}s, which make no groups; "
            "name a column of texts, numbers or labels"
        ) from exc
    turns = pd.Series(codes).groupby(codes).cumcount().to_numpy()
    return np.argsort(turns, kind="stable")
