"""Kappa, AC1 and alpha, against published values."""

import math

import numpy as np
import pytest

from llmframe.quality.statistics.agreement import (
    ac1,
    alpha,
    alpha_of_pairs,
    kappa,
    kappa_error,
    kappa_influence,
)

EXACT = {"abs": 1e-9, "rel": 0}
# Krippendorff 2011: four observers, twelve units, a blank where one gave no label
OBSERVERS = ("123321412   ", "1233224125 3", " 3332342251 ", "12332441251 ")


def test_kappa_and_its_error():
    table = np.array([[20.0, 5.0], [10.0, 15.0]])
    assert kappa(table) == pytest.approx(0.4, abs=1e-12)
    assert kappa_error(table) == pytest.approx(0.1269960629, **EXACT)
    half = 1.959963984540054 * kappa_error(table)
    ends = (0.4 - half, 0.4 + half)
    assert ends == pytest.approx((0.1510922905, 0.6489077095), **EXACT)


def test_what_one_row_adds_to_kappa_is_0_on_average():
    table = np.array([[9.0, 2.0, 1.0], [0.0, 6.0, 3.0], [2.0, 2.0, 5.0]])
    assert (table * kappa_influence(table)).sum() == pytest.approx(0.0, abs=1e-12)
    more = table.copy()
    more[0, 2] += 1e-6
    step = (kappa(more) - kappa(table)) / 1e-6
    assert kappa_influence(table)[0, 2] / table.sum() == pytest.approx(step, rel=1e-5)


def test_ac1_is_sensible_where_kappa_is_not():
    table = np.array([[118.0, 5.0], [2.0, 0.0]])
    assert ac1(table) == pytest.approx(0.9407763376, **EXACT)
    assert kappa(table) == pytest.approx(-0.0233918129, **EXACT)


def test_one_label_alone_leaves_agreement_beyond_chance_open():
    table = np.array([[7.0]])
    found = (kappa(table), kappa_error(table), ac1(table), alpha_of_pairs(table))
    assert all(map(math.isnan, found))


def test_alpha():
    counts = np.zeros((12, 5))
    for line in OBSERVERS:
        for unit, label in enumerate(line):
            if label != " ":
                counts[unit, int(label) - 1] += 1
    assert alpha(counts) == pytest.approx(0.7434210526, **EXACT)


def test_alpha_of_two_observers_is_the_same_by_the_table():
    table = np.array([[4.0, 1.0, 0.0], [2.0, 3.0, 0.0], [0.0, 1.0, 2.0]])
    counts = [
        np.bincount([a, b], minlength=3) for a in range(3) for b in range(3)
        for _ in range(int(table[a, b]))
    ]  # fmt: skip
    assert alpha_of_pairs(table) == pytest.approx(alpha(np.array(counts, dtype=float)), abs=1e-12)
