"""What a review knows by now: how right a column is, how precisely, how far people agree."""

from __future__ import annotations

from math import isnan
from typing import TYPE_CHECKING

import numpy as np

from llmframe.notebook.drawing.format import noun, plural
from llmframe.quality.statistics.agreement import ac1, alpha_of_pairs
from llmframe.quality.statistics.samples import Estimates, stratified, widened

if TYPE_CHECKING:
    from llmframe.quality.reviewed import Reviewed


def accuracy_so_far(reviewed: Reviewed) -> Estimates | None:
    """The accuracy with its 95 % interval; None for an order that is no sample, and at first."""
    counted = [
        one
        for one in reviewed.judgements
        # a row that has no answer now is neither right nor wrong, as in a score
        if one.said is not None and not isnan(one.weight)
    ]
    if reviewed.method == "not a sample" or not counted:
        return None
    stratum = np.array([one.stratum for one in counted])
    right = np.array([one.truth == one.said for one in counted], dtype=float)
    sizes = np.array([part.size for part in reviewed.strata], dtype=float)
    drawn = np.bincount(stratum, minlength=len(sizes)).astype(float)
    rights = np.bincount(stratum, weights=right, minlength=len(sizes)).astype(float)
    seen = drawn > 0  # a stratum without a judgement makes the interval wider
    found = stratified(sizes[seen], drawn[seen], drawn[seen][:, None], rights[seen][:, None])
    return widened(found, float(sizes[~seen].sum() / sizes.sum()))


def half_width(reviewed: Reviewed) -> float | None:
    """Half the width of the accuracy's interval; None where none can be had."""
    found = accuracy_so_far(reviewed)
    return None if found is None else float(found.high[0] - found.low[0]) / 2


def agreement_words(reviewed: Reviewed) -> str:
    """How far the judgements of rows that were judged twice agree; "" where none were.

    Of people who each judged the same rows, or of one person with themselves. It is the ceiling:
    no model can be shown to be right more often than people agree.
    """
    first = {one.position: one for one in reviewed.judgements if one.first}
    again = [one for one in reviewed.judgements if not one.first]
    labels = list(dict.fromkeys([*reviewed.labels, *(one.truth for one in reviewed.judgements)]))
    if not again:
        return ""
    table = np.zeros((len(labels), len(labels)))
    for one in again:
        table[labels.index(first[one.position].truth), labels.index(one.truth)] += 1
    people = {one.who for one in again} | {first[one.position].who for one in again}
    between = {1: "the same person", 2: "two people"}.get(len(people), "several people")
    rows = f"{plural(len(again), 'row')} {noun(len(again), 'was', 'were')}"
    return (
        f"{rows} judged twice, by {between}: {np.trace(table):.0f} alike "
        f"(alpha {alpha_of_pairs(table):.2f}, AC1 {ac1(table):.2f})."
    )
