"""Frames with a known truth, reviewed a thousand times: does an interval keep its promise?

The world of the grid: 10,000 rows, six labels with 42 to 2 % of them, errors that mostly go to
the largest label, rare labels harder, and a confidence that is too high (AUROC about 0.78).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from llmframe.quality import draw
from llmframe.quality.scoring.sample import Sample

CLASSES = np.array([0.42, 0.25, 0.16, 0.10, 0.05, 0.02])
HARDER = np.array([0.7, 0.9, 1.1, 1.4, 1.8, 2.2])  # how much more often a label is wrong
TO_LARGEST = 0.7  # of the errors


@dataclass(frozen=True)
class World:
    """All rows: what is true, what the model said, how sure it was."""

    truth: np.ndarray
    said: np.ndarray
    sure: np.ndarray

    @property
    def right(self) -> np.ndarray:
        return self.said == self.truth


def world(accuracy: float, *, rows: int = 10_000, rng: np.random.Generator) -> World:
    """A frame whose labels are right with this chance."""
    truth = rng.choice(len(CLASSES), rows, p=CLASSES)
    wrong = np.minimum(HARDER * (1 - accuracy) / float(CLASSES @ HARDER), 0.95)
    missed = rng.random(rows) < wrong[truth]
    other = (truth + rng.integers(1, len(CLASSES), rows)) % len(CLASSES)
    to_largest = (rng.random(rows) < TO_LARGEST) & (truth != 0)
    said = np.where(missed, np.where(to_largest, 0, other), truth)
    logit = rng.normal(np.where(missed, 1.6, 3.0), 1.3)
    return World(truth, said, 1 / (1 + np.exp(-logit)))


def reviewed(made: World, n: int, order: str, seed: int) -> Sample:
    """n rows of it judged by somebody who is always right."""
    said = made.said.astype(np.int64)
    parts = draw.simple(said) if order == "random" else draw.design(said, made.sure, n)
    stratum = draw.assigned(parts, said, made.sure)
    keys = np.arange(len(said), dtype=np.uint64)
    numbers = draw.random_numbers(keys, np.zeros(len(said), np.int64), seed)
    turns = draw.turns(parts, n, seed)
    at = np.array(draw.in_turn(turns, stratum, numbers))
    return Sample(
        method="random" if order == "random" else "design",
        labels=tuple(range(len(CLASSES))),
        at=at,
        said=made.said[at],
        truth=made.truth[at],
        stratum=stratum[at],
        sizes=np.array([part.size for part in parts], dtype=float),
    )


def ppi_plus(y: np.ndarray, f: np.ndarray, others: np.ndarray) -> tuple[float, float, float, float]:
    """PPI++ for a mean (arXiv 2311.01453): lambda, estimate and its normal 95 % interval.

    y, f: truth and guess of the reviewed rows; others: the guesses of all others.
    """
    n, rows = len(y), len(others)
    spread = np.var(np.concatenate([f, others]), ddof=1)
    covariance = float(np.mean((y - y.mean()) * (f - f.mean())))
    weight = float(np.clip(covariance / ((1 + n / rows) * spread), 0, 1)) if spread else 0.0
    estimate = float(np.mean(y - weight * f) + weight * others.mean())
    error = math.sqrt(np.var(y - weight * f) / n + weight**2 * np.var(others) / rows)
    return (
        weight,
        estimate,
        estimate - 1.959963984540054 * error,
        estimate + 1.959963984540054 * error,
    )
