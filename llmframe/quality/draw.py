"""Which rows a person is asked about, drawn so that an accuracy with an interval can be had.

Pure: arrays in, positions out. Each row has a random number that depends on the seed and on its
text alone, so the draw is the same after a sort, after a kill, and when more rows are wanted
later. Strata take turns in an order that no answer influences: whoever stops early has a valid
sample too.
"""

from __future__ import annotations

import heapq
from dataclasses import replace
from itertools import pairwise
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from llmframe.quality.reviewed import OUTSIDE, Cell, Part

if TYPE_CHECKING:
    from collections.abc import Container, Iterator, Sequence

    import numpy.typing as npt

    from llmframe.quality.reviewed import Role

    Ints: TypeAlias = npt.NDArray[np.int64]
    Floats: TypeAlias = npt.NDArray[np.float64]
    Bools: TypeAlias = npt.NDArray[np.bool_]
    Hashes: TypeAlias = npt.NDArray[np.uint64]

FLOOR = 2  # rows of every stratum that come before all others: one has no spread
PER_STRATUM = 4  # planned rows for each stratum, so that the floor takes half of them at most
# of the rows of order="both": at 85 % right, twice the errors of a random sample are found, and
# its interval is a sixth wider (simulated)
LEAST_SURE = 0.3
_GOLDEN = 0x9E3779B97F4A7C15  # 2**64 divided by the golden ratio, the step of SplitMix64
CONFIDENT = (0.5, 0.95)  # mean confidences are cut to this range, because models are overconfident


def random_numbers(keys: Hashes, occurrence: Ints, seed: int) -> Hashes:
    """One random number a row; equal texts have different ones.

    keys: hashes of the texts. occurrence: 0 for the first row with a text, 1 for the second, ...
    """
    salt = np.array([seed % 2**64], dtype=np.uint64)
    return _mixed(_mixed(keys ^ _mixed(salt)) + occurrence.astype(np.uint64))


def _mixed(numbers: Hashes) -> Hashes:
    """The SplitMix64 finaliser (Steele, Lea, Flood 2014): neighbours become unrelated numbers."""
    mixed = numbers + np.uint64(_GOLDEN)
    mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return mixed ^ (mixed >> np.uint64(31))


def design(said: Ints, sure: Floats | None, n: int) -> list[Part]:
    """Strata by label and confidence, at most n / 4, with their shares of the drawn rows.

    said: the label's code of each row, negative outside the population. sure: the confidences.
    """
    parts = [Part((cell,), 0, 0.0) for cell in _cells(said, sure)]
    counted = np.bincount(assigned(parts, said, sure) + 1, minlength=len(parts) + 1)[1:]
    sized = [replace(part, size=int(size)) for part, size in zip(parts, counted, strict=True)]
    parts = _merged([part for part in sized if part.size], max(n // PER_STRATUM, 1))
    sizes = np.array([part.size for part in parts], dtype=float)
    spread = sizes * _spreads(assigned(parts, said, sure), sure, len(parts))
    # half by size, half by where errors are expected: a wrong guess costs little
    shares = 0.5 * sizes / sizes.sum() + 0.5 * spread / spread.sum()
    return [replace(part, share=float(each)) for part, each in zip(parts, shares, strict=True)]


def _cells(said: Ints, sure: Floats | None) -> Iterator[Cell]:
    """For each label its less sure third and the rest, or one cell where it has no such parts."""
    order = np.argsort(said, kind="stable") if sure is None else np.lexsort((sure, said))
    order = order[said[order] >= 0]
    labels, starts = np.unique(said[order], return_index=True)
    for label, rows in zip(labels.tolist(), np.split(order, starts[1:]), strict=True):
        known = rows[:0].astype(float) if sure is None else sure[rows][~np.isnan(sure[rows])]
        # lexsort has sorted them: the last is the highest
        lower = known[known < known[-1]] if len(known) else known
        if not len(lower):
            yield Cell(label)
            continue
        # where most rows have the highest confidence, the less sure ones are all below it
        cut = float(min(known[(len(known) - 1) // 3], lower[-1]))
        yield Cell(label, "low", cut)
        yield Cell(label, "rest", cut)


def _merged(parts: list[Part], most: int) -> list[Part]:
    """The parts, the smallest joined until there are few enough.

    The two parts of a label are joined before different labels are.
    """
    alive = dict(enumerate(parts))
    of_label: dict[int, list[int]] = {}
    for at, part in alive.items():
        of_label.setdefault(part.cells[0].label, []).append(at)
    heap = [(part.size, at) for at, part in alive.items()]
    heapq.heapify(heap)
    while len(alive) > most:
        smallest = alive.pop(_smallest(heap, alive))
        siblings = [at for at in of_label.get(smallest.cells[0].label, ()) if at in alive]
        single = len(smallest.cells) == 1
        other = alive.pop(siblings[0] if single and siblings else _smallest(heap, alive))
        at = len(parts) + len(alive)  # falls with every step, so no two parts share it
        alive[at] = Part((*smallest.cells, *other.cells), smallest.size + other.size, 0.0)
        heapq.heappush(heap, (alive[at].size, at))
    return [alive[at] for at in sorted(alive)]


def _smallest(heap: list[tuple[int, int]], alive: Container[int]) -> int:
    """The smallest part that was not joined to another yet."""
    while True:
        _, at = heapq.heappop(heap)
        if at in alive:
            return at


def _spreads(stratum: Ints, sure: Floats | None, count: int) -> Floats:
    """The standard deviation of "is right" that each stratum's mean confidence suggests."""
    # without confidences all strata are expected to err alike
    means = np.full(count, np.mean(CONFIDENT))
    for at in range(count if sure is not None else 0):
        known = sure[stratum == at] if sure is not None else np.empty(0)
        known = known[~np.isnan(known)]
        # a stratum without any is expected to err most, so that it is drawn from
        means[at] = known.mean() if len(known) else CONFIDENT[0]
    right = np.clip(means, *CONFIDENT)
    return np.asarray(np.sqrt(right * (1 - right)))


def simple(said: Ints) -> list[Part]:
    """The whole population as one stratum."""
    return [Part((Cell(),), int((said >= 0).sum()), 1.0)]


def assigned(parts: Sequence[Part], said: Ints, sure: Floats | None) -> Ints:
    """Each row's stratum; OUTSIDE where it has none."""
    cells = [(at, cell) for at, part in enumerate(parts) for cell in part.cells]
    count = max([*(cell.label for _, cell in cells), int(said.max(initial=0)), 0]) + 1
    low, rest = np.full((2, count + 1), OUTSIDE, dtype=np.int64)  # the last is for no label
    cut = np.zeros(count + 1)
    for at, cell in cells:
        where = slice(0, count) if cell.label == OUTSIDE else cell.label
        if cell.part != "rest":
            low[where] = at
        if cell.part != "low":
            rest[where] = at
        cut[where] = cell.cut
    codes = np.where(said < 0, count, said)
    if sure is None:
        return low[codes]
    # a row without a confidence is one of the less sure ones
    return np.where(sure > cut[codes], rest[codes], low[codes])


def turns(parts: Sequence[Part], n: int, seed: int) -> list[int]:
    """The strata of the first n drawn rows, in their order; fewer if there are not so many rows.

    The floor first, then whichever stratum is furthest behind its share (Sainte-Laguë); a longer
    list begins with every shorter one.
    """
    # by chance, or a review that stops early would always lack the same labels
    numbers = random_numbers(np.arange(len(parts), dtype=np.uint64), np.zeros(1, np.int64), seed)
    order = [int(at) for at in np.argsort(numbers, kind="stable")]
    found: list[int] = []
    for at_least in range(FLOOR):
        found += [at for at in order if parts[at].size > at_least]
    taken = [min(part.size, FLOOR) for part in parts]
    # odd divisors round to the nearest share; 1, 2, 3, ... would favour large strata
    heap = [(-part.share / (2 * taken[at] + 1), at) for at, part in enumerate(parts)]
    heapq.heapify(heap)
    while len(found) < n and heap:
        _, at = heapq.heappop(heap)
        if taken[at] < parts[at].size:
            found.append(at)
            taken[at] += 1
            heapq.heappush(heap, (-parts[at].share / (2 * taken[at] + 1), at))
    return found[:n]


def roles(strata: Sequence[int], parts: Sequence[Part], learn: float) -> list[Role]:
    """What each drawn row is for, decided before anyone looks at it.

    learn: the share that is set aside to learn from; no stratum's first rows are.
    """
    measuring, owed = [0] * len(parts), 0.0
    found: list[Role] = []
    for at in strata:
        owed += 0.0 if parts[at].complete else learn
        # a hair below 1: ten times 0.1 does not reach it
        is_learn = parts[at].complete or (owed > 1 - 1e-9 and measuring[at] >= FLOOR)
        owed -= is_learn and not parts[at].complete
        measuring[at] += not is_learn
        found.append("learn" if is_learn else "measure")
    return found


def in_turn(strata: Sequence[int], stratum: Ints, numbers: Hashes) -> list[int]:
    """The position of the row for each turn, OUTSIDE where a stratum has no row left.

    stratum: of each row; OUTSIDE for rows that cannot be drawn (any more).
    """
    order = np.lexsort((numbers, stratum))
    starts = np.searchsorted(stratum[order], np.arange(max(strata, default=0) + 2))
    following: list[Any] = [iter(order[begin:end]) for begin, end in pairwise(starts)]
    return [int(next(following[at], OUTSIDE)) for at in strata]


def least_sure(said: Ints, sure: Floats, numbers: Hashes) -> Ints:
    """The positions of the population, those with the lowest confidence (or none) first."""
    order = np.lexsort((numbers, np.where(np.isnan(sure), -np.inf, sure)))
    return order[said[order] >= 0]
