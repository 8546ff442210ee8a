"""From what is recorded to what the statistics need: ``find_reviewed(df, field)``."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from math import nan
from typing import TYPE_CHECKING, Any

import numpy as np

from llmframe.quality import draw as pure
from llmframe.quality.cases import Cases, file_name
from llmframe.quality.records import SKIPS, Draw, Records
from llmframe.quality.reviewed import SAMPLES, Judgement, Reviewed

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd

    from llmframe.quality.draw import Ints
    from llmframe.quality.records import Given
    from llmframe.quality.reviewed import Order, Part


def find_reviewed(
    df: pd.DataFrame, field: object, *, order: Order | None = None, against: str | None = None
) -> Reviewed | None:
    """What people judged of a field, as the statistics need it; None if nobody judged any of it.

    Of several draws the one that a score can be had of is taken, first one of the column's own
    prompt, then the one with the most judgements. order, against: only draws like these.
    Raises PlanError if there is no such column, CheckpointError if a file cannot be read.
    """
    cases = Cases(df, field)
    records = records_of(cases, former=True)
    own = {id(draw) for draw in records.own.draws.values()}
    ranked = []
    for draw in records.draws():
        of_order = order is None or draw.header.get("order") == order
        of_column = against is None or draw.header.get("against") == against
        one = reviewed(cases, records, draw)
        if of_order and of_column and one.judgements:
            rank = one.method != "not a sample", id(draw) in own, len(one.measured)
            ranked.append((rank, one))
    ranked.sort(key=lambda pair: pair[0])  # a stable sort: the newest of equals is the last
    return ranked[-1][1] if ranked else None


def records_of(cases: Cases, *, former: bool = False) -> Records:
    """All that is recorded about the question that a column answers.

    former: in an earlier working directory, too. A score finds a review again after an
    ``os.chdir``; a new review belongs to the folder where it is begun.
    """
    records = Records(cases.question, file_name(cases.question, cases.task), former=former)
    draws = records.draws()
    if not cases.task:  # attrs are lost by many operations of pandas
        any(cases.read_inputs(draw.header.get("inputs")) for draw in reversed(draws))
    if cases.is_verdict and draws and not draws[-1].header.get("verdict"):
        cases.read_as(draws[-1].labels)
    return records


def reviewed(
    cases: Cases,
    records: Records,
    draw: Draw,
    *,
    limit: int | None = None,
    there: dict[Any, int] | None = None,
) -> Reviewed:
    """One draw with its judgements, on the frame as it is now.

    limit: rows of it, None for all. there: the positions of its rows, where they are known; the
    strata of all other rows are then left out, because finding them takes longer than a key.
    """
    header, first = draw.header, records.first()
    parts, rows = draw.parts(cases.labels), draw.rows[:limit]
    is_own = records.own.draws.get(draw.id) is draw
    stratum_of = None
    if there is None:
        there = cases.find([(row.key, row.occurrence) for row in rows])
        stratum_of = _stratum_of(cases, draw, parts, there) if is_own else None
    if stratum_of is not None:  # of a part of the frame, the rows of that part alone count
        now_in = [int(np.count_nonzero(stratum_of == at)) for at in range(len(parts))]
        sizes = [min(part.size, size) for part, size in zip(parts, now_in, strict=True)]
        parts = [replace(part, size=size) for part, size in zip(parts, sizes, strict=True)]
    judged: list[Judgement] = []
    for turn, row in enumerate(rows[: reached(draw, first, limit)]):
        position, known = there.get((row.key, row.occurrence)), first.get(row.key)
        if position is not None and known is not None:
            judged += _judgements(cases, draw, turn, position, known)
    now = int((cases.said >= 0).sum())
    return Reviewed(
        judgements=_weighted(judged, parts, str(header["order"])),
        strata=tuple(parts),
        order=header["order"],
        labels=cases.labels,
        added=max(now - int(header["population"]), 0) if is_own else 0,
        # put last so often that they are not shown any more
        undecided=sum(
            times >= SKIPS and draw.rows[turn].key not in first
            for turn, times in draw.skipped.items()
        ),
        is_verdict=cases.is_verdict,
        stratum_of=stratum_of,
    )


def reached(draw: Draw, first: dict[int, Given], limit: int | None) -> int:
    """How many rows of the draw had their turn.

    A text further down that an earlier review happens to have judged does not count yet: which
    texts those are is not random.
    """
    rows = draw.rows[:limit]
    turns = [turn for turn, given in draw.judged.items() if given]
    turns += [turn for turn, times in draw.skipped.items() if times]
    end = max((turn + 1 for turn in turns if turn < len(rows)), default=0)
    # what is known already is not asked, so the order has passed it as well
    while end < len(rows) and rows[end].key in first:
        end += 1
    return end


def _judgements(
    cases: Cases, draw: Draw, turn: int, position: int, known: Given
) -> list[Judgement]:
    """The first judgement of a row's text, then those that repeat it."""
    row, own = draw.rows[turn], draw.judged.get(turn, [])
    # in either review: a text that may have become an example must not measure
    learns = "learn" in (row.role, known.role)
    one = Judgement(
        position,
        said=cases.label_said(position),
        truth=known.truth,
        stratum=row.stratum,
        role="learn" if learns else "measure",
        who=known.who,
    )
    repeats = [
        replace(one, truth=again.truth, who=again.who, first=False)
        for again in own
        if again is not known
    ]
    return [one, *repeats]


def _weighted(
    judged: Sequence[Judgement], parts: Sequence[Part], order: str
) -> tuple[Judgement, ...]:
    """The judgements with the number of rows that each stands for."""

    def counts(one: Judgement) -> bool:
        drawn = one.role == "measure" or parts[one.stratum].complete
        return one.first and drawn and order in (*SAMPLES, "changed")

    number = Counter(one.stratum for one in judged if counts(one))
    return tuple(
        replace(one, weight=parts[one.stratum].size / number[one.stratum] if counts(one) else nan)
        for one in judged
    )


def _stratum_of(
    cases: Cases, draw: Draw, parts: Sequence[Part], there: dict[Any, int]
) -> Ints | None:
    needs_confidence = any(cell.part for part in parts for cell in part.cells)
    if draw.header["order"] not in SAMPLES or (needs_confidence and cases.sure is None):
        return None
    stratum = pure.assigned(parts, cases.said, cases.sure)
    # a complete stratum has no rule that assigns rows: it is the rows that were drawn for it
    for row in draw.rows:
        position = there.get((row.key, row.occurrence))
        if position is not None and parts[row.stratum].complete:
            stratum[position] = row.stratum
    return stratum
