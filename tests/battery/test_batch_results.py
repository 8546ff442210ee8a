"""What a batch brings back: errors, expiry, lines that are no lines, and what is sent again."""

from __future__ import annotations

import pytest

import llmframe as lf
from llmframe import testing
from llmframe.errors import RunAborted
from tests.kits.batch_lives import hurry, sent_again_without_need, sent_twice, tag_batch
from tests.kits.battery import check, frame, statuses, tag

pytestmark = pytest.mark.battery

FAULTS = ("500", "429", "503", "malformed", "schema", "length", "blank", "null_content", "refusal",
          "off_list", "empty_choices", "html", "drop", "error_200", "context",
          "content_filter")  # fmt: skip


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    hurry(20, setting=monkeypatch.setattr)


@pytest.mark.parametrize("fault", FAULTS)
def test_rows_end_as_they_do_live_and_only_failed_ones_are_sent_again(tmp_path, fault):
    df, faults = frame(60), {fault: 0.2}
    with testing.serve(faults=faults, seed=4) as server:
        live = tag(df, server, None)
    with testing.serve(faults=faults, seed=4) as server:
        out = tag_batch(df, server, tmp_path)
        assert out.equals(live)
        assert sent_again_without_need(server) == []
        again = sent_twice(server)
        tag_batch(df, server, tmp_path)  # a second call asks only for what may be mended
        assert sent_again_without_need(server) == []
        assert again > 0 or "failed" in statuses(out)


def test_one_that_expired_and_one_that_was_found_invalid(tmp_path):
    df, rules = frame(60), {"outcomes": ["completed", "expired", "failed"], "partial": 0.3}
    with testing.serve(batches=rules, faults={"500": 0.05}, seed=1) as server:
        out = tag_batch(df, server, tmp_path)
        failed = sum(call.fault is not None for call in server.ledger.calls)
        assert statuses(out).get("ok", 0) >= 59
        assert sent_again_without_need(server) == []
        assert sent_twice(server) == failed


def test_all_that_a_batch_leaves_is_asked_live(tmp_path):
    df, rules = frame(60), {"outcomes": ["completed", "expired", "failed"]}
    with testing.serve(batches=rules, faults={"500": 0.1}, seed=1) as server:
        out = tag_batch(df, server, tmp_path, batch_fallback="live")
        assert statuses(out) == {"ok": 59, "failed": 1}  # of the line that was named as invalid
        first = {}
        for call in server.ledger.calls:
            first.setdefault(call.row, call)
        owed = {row for row, call in first.items() if call.fault or not call.batch}
        assert {call.row for call in server.ledger.calls if not call.batch} == owed


LINES = {"record 11 ": "broken", "record 12 ": "unknown", "record 14 ": "absent"}


def test_lines_that_are_lost_are_sent_again_and_others_are_not(tmp_path):
    df = frame(60)
    lines = LINES | {"record 13 ": "repeated"}
    spoilt = {f"{part}wants something" for part in LINES}

    with testing.serve(batches={"lines": lines}) as server:
        out = tag_batch(df, server, tmp_path, max_attempts=3)
        again = {row for row, times in server.ledger.rows().items() if times > 1}
        assert again == spoilt
        assert max(server.ledger.rows().values()) == 3
        assert statuses(out) == {"ok": 57, "failed": 3}


def test_a_batch_of_broken_lines_alone_ends(tmp_path):
    with testing.serve(batches={"lines": {"record": "broken"}}) as server:
        try:
            out = tag_batch(frame(30), server, tmp_path, max_attempts=2)
        except RunAborted as error:
            out = error.run.partial()
        assert not (out["llm_status"] == "ok").any()
        assert max(server.ledger.rows().values()) <= 2


@pytest.mark.parametrize("fault", ["malformed", "refusal", "500", "context", "drop"])
def test_a_batch_in_which_all_fail_ends(tmp_path, fault):
    with testing.serve(faults={fault: 1.0}) as server:
        try:
            out = tag_batch(frame(40), server, tmp_path, max_attempts=2)
        except RunAborted as error:
            out = error.run.partial()
        assert not (out["llm_status"] == "ok").any()
        assert max(server.ledger.rows().values()) <= 3  # as live: three useless replies at most
        assert lf.last_run().report.ok == 0


def test_every_batch_expires_with_a_part_and_all_comes_back(tmp_path):
    with testing.serve(batches={"outcomes": ["expired"] * 40, "partial": 0.6}) as server:
        out = tag_batch(frame(60), server, tmp_path, max_attempts=9)
        assert sent_twice(server) == 0
        assert statuses(out)["ok"] >= 58


def test_every_batch_is_found_invalid_and_the_run_ends_with_the_providers_words(tmp_path):
    with testing.serve(batches={"outcomes": ["failed"] * 40}) as server:
        try:
            out = tag_batch(frame(60), server, tmp_path)
        except RunAborted as error:
            out = error.run.partial()
        assert len(server.ledger) == 0
        assert len(server.ledger.batches) < 10
        assert not (out["llm_status"] == "ok").any()


@pytest.mark.parametrize("how", ["failed", "429"])
def test_a_full_queue_is_waited_for(tmp_path, how):
    rules = {"working": 0.3, "max_enqueued": 9_000, "over_quota": how}
    df = frame(60)
    with testing.serve(batches=rules) as server:
        check(tag_batch(df, server, tmp_path), df, server)
        assert sent_twice(server) == 0


def test_smaller_limits_than_we_know_are_found_out(tmp_path):
    df = frame(60)
    with testing.serve(batches={"max_requests": 7, "max_bytes": 30_000}) as server:
        check(tag_batch(df, server, tmp_path), df, server)
        assert sent_twice(server) == 0


def test_the_responses_api_in_batches_gives_the_same(tmp_path):
    df = frame(60)
    with testing.serve(apis=("responses",)) as server:
        check(tag_batch(df, server, tmp_path, api="responses"), df, server)
        assert {each["endpoint"] for each in server.ledger.batches} == {"/v1/responses"}


@pytest.mark.parametrize("unsupported", ["json_schema", "temperature", "max_completion_tokens"])
def test_a_request_that_is_not_understood_is_simplified(tmp_path, unsupported):
    df = frame(60)
    with testing.serve(unsupported=(unsupported,)) as server:
        check(tag_batch(df, server, tmp_path, max_output_tokens=99), df, server)
