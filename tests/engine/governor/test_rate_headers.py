"""Limits as providers write them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmframe.engine.governor.headers import Quota, parse_reset, read_quotas

NOW = 1_790_000_000.0


def clock():
    return NOW


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("1s", 1.0), ("6m0s", 360.0), ("120ms", 0.12), ("12ms", 0.012), ("1h2m3.5s", 3723.5),
        ("1d", 86400.0), ("0s", 0.0), ("30", 30.0), ("2.5", 2.5),
        (str(int(NOW + 20)), 20.0), (str(int((NOW + 20) * 1000)), 20.0), (str(int(NOW - 5)), 0.0),
        ("Mon, 21 Sep 2026 14:13:50 GMT", 30.0), ("2026-09-21T14:13:50Z", 30.0),
        ("2026-09-21T14:13:50+00:00", 30.0), ("2026-09-21T14:13:50", 30.0),
        ("", None), ("soon", None), ("-3", None), ("6 minutes", None), ("nan", None),
    ],
)  # fmt: skip
def test_a_reset_is_read_in_every_form(text, seconds):
    got = parse_reset(text, clock)
    assert got == seconds if seconds is None else got == pytest.approx(seconds, abs=1e-3)


@given(st.text())
def test_no_text_breaks_the_reader(text):
    parse_reset(text)
    read_quotas([(b"x-ratelimit-limit-requests", text.encode("utf-8", "replace"))])


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
