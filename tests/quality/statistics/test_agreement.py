"""Kappa, AC1 and alpha, against published values."""

import math

import numpy as np
import pytest

from llmframe.quality.statistics.agreement import (
    ac1,
    alpha_of_pairs,
    kappa,
    kappa_influence,
)

EXACT = {"abs": 1e-9, "rel": 0}


def test_kappa_and_its_error():
    table = np.array([[20.0, 5.0], [10.0, 15.0]])
    assert kappa(table) == pytest.approx(0.4, abs=1e-12)
    # Fleiss, Cohen and Everitt 1969
    error = math.sqrt((table / 50 * kappa_influence(table) ** 2).sum() / 50)
    assert error == pytest.approx(0.1269960629, **EXACT)


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
    found = (kappa(table), ac1(table), alpha_of_pairs(table))
    assert all(map(math.isnan, found))


def test_alpha():
    # Krippendorff 2011: two observers, ten units
    assert alpha_of_pairs(np.array([[5.0, 3.0], [1.0, 1.0]])) == pytest.approx(2 / 21, **EXACT)
