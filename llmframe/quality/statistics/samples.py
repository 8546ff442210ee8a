"""Estimates of all rows by a sample that was drawn in strata, with intervals.

A stratum is a part of the rows from which a number of rows was drawn by chance. Arrays have a row
for each stratum, and where several shares are estimated at once, a column for each.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from llmframe.quality.statistics.binomial import normal_quantile, wilson_many

if TYPE_CHECKING:
    import numpy.typing as npt

    Numbers = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Estimates:
    """Estimated shares, one in each position; NaN where nothing was reviewed.

    effective: the size of a simple sample that would say as much.
    """

    value: Numbers
    low: Numbers
    high: Numbers
    effective: Numbers


def stratified(
    sizes: Numbers,
    drawn: Numbers,
    inside: Numbers,
    right: Numbers,
    *,
    level: float = 0.95,
    finite: bool = True,
    totals: Numbers | None = None,
) -> Estimates:
    """How many of the rows inside a part are right, for each of k parts.

    sizes, drawn: rows and reviewed rows of each of h strata, drawn > 0. inside, right: h x k,
    the reviewed rows that lie in the part, and those of them that are right.
    finite: the reviewed rows are some of these rows; False: all rows are meant, as a sample of
    others like them. totals: rows of each part where that is known, else it is estimated.

    Cochran's stratified mean (1977, chapter 5) in Wilson's form with Korn and Graubard's effective
    n, which holds best for shares near 0 and 1 (Franco et al. 2019). Each stratum's rate is drawn
    a little towards the mean, so that a few rows that are all right do not count as certain.
    """
    part = inside / drawn[:, None]
    rows = sizes[:, None] * part  # how many of the stratum's rows lie in the part
    with np.errstate(divide="ignore", invalid="ignore"):
        if totals is not None:
            # the sample then says only how the rows of a part are spread over the strata
            rows = rows * totals / rows.sum(axis=0)
        weight = rows / rows.sum(axis=0)
        value = _sum(weight * right / inside)
        # one right and one wrong row more: the mean that rates are drawn to is never 0 or 1
        mean = (right.sum(axis=0) + 1) / (inside.sum(axis=0) + 2)
        rate = (right + 2 * mean) / (inside + 2)
        smoothed = _sum(weight * rate)
        # finite population correction: a row that was reviewed has no error
        left = np.maximum(1 - inside / rows, 0) if finite else np.ones_like(rows)
        within = _sum(weight**2 * left * rate * (1 - rate) / inside)
        # how many of a stratum's rows lie in the part is an estimate, too
        between = _sum(weight**2 * left * (1 - part) * (rate - smoothed) ** 2 / inside)
        effective = smoothed * (1 - smoothed) / (within + between)
    effective = np.where(inside.sum(axis=0) > 0, effective, 0.0)
    value = np.where(effective > 0, np.clip(value, 0.0, 1.0), np.nan)
    low, high = wilson_many(value, effective, level=level)
    return Estimates(value, low, high, effective)


def _sum(parts: Numbers) -> Numbers:
    """The sum over strata; those without a reviewed row in the part add nothing."""
    summed: Numbers = np.nansum(parts, axis=0)
    return summed


def widened(found: Estimates, unseen: float) -> Estimates:
    """The shares where a share of the rows lies in strata of which none was reviewed.

    These rows may all be right, or all wrong.
    """
    if not unseen:
        return found
    low, high = (1 - unseen) * found.low, (1 - unseen) * found.high + unseen
    return Estimates(found.value, low, high, found.effective)


def label_shares(said: Numbers, inside: Estimates, outside: Estimates) -> Estimates:
    """How many of all rows truly have each label: MOVER (Zou and Donner 2008) on Wilson's ends.

    said: the share of rows to which the model gave the label, known without error. inside: of
    these rows, those that have it; outside: of all others, those that have it. Where none of
    them was reviewed, anything from 0 to 1 is possible.
    """
    (p, p_low, p_high), (q, q_low, q_high) = (_known(one) for one in (inside, outside))
    value = said * p + (1 - said) * q
    low = value - np.hypot(said * (p - p_low), (1 - said) * (q - q_low))
    high = value + np.hypot(said * (p_high - p), (1 - said) * (q_high - q))
    effective = inside.effective + outside.effective
    return Estimates(value, np.maximum(low, 0.0), np.minimum(high, 1.0), effective)


def _known(found: Estimates) -> tuple[Numbers, Numbers, Numbers]:
    empty = np.isnan(found.value)  # nothing is known: the middle, and nothing is ruled out
    return (
        np.where(empty, 0.5, found.value),
        np.where(empty, 0.0, found.low),
        np.where(empty, 1.0, found.high),
    )


def sample_size(
    weights: Numbers,
    rates: Numbers,
    *,
    rows: float,
    half_width: float,
    allocation: str = "neyman",
    level: float = 0.95,
) -> int:
    """How many rows to review for an interval of +/- half_width (Cochran 1977, 5.25).

    weights, rates: of each stratum its share of the rows, and the share that is right.
    allocation: "neyman" draws most where it varies most, "proportional" by the strata's sizes;
    of one stratum both are a simple random sample.
    """
    spread = np.sqrt(rates * (1 - rates))
    mean_variance = float((weights * spread**2).sum())
    needed = float((weights * spread).sum()) ** 2 if allocation == "neyman" else mean_variance
    # the second term: in a small frame much is reviewed, and that part has no error
    allowed = (half_width / normal_quantile(level)) ** 2 + mean_variance / rows
    return math.ceil(needed / allowed)
