"""Precision, recall, F1 and the like of a table of truth against answers."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import numpy.typing as npt

    Numbers = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Metrics:
    """Of each label; NaN where no row has it (recall) or none was given it (precision).

    support: rows that have it, with their weights. macro_f1: over the labels that occur at all;
    weighted_f1: over the labels that rows have, by support.
    """

    support: Numbers
    precision: Numbers
    recall: Numbers
    f1: Numbers
    accuracy: float
    macro_f1: float
    weighted_f1: float


def metrics(table: Numbers) -> Metrics:
    """The metrics of a square table: its rows are the truth, its columns what was said."""
    hit = np.diag(table)
    support, said, total = table.sum(axis=1), table.sum(axis=0), float(table.sum())
    # F1 in a form that is 0, not NaN, for a label that rows have and the model never gave
    with np.errstate(divide="ignore", invalid="ignore"):
        precision, recall, f1 = hit / said, hit / support, 2 * hit / (support + said)
        present = support + said > 0
    return Metrics(
        support=support,
        precision=precision,
        recall=recall,
        f1=f1,
        accuracy=float(hit.sum()) / total if total else math.nan,
        macro_f1=float(f1[present].mean()) if present.any() else math.nan,
        weighted_f1=float((support * np.where(present, f1, 0.0)).sum()) / total
        if total
        else math.nan,
    )


def table_of(
    truth: npt.NDArray[np.intp],
    said: npt.NDArray[np.intp],
    labels: int,
    weights: Numbers | None = None,
) -> Numbers:
    """The weight of the rows by truth and answer; truth, said: their labels' positions."""
    cells = np.bincount(truth * labels + said, weights, minlength=labels * labels)
    return cells.reshape(labels, labels).astype(float)
