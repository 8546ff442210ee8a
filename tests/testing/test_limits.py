"""The limits of the test server, on a clock of the tests' own."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmframe.testing.limits import Bucket, Limits, Window, duration

gaps = st.lists(st.floats(0, 20), min_size=1, max_size=80)


@given(gaps, st.sampled_from([30.0, 60.0, 600.0]), st.sampled_from([0.0, 1.0, 60.0]))
def test_a_bucket_never_lets_more_through_than_its_burst_and_its_rate(gaps, rpm, burst):
    limits = Limits(rpm, None, "bucket", burst)
    now = passed = 0.0
    for gap in gaps:
        now += gap
        passed += limits.admit(now, 0) is None
        assert passed <= max(1, burst * rpm / 60) + rpm / 60 * (now - gaps[0]) + 1e-6


@given(gaps, st.integers(1, 20))
def test_a_window_never_lets_more_than_its_limit_into_any_minute(gaps, rpm):
    limits = Limits(rpm, None, "minute", 0)
    now, passed = 0.0, []
    for gap in gaps:
        now += gap
        if limits.admit(now, 0) is None:
            passed.append(now)
    assert all(sum(t - 60 < p <= t for p in passed) <= rpm for t in passed)


@pytest.mark.parametrize("kind", ["bucket", "minute"])
def test_the_announced_wait_suffices(kind):
    limits = Limits(10, None, kind, 60)
    for _ in range(10):
        assert limits.admit(100.0, 0) is None
    name, wait = limits.admit(101.0, 0)
    assert name == "requests"
    assert limits.admit(101.0 + wait - 0.01, 0) is not None
    assert limits.admit(101.0 + wait + 1e-6, 0) is None


@pytest.mark.parametrize("meter", [Bucket(100, 60), Window(100)], ids=["bucket", "minute"])
def test_a_weight_above_the_whole_limit_passes_alone(meter):
    assert meter.wait(0.0, 500) == 0
    meter.take(0.0, 500)
    assert meter.wait(1.0, 1) > 0
    assert meter.remaining(1.0) < 0
    assert meter.wait(10_000.0, 500) == 0


def test_a_request_refused_for_its_tokens_takes_no_request():
    limits = Limits(10, 100, "bucket", 60)
    assert limits.admit(0.0, 90) is None
    assert limits.admit(0.0, 90)[0] == "tokens"
    assert limits.headers(0.0)["x-ratelimit-remaining-requests"] == "9"


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [(0, "0ms"), (0.12, "120ms"), (1, "1s"), (1.5, "1.5s"), (59.9999, "1m0s"), (360, "6m0s")],
)
def test_durations_are_written_as_openai_writes_them(seconds, expected):
    assert duration(seconds) == expected
