"""The draw: which rows, in which order, for what; pure and the same every time."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmframe.quality import draw

OUTSIDE = draw.OUTSIDE
codes = st.lists(st.integers(-1, 6), min_size=1, max_size=120).filter(lambda c: max(c) >= 0)


def confidences(n, seed):
    """Continuous ones, a few distinct ones (as of votes), none at all, and gaps."""
    rng = np.random.default_rng(seed)
    kinds = [rng.random(n), rng.integers(1, 4, n) / 3, np.ones(n), np.full(n, np.nan)]
    sure = kinds[seed % 4]
    return None if seed % 5 == 4 else np.where(rng.random(n) < 0.1, np.nan, sure)


@given(codes, st.integers(0, 30), st.integers(1, 200))
def test_every_row_with_a_label_is_in_exactly_one_stratum(said, seed, n):
    said, sure = np.array(said), confidences(len(said), seed)
    parts = draw.design(said, sure, n)
    stratum = draw.assigned(parts, said, sure)
    assert ((stratum == OUTSIDE) == (said < 0)).all()
    assert [int((stratum == at).sum()) for at in range(len(parts))] == [p.size for p in parts]
    assert all(part.size for part in parts)
    assert len(parts) <= max(n // draw.PER_STRATUM, 1)
    assert sum(part.share for part in parts) == pytest.approx(1)


@given(codes, st.integers(0, 30), st.integers(1, 60), st.integers(0, 60))
def test_more_rows_begin_with_the_same_ones(said, seed, n, more):
    said, sure = np.array(said), confidences(len(said), seed)
    parts = draw.design(said, sure, n)
    short, long = draw.turns(parts, n, seed), draw.turns(parts, n + more, seed)
    assert long[:n] == short
    assert len(long) == min(n + more, int((said >= 0).sum()))
    numbers = draw.random_numbers(np.arange(len(said), dtype=np.uint64), np.zeros(1, int), seed)
    stratum = draw.assigned(parts, said, sure)
    drawn = draw.in_turn(long, stratum, numbers)
    assert len(set(drawn)) == len(drawn)
    assert [stratum[at] for at in drawn] == long
    assert draw.roles(long, parts, 0.3)[:n] == draw.roles(short, parts, 0.3)


def test_strata_are_labels_by_their_less_sure_third_and_the_rest():
    said = np.repeat([0, 1], [90, 30])
    sure = np.linspace(0, 1, 120)
    parts = draw.design(said, sure, 100)
    assert [(p.cells[0].label, p.cells[0].part, p.size) for p in parts] == [
        (0, "low", 30), (0, "rest", 60), (1, "low", 10), (1, "rest", 20),
    ]  # fmt: skip


def test_where_most_rows_are_fully_sure_the_others_are_the_less_sure_ones():
    sure = np.where(np.arange(100) < 10, 2 / 3, 1.0)
    parts = draw.design(np.zeros(100, int), sure, 100)
    assert [part.size for part in parts] == [10, 90]


def test_the_two_parts_of_a_label_are_joined_before_labels_are():
    said = np.repeat([0, 1, 2], [60, 30, 12])
    parts = draw.design(said, np.linspace(0, 1, 102), 16)
    assert [{cell.label for cell in part.cells} for part in parts].count({2}) == 1
    assert len(parts) == 4


def test_half_of_the_rows_go_where_errors_are_expected():
    said = np.repeat([0, 1], [500, 500])
    sure = np.where(said == 0, 0.95, 0.5) + np.linspace(0, 1e-6, 1000)
    first, second = (
        sum(part.share for part in draw.design(said, sure, 8) if part.cells[0].label == label)
        for label in (0, 1)
    )
    # Neyman: in proportion to sqrt(e (1 - e)), .2179 and .5
    assert first == pytest.approx(0.5 * 0.5 + 0.5 * 0.2179 / 0.7179, abs=0.001)
    assert first + second == pytest.approx(1)


def test_hundreds_of_labels_are_joined_into_few_strata():
    said = np.arange(86_000) % 860
    parts = draw.design(said, np.linspace(0, 1, 86_000), 100)
    assert len(parts) == 25
    assert sum(part.size for part in parts) == 86_000


def test_the_floor_comes_first_and_a_small_stratum_is_not_asked_for_more():
    parts = [draw.Part((), 1000, 0.98), draw.Part((), 1, 0.01), draw.Part((), 500, 0.01)]
    turns = draw.turns(parts, 100, 3)
    assert sorted(turns[:5]) == [0, 0, 1, 2, 2]
    assert turns.count(1) == 1
    assert turns.count(0) > 90


@given(st.floats(0, 0.9), st.integers(5, 200))
def test_rows_to_learn_from_leave_every_stratum_two_to_measure(learn, n):
    parts = [draw.Part((), 1000, 0.7), draw.Part((), 1000, 0.3)]
    turns = draw.turns(parts, n, 0)
    roles = draw.roles(turns, parts, learn)
    for at in (0, 1):
        own = [role for role, where in zip(roles, turns, strict=True) if where == at]
        assert own[:2] == ["measure"] * len(own[:2])
    assert roles.count("learn") <= n * learn + 1e-6
    if n >= 100:
        assert roles.count("learn") >= n * learn - 5


def test_each_row_is_as_likely_as_any_other():
    keys, said = np.arange(40, dtype=np.uint64), np.zeros(40, int)
    parts = draw.simple(said)
    drawn = np.zeros(40)
    for seed in range(2_000):
        numbers = draw.random_numbers(keys, np.zeros(40, int), seed)
        drawn[draw.in_turn(draw.turns(parts, 10, seed), said, numbers)] += 1
    # 2,000 draws of a quarter: 500, with a standard deviation of 19
    assert (abs(drawn - 500) < 5 * 19.4).all()


def test_equal_texts_have_numbers_of_their_own():
    numbers = draw.random_numbers(np.full(1000, 7, np.uint64), np.arange(1000), 0)
    assert len(set(numbers.tolist())) == 1000
