"""The fixed sequence of tests down the confidences."""

import math

import numpy as np
import pytest

from llmframe.quality.statistics.binomial import tail
from llmframe.quality.statistics.certainty import (
    cut_offs,
    fixed_sequence,
    rows_needed,
    rows_without_error,
)

GOAL = {"accuracy": 0.95, "sure": 0.95}


def test_the_fewest_rows_that_show_an_accuracy():
    assert rows_without_error(0.95, 0.95) == 59
    assert rows_without_error(0.90, 0.95) == 29


@pytest.mark.parametrize(("rows", "errors"), [(59, 0), (93, 1), (200, 4), (400, 12)])
def test_how_many_errors_are_allowed(rows, errors):
    assert tail(errors, rows, 0.05) <= 0.05 < tail(errors + 1, rows, 0.05)


def test_cut_offs_are_the_surest_parts_of_the_rows():
    cuts = cut_offs(np.arange(1, 1_001) / 1_000)
    assert len(cuts) == 40
    assert cuts[0] == (0.976, 0.025)
    assert cuts[-1] == (0.001, 1.0)


@pytest.mark.parametrize("rows", [*range(1, 130), 199, 1_000, 3_998])
def test_cut_offs_of_any_number_of_rows_are_its_fortieths(rows):
    surest_first = np.arange(rows, 0, -1)
    ends = [-(-rows * step // 40) for step in range(1, 41)]  # rounded up, in whole numbers
    wanted = dict.fromkeys((float(surest_first[end - 1]), end / rows) for end in ends)
    assert cut_offs(surest_first.astype(float)) == [*wanted]


def test_rows_of_one_confidence_are_kept_together():
    assert cut_offs(np.array([1.0] * 3 + [0.5] * 7)) == [(1.0, 0.3), (0.5, 1.0)]
    assert cut_offs(np.array([])) == []


def test_the_last_cut_off_before_the_first_failure_is_found():
    confidence = np.linspace(1, 0, 400, endpoint=False)
    right = np.ones(400, dtype=bool)
    right[200:] = False
    found, tried = fixed_sequence(cut_offs(confidence), confidence, right, **GOAL)
    assert found.kept == pytest.approx(0.5)
    assert (found.reviewed, found.wrong) == (200, 0)
    # the surest cut-offs have too few rows for a test, and below the failure none is made
    tested = [cut for cut in tried if cut.p is not None]
    assert (tested[0].reviewed, tested[-1].p > 0.05) == (60, True)
    assert len(tested) < len(tried)


def test_a_failure_at_the_top_is_not_made_good_further_down():
    confidence = np.linspace(1, 0, 400, endpoint=False)
    right = np.ones(400, dtype=bool)
    right[:20] = False
    assert fixed_sequence(cut_offs(confidence), confidence, right, **GOAL)[0] is None


def test_how_many_rows_are_needed_grows_with_the_errors_expected():
    few, more = rows_needed(0.95, 0.95, expected=0.0), rows_needed(0.95, 0.95, expected=0.03)
    assert (few, more > 200) == (59, True)
    assert tail(round(more * 0.03), more, 0.05) <= 0.05


def test_an_accuracy_of_nearly_all_needs_many_rows():
    assert rows_without_error(0.999, 0.95) == math.ceil(math.log(0.05) / math.log(0.999))
