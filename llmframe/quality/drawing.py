"""From the options of a review to its draw: an old one that goes on, or a new one."""

from __future__ import annotations

import json
import time
from dataclasses import KW_ONLY, dataclass, replace
from hashlib import blake2b
from numbers import Real
from typing import TYPE_CHECKING, Any, get_args

import numpy as np

from llmframe.errors import PlanError
from llmframe.options.rules import is_int
from llmframe.quality import draw as pure
from llmframe.quality.cases import AGREEMENT
from llmframe.quality.records import Draw, DrawnRow, read_header
from llmframe.quality.reviewed import OUTSIDE, Cell, Order, Part
from llmframe.quality.suspects import suspects

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from llmframe.quality.cases import Cases
    from llmframe.quality.draw import Floats, Hashes, Ints
    from llmframe.quality.records import Records

SAMPLED = ("design", "random", "both", "changed")  # orders that draw at random
MOST = 0.9  # of the rows of a draw are in a frame that it was made from; a few may be dropped
BLIND = SAMPLED  # a label that is shown draws people towards it


@dataclass(frozen=True, slots=True)
class Wish:
    """What a review shall draw; see ``df.llm.review``."""

    n: int
    _: KW_ONLY
    order: Order
    against: Any = None
    learn: float = 0.0
    seed: int = 0

    def check(self) -> None:
        """Raise PlanError for what cannot be drawn."""
        if self.order not in get_args(Order):
            known = ", ".join(map(repr, get_args(Order)))
            raise PlanError(f"order={self.order!r} is none of {known}")
        if not is_int(self.n, 1):
            raise PlanError(f"n={self.n!r}: give the number of rows to judge, such as n=100")
        if not isinstance(self.seed, int):
            raise PlanError(f"seed={self.seed!r} is no whole number")
        if not is_share(self.learn) or self.learn == 1:
            raise PlanError(f"learn={self.learn!r} is a share of the rows: from 0 to below 1")
        if self.order == "changed" and self.against is None:
            raise PlanError('order="changed" needs against=, the column to compare with')


def is_share(value: object) -> bool:
    """Whether this is a number from 0 to 1."""
    return isinstance(value, Real) and 0 <= float(value) <= 1


def open_draw(cases: Cases, records: Records, wish: Wish) -> Draw:
    """The draw that the wish describes, with at least n rows where there are as many.

    One that was begun goes on: its rows stay, and more are drawn behind them.
    """
    named = [
        wish.order,
        wish.seed,
        wish.learn,
        str(cases.against),
        cases.question,
        cases.is_verdict,
    ]
    base = blake2b(json.dumps(named, default=str).encode(), digest_size=4).hexdigest()
    begun = [one for one in records.own.draws.values() if one.header.get("base") == base]
    old = next((one for one in reversed(begun) if _is_of(one, cases)), None)
    if old is not None and len(old.rows) >= wish.n:
        return old
    rows, parts = _drawn(cases, records, wish, old)
    if not rows:
        raise PlanError(_nothing(cases, wish))
    if old is not None and len(rows) == len(old.rows):  # there are no more
        return old
    name = f"{base}-{len(begun) + 1}" if old is None else old.id
    header = {"draw": name, "base": base, **_described(cases, wish)}
    if old is not None:  # it goes on as it began
        header |= {key: old.header[key] for key in ("population", "labels", "strata")}
    else:
        header["strata"] = _strata(cases, parts)
    header["rows"] = [[f"{row.key:016x}", row.occurrence, row.stratum, row.role] for row in rows]
    return read_header(header) if old is None else replace(old, header=header, rows=rows)


def _is_of(draw: Draw, cases: Cases) -> bool:
    """Whether a draw was made from this frame, and not from one of which this is a part."""
    there = cases.find([(row.key, row.occurrence) for row in draw.rows])
    now, then = int((cases.said >= 0).sum()), int(draw.header["population"])
    return len(there) >= MOST * len(draw.rows) and now >= MOST * then


def _nothing(cases: Cases, wish: Wish) -> str:
    if not (cases.said >= 0).any():
        return f"no row of {cases.field!r} has a label yet; tag the frame first"
    if wish.order == "changed":
        return f"no row has different labels in {cases.field!r} and {wish.against!r}"
    left = f'no row is left for order="{wish.order}"'
    if wish.order == "disagreement":
        against = "all votes" if wish.against is None else f"{cases.field!r} and {wish.against!r}"
        return f"{left}: {against} agree, but for rows that were judged, or are drawn already"
    return f"{left}: all of them were judged, or are drawn already"


def _described(cases: Cases, wish: Wish) -> dict[str, Any]:
    """A header's first part: what was drawn from, and how."""
    return {
        "version": 1,
        "field": cases.field,
        "question": cases.question,
        "task": cases.task,
        "order": wish.order,
        "seed": wish.seed,
        "planned": wish.n,
        "learn": wish.learn,
        "against": cases.against,
        "population": int((cases.said >= 0).sum()),
        "inputs": cases.input_names,
        "labels": list(cases.labels),
        "verdict": cases.is_verdict,
        "when": round(time.time(), 3),
    }


def _strata(cases: Cases, parts: Sequence[Part]) -> list[dict[str, Any]]:
    def label(cell: Cell) -> Any:
        return None if cell.label == OUTSIDE else cases.labels[cell.label]

    return [
        {
            "size": part.size,
            "share": part.share,
            "cells": [[label(cell), cell.part, cell.cut] for cell in part.cells],
            **({"complete": True} if part.complete else {}),
        }
        for part in parts
    ]


def _drawn(
    cases: Cases, records: Records, wish: Wish, old: Draw | None
) -> tuple[list[DrawnRow], list[Part]]:
    numbers = pure.random_numbers(cases.keys, cases.occurrence, wish.seed)
    reserved = {row.key: row.role for one in records.draws() for row in one.rows}
    if wish.order not in SAMPLED:
        taken = [*reserved, *records.first()]
        return _to_mend(cases, wish, numbers, old, taken), pure.simple(cases.said)
    # what was mended may have become an example: it must not measure any more
    used = [key for key, role in reserved.items() if role == "learn"]
    said = np.where(np.isin(cases.keys, _hashes(used)), OUTSIDE, _population(cases, wish))
    if not (said >= 0).any():
        return [] if old is None else old.rows, []
    stratum, parts = _stratified(cases, wish, said, numbers, old)
    sequence = pure.turns(parts, wish.n, wish.seed)
    begun = [] if old is None else old.rows
    later = slice(len(begun), None)
    if begun:
        there = cases.find([(row.key, row.occurrence) for row in begun])
        stratum[[*there.values()]] = OUTSIDE
    positions = pure.in_turn(sequence[later], stratum, numbers)
    # of the whole sequence: what a row is for depends on those that were drawn before it
    roles = pure.roles(sequence, parts, wish.learn)[later]
    more = [
        _row(cases, position, where, role)
        for where, position, role in zip(sequence[later], positions, roles, strict=True)
        if position != OUTSIDE
    ]
    return [*begun, *more], parts


def _hashes(keys: Iterable[int]) -> Hashes:
    return np.array([*keys], dtype=np.uint64)


def _row(cases: Cases, position: int, stratum: int, role: Any) -> DrawnRow:
    return DrawnRow(int(cases.keys[position]), int(cases.occurrence[position]), stratum, role)


def _population(cases: Cases, wish: Wish) -> Ints:
    """The codes of the labels, OUTSIDE for rows that are not drawn from."""
    if wish.order != "changed":
        return cases.said
    differs = (cases.other >= 0) & (cases.other != cases.said)
    return np.where(differs, cases.said, OUTSIDE)


def _stratified(
    cases: Cases, wish: Wish, said: Ints, numbers: Hashes, old: Draw | None
) -> tuple[Ints, list[Part]]:
    """Each row's stratum, and the strata: those of the old draw, or new ones."""
    if old is not None:
        parts = old.parts(cases.labels)
    elif wish.order == "design":
        parts = pure.design(said, cases.sure, wish.n)
    else:
        parts = pure.simple(said)
    stratum = pure.assigned(parts, said, cases.sure)
    if wish.order == "both" and old is None:
        return _with_least_sure(cases, wish, stratum, numbers)
    return stratum, parts


def _with_least_sure(
    cases: Cases, wish: Wish, stratum: Ints, numbers: Hashes
) -> tuple[Ints, list[Part]]:
    """Two strata: the least sure rows, all of which are drawn, and all others."""
    sure = _needed(cases.sure, wish)
    least = pure.least_sure(np.where(stratum < 0, OUTSIDE, cases.said), sure, numbers)
    chosen = least[: min(round(pure.LEAST_SURE * wish.n), len(least) - 1)]
    if not len(chosen):
        return stratum, pure.simple(cases.said)
    stratum[chosen] = 1
    # one more than there are, so that none is left when the planned rows are drawn
    share = (len(chosen) + 1) / wish.n
    rest = Part((Cell(),), len(least) - len(chosen), 1 - share)
    return stratum, [rest, Part((), len(chosen), share, complete=True)]


def _needed(sure: Floats | None, wish: Wish) -> Floats:
    if sure is None:
        raise PlanError(
            f'order="{wish.order}" needs a confidence, and the frame has none for this field: tag '
            'with confidence="logprob" or votes=3, or review with order="design"'
        )
    return sure


def _to_mend(
    cases: Cases, wish: Wish, numbers: Hashes, old: Draw | None, taken: Sequence[int]
) -> list[DrawnRow]:
    """The rows that most likely are wrong, each text once; no sample."""
    begun = [] if old is None else old.rows
    order = _suspicious(cases, wish, numbers)
    order = order[~np.isin(cases.keys[order], _hashes(taken))]
    _, first = np.unique(cases.keys[order], return_index=True)
    more = order[np.sort(first)][: wish.n - len(begun)]
    return [*begun, *(_row(cases, int(position), 0, "learn") for position in more)]


def _suspicious(cases: Cases, wish: Wish, numbers: Hashes) -> Ints:
    """Positions in the population, the most suspicious first."""
    if wish.order == "confidence":
        return pure.least_sure(cases.said, _needed(cases.sure, wish), numbers)
    if wish.order == "disagreement":
        if wish.against is not None:
            said = _population(cases, replace(wish, order="changed"))
            unknown = np.full(len(said), np.nan)
            return pure.least_sure(said, unknown if cases.sure is None else cases.sure, numbers)
        agreement = cases.numbers(AGREEMENT)
        if agreement is None:
            raise PlanError(
                f'order="disagreement" needs votes, and the frame has no column '
                f"{cases.field + AGREEMENT!r}: tag with votes=3, or give against=, a column to "
                "compare with"
            )
        return pure.least_sure(np.where(agreement < 1, cases.said, OUTSIDE), agreement, numbers)
    # "suspects": those with a reason first, then the others by confidence, else by rare labels
    frequency = np.bincount(cases.said[cases.said >= 0], minlength=len(cases.labels))
    rare = frequency[np.maximum(cases.said, 0)].astype(float)
    others = pure.least_sure(cases.said, rare if cases.sure is None else cases.sure, numbers)
    if cases.is_verdict:  # answers that are no labels cannot contradict each other
        return others
    found = suspects(cases.df, cases.field)["position"].to_numpy(dtype=np.int64)
    return np.concatenate([found, others[~np.isin(others, found)]])
