"""Intervals and tests for counts: how far a share of n rows may be from the truth."""

from __future__ import annotations

import math
from statistics import NormalDist
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy.typing as npt

Interval = tuple[float, float]

_STEPS = 200  # bisections; a float has no more to halve long before


def normal_quantile(level: float) -> float:
    """The z of a two-sided interval: 1.96 for level 0.95."""
    return NormalDist().inv_cdf(0.5 + level / 2)


def wilson(share: float, n: float, *, level: float = 0.95) -> Interval:
    """Wilson's interval (1927) for a share of n rows; n may be an effective number.

    (nan, nan) where n is 0, (share, share) where n is infinite.
    """
    low, high = wilson_many(np.array([share]), np.array([n], dtype=float), level=level)
    return float(low[0]), float(high[0])


def wilson_many(
    share: npt.NDArray[np.float64], n: npt.NDArray[np.float64], *, level: float = 0.95
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """The same for arrays: the lower ends and the upper ends."""
    with np.errstate(divide="ignore", invalid="ignore"):
        z2 = normal_quantile(level) ** 2 / np.where(n > 0, n, np.nan)
    middle = (share + z2 / 2) / (1 + z2)
    half = np.sqrt(z2 * (share * (1 - share) + z2 / 4)) / (1 + z2)
    # at 0 and 1 rounding would leave the ends a hair inside
    low = np.where(share <= 0, 0.0 * z2, np.maximum(middle - half, 0.0))
    high = np.where(share >= 1, 1.0 + 0.0 * z2, np.minimum(middle + half, 1.0))
    return low, high


def tail(most: int, n: int, chance: float) -> float:
    """P(Bin(n, chance) <= most)."""
    if most < 0:
        return 0.0
    if most >= n or chance <= 0:
        return 1.0
    if chance >= 1:
        return 0.0
    # by logarithms, because a float cannot hold 171!
    whole, yes, no = math.lgamma(n + 1), math.log(chance), math.log1p(-chance)
    return math.fsum(
        math.exp(whole - math.lgamma(k + 1) - math.lgamma(n - k + 1) + k * yes + (n - k) * no)
        for k in range(most + 1)
    )


def clopper_pearson(right: int, n: int, *, level: float = 0.95) -> Interval:
    """The exact interval for right of n, never too narrow and often too wide."""
    rest = (1 - level) / 2  # the chance that is left to each side
    low, high = 0.0, 1.0
    if right > 0:  # P(X >= right) grows with the chance
        low = _crossing(lambda chance: tail(n - right, n, 1 - chance) - rest, 0.0, right / n)
    if right < n:
        high = _crossing(lambda chance: rest - tail(right, n, chance), right / n, 1.0)
    return low, high


def anytime_band(right: int, n: int, *, level: float = 0.95) -> Interval:
    """An interval for right of n that stays valid however often one looks and stops.

    All chances p for which B(right + 1, n - right + 1) < p^right (1 - p)^(n - right) / (1 - level).
    """
    if not n:
        return 0.0, 1.0
    beta = math.lgamma(right + 1) + math.lgamma(n - right + 1) - math.lgamma(n + 2)
    bound = beta + math.log(1 - level)

    def above(chance: float) -> float:
        yes = right * math.log(chance) if right else 0.0
        return yes + ((n - right) * math.log1p(-chance) if right < n else 0.0) - bound

    tiny, best = 1e-300, right / n  # 0 and 1 themselves have no logarithm
    low = _crossing(above, tiny, best) if right else 0.0
    high = _crossing(lambda chance: -above(chance), best, 1 - 1e-16) if right < n else 1.0
    return low, high


def _crossing(grows: Callable[[float], float], low: float, high: float) -> float:
    """Where a function that grows from low to high is 0."""
    for _ in range(_STEPS):
        middle = (low + high) / 2
        if not low < middle < high:
            break
        low, high = (middle, high) if grows(middle) < 0 else (low, middle)
    return (low + high) / 2


def newcombe(first: tuple[int, int], second: tuple[int, int], *, level: float = 0.95) -> Interval:
    """The difference of two independent shares, each (right, n); Newcombe 1998, method 10."""
    p, q = first[0] / first[1], second[0] / second[1]
    low, high = wilson(p, first[1], level=level)
    other_low, other_high = wilson(q, second[1], level=level)
    # each end has the two errors that move the difference in its direction
    return (
        p - q - math.hypot(p - low, other_high - q),
        p - q + math.hypot(high - p, q - other_low),
    )


def mcnemar(only_first: float, only_second: float) -> float:
    """The exact p that two columns are right equally often (McNemar, two-sided).

    only_first, only_second: rows that one of them alone has right. 1.0 where there are none.
    """
    n, fewer = int(only_first + only_second), int(min(only_first, only_second))
    # both sides together count the middle twice where the counts are equal, and so pass 1
    return min(1.0, 2 * tail(fewer, n, 0.5)) if n else 1.0


def bonett_price(
    only_first: float, only_second: float, n: float, *, level: float = 0.95
) -> Interval:
    """The second's share minus the first's, of the same n rows (Bonett and Price 2012)."""
    # one row more of each kind: counts of 0 must not make an interval without width
    first, second = (only_first + 1) / (n + 2), (only_second + 1) / (n + 2)
    difference = second - first
    half = normal_quantile(level) * math.sqrt((first + second - difference**2) / (n + 2))
    return max(-1.0, difference - half), min(1.0, difference + half)


def changed_rows(
    only_first: float,
    only_second: float,
    n: float,
    *,
    share: float,
    level: float = 0.95,
) -> tuple[float, Interval]:
    """The difference of two columns over all rows, by n reviewed rows of those that differ.

    share: of all rows, those in which the columns differ; the others add nothing to it.
    """
    low, high = bonett_price(only_first, only_second, n, level=level)
    return share * (only_second - only_first) / n, (share * low, share * high)
