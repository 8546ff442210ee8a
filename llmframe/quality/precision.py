"""How precise a review is so far, without saying how right the column is."""

from __future__ import annotations

from collections import Counter
from math import sqrt
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from llmframe.quality.reviewed import Reviewed

Z = 1.959963984540054


def half_width(reviewed: Reviewed) -> float | None:
    """Half the width of the accuracy's 95 % interval; None where none can be had.

    The variance is the stratified one with the strata's rates drawn towards the whole's, so that
    no stratum counts as certain; the interval is Wilson's with the effective number of rows.
    """
    counted = [
        one
        for one in reviewed.judgements
        if one.first and (one.role == "measure" or reviewed.strata[one.stratum].complete)
    ]
    number = Counter(one.stratum for one in counted)
    if reviewed.method == "not a sample" or not number:
        return None
    right = Counter(one.stratum for one in counted if one.truth == one.said)
    overall = (right.total() + 1) / (len(counted) + 2)
    # strata that have no row yet are taken to be like the others
    total = sum(reviewed.strata[at].size for at in number)
    mean = variance = 0.0
    for at, n in number.items():
        size = reviewed.strata[at].size
        rate = (right[at] + 2 * overall) / (n + 2)
        mean += size / total * rate
        variance += (size / total) ** 2 * max(1 - n / size, 0.0) * rate * (1 - rate) / n
    if not variance:
        return 0.0
    effective = mean * (1 - mean) / variance
    spread = mean * (1 - mean) / effective + Z**2 / (4 * effective**2)
    return Z * sqrt(spread) / (1 + Z**2 / effective)
