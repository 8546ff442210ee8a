"""A rate that is kept for any arrivals."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmframe.engine.governor.gcra import SLACK, Gcra

GAPS = st.lists(st.floats(0, 5), min_size=1, max_size=60)
WEIGHTS = st.lists(st.floats(0.1, 300), min_size=60, max_size=60)


def test_nothing_is_limited_until_a_rate_is_known():
    gcra = Gcra()
    gcra.reserve(0.0, 1e9)
    gcra.settle(1e9)
    assert gcra.wait(0.0) == 0.0
    assert gcra.per_minute is None


def test_requests_are_spaced_by_the_rate():
    gcra = Gcra()
    gcra.set_rate(60)
    gcra.reserve(10.0, 1)
    assert gcra.wait(10.0) == pytest.approx(1.0)
    assert gcra.wait(11.0) == 0.0


@given(GAPS, WEIGHTS, st.floats(1, 6000))
def test_within_any_span_no_more_is_sent_than_one_request_and_the_rate_allow(gaps, weights, rate):
    gcra, now, sent = Gcra(), 0.0, []
    gcra.set_rate(rate)
    for gap, weight in zip(gaps, weights, strict=False):
        now += gap
        now += gcra.wait(now)
        gcra.reserve(now, weight)
        sent.append((now, weight))
    for i, (begin, _) in enumerate(sent):
        total = 0.0
        for at, weight in sent[i:]:
            assert total <= (at - begin + SLACK) * rate / 60 * (1 + 1e-9) + 1e-6
            total += weight


def test_an_unused_minute_is_not_saved_up():
    gcra = Gcra()
    gcra.set_rate(60)
    gcra.reserve(0.0, 1)
    gcra.reserve(100.0, 1)
    assert gcra.wait(100.0) == pytest.approx(1.0)


def test_what_was_reserved_too_much_comes_back_and_too_little_is_owed():
    gcra = Gcra()
    gcra.set_rate(60)
    gcra.reserve(0.0, 10)
    gcra.settle(-5)
    assert gcra.wait(0.0) == pytest.approx(5.0)
    gcra.settle(+3)
    assert gcra.wait(0.0) == pytest.approx(8.0)


def test_a_request_above_the_minute_goes_and_leaves_a_debt():
    gcra = Gcra()
    gcra.set_rate(60)
    assert gcra.wait(0.0) == 0.0
    gcra.reserve(0.0, 120)
    assert gcra.wait(60.0) == pytest.approx(60.0)


def test_another_rate_counts_at_once():
    gcra = Gcra()
    gcra.set_rate(60)
    gcra.set_rate(600)
    gcra.reserve(0.0, 1)
    assert gcra.wait(0.0) == pytest.approx(0.1)
    assert gcra.per_minute == pytest.approx(600)


def test_a_timer_that_is_a_little_late_loses_nothing():
    gcra, now = Gcra(), 0.0
    gcra.set_rate(600)
    for _ in range(100):
        gcra.reserve(now, 1)
        now += gcra.wait(now) + 0.015
    assert now == pytest.approx(10.0, abs=0.1)


def test_a_debt_made_at_a_wrong_rate_is_paid_at_the_right_one():
    gcra = Gcra()
    gcra.set_rate(1)
    gcra.reserve(0.0, 300)
    assert gcra.wait(0.0) == pytest.approx(18_000)
    gcra.set_rate(60_000)
    assert gcra.wait(0.0) == pytest.approx(0.3)
