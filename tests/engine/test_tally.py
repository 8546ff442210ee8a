"""Counting a run, and the messages at its end."""

from __future__ import annotations

import dataclasses

import pytest

from llmframe.engine.events import (
    Planned,
    RequestLost,
    RequestRefused,
    RequestSent,
    RowsDone,
    RowsReused,
)
from llmframe.engine.tally import Tally
from llmframe.engine.wire.verdict import Verdict
from llmframe.messages import endings as advice
from llmframe.messages.causes import Address
from llmframe.report import RunReport, Snapshot
from llmframe.results import SKIPPED, Failure, RowResult, Usage

OK = RowResult("ok", {}, usage=Usage(10, 2, 0.5))
FAILED = RowResult("failed", error=Failure("server", "it broke"), usage=Usage(3, 0))
REFUSED = Verdict("refused", "rate_limit", "slow down", 429)


class Clock:
    def __init__(self):
        self.now = 100.0

    def __call__(self):
        return self.now


def new_tally(rows=10):
    clock = Clock()
    return Tally(rows, clock=clock, started=clock.now), clock


def test_everything_that_happens_is_counted():
    tally, _ = new_tally()
    for event in (
        RequestSent(repeated=False), RequestSent(repeated=True), RequestRefused(REFUSED),
        RowsDone((0,), OK, "request"), RowsDone((1, 2), OK, "shared"),
        RowsDone((3,), OK, "checkpoint"), RowsDone((4,), FAILED, "request"),
        RowsDone((5,), SKIPPED, "blank"), RowsReused([6, 7]),
    ):  # fmt: skip
        tally(event)
    assert not tally.planned
    tally(Planned())
    assert tally.planned
    assert (tally.requests, tally.retries, tally.refusals) == (2, 1, 1)
    assert (tally.ok, tally.failed, tally.skipped, tally.done) == (6, 1, 1, 8)
    assert (tally.shared, tally.reused) == (2, 3)
    assert tally.usage == Usage(13, 2, 0.5)  # what was paid now, not what was paid before
    assert tally.errors_by_kind == {"server": 1}


def test_a_failure_without_a_word_is_of_the_answer():
    tally, _ = new_tally()
    tally(RowsDone((0,), RowResult("failed"), "request"))
    assert tally.errors_by_kind == {"output": 1}


def test_seconds_stand_still_at_the_end():
    tally, clock = new_tally()
    clock.now += 5
    assert tally.seconds == 5
    tally.ended = clock.now
    clock.now += 5
    assert tally.seconds == 5


def test_the_rate_is_that_of_the_last_ten_seconds():
    tally, clock = new_tally(1000)
    assert tally.rate() == 0.0
    for _ in range(20):
        clock.now += 1
        for position in range(10):
            tally(RowsDone((position,), OK, "request"))
        assert tally.rate() == pytest.approx(10)
    for _ in range(5):
        clock.now += 1
        tally(RowsDone((0,), OK, "checkpoint"))  # not answered now
        tally(RowsDone((0,), SKIPPED, "blank"))
    assert tally.rate() == pytest.approx(5, abs=1)
    clock.now += 100
    assert tally.rate() == pytest.approx(0, abs=0.1)


def test_asking_for_the_rate_often_does_not_grow_the_memory():
    tally, clock = new_tally()
    for _ in range(10_000):
        clock.now += 0.01
        tally.rate()
    assert len(tally._recent) <= 110  # private: nothing public shows what is held


def test_what_is_done_and_what_is_pending_is_all():
    snapshot = Snapshot(
        status="running", rows=10, ok=4, failed=1, skipped=2, reused=0, shared=0, planned=True,
        requests=5, retries=0, refusals=0, usage=Usage(), in_flight=1, limit=2, waiting=0,
        seconds=1.0, rate=1.0, eta=None, limited_by="", errors_by_kind={},
    )  # fmt: skip
    assert (snapshot.done, snapshot.pending) == (7, 3)


# -- the messages at its end ----

REPORT = RunReport(
    rows=10_000, ok=9_000, failed=0, skipped=0, pending=1_000, done=9_000, reused=0, shared=0,
    requests=9_000, retries=0, refusals=0, tokens_in=0, tokens_out=0, cost=None, seconds=1.0,
    rows_per_second=1.0, limited_by="", errors_by_kind={}, checkpoint="c.jsonl",
)  # fmt: skip


def with_(**changes):
    return dataclasses.replace(REPORT, **changes)


def test_the_message_of_a_stopped_run_has_how_many_rows_are_safe_and_how_to_go_on():
    assert advice.incomplete(REPORT) == (
        "stopped: 1,000 rows are pending. 9,000 of 10,000 rows are answered and safe in c.jsonl. "
        "Run the same call again to continue where it stopped; answered rows are not paid for a "
        "second time."
    )


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"pending": 0}, ""),
        ({}, "continue where it stopped"),
        ({"pending": 0, "failed": 7}, "retry the 7 failed rows"),
        ({"checkpoint": None}, "only in this frame"),
        ({"checkpoint": None, "pending": 0}, ""),
    ],
)
def test_how_to_go_on_fits_what_is_left(changes, expected):
    message = advice.how_to_go_on(with_(**changes))
    assert expected in message
    assert bool(expected) == bool(message)


def test_without_a_checkpoint_the_answers_are_in_the_frame_only():
    assert advice.safe_rows(with_(checkpoint=None)).endswith("answered, but only in this frame")


@pytest.mark.parametrize(
    ("status", "kind", "cause", "cure"),
    [
        (401, "bad_request", "does not accept the API key (HTTP 401)", "Give the right api_key="),
        (402, "rate_limit", "no credit", "Add credit"),
        (403, "bad_request", "forbids", "Ask the provider"),
        (429, "rate_limit", "quota is used up", "Raise the quota"),
        (400, "bad_request", "rejects every request, a harmless one too (HTTP 400)", "extra_body="),
        (
            418,
            "bad_request",
            "rejects every request, a harmless one too (HTTP 418)",
            "Check model=",
        ),
        (None, "output", "so the call is wrong, not the rows: it broke", "Check the instructions"),
        (500, "server", "not answered any request for two minutes (HTTP 500)", "status page"),
        (None, "timeout", "not answered any request for two minutes", "give a larger timeout="),
        (None, "connection", "https://x/v1 cannot be reached: it broke", "Check base_url"),
    ],
)
def test_the_message_of_an_aborted_run_has_cause_and_cure(status, kind, cause, cure):
    verdict = Verdict("end_run", kind, "it broke", status)
    message = advice.aborted(verdict, REPORT, Address("https://x/v1", model="m"))
    assert cause in message
    assert cure in message
    assert "9,000 of 10,000 rows are answered and safe in c.jsonl; 1,000 are pending" in message


def test_the_message_of_a_failing_disk_names_the_frame_as_the_place_of_the_answers():
    message = advice.not_durable("cannot write c.jsonl: No space left.", REPORT)
    assert message.startswith("cannot write c.jsonl: No space left. Nothing more is sent. 9,000 of")
    assert "partial()" in message


def test_no_time_left_is_promised_before_the_pace_has_settled():
    now = [0.0]
    tally = Tally(1_000, clock=lambda: now[0], planned=True)

    def answer(rows, seconds):
        for _ in range(rows):
            now[0] += seconds / rows
            tally(RowsDone([0], OK, "request"))
            tally.rate()

    answer(20, 2.0)
    assert tally.eta() is None  # too early
    answer(80, 8.0)
    assert tally.eta() == pytest.approx(90.0, rel=0.05)
    now[0] += 6.0
    assert tally.eta() is None  # it has come to a stop: the mean of ten seconds says nothing


def test_no_time_left_is_promised_after_the_machine_has_slept():
    now = [0.0]
    tally = Tally(1_000, clock=lambda: now[0], planned=True)
    for seconds in (0.1, 9.0, 60.0, 0.1):
        now[0] += seconds
        tally(RowsDone([0], OK, "request"))
        tally.eta()
    now[0] += 30.0
    tally(RowsDone([0], OK, "request"))
    assert tally.eta() is None


def test_a_run_that_has_ended_has_no_time_left():
    now = [0.0]
    tally = Tally(100, clock=lambda: now[0])
    for _ in range(50):
        now[0] += 0.2
        tally(RowsDone([0], OK, "request"))
        tally.rate()
    assert tally.eta() is not None
    tally.ended = now[0]
    assert tally.eta() is None


def test_what_is_sent_again_is_counted_by_its_reason():
    tally = Tally(10, clock=lambda: 0.0)
    down = Verdict("retry", "server", "overloaded", status=503)
    for event in (
        RequestSent(repeated=False),
        RequestLost(down),  # not sent again, so no reason of a retry
        RequestLost(down),
        RequestSent(repeated=True, reason=("server", 503)),
        RequestSent(repeated=True, hedge=True),
        RequestSent(repeated=True),
    ):
        tally(event)
    assert +tally.retry_reasons == {("server", 503): 1, ("output", None): 1}
    assert tally.retries == 2
    assert tally.last_lost == down


def test_what_an_endpoint_said_is_kept_only_without_its_secrets():
    tally = Tally(10, clock=lambda: 0.0)
    tally(RequestLost(Verdict("retry", "server", "key ***", status=500, text="key sk-1234")))
    assert "sk-1234" not in repr(tally)
