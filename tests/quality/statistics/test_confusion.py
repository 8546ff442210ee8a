"""Precision, recall, F1 and kappa of 1,000 random cases, against their definitions."""

import numpy as np
import pytest

from llmframe.quality.statistics import agreement
from llmframe.quality.statistics.confusion import metrics, table_of
from tests.kits import reference_metrics as reference

ALMOST = {"abs": 1e-12, "rel": 1e-12, "nan_ok": True}


def table(case):
    return table_of(np.array(case.truth), np.array(case.said), case.labels, np.array(case.weights))


def test_a_thousand_random_cases_are_as_the_definitions_say():
    for seed in range(1_000):
        case = reference.random_case(seed)
        found = metrics(table(case))
        for name in ("support", "precision", "recall", "f1"):
            wanted = [one[name] for one in reference.by_label(case)]
            assert getattr(found, name).tolist() == pytest.approx(wanted, **ALMOST), (seed, name)
        summary = (found.accuracy, found.macro_f1, found.weighted_f1)
        assert summary == pytest.approx(reference.means(case), **ALMOST), seed
        assert agreement.kappa(table(case)) == pytest.approx(reference.kappa(case), **ALMOST), seed


def test_without_weights_rows_are_counted():
    counted = table_of(np.array([0, 1, 1]), np.array([0, 0, 1]), 3)
    assert counted.tolist() == [[1, 0, 0], [1, 1, 0], [0, 0, 0]]


def test_a_label_that_was_never_given_has_no_precision():
    found = metrics(np.array([[2.0, 0.0], [1.0, 0.0]]))
    assert np.isnan(found.precision[1])
    assert (found.recall[1], found.f1[1]) == (0.0, 0.0)


def test_a_label_that_does_not_occur_is_not_in_the_mean():
    assert metrics(np.diag([3.0, 2.0, 0.0])).macro_f1 == 1.0


def test_of_nothing_nothing_is_known():
    found = metrics(np.zeros((2, 2)))
    assert np.isnan([found.accuracy, found.macro_f1, found.weighted_f1]).all()
