"""The test server's latency and limits, and how it announces them."""

from __future__ import annotations

import email.utils
import re
import time

import pytest

from llmframe.testing import serve
from tests.kits.http_client import ask, ask_all, body


def test_an_answer_takes_the_latency():
    with serve(latency=0.05) as server:
        ask(server, "a")
        (call,) = server.ledger.calls
        assert 0.045 <= call.answered - call.at < 10


def test_a_lognormal_latency_has_its_median_and_its_tail():
    from llmframe.testing.faults import choose_latency

    drawn = sorted(choose_latency((0.5, 3.0), 1, f"row {i}", 0) for i in range(10_000))
    assert 0.48 < drawn[5000] < 0.52
    assert 2.7 < drawn[9900] < 3.3
    assert choose_latency((0.5, 3.0), 1, "row", 0) != choose_latency((0.5, 3.0), 1, "row", 1)


def test_more_than_max_in_flight_are_refused():
    with serve(latency=1.0, max_in_flight=3) as server:  # until the last of five has come
        answers = ask_all(server, [f"row {i}" for i in range(5)], concurrent=True)
        assert sorted(a.status for a in answers) == [200, 200, 200, 429, 429]
        refused = next(a for a in answers if a.status == 429)
        assert (refused.headers["Retry-After"], refused.headers["retry-after-ms"]) == ("1", "1000")
        assert server.ledger.peak_in_flight == 4  # a refused one leaves at once
        assert {call.fault for call in server.ledger.calls} == {None, "limit"}


def test_slots_make_requests_wait_in_line():
    with serve(latency=0.1, slots=2) as server:
        answers = ask_all(server, [f"row {i}" for i in range(6)], concurrent=True)
        calls = server.ledger.calls
        assert {a.status for a in answers} == {200}
        assert max(c.answered for c in calls) - min(c.at for c in calls) >= 0.3


@pytest.mark.parametrize("limiter", ["bucket", "minute"])
def test_requests_above_rpm_are_refused_and_the_headers_show_it(limiter):
    with serve(rpm=5, limiter=limiter, burst=60, retry_after="wait") as server:
        first, *_, last = ask_all(server, ["a"] * 6)
        assert first.headers["x-ratelimit-limit-requests"] == "5"
        assert first.headers["x-ratelimit-remaining-requests"] == "4"
        assert re.fullmatch(r"(\d+m)?[\d.]+s", first.headers["x-ratelimit-reset-requests"])
        assert "x-ratelimit-limit-tokens" not in first.headers
        assert last.status == 429
        assert last.headers["x-ratelimit-remaining-requests"] == "0"
        assert 1 < float(last.headers["Retry-After"]) <= 60
        assert [c.status for c in server.ledger.calls] == [200] * 5 + [429]


def test_tokens_above_tpm_are_refused():
    with serve(tpm=1000, burst=60) as server:
        ok, refused = ask_all(server, [body("a", max_completion_tokens=900)] * 2)
        assert (ok.status, refused.status) == (200, 429)
        assert refused.json["error"]["type"] == "tokens"
        assert int(ok.headers["x-ratelimit-remaining-tokens"]) < 100
        assert ok.headers["x-ratelimit-limit-tokens"] == "1000"


def test_headers_can_be_left_out():
    with serve(rpm=100, headers=False) as server:
        assert not any(name.startswith("x-ratelimit") for name in ask(server, "a").headers)


@pytest.mark.parametrize(
    ("retry_after", "headers"),
    [
        (2.5, {"Retry-After": "3", "retry-after-ms": "2500"}),
        ("ms:1500", {"retry-after-ms": "1500"}),
        ("soon", {"Retry-After": "soon"}),
        (None, {}),
    ],
)
def test_retry_after_takes_the_form_that_was_asked_for(retry_after, headers):
    with serve(faults={"429_after": 1}, retry_after=retry_after) as server:
        given = ask(server, "a").headers
    assert {k: v for k, v in given.items() if k.lower().startswith("retry-after")} == headers


def test_tokens_of_an_uncapped_answer_are_counted_when_it_is_sent():
    with serve(tpm=10_000, burst=60, answer=lambda text, request: "x" * 8000) as server:
        headers = ask(server, "a").headers
    assert int(headers["x-ratelimit-remaining-tokens"]) < 8000


def test_retry_after_may_be_a_date():
    with serve(faults={"503_after": 1}, retry_after="date:100") as server:
        given = ask(server, "a").headers["Retry-After"]
    assert 95 < email.utils.parsedate_to_datetime(given).timestamp() - time.time() < 105
