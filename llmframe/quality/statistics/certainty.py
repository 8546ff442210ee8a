"""The lowest confidence above which labels keep an accuracy, by a fixed sequence of tests."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from llmframe.quality.statistics.binomial import tail

if TYPE_CHECKING:
    import numpy.typing as npt

    Numbers = npt.NDArray[np.float64]

STEPS = 40  # cut-offs, a fortieth of the rows apart


@dataclass(frozen=True, slots=True)
class CutOff:
    """One cut-off. kept: the share of rows at or above it. reviewed, wrong: of these rows.

    p: how likely so few errors are if the accuracy is not kept; None if the test was not reached.
    """

    value: float
    kept: float
    reviewed: int
    wrong: int
    p: float | None = None


def cut_offs(confidence: Numbers) -> list[tuple[float, float]]:
    """The confidence of the surest 2.5 %, 5 %, ... of the rows, and the share at or above it."""
    ordered = np.sort(confidence)[::-1]
    n = len(ordered)
    # in whole numbers: as fractions, 3 * 0.025 * 40 is a hair above 3, and that row is not there
    ends = [math.ceil(n * step / STEPS) - 1 for step in range(1, STEPS + 1)]
    values = dict.fromkeys(float(ordered[at]) for at in ends) if n else {}
    # rows with the same confidence are kept together
    return [(value, float(np.searchsorted(-ordered, -value, "right")) / n) for value in values]


def fixed_sequence(
    cuts: list[tuple[float, float]],
    confidence: Numbers,
    right: npt.NDArray[np.bool_],
    *,
    accuracy: float,
    sure: float,
) -> tuple[CutOff | None, list[CutOff]]:
    """The last cut-off that keeps the accuracy, None if there is none, and all of them.

    cuts: fixed before anything was reviewed, the surest first. confidence, right: of a simple
    random sample. From the surest down, "the accuracy is not kept" is tested exactly, until a
    test fails; so all that passed hold together with the certainty wanted (Learn-then-Test,
    Angelopoulos et al. 2021). Cut-offs with too few rows to pass without an error are no test.
    """
    fewest = rows_without_error(accuracy, sure)
    found, tested, failed = None, [], False
    for value, kept in cuts:
        above = confidence >= value
        n = int(above.sum())
        cut = CutOff(value, kept, n, int((above & ~right).sum()))
        # nothing is tested after a failure: only so may every test have the whole error to itself
        if n >= fewest and not failed:
            cut = CutOff(value, kept, n, cut.wrong, tail(cut.wrong, n, 1 - accuracy))
            failed = cut.p is None or cut.p > 1 - sure
            found = found if failed else cut
        tested.append(cut)
    return found, tested


def rows_without_error(accuracy: float, sure: float) -> int:
    """The fewest reviewed rows, all right, that show an accuracy: 59 for 95 % and 95 % sure."""
    exact = math.log(1 - sure) / math.log(accuracy)
    return math.ceil(exact - 1e-9)  # rounding must not add a row to a whole number


def rows_needed(accuracy: float, sure: float, *, expected: float) -> int:
    """About how many reviewed rows show the accuracy where a share ``expected`` is wrong.

    expected: less than 1 - accuracy; the nearer, the more rows.
    """
    n = rows_without_error(accuracy, sure)
    while tail(round(n * expected), n, 1 - accuracy) > 1 - sure:
        n += max(1, n // 50)  # to about 2 %: it is an estimate, and each step costs a sum
    return n
