"""Numbers, durations and moments, as providers write them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmframe.providers.responses.limit_headers import Quota, read_quotas
from llmframe.providers.responses.retry_after import retry_after
from llmframe.system.durations import parse_number, parse_wait

NOW = 1_790_000_000.0
DATE = "Mon, 21 Sep 2026 14:13:20 GMT"  # NOW

WAITS = [
    ("1s", 1.0), ("20s", 20.0), ("6m0s", 360.0), ("1m30s", 90.0), ("120ms", 0.12), ("12ms", 0.012),
    ("1h2m3.5s", 3723.5), ("1d", 86400.0), ("0s", 0.0), ("30", 30.0), ("2.5", 2.5), (" 7 ", 7.0),
    ("-3", 0.0), ("30, 30;w=60", 30.0), (str(int(NOW + 20)), 20.0),
    (str(int((NOW + 20) * 1000)), 20.0), (str(int(NOW - 5)), 0.0),
    ("Mon, 21 Sep 2026 14:13:50 GMT", 30.0), ("Wed, 21 Oct 1970 07:28:00 GMT", 0.0),
    ("2026-09-21T14:13:50Z", 30.0), ("2026-09-21T14:13:50+00:00", 30.0),
    ("2026-09-21T14:13:50", 30.0),
    ("", None), ("soon", None), ("6 minutes", None), ("nan", None), ("inf", None), ("-inf", None),
]  # fmt: skip


@pytest.mark.parametrize(("text", "seconds"), WAITS)
def test_a_wait_means_the_same_in_every_header(text, seconds):
    expected = seconds if seconds is None else pytest.approx(seconds, abs=1e-3)
    assert parse_wait(text, lambda: NOW) == expected
    assert retry_after({"retry-after": text, "date": DATE}) == expected
    raw = [(b"ratelimit-limit", b"9"), (b"ratelimit-reset", text.encode())]
    of_a_day = seconds is not None and seconds > 61
    quotas = {} if of_a_day else {"requests": Quota(9.0, None, expected)}
    assert read_quotas(raw, lambda: NOW) == quotas


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("20", 20.0), (" 20 ", 20.0), ("20, 20;w=60", 20.0), ("1.5", 1.5), ("-3", -3.0),
        ("1e3", 1000.0), ("", None), ("x", None), ("20s", None), ("1_000", None), ("nan", None),
    ],
)  # fmt: skip
def test_a_number_may_be_followed_by_parameters(text, number):
    assert parse_number(text) == number


@given(st.text() | st.floats().map(str) | st.datetimes().map(str) | st.integers().map(str))
def test_no_text_makes_a_wait_below_zero(text):
    wait = parse_wait(text)
    assert wait is None or wait >= 0
