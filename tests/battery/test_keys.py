"""Keys, credit and models that stop being good, and texts that are too long."""

from __future__ import annotations

import time

import pandas as pd
import pytest

import llmframe as lf
from llmframe import testing
from llmframe.engine.governor.doubt import EVIDENCE
from llmframe.engine.governor.gate import KEY_AGAIN
from llmframe.engine.rows.health_probe import TEXT as PROBE
from llmframe.errors import RowError, RunAborted
from tests.kits.battery import (
    FIELDS,
    check,
    frame,
    kinds,
    lost,
    says,
    settings,
    start,
    statuses,
    tag,
    uninterrupted,
    until,
)

pytestmark = pytest.mark.battery

CAUSES = {  # fault -> what the message says: the cause, and the cure
    "401": ("does not accept the API key", "HTTP 401", "Give the right api_key="),
    "402": ("no credit", "HTTP 402", "Add credit"),
    "403": ("forbids", "HTTP 403", "Ask the provider"),
    "quota": ("quota is used up", "HTTP 429", "Raise the quota"),
    "404_model": ("no model 'test-model'", "HTTP 404", "Check model="),
}


# -- 27: for good, in mid-run ---------------------------------------------------------------


@pytest.mark.parametrize("fault", CAUSES)
def test_what_is_hopeless_ends_the_run_with_its_rows_pending_and_a_resume_finishes(fault, tmp_path):
    with testing.serve(latency=0.02) as server:
        run = start(frame(300), server, tmp_path, concurrency=10)
        until(lambda: run.report.ok >= 40)
        server.update(faults={fault: 1.0})
        with pytest.raises(RunAborted) as caught:
            run.result()
        refused = [call for call in server.ledger.calls if call.fault == fault]
        late = [call for call in server.ledger.calls if call.at > refused[0].answered + 0.01]
        alone = fault in ("401", "402", "403", "404_model")  # the lone try, or the health probe
        assert len(refused) <= 10 + alone
        assert len(late) <= 10 + alone  # what was leaving, and that one
        out = run.partial()
        ok = statuses(out)["ok"]
        assert statuses(out) == {"ok": ok, "pending": 300 - ok}
        assert lost(out, server.ledger) == []
        says(caught.value, *CAUSES[fault], f"{ok} of 300 rows are answered and safe in")
        says(caught.value, "run.jsonl", f"{300 - ok} are pending", "Run the same call again")

        server.update(faults={})
        server.ledger.clear()
        again = tag(frame(300), server, tmp_path)
        assert len(server.ledger) == 300 - ok
        assert again.equals(uninterrupted(frame(300)))


def test_a_401_for_good_is_probed_later_alone_and_then_never(tmp_path):
    with testing.serve(latency=0.02) as server:
        run = start(frame(300), server, tmp_path, concurrency=8)
        until(lambda: run.report.ok >= 40)
        server.update(key="sk-another-key-0000")
        with pytest.raises(RunAborted):
            run.result()
        refused = [call for call in server.ledger.calls if call.fault == "401"]
        flying = [call for call in refused if call.row != PROBE]
        probes = [call for call in refused if call.row == PROBE]
        assert 1 <= len(flying) <= 8
        # three refusals in all are sure: where one request was on its way, two probes say so
        assert len(probes) == max(1, EVIDENCE - len(flying))
        assert all(call.in_flight == 1 for call in probes)
        # counted from the first refusal that came back: others may have been under way then
        assert probes[0].at - min(call.answered for call in flying) > 0.9 * KEY_AGAIN
        quiet = len(server.ledger)
        time.sleep(0.3)
        assert len(server.ledger) == quiet


def test_with_the_right_key_the_same_checkpoint_goes_on(tmp_path):
    with testing.serve(key="sk-right-key-0123") as server:
        with pytest.raises(RunAborted, match="does not accept the API key"):
            tag(frame(40), server, tmp_path)
        assert len(server.ledger) == 1  # the probe
        out = tag(frame(40), server, tmp_path, api_key="sk-right-key-0123")
        assert out.equals(uninterrupted(frame(40)))


def test_every_run_of_the_key_ends_and_a_run_with_another_key_goes_on(tmp_path):
    with testing.serve(latency=0.02) as server:
        options = {"concurrency": 4, "checkpoint": False}
        first = start(frame(200, "a"), server, None, **options)
        second = start(frame(200, "b"), server, None, **options)
        other = start(frame(60, "c"), server, None, **options, api_key="sk-other-key-456")
        until(lambda: min(first.report.ok, second.report.ok) >= 10)
        server.update(faults=lambda row, attempt: "quota" if row[0] in "ab" else None)
        for run in (first, second):
            with pytest.raises(RunAborted, match="quota"):
                run.result()
            assert "failed" not in statuses(run.partial())
        assert statuses(other.result()) == {"ok": 60}


# -- 28: once, and told apart from a plain refusal ---------------------------------------------


@pytest.mark.parametrize("seconds", [0.0, 0.4])
def test_a_401_that_passes_costs_no_row(seconds, tmp_path):
    refused = []

    def fault(row, attempt):
        now = time.monotonic()
        if len(server.ledger) < 60 or (refused and now > refused[0] + seconds):
            return None
        refused.append(now)
        return "401"

    with testing.serve(latency=0.01) as server:
        server.update(faults=fault)
        out = tag(frame(200), server, tmp_path, concurrency=10)
        assert 1 <= len(refused) <= 10
        assert len(server.ledger) == 200 + len(refused) + 1  # the health probe
        bad = [call for call in server.ledger.calls if call.fault == "401"]
        [probe] = [call for call in server.ledger.calls if call.row == PROBE]
        assert probe.in_flight == 1
        assert probe.at - min(call.answered for call in bad) > 0.9 * KEY_AGAIN
        check(out, frame(200), server)


def test_a_plain_429_waits_where_a_quota_429_ends_the_run(tmp_path):
    def fault(row, attempt):
        return "429_after" if "record 7 " in row and attempt < 2 else None

    with testing.serve(faults=fault, retry_after=0.05, latency=0.005) as server:
        out = tag(frame(60), server, tmp_path)
        check(out, frame(60), server)
        server.update(faults={"quota": 1.0})
        with pytest.raises(RunAborted, match="quota is used up"):
            tag(frame(60, "new"), server, None)


# -- 14: too long ---------------------------------------------------------------------------------

LONG = "long " * 1_000_000  # 5 MB


def with_a_long_one(n=20):
    df = frame(n)
    df.iloc[5, 0] = LONG
    return df


@pytest.mark.filterwarnings("ignore:Sending a large body")  # of the transport
def test_a_text_over_the_model_s_context_fails_alone_and_is_sent_once():
    with testing.serve(fault_rows={LONG[:100]: "context"}, latency=0.002) as server:
        out = tag(with_a_long_one(), server, None)
        assert statuses(out) == {"ok": 19, "failed": 1}
        assert sum(row.startswith(LONG[:100]) for row in server.ledger.rows().elements()) == 1
        says(out["llm_error"].iloc[5], "context_length: ", "maximum context length")
        assert len(out["llm_error"].iloc[5]) < 300


@pytest.mark.filterwarnings("ignore:Sending a large body")  # of the transport
def test_a_text_of_five_megabytes_can_be_sent():
    with testing.serve() as server:
        out = tag(with_a_long_one(), server, None, concurrency=4)
        assert out["llm_error"].dropna().tolist() == []
        assert len(server.ledger) == 20


def test_a_text_above_max_input_tokens_is_not_sent():
    with testing.serve() as server:
        out = tag(with_a_long_one(), server, None, max_input_tokens=1000)
        assert statuses(out) == {"ok": 19, "failed": 1}
        assert len(server.ledger) == 19
        says(out["llm_error"].iloc[5], "context_length: ", "1,250,000", "nothing was sent")


def test_a_text_above_max_input_tokens_may_lose_its_end(tmp_path):
    with testing.serve() as server:
        options = {"max_input_tokens": 1000, "on_long": "truncate"}
        out = tag(with_a_long_one(), server, tmp_path, **options)
        assert statuses(out) == {"ok": 20}
        assert lf.last_run().report.cut == 1
        assert max(len(call.row) for call in server.ledger.calls) <= 4000


def test_many_errors_of_the_rows_own_never_trip_the_breaker():
    rows = {f"record {i} ": "context" for i in range(30)}
    with testing.serve(fault_rows=rows, latency=0.002) as server:
        out = tag(frame(40), server, None)
        assert kinds(out) == {"context_length": 30}
        assert server.ledger.rows().most_common(1)[0][1] == 1


def test_on_error_raise_names_the_row_and_keeps_the_rest(tmp_path):
    with testing.serve(fault_rows={"record 7 ": "content_filter"}, latency=0.002) as server:
        with pytest.raises(RowError) as caught:
            tag(frame(60), server, tmp_path, on_error="raise")
        says(caught.value, "row 7", "content_filter")
        assert (caught.value.position, caught.value.index) == (7, 10 + 3 * 7)
        assert lost(caught.value.run.partial(), server.ledger) == []


def test_a_series_fails_and_resumes_as_a_frame_does(tmp_path):
    texts = frame(40)["text"]
    with testing.serve(latency=0.005) as server:
        server.update(faults=lambda row, attempt: "quota" if "record 30 " in row else None)
        with pytest.raises(RunAborted):
            texts.llm.tag(FIELDS, **settings(server, tmp_path))
        server.update(faults={})
        out = texts.llm.tag(FIELDS, **settings(server, tmp_path))
        assert isinstance(out, pd.DataFrame)
        assert statuses(out) == {"ok": 40}
        assert server.ledger.billed_twice() == []
