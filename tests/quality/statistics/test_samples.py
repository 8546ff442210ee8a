"""Estimates by a sample in strata, against the values that other implementations give."""

import numpy as np
import pytest

from llmframe.quality.statistics.binomial import wilson
from llmframe.quality.statistics.samples import (
    Estimates,
    label_shares,
    sample_size,
    stratified,
    widened,
)

EXACT = {"abs": 1e-9, "rel": 0}
SIZES, DRAWN = np.array([6_000.0, 3_000.0, 1_000.0]), np.array([30.0, 30.0, 40.0])
RIGHT = np.array([29.0, 25.0, 22.0])


def estimated(sizes, drawn, right, **more):
    sizes, drawn, right = (
        np.atleast_1d(np.array(one, dtype=float)) for one in (sizes, drawn, right)
    )
    return stratified(sizes, drawn, drawn[:, None], right[:, None], **more)


def ends(shares):
    return (float(shares.low[0]), float(shares.high[0]))


def test_the_accuracy_of_a_sample_in_strata():
    found = estimated(SIZES, DRAWN, RIGHT)
    assert found.value[0] == pytest.approx(0.885, abs=1e-12)
    assert found.effective[0] == pytest.approx(106.9785976442, **EXACT)
    assert ends(found) == pytest.approx((0.8107772396, 0.9325315333), **EXACT)


def test_one_stratum_is_wilson_with_the_part_that_is_not_drawn_counted_off():
    found = estimated(1_000, 100, 85)
    assert found.effective[0] == pytest.approx(100 / 0.9)
    endless = estimated(1_000, 100, 85, finite=False)
    assert ends(endless) == pytest.approx((0.7671644041, 0.9069401472), **EXACT)


def test_when_all_rows_are_reviewed_nothing_is_left_open():
    found = estimated([60, 40], [60, 40], [50, 20])
    assert ends(found) == pytest.approx((0.7, 0.7), abs=1e-12)


def test_strata_without_an_error_are_not_taken_for_certain():
    low, _ = ends(estimated([900, 100], [50, 2], [50, 2]))
    assert low < 0.97


def test_a_part_that_is_made_of_whole_strata_is_estimated_within_them():
    inside = DRAWN[:, None] * np.array([[1.0], [1.0], [0.0]])
    right = RIGHT[:, None] * np.array([[1.0], [1.0], [0.0]])
    part = stratified(SIZES, DRAWN, inside, right)
    alone = estimated(SIZES[:2], DRAWN[:2], RIGHT[:2])
    assert (part.value[0], *ends(part)) == pytest.approx((alone.value[0], *ends(alone)))


def test_a_part_that_cuts_through_strata_is_less_certain():
    half = stratified(SIZES, DRAWN, DRAWN[:, None] / 2, RIGHT[:, None] / 2)
    whole = estimated(SIZES, DRAWN, RIGHT)
    assert half.value[0] == pytest.approx(whole.value[0])
    assert half.effective[0] < whole.effective[0]


def test_a_part_without_a_reviewed_row_is_unknown():
    found = stratified(SIZES, DRAWN, np.zeros((3, 1)), np.zeros((3, 1)))
    assert found.effective[0] == 0
    assert np.isnan([found.value[0], *ends(found)]).all()


def test_rows_of_which_none_was_seen_may_all_be_right_or_wrong():
    found = estimated(1_000, 100, 85)
    assert widened(found, 0.0) is found
    wanted = (0.9 * found.low[0], 0.9 * found.high[0] + 0.1)
    assert ends(widened(found, 0.1)) == pytest.approx(wanted)


def shares(right, n, rows):
    return estimated(rows, n, right)


def test_the_share_of_a_label():
    found = label_shares(np.array([0.3]), shares(34, 40, 3_000), shares(3, 60, 7_000))
    assert found.value[0] == pytest.approx(0.29, abs=1e-12)
    assert ends(found) == pytest.approx((0.2422399341, 0.3550244005), **EXACT)


def test_a_label_of_which_no_row_was_reviewed_may_be_right_or_wrong_everywhere():
    nothing = Estimates(*(np.array([np.nan]) for _ in range(3)), np.array([0.0]))
    found = label_shares(np.array([0.02]), nothing, shares(0, 60, 9_800))
    low, high = wilson(0.0, 60 / (1 - 60 / 9_800))
    assert found.value[0] == pytest.approx(0.01)
    assert found.low[0] == pytest.approx(max(0.0, 0.01 - np.hypot(0.01, 0.98 * low)))
    assert found.high[0] == pytest.approx(0.01 + np.hypot(0.01, 0.98 * high))


def test_how_many_rows_an_interval_needs():
    weights, rates = np.array([0.6, 0.3, 0.1]), RIGHT / DRAWN
    goal = {"rows": 10_000, "half_width": 0.05}
    assert sample_size(weights, rates, **goal) == 110
    assert sample_size(weights, rates, **goal, allocation="proportional") == 131
    mean = np.array([float(weights @ rates)])
    assert sample_size(np.array([1.0]), mean, **goal) == 154
