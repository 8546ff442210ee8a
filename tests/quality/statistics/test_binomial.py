"""Intervals and tests for counts, against published values."""

import math

import numpy as np
import pytest

from llmframe.quality.statistics.binomial import (
    anytime_band,
    bonett_price,
    changed_rows,
    clopper_pearson,
    mcnemar,
    newcombe,
    normal_quantile,
    tail,
    wilson,
    wilson_many,
)

EXACT = {"abs": 1e-9, "rel": 0}


def test_the_quantile_of_95_percent():
    assert normal_quantile(0.95) == pytest.approx(1.959963984540054, abs=1e-14)


@pytest.mark.parametrize(
    ("right", "n", "wanted"),
    [
        (81, 263, (0.2552885199, 0.3662095770)),  # Newcombe 1998
        (0, 20, (0.0, 0.1611251581)),
        (20, 20, (1 - 0.1611251581, 1.0)),
        (85, 100, (0.7671644041, 0.9069401472)),
    ],
)
def test_wilson(right, n, wanted):
    assert wilson(right / n, n) == pytest.approx(wanted, **EXACT)


def test_wilson_of_no_row_and_of_all_rows():
    assert all(map(math.isnan, wilson(0.5, 0)))
    assert wilson(0.25, math.inf) == (0.25, 0.25)


def test_wilson_of_arrays_is_wilson_of_each():
    low, high = wilson_many(np.array([0.3, 1.0]), np.array([10.0, 4.0]), level=0.9)
    assert [*zip(low, high, strict=True)] == [
        pytest.approx(wilson(0.3, 10, level=0.9)), pytest.approx(wilson(1.0, 4, level=0.9)),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("right", "n", "wanted"),
    [
        (81, 263, (0.2527367456, 0.3676219226)),
        (85, 100, (0.7646924999, 0.9135456144)),
    ],
)
def test_clopper_pearson(right, n, wanted):
    assert clopper_pearson(right, n) == pytest.approx(wanted, **EXACT)


def test_clopper_pearson_at_the_ends_is_known_in_closed_form():
    assert clopper_pearson(0, 20) == pytest.approx((0.0, 1 - 0.025 ** (1 / 20)), abs=1e-13)
    assert clopper_pearson(20, 20) == pytest.approx((0.025 ** (1 / 20), 1.0), abs=1e-13)


def test_the_tail_is_a_sum_of_binomial_chances():
    for n, chance in ((1, 0.3), (7, 0.5), (40, 0.05), (200, 0.97)):
        wanted = 0.0
        for most in range(n):
            wanted += math.comb(n, most) * chance**most * (1 - chance) ** (n - most)
            assert tail(most, n, chance) == pytest.approx(wanted, abs=1e-12)
    assert (tail(-1, 5, 0.5), tail(5, 5, 0.5), tail(2, 5, 0.0), tail(2, 5, 1.0)) == (0, 1, 1, 0)


def test_newcombe():
    assert newcombe((56, 70), (48, 80)) == pytest.approx((0.0524314724, 0.3338726540), **EXACT)


@pytest.mark.parametrize(
    ("one", "other", "p"), [(1, 9, 0.021484375), (5, 15, 0.04138946533203125), (3, 3, 1), (0, 0, 1)]
)
def test_mcnemar(one, other, p):
    assert mcnemar(one, other) == pytest.approx(p, abs=1e-12)
    assert mcnemar(other, one) == pytest.approx(p, abs=1e-12)


def test_bonett_price():
    assert bonett_price(3, 11, 50) == pytest.approx((0.0089944241, 0.2986978836), **EXACT)
    low, high = bonett_price(11, 3, 50)
    assert (-high, -low) == pytest.approx((0.0089944241, 0.2986978836), **EXACT)


def test_the_difference_by_changed_rows():
    found, ends = changed_rows(12, 24, 50, share=1_300 / 10_000)
    assert found == pytest.approx(0.0312, abs=1e-12)
    assert ends == pytest.approx((0.0009163331, 0.0590836669), **EXACT)


def test_the_anytime_band():
    assert anytime_band(85, 100) == pytest.approx((0.7099328879, 0.9413766897), **EXACT)
    assert anytime_band(0, 0) == (0.0, 1.0)
    assert anytime_band(0, 10)[0] == 0.0
    assert anytime_band(10, 10)[1] == 1.0


def test_the_anytime_band_is_wider_than_an_interval_for_one_look():
    for right, n in ((1, 3), (17, 20), (500, 900)):
        low, high = anytime_band(right, n)
        once_low, once_high = clopper_pearson(right, n)
        assert low < once_low < once_high < high
