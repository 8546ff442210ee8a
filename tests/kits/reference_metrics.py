"""Metrics by their textbook definitions, row by row: what scikit-learn computes, in plain loops."""

from __future__ import annotations

import math
import random
from typing import NamedTuple


class Case(NamedTuple):
    """Rows with a truth, an answer and a weight. labels: how many, some of them unseen."""

    labels: int
    truth: list[int]
    said: list[int]
    weights: list[float]


def random_case(seed: int) -> Case:
    """A few rows, often with labels that no row has or that were never given."""
    rng = random.Random(seed)
    labels, n = rng.randint(1, 7), rng.randint(1, 40)
    true = rng.sample(range(labels), rng.randint(1, labels))
    given = rng.sample(range(labels), rng.randint(1, labels))
    truth = [rng.choice(true) for _ in range(n)]
    said = [t if rng.random() < 0.6 else rng.choice(given) for t in truth]
    return Case(labels, truth, said, [rng.choice((1.0, 2.5, rng.random() + 0.01)) for _ in truth])


def ratio(over: float, under: float) -> float:
    return over / under if under else math.nan


def by_label(case: Case) -> list[dict[str, float]]:
    """Support, precision, recall and F1 of each label."""
    rows = list(zip(case.truth, case.said, case.weights, strict=True))
    found = []
    for label in range(case.labels):
        hit = math.fsum(w for t, s, w in rows if t == s == label)
        missed = math.fsum(w for t, s, w in rows if t == label != s)
        false = math.fsum(w for t, s, w in rows if s == label != t)
        found.append(
            {
                "support": hit + missed,
                "precision": ratio(hit, hit + false),
                "recall": ratio(hit, hit + missed),
                "f1": ratio(2 * hit, 2 * hit + missed + false),
            }
        )
    return found


def means(case: Case) -> tuple[float, float, float]:
    """Accuracy, macro F1 over the labels that occur, F1 weighted by support."""
    labels = by_label(case)
    total = math.fsum(case.weights)
    right = math.fsum(w for t, s, w in zip(*case[1:], strict=True) if t == s)
    seen = [one["f1"] for at, one in enumerate(labels) if at in {*case.truth, *case.said}]
    weighted = math.fsum(one["support"] * one["f1"] for one in labels if one["support"])
    return right / total, math.fsum(seen) / len(seen), weighted / total


def kappa(case: Case) -> float:
    """Cohen's kappa: 1 - disagreement seen over disagreement by chance."""
    rows = list(zip(case.truth, case.said, case.weights, strict=True))
    total = math.fsum(case.weights)
    seen = math.fsum(w for t, s, w in rows if t != s) / total
    chance = math.fsum(w * v for t, _, w in rows for _, s, v in rows if t != s) / total**2
    return 1 - seen / chance if chance else math.nan
