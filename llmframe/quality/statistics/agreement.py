"""How far two columns, or several people, agree beyond chance."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import numpy.typing as npt

    Numbers = npt.NDArray[np.float64]


def kappa(table: Numbers) -> float:
    """Cohen's kappa of a square table of counts or weights; NaN where chance agrees always."""
    share = table / table.sum()
    chance = float(share.sum(axis=0) @ share.sum(axis=1))
    # one label in both columns: chance explains every agreement, and nothing is left to measure
    return (float(np.trace(share)) - chance) / (1 - chance) if chance < 1 else math.nan


def kappa_influence(table: Numbers) -> Numbers:
    """What one more row in each cell of the table would add to kappa, times the rows.

    Its mean over the table is 0 and its mean square over n the variance of kappa in a simple
    sample, which is that of Fleiss, Cohen and Everitt (1969).
    """
    share = table / table.sum()
    first, second = share.sum(axis=1), share.sum(axis=0)
    agree, chance = float(np.trace(share)), float(first @ second)
    # the chance of agreement grows with both margins of the row's labels
    margins = second[:, None] + first[None, :] - 2 * chance
    hit: Numbers = np.eye(len(table)) - agree
    influence: Numbers = ((1 - chance) * hit - (1 - agree) * margins) / (1 - chance) ** 2
    return influence


def kappa_error(table: Numbers) -> float:
    """The standard error of kappa in a simple sample (Fleiss, Cohen and Everitt 1969)."""
    share, n = table / table.sum(), float(table.sum())
    if float(share.sum(axis=0) @ share.sum(axis=1)) >= 1:
        return math.nan
    return math.sqrt(float((share * kappa_influence(table) ** 2).sum()) / n)


def ac1(table: Numbers) -> float:
    """Gwet's AC1 (2008), which stays sensible where one label has nearly all rows.

    NaN for fewer than two labels.
    """
    if len(table) < 2:  # nobody could have disagreed
        return math.nan
    share = table / table.sum()
    mean = (share.sum(axis=0) + share.sum(axis=1)) / 2
    chance = float((mean * (1 - mean)).sum()) / (len(table) - 1)
    return (float(np.trace(share)) - chance) / (1 - chance)


def alpha_of_pairs(table: Numbers) -> float:
    """Krippendorff's alpha of two observers who both labelled every row; the table has counts."""
    return _alpha(2 * float(np.trace(table)), table.sum(axis=0) + table.sum(axis=1))


def alpha(counts: Numbers) -> float:
    """Krippendorff's alpha for labels without an order (Krippendorff 2011).

    counts: a row for each unit and a column for each label: how many observers gave it. Units
    with fewer than two labels say nothing. NaN where only one label was ever given.
    """
    counts = counts[counts.sum(axis=1) > 1]
    others = counts.sum(axis=1, keepdims=True) - 1
    return _alpha(float((counts * (counts - 1) / others).sum()), counts.sum(axis=0))


def _alpha(alike: float, totals: Numbers) -> float:
    """alike: the diagonal of the table of coincidences. totals: its margin."""
    n = float(totals.sum())
    # n - 1 below: no label is paired with itself, which matters in small samples
    by_chance = n**2 - float((totals**2).sum())
    return 1 - (n - 1) * (n - alike) / by_chance if by_chance else math.nan
