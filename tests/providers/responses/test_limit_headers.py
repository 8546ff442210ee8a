"""Limits as providers write them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmframe.providers.responses.limit_headers import Quota, Windows, read_quotas


@given(st.text())
def test_no_text_breaks_the_reader(text):
    value = text.encode("utf-8", "replace")
    names = (b"x-ratelimit-limit-requests", b"x-ratelimit-reset-requests")
    read_quotas([(names[0], value), (names[1], value)])


def test_openai_s_headers():
    raw = [
        (b"X-RateLimit-Limit-Requests", b"600"),
        (b"x-ratelimit-remaining-requests", b"599"),
        (b"x-ratelimit-reset-requests", b"100ms"),
        (b"x-ratelimit-limit-tokens", b"90000"),
        (b"x-ratelimit-remaining-tokens", b"89000"),
        (b"x-ratelimit-reset-tokens", b"1s"),
        (b"content-type", b"application/json"),
    ]
    assert read_quotas(raw) == {
        "requests": Quota(600, 599, 0.1),
        "tokens": Quota(90000, 89000, 1.0),
    }


def test_a_name_without_a_unit_counts_requests_and_a_minute_may_be_named():
    assert read_quotas([(b"ratelimit-limit", b"20, 20;w=60")]) == {"requests": Quota(20)}
    assert read_quotas([(b"x-ratelimit-limit-tokens-minute", b"500")]) == {"tokens": Quota(500)}


def test_a_limit_of_a_day_is_left_out():
    raw = [(b"x-ratelimit-limit-requests", b"200"), (b"x-ratelimit-reset-requests", b"7m12s")]
    assert read_quotas(raw) == {}
    assert read_quotas([(b"x-ratelimit-limit-requests-day", b"1000")]) == {}


@pytest.mark.parametrize("value", [b"", b"many", b"0", b"-5"])
def test_a_limit_that_is_no_number_is_left_out(value):
    assert read_quotas([(b"x-ratelimit-limit-requests", value)]) == {}


def test_a_window_of_a_second_may_be_named():
    assert read_quotas([(b"ratelimit-limit", b"10, 10;w=1")]) == {"requests": Quota(600)}
    assert read_quotas([(b"x-ratelimit-limit-second", b"10")]) == {"requests": Quota(600)}
    assert read_quotas([(b"ratelimit-limit", b"10, 1000;w=86400")]) == {}


def response(limit, remaining, reset):
    names = ("limit", "remaining", "reset")
    values = zip(names, (limit, remaining, reset), strict=True)
    return [(f"x-ratelimit-{name}".encode(), str(value).encode()) for name, value in values]


def test_a_limit_whose_reset_is_always_near_is_one_of_a_second():
    windows = Windows()
    assert windows.read(response(10, 9, 1))["requests"] == Quota(600)
    assert windows.read(response(10, 0, 1))["requests"] == Quota(600)


def test_a_minute_that_is_about_to_end_is_one_of_a_second_for_no_longer_than_that():
    windows = Windows()
    assert windows.read(response(600, 500, 1))["requests"].limit == 36_000
    assert windows.read(response(600, 599, 60))["requests"] == Quota(600, 599, 60)
    assert windows.read(response(600, 500, 1))["requests"] == Quota(600, 500, 1)


def test_a_window_that_is_nearly_used_up_is_not_taken_for_a_second():
    assert Windows().read(response(600, 5, 1))["requests"] == Quota(600, 5, 1)


def bucket(limit, n, now):
    """What a bucket says after n requests, full at first."""
    left = min(limit, limit - n + limit * now / 60)
    return response(limit, f"{left:.3f}", f"{(limit - left) * 60 / limit:.3f}s")


@given(st.integers(10, 10_000), st.floats(0.5, 2.0))
def test_a_bucket_of_a_minute_is_none_of_a_second(limit, pace):
    windows = Windows()
    for n in range(1, 200):
        now = n * 60 / limit / pace
        if limit - n + limit * now / 60 < 0:
            break
        assert windows.read(bucket(limit, n, now))["requests"].limit == limit


@given(st.integers(10, 1000), st.floats(0, 59))
def test_a_window_of_a_minute_is_none_of_a_second(limit, age):
    windows = Windows()
    for n in range(400):
        now = n * 60 / limit
        left = limit - 1 - n % limit
        reset = 60 - (age + now) % 60
        found = windows.read(response(limit, left, f"{reset:.1f}"))["requests"]
        if n > limit:  # the beginning of a window was seen
            assert found.limit == limit


@given(st.lists(st.integers(1, 300), min_size=50, max_size=300, unique=True))
def test_responses_in_any_order_make_no_second_of_a_minute(order):
    windows = Windows()
    for n in order:  # all were in flight together
        assert windows.read(bucket(10_000, n, 0.0))["requests"].limit == 10_000
