"""Intervals hold the truth as often as they say, in worlds whose truth is known.

All seeded, so that a figure is the same on every machine. ``tests/battery/test_trust.py`` has the
whole grids, 1,000 reviews a cell; ``python -m tests.benchmarks.trust`` prints them.
"""

import numpy as np
import pytest

from tests.kits import trust_grid as grid
from tests.kits.trust_worlds import ppi_plus, reviewed, world


@pytest.mark.parametrize("order", grid.ORDERS)
def test_the_interval_of_an_accuracy_holds_it(order):
    cover, width = grid.covers(0.85, 100, order, 80)
    assert cover >= 0.92
    assert 0.10 < width < 0.15


def test_the_interval_of_a_share_holds_it():
    cover, _, _ = grid.shares_of(0.85, 100, 40)
    assert cover.mean() >= 0.93


def test_a_sample_without_its_weights_would_be_wrong():
    found = []
    for seed, made in grid.worlds(0.85, 60):
        sample = reviewed(made, 100, "design", seed)
        found.append(float((sample.said == sample.truth).mean()) - made.right.mean())
    assert np.mean(found) < -0.01


def test_the_least_sure_rows_say_nothing_about_the_others():
    made = world(0.85, rng=np.random.default_rng(0))
    lowest = np.argsort(made.sure)[:100]
    assert made.right[lowest].mean() < 0.6 < 0.8 < made.right.mean()


def test_the_world_is_as_described():
    made = world(0.85, rows=200_000, rng=np.random.default_rng(0))
    assert made.right.mean() == pytest.approx(0.85, abs=0.01)
    order = np.argsort(made.sure)
    ranks = np.empty(len(order))
    ranks[order] = np.arange(len(order))
    right, n = made.right, made.right.sum()
    auroc = (ranks[right].sum() - n * (n - 1) / 2) / (n * (len(order) - n))
    assert 0.75 < auroc < 0.82


def test_prediction_powered_inference_is_as_its_authors_compute_it():
    y, f = (np.array([int(one) for one in text]) for text in ("1101001001", "1100011001"))
    others = np.repeat([1, 0], [300, 700])
    wanted = (0.7038716428, 0.3592256714, 0.1084285822, 0.6100227607)
    assert ppi_plus(y, f, others) == pytest.approx(wanted, abs=1e-9)
