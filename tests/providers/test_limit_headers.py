"""Limits as providers write them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmframe.providers.limit_headers import Quota, read_quotas


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
