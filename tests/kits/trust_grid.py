"""The grids of ``tests.benchmarks.trust``: each cell a figure of many reviews of one world."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from llmframe.quality.scoring.sample import Sample
from llmframe.quality.scoring.score import class_frame, kappa_interval, right_share, weighted_table
from llmframe.quality.scoring.shares import label_table
from llmframe.quality.scoring.threshold import equal_chances
from llmframe.quality.statistics.agreement import kappa
from llmframe.quality.statistics.binomial import bonett_price, changed_rows
from llmframe.quality.statistics.certainty import cut_offs, fixed_sequence
from llmframe.quality.statistics.confusion import metrics, table_of
from llmframe.quality.statistics.samples import stratified
from tests.kits.trust_worlds import CLASSES, World, reviewed, world

ACCURACIES, SIZES, ORDERS = (0.70, 0.85, 0.97), (50, 100, 200), ("random", "design")
LEVEL = 0.95


class Cell(NamedTuple):
    """One figure. met: whether it is within its bound."""

    name: str
    value: str
    met: bool


def worlds(accuracy: float, times: int) -> Iterator[tuple[int, World]]:
    """A seed and a world for each review; the same ones for every size and order."""
    for seed in range(times):
        yield seed, world(accuracy, rng=np.random.default_rng([seed, round(1_000 * accuracy)]))


def covers(accuracy: float, n: int, order: str, times: int) -> tuple[float, float]:
    """How often the accuracy lies in its interval, and how wide that is."""
    held, width = 0, 0.0
    for seed, made in worlds(accuracy, times):
        found = right_share(reviewed(made, n, order, seed), LEVEL)
        held += bool(found.low[0] <= made.right.mean() <= found.high[0])
        width += float(found.high[0] - found.low[0])
    return held / times, width / times


def accuracy_grid(times: int) -> Iterator[Cell]:
    """Cover at least .92 in each cell and .94 on average; by design .95 times as wide at most."""
    found = {}
    for accuracy in ACCURACIES:
        for n in SIZES:
            for order in ORDERS:
                cover, width = found[accuracy, n, order] = covers(accuracy, n, order, times)
                name = f"{accuracy:.2f} right, n={n}, {order}"
                yield Cell(name, f"{cover:.3f} / {width:.3f}", cover >= 0.92)
    mean = float(np.mean([cover for cover, _ in found.values()]))
    yield Cell("mean cover", f"{mean:.3f}", mean >= 0.94)
    ratios = [
        found[a, n, "design"][1] / found[a, n, "random"][1] for a in ACCURACIES for n in SIZES
    ]
    ratio = float(np.mean(ratios))
    yield Cell("width by design / at random", f"{ratio:.3f}", ratio <= 0.95)


def shares_of(accuracy: float, n: int, times: int) -> tuple[np.ndarray, np.ndarray, float]:
    """For each label the cover and width; and how wide the first is by reviewed rows alone."""
    k = len(CLASSES)
    held, width, alone = np.zeros(k), np.zeros(k), 0.0
    for seed, made in worlds(accuracy, times):
        sample = reviewed(made, n, "design", seed)
        said = np.bincount(made.said, minlength=k)
        table = label_table(sample, said[None, :], np.zeros(n, dtype=np.intp), LEVEL)
        true = np.bincount(made.truth, minlength=k) / len(made.truth)
        low, high = table["low"].to_numpy(), table["high"].to_numpy()
        held += (low <= true) & (true <= high)
        width += high - low
        simple = reviewed(made, n, "random", seed)
        ends = stratified(
            simple.sizes, simple.drawn, simple.drawn[:, None],
            np.array([[float((simple.truth == 0).sum())]]),
        )  # fmt: skip
        alone += float(ends.high[0] - ends.low[0])
    return held / times, width / times, alone / times


def shares_grid(times: int) -> Iterator[Cell]:
    """Mean over labels at least .93, the worst .88, .90, .92 for n=50, 100, 200."""
    for accuracy in ACCURACIES:
        for n, worst in zip(SIZES, (0.88, 0.90, 0.92), strict=True):
            cover, width, alone = shares_of(accuracy, n, times)
            value = f"{cover.mean():.3f} ({cover.min():.3f}) / {width[0]:.3f}, {width[-1]:.3f}"
            met = cover.mean() >= 0.93 and cover.min() >= worst
            yield Cell(f"{accuracy:.2f} right, n={n}", value, met)
            if (accuracy, n) == (0.85, 100):
                ratio = width[0] / alone
                yield Cell("  largest label / reviewed rows alone", f"{ratio:.2f}", ratio <= 0.70)


def metrics_grid(times: int) -> Iterator[Cell]:
    """Precision, recall and F1 of the three largest labels, and kappa: at least .90 each."""
    for n in SIZES[1:]:
        for order in ORDERS:
            held: dict[str, list[bool]] = {}
            for seed, made in worlds(0.85, times):
                for name, is_held in _held_metrics(made, reviewed(made, n, order, seed)):
                    held.setdefault(name, []).append(is_held)
            covers = {name: float(np.mean(each)) for name, each in held.items()}
            value = ", ".join(f"{name} {cover:.3f}" for name, cover in covers.items())
            yield Cell(f"0.85 right, n={n}, {order}", value, min(covers.values()) >= 0.90)


def _held_metrics(made: World, sample: Sample) -> Iterator[tuple[str, bool]]:
    k = len(CLASSES)
    whole = table_of(made.truth, made.said, k)
    true = metrics(whole)
    table = weighted_table(sample)
    found = class_frame(sample, table, LEVEL)
    for label in range(3):
        for name in ("precision", "recall", "f1"):
            wanted = getattr(true, name)[label]
            row = found.loc[label]
            yield name, bool(row[f"{name}_low"] <= wanted <= row[f"{name}_high"])
    low, high = kappa_interval(sample, table, LEVEL)
    yield "kappa", low <= kappa(whole) <= high


def threshold_grid(times: int) -> Iterator[Cell]:
    """A promise is broken in at most .05 + 2 se of the reviews; the naive rule breaks it."""
    bound = 0.05 + 2 * (0.05 * 0.95 / times) ** 0.5
    for accuracy, goal in ((0.85, 0.90), (0.85, 0.95), (0.97, 0.95), (0.97, 0.98)):
        for n in (100, 200, 400):
            broken, kept, naive = 0, [], 0
            for seed, made in worlds(accuracy, times):
                found, tempted = _thresholds(made, reviewed(made, n, "design", seed), goal)
                broken += found is not None and _accuracy_above(made, found) < goal
                kept += [] if found is None else [float((made.sure >= found).mean())]
                naive += tempted is not None and _accuracy_above(made, tempted) < goal
            some = f"{len(kept) / times:.2f} / {np.mean(kept) if kept else 0:.2f}"
            value = f"{broken / times:.3f} / {some}; the naive rule {naive / times:.2f}"
            yield Cell(
                f"{accuracy:.2f} right, {goal:.2f} wanted, n={n}", value, broken / times <= bound
            )


def _accuracy_above(made: World, value: float) -> float:
    return float(made.right[made.sure >= value].mean())


def _thresholds(made: World, sample: Sample, goal: float) -> tuple[float | None, float | None]:
    """The threshold found, and the one that "lowest cut-off that looks right" would give."""
    chosen = equal_chances(sample)
    sure = made.sure[sample.at[chosen]]
    right = (sample.said == sample.truth)[chosen]
    found, tried = fixed_sequence(cut_offs(made.sure), sure, right, accuracy=goal, sure=LEVEL)
    fits = [cut.value for cut in tried if cut.reviewed and 1 - cut.wrong / cut.reviewed >= goal]
    return None if found is None else found.value, min(fits, default=None)


def changed_grid(times: int) -> Iterator[Cell]:
    """13 % changed, 3 points better: cover at least .93, width .4 of that of random rows."""
    for n in (50, 100):
        held, width, random = 0, 0.0, 0.0
        for seed in range(times):
            rng = np.random.default_rng([seed, n])
            # of the changed rows: the first alone right, the second alone, neither
            kinds = rng.choice(3, 1_300, p=[0.30, 0.53, 0.17])
            gain = ((kinds == 1).sum() - (kinds == 0).sum()) / 10_000
            drawn = rng.permutation(kinds)[:n]
            a, b = int((drawn == 0).sum()), int((drawn == 1).sum())
            _, (low, high) = changed_rows(a, b, n, share=0.13)
            held += bool(low <= gain <= high)
            width += high - low
            # as many rows of the whole frame, of which 87 % cannot differ
            others = rng.choice(4, n, p=[0.13 * 0.30, 0.13 * 0.53, 0.13 * 0.17, 0.87])
            low, high = bonett_price((others == 0).sum(), (others == 1).sum(), n)
            random += high - low
        ratio = width / random
        value = f"{held / times:.3f} / {width / times:.3f}, {ratio:.2f} of random rows"
        yield Cell(f"n={n}", value, held / times >= 0.93 and ratio <= 0.4)
