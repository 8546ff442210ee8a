"""How long a refusal asks to wait."""

from __future__ import annotations

import email.utils
import time

import httpx2
import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmframe.providers.responses.retry_after import LONGEST_WAIT, retry_after


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({}, None),
        ({"retry-after": "7"}, 7.0),
        ({"Retry-After": " 0.5 "}, 0.5),
        ({"retry-after-ms": "1500"}, 1.5),
        ({"retry-after-ms": "1500", "retry-after": "9"}, 1.5),
        ({"retry-after-ms": "junk", "retry-after": "9"}, 9.0),
        ({"retry-after": "3600"}, 3600.0),
        ({"retry-after": "0"}, 0.0),
        ({"retry-after": "-5"}, 0.0),
        ({"retry-after-ms": "-5"}, 0.0),
        ({"retry-after": "inf"}, None),
        ({"retry-after": "-inf"}, None),
        ({"retry-after": "nan"}, None),
        ({"retry-after-ms": "inf"}, None),
        ({"retry-after": "1e308"}, None),
        ({"retry-after": str(LONGEST_WAIT)}, LONGEST_WAIT),
        ({"retry-after": str(LONGEST_WAIT * 2)}, None),
        ({"retry-after": ""}, None),
        ({"retry-after": "soon"}, None),
        ({"retry-after": "Tue, 99 Foo 2026 99:99:99 GMT"}, None),
        ({"llm_provider-retry-after": "5"}, 5.0),
        ({"LLM_Provider-Retry-After": "5"}, 5.0),
        ({"a-retry-after": "junk", "b-retry-after": "6"}, 6.0),
        ({"retry-after": "junk", "x-retry-after": "6"}, 6.0),
        ({"retry-after": "4", "x-retry-after": "6"}, 4.0),
        ({"x-retry-after-reason": "6"}, None),
    ],
)
def test_retry_after_is_read_in_all_its_forms(headers, seconds):
    assert retry_after(headers) == seconds
    assert retry_after(httpx2.Headers(headers)) == seconds


def at(seconds_from_now):
    return email.utils.formatdate(time.time() + seconds_from_now, usegmt=True)


def test_retry_after_may_be_a_date():
    assert retry_after({"retry-after": at(30)}) == pytest.approx(30, abs=2)
    assert retry_after({"x-retry-after": at(30)}) == pytest.approx(30, abs=2)


def test_a_date_is_reckoned_from_the_responses_own_as_our_clock_may_be_wrong():
    headers = {"Retry-After": at(-86_370), "Date": at(-86_400)}
    assert retry_after(headers) == pytest.approx(30, abs=1)


def test_a_date_that_is_past_means_now():
    assert retry_after({"retry-after": at(-3600)}) == 0.0
    assert retry_after({"retry-after": "Wed, 21 Oct 1970 07:28:00 GMT"}) == 0.0


def test_a_date_in_the_far_future_is_junk():
    assert retry_after({"retry-after": "Wed, 21 Oct 2099 07:28:00 GMT"}) is None


@pytest.mark.parametrize("scale", [1, 1000])
def test_retry_after_may_be_unix_time(scale):
    text = str(int((time.time() + 30) * scale))
    assert retry_after({"retry-after": text}) == pytest.approx(30, abs=2)


@given(st.text() | st.floats().map(str) | st.integers().map(str) | st.datetimes().map(str))
def test_no_header_makes_a_wait_that_is_not_sane(value):
    seconds = retry_after({"retry-after": value, "retry-after-ms": value, "x-retry-after": value})
    assert seconds is None or 0.0 <= seconds <= LONGEST_WAIT
