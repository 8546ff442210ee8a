"""Over a real wire: runs that end early, stop, or ask for the same rows concurrently."""

from __future__ import annotations

import asyncio
import threading
import time
from collections import Counter

import pandas as pd
import pytest

import llmframe as lf
from llmframe import testing
from llmframe.engine.rows import decisions
from llmframe.engine.rows.claims import in_flight
from llmframe.errors import IncompleteWarning, RowError, RunAborted
from llmframe.runs.run import session_of
from tests.kits.loopback import FIELDS, frame, statuses, tag
from tests.kits.scripts import run as run_script
from tests.kits.until import until, until_true


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        ("401", "asks for an API key, and none was"),
        ("402", "no credit"),
        ("403", "forbids"),
        ("404_model", "no model 'test-model'"),
        ("quota", "quota is used up"),
    ],
)
def test_an_error_that_no_retry_cures_aborts_the_run_and_leaves_the_rest(fault, words, tmp_path):
    with testing.serve(latency=0.01) as server:
        run = lf.start(
            frame(500), "text", FIELDS, model="test-model", base_url=server.url, progress=False,
            concurrency=5, checkpoint=tmp_path / "c.jsonl",
        )  # fmt: skip
        until(lambda: len(server.ledger) >= 40)
        server.update(faults={fault: 1.0})
        at = time.monotonic()
        with pytest.raises(RunAborted, match=words) as caught:
            run.result()
        refused = [call for call in server.ledger.calls if call.status not in (0, 200)]
        assert len(server.ledger.since(at)) <= 10
        assert len(refused) <= 5 + 1  # those in flight, and the lone one after a 401
        good = sum(call.status == 200 for call in server.ledger.calls)
        out = caught.value.run.partial()
        assert statuses(out) == {"ok": good, "pending": 500 - good}
        assert run.status == "aborted"
        assert f"{good} of 500 rows are answered and safe in" in str(caught.value)
        server.update(faults={})
        server.ledger.clear()
        again = tag(frame(500), server, checkpoint=tmp_path / "c.jsonl")
        assert statuses(again) == {"ok": 500}
        assert len(server.ledger) == 500 - good


def test_an_endpoint_that_is_not_there_aborts_the_run_and_fails_no_row(monkeypatch):
    usual = decisions.NEVER_CONNECTED
    monkeypatch.setattr(decisions, "NEVER_CONNECTED", 0.3)
    server = testing.serve()
    server.close()
    began = time.monotonic()
    with pytest.raises(RunAborted, match="cannot be reached") as caught:
        tag(frame(), server)
    assert time.monotonic() - began < usual
    assert statuses(caught.value.run.partial()) == {"pending": 20}
    assert "start the server, or check base_url" in str(caught.value)


def test_a_host_that_does_not_exist_aborts_the_run(monkeypatch):
    monkeypatch.setattr(decisions, "NEVER_CONNECTED", 0.3)
    with pytest.raises(RunAborted, match="cannot be reached"):
        lf.tag(
            frame(3), "text", FIELDS, model="m", api_key="k", progress=False, checkpoint=False,
            base_url="https://nowhere.invalid/v1",
        )  # fmt: skip


def test_a_stop_sends_nothing_more_and_the_next_call_goes_on(tmp_path):
    where = {"checkpoint": tmp_path / "c.jsonl"}
    with testing.serve(latency=0.05) as server:
        run = lf.start(frame(200), "text", FIELDS, model="test-model", base_url=server.url,
                       progress=False, concurrency=10, **where)  # fmt: skip
        until(lambda: len(server.ledger) >= 35)
        run.stop()
        before = len(server.ledger)
        with pytest.warns(IncompleteWarning, match="pending"):
            out = run.result()
        sent = len(server.ledger)
        assert statuses(out) == {"ok": sent, "pending": 200 - sent}
        assert sent <= before + 10 < 200  # those that were leaving
        assert run.status == "stopped"
        assert statuses(tag(frame(200), server, **where)) == {"ok": 200}
        assert set(server.ledger.rows().values()) == {1}


def test_a_paused_run_waits_while_another_goes_on():
    with testing.serve(latency=0.02) as server:
        run = lf.start(frame(60), "text", FIELDS, model="test-model", base_url=server.url,
                       progress=False, concurrency=5, checkpoint=False)  # fmt: skip
        until(lambda: len(server.ledger) >= 10)
        run.pause()
        until(lambda: session_of(run).snapshot().in_flight == 0)
        sent = len(server.ledger)
        assert run.status == "paused"
        assert session_of(run).snapshot().limited_by == "pause by you"
        other = tag(frame(20, "other"), server)  # the pause is this run's own
        assert statuses(other) == {"ok": 20}
        assert len(server.ledger) == sent + 20
        run.resume()
        assert statuses(run.result()) == {"ok": 60}


@pytest.mark.parametrize("prefixes", [("a_", "b_"), ("a_", "b_", "c_")])
def test_calls_at_once_from_several_threads_pay_for_no_row_twice(prefixes):
    with testing.serve(latency=0.01) as server:
        outs = {}

        def call(prefix):
            outs[prefix] = tag(frame(100), server, prefix=prefix, checkpoint=True)

        threads = [threading.Thread(target=call, args=(prefix,)) for prefix in prefixes]
        for each in threads:
            each.start()
        for each in threads:
            each.join(30)
        assert all(Counter(outs[p][f"{p}llm_status"]) == {"ok": 100} for p in prefixes)
        assert set(server.ledger.rows().values()) == {1}


def test_the_run_that_waits_takes_over_a_cancelled_run_s_rows():
    async def main(server):
        options = {"model": "test-model", "base_url": server.url, "progress": False,
                   "concurrency": 5, "checkpoint": False}  # fmt: skip
        first = asyncio.create_task(lf.atag(frame(30), "text", FIELDS, **options))
        await until_true(lambda: in_flight.count >= 5)
        second = asyncio.create_task(lf.atag(frame(30), "text", FIELDS, prefix="x", **options))
        # the second run claims keys of its own once it awaits the first one's
        await until_true(lambda: in_flight.count > 5)
        first.cancel()
        out = await second
        with pytest.raises(asyncio.CancelledError):
            await first
        return out

    with testing.serve(latency=0.2) as server:
        out = asyncio.run(main(server))
    assert Counter(out["xllm_status"]) == {"ok": 30}


def test_the_first_failed_row_is_raised_with_on_error_raise():
    df = frame(20).set_index(pd.Index(range(100, 120)))
    with (
        testing.serve(fault_rows={"record 7": "content_filter"}) as server,
        pytest.raises(RowError, match="row 7: content_filter") as caught,
    ):
        tag(df, server, on_error="raise")
    error = caught.value
    assert (error.position, error.index, error.kind) == (7, 107, "content_filter")
    assert statuses(error.run.partial())["failed"] == 1


FULL_DISK = """
import resource
from llmframe.errors import CheckpointError
resource.setrlimit(resource.RLIMIT_FSIZE, (6000, 6000))
try:
    lf.tag(frame(300), "text", FIELDS, checkpoint="c.jsonl")
except CheckpointError as error:
    out = error.run.partial()
    tell(counts=counts(out), message=str(error), values=int(out["intent"].notna().sum()))
"""


def test_a_full_disk_ends_the_run_with_every_paid_answer_in_the_frame():
    with testing.serve(latency=0.02) as server:
        found = run_script(server, FULL_DISK)
        answered = sum(call.status == 200 for call in server.ledger.calls)
        assert len(server.ledger) == answered
    assert found["counts"] == {"ok": answered, "pending": 300 - answered}
    assert found["values"] == answered
    assert 20 < answered < 100
    assert "File too large" in found["message"]
    assert f"{answered} of 300 rows are answered" in found["message"]
