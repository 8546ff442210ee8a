"""mode="batch" as a person makes the call: what it gives back, and what was sent for it."""

from __future__ import annotations

from collections import Counter

import pandas as pd
import pytest

import llmframe as lf
from llmframe.errors import IncompleteWarning, PlanError, RunAborted
from tests.kits.until import until

FIELDS = {"intent": ["refund", "delivery", "other"], "summary": str}
OPTIONS = {"mode": "batch", "prices": (1.0, 2.0)}


def frame(n=20):
    return pd.DataFrame({"text": [f"record {i}" for i in range(n)]})


def tag(df, **options):
    return lf.tag(df, "text", FIELDS, **(OPTIONS | options))


def asked(server):
    """How often each row was asked for."""
    return Counter(call.row for call in server.ledger.calls)


def asked_live(server):
    return [call.row for call in server.ledger.calls if not call.batch]


# -- what comes back ----------------------------------------------------------------------


def test_a_batch_gives_the_frame_that_a_live_call_gives(configured):
    live = lf.tag(frame(), "text", FIELDS, checkpoint=False)
    configured.ledger.clear()
    pd.testing.assert_frame_equal(tag(frame()), live)
    assert [batch["request_counts"]["total"] for batch in configured.ledger.batches] == [20]
    assert set(asked(configured).values()) == {1}
    assert asked_live(configured) == []


def test_only_what_has_no_answer_is_sent_and_equal_rows_once(configured):
    lf.tag(frame(5), "text", FIELDS)
    configured.ledger.clear()
    df = pd.concat([frame(10), frame(10), pd.DataFrame({"text": [" ", None]})], ignore_index=True)
    out = tag(df)
    assert Counter(out["llm_status"]) == {"ok": 20, "skipped": 2}
    assert sorted(asked(configured)) == [f"record {i}" for i in range(5, 10)]
    report = lf.last_run().report
    assert (report.requests, report.reused, report.shared) == (5, 10, 5)


def test_a_batch_costs_half_and_the_budget_counts_that(configured):
    tag(frame())
    report = lf.last_run().report
    whole = (report.tokens_in * 1.0 + report.tokens_out * 2.0) / 1e6
    assert report.cost == pytest.approx(whole / 2)
    tag(frame(40), prices={"in": 1.0, "out": 2.0, "batch": 1.0}, max_cost=1.0)
    again = lf.last_run().report
    assert again.cost == pytest.approx((again.tokens_in + 2.0 * again.tokens_out) / 1e6)
    assert again.budget.cost == pytest.approx(report.cost + again.cost)


def test_the_responses_api_is_asked_in_batches_too(configured):
    out = tag(frame(), api="responses")
    assert (out["llm_status"] == "ok").all()
    assert configured.ledger.batches[0]["endpoint"] == "/v1/responses"


def test_a_limit_of_requests_makes_more_batches(configured):
    configured.update(batches={"max_requests": 8})
    assert (tag(frame())["llm_status"] == "ok").all()
    assert sum(b["request_counts"]["total"] for b in configured.ledger.batches) == 20
    assert set(asked(configured).values()) == {1}


# -- rows that fail there -------------------------------------------------------------------


def test_what_may_be_asked_again_goes_into_another_batch(configured):
    configured.update(faults={"500": 0.2})
    out = tag(frame(40), max_attempts=50)
    assert (out["llm_status"] == "ok").all()
    assert len(configured.ledger.batches) > 1
    assert asked_live(configured) == []
    assert lf.last_run().report.retries > 0


def test_a_fallback_asks_live_what_a_batch_left_over(configured):
    configured.update(batches={"outcomes": ["expired"], "partial": 0.5})
    out = tag(frame(20), batch_fallback="live")
    assert (out["llm_status"] == "ok").all()
    assert len(configured.ledger.batches) == 1
    assert len(asked_live(configured)) == 10
    assert set(asked(configured).values()) == {1}


def test_a_row_that_the_provider_refuses_fails_as_it_does_live(configured):
    rows = {"3": "content_filter", "4": "context", "5": "malformed", "6": "refusal", "7": "length"}
    configured.update(fault_rows={f"record {row}": fault for row, fault in rows.items()})
    live = lf.tag(frame(10), "text", FIELDS, checkpoint=False)
    out = tag(frame(10))
    pd.testing.assert_series_equal(out["llm_error"], live["llm_error"])
    assert out["llm_error"].notna().sum() == 5


def test_a_batch_that_fails_its_validation_costs_only_the_line_that_is_named(configured):
    configured.update(batches={"outcomes": ["failed"]})
    out = tag(frame())
    assert Counter(out["llm_status"]) == {"ok": 19, "failed": 1}
    assert out["llm_error"].dropna().str.startswith("bad_request: the provider refused it").all()
    assert set(asked(configured).values()) == {1}


def test_a_row_that_no_batch_comes_to_fails_in_the_end(configured):
    configured.update(batches={"lines": {"record 3": "absent"}})
    out = tag(frame(), max_attempts=2)
    assert out["llm_error"].dropna().to_dict() == {
        3: "server: the provider's batch ended before it came to this row (after 2 attempts)"
    }


def test_a_request_form_that_is_unknown_is_simplified(configured):
    configured.update(unsupported=("json_schema",))
    assert (tag(frame())["llm_status"] == "ok").all()
    assert len(configured.ledger.batches) == 2


def test_a_call_that_is_wrong_for_every_row_is_aborted(configured):
    configured.update(faults={"404_model": 1.0})
    with pytest.raises(RunAborted, match="no model 'test-model'"):
        tag(frame())
    assert lf.last_run().report.pending == 20


# -- where there is none ----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"checkpoint": False}, "needs a checkpoint"),
        ({"hedge": True}, "hedge"),
        ({"mode": "live", "batch_fallback": "live"}, 'give mode="batch"'),
        ({"provider": "deepseek", "base_url": None, "api_key": "k" * 20}, "no Batch API"),
        ({"mode": "batches"}, '"live" or "batch"'),
        ({"batch_fallback": "later"}, '"live", or None'),
    ],
)
def test_what_cannot_be_is_said_before_anything_is_sent(configured, options, words):
    if options.get("base_url", "") is None:
        lf.configure(reset=True)
        options = {**options, "base_url": "https://api.deepseek.com/v1"}
    with pytest.raises(PlanError, match=words):
        tag(frame(), **options)
    assert len(configured.ledger) == 0


def test_an_endpoint_without_batches_asks_nothing_and_names_the_fallback(configured):
    configured.update(batches=None)
    with pytest.raises(RunAborted, match='batch_fallback="live"'):
        tag(frame())
    assert len(configured.ledger) == 0
    with pytest.warns(UserWarning, match="no batches"):
        out = tag(frame(), batch_fallback="live")
    assert (out["llm_status"] == "ok").all()


def test_a_wrong_key_is_told_before_anything_is_sent(configured):
    configured.update(key="another")
    with pytest.raises(RunAborted, match="API key"):
        tag(frame(), api_key="sk-wrong-0123456789")


# -- stops ------------------------------------------------------------------------------------


def test_a_stop_cancels_and_keeps_what_was_answered(configured):
    configured.update(batches={"working": 1000.0})
    run = lf.start(frame(), "text", FIELDS, **OPTIONS)
    until(lambda: "at work" in run_words(run))
    configured.advance(500.0)
    until(lambda: configured.ledger.batches[0]["request_counts"]["completed"] >= 8)
    run.stop()
    with pytest.warns(IncompleteWarning):
        out = run.result()
    done = (out["llm_status"] == "ok").sum()
    assert configured.ledger.batches[0]["status"] == "cancelled"
    assert 8 <= done < 20
    configured.update(batches={})
    assert (tag(frame())["llm_status"] == "ok").all()
    assert set(asked(configured).values()) == {1}


def run_words(run):
    from llmframe.runs.run import session_of

    return session_of(run).snapshot().pace


def test_the_same_call_elsewhere_finds_the_batch_and_can_cancel_it(configured):
    configured.update(batches={"working": 1000.0})
    left = lf.start(frame(), "text", FIELDS, **OPTIONS)
    until(lambda: "at work" in run_words(left))
    leave(left)
    assert left.report.in_batches == (20, 1)
    assert "1 batch at the provider" in str(left.partial) or left.report.pending == 20
    other = lf.start(frame(), "text", FIELDS, **OPTIONS)
    other.stop()
    assert other.wait(30)
    assert [batch["status"] for batch in configured.ledger.batches] == ["cancelled"]


def leave(run):
    """What an interrupt does to a run."""
    from llmframe.runs.run import session_of

    session_of(run).leave()
    assert run.wait(30)


def test_a_live_call_warns_of_rows_that_are_in_a_batch(configured):
    configured.update(batches={"working": 1000.0})
    run = lf.start(frame(), "text", FIELDS, **OPTIONS)
    until(lambda: "at work" in run_words(run))
    leave(run)
    with pytest.warns(UserWarning, match="20 rows are in 1 batch at the provider"):
        lf.tag(frame(), "text", FIELDS)


def test_one_frames_batch_keeps_its_answers_for_another_frame(configured):
    configured.update(batches={"working": 1000.0})
    run = lf.start(frame(), "text", FIELDS, **OPTIONS)
    until(lambda: "at work" in run_words(run))
    leave(run)
    configured.advance(1000.0)
    assert (tag(frame(3))["llm_status"] == "ok").all()
    assert (lf.tag(frame(), "text", FIELDS)["llm_status"] == "ok").all()
    assert set(asked(configured).values()) == {1}
    assert asked_live(configured) == []
