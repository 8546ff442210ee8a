"""The whole way over a real wire: what a provider can do wrong, and what the frame shows then."""

from __future__ import annotations

import asyncio
import json
import threading
import time
from collections import Counter

import openai
import pandas as pd
import pytest

import llmframe as lf
from llmframe import testing
from llmframe.engine.rows import decisions
from llmframe.errors import IncompleteWarning, PlanError, RowError, RunAborted
from llmframe.runs.run import session_of
from tests.kits.scripts import run as run_script
from tests.kits.scripts import until

FIELDS = {"intent": ["refund", "delivery", "other"], "summary": str}

FAULTS = {  # fault -> kind, requests with max_attempts=2
    "500": ("server", 2),
    "502": ("server", 2),
    "503": ("server", 2),
    "error_200": ("server", 2),
    "html": ("server", 2),
    "empty_choices": ("server", 2),
    "drop": ("connection", 2),
    "hang": ("timeout", 2),
    "trickle": ("timeout", 2),
    "content_filter": ("content_filter", 1),
    "context": ("context_length", 1),
    "refusal": ("refusal", 1),
    "length": ("truncated", 2),
    "malformed": ("output", 2),
    "schema": ("output", 2),
    "off_list": ("output", 2),
    "null_content": ("output", 2),
    "blank": ("output", 2),
}


def frame(n=20, name="record"):
    return pd.DataFrame({"text": [f"{name} {i}" for i in range(n)]})


def tag(df, server, **options):
    settings = {"model": "test-model", "base_url": server.url, "progress": False,
                "checkpoint": False, "concurrency": 20}  # fmt: skip
    return lf.tag(df, "text", FIELDS, **(settings | options))


def statuses(out):
    return Counter(out["llm_status"])


def kinds(out):
    return out["llm_error"].dropna().str.partition(":")[0]


# -- one bad row costs no other ----


def test_every_fault_fails_its_own_row_with_its_kind_and_no_other():
    df = pd.concat([frame(100), pd.DataFrame({"text": [f"<{fault}>" for fault in FAULTS]})])
    rows = {f"<{fault}>": fault for fault in FAULTS}
    with testing.serve(fault_rows=rows, latency=0.005) as server:
        out = tag(df, server, max_attempts=2, timeout=1.0, details=True)
        asked = server.ledger.rows()
    bad = out.set_index("text").iloc[100:]
    assert (out["llm_status"][:100] == "ok").all()
    assert kinds(bad).to_dict() == {f"<{fault}>": kind for fault, (kind, _) in FAULTS.items()}
    assert {row: asked[row] for row in rows} == {f"<{f}>": n for f, (_, n) in FAULTS.items()}
    assert all(asked[f"record {i}"] == 1 for i in range(100))
    assert (bad["llm_attempts"] == [n for _, n in FAULTS.values()]).all()
    assert not bad["llm_error"].str.contains("NoneType|Attribute|IndexError|Traceback").any()


@pytest.mark.parametrize("fault", ["429", "429_after", "503_after"])
def test_a_row_that_alone_is_always_refused_fails_and_no_other(fault):
    with testing.serve(
        fault_rows={"record 150": fault}, retry_after=0.01, latency=0.002
    ) as server:  # fmt: skip
        out = tag(frame(400), server)
    assert statuses(out) == {"ok": 399, "failed": 1}
    assert kinds(out).tolist() == ["rate_limit"]


def test_faults_that_pass_cost_no_row_and_few_requests():
    faults = {"500": 0.1, "429_after": 0.05}
    with testing.serve(faults=faults, retry_after=0.05, latency=0.005) as server:
        out = tag(frame(200), server)
        assert statuses(out) == {"ok": 200}
        assert len(server.ledger) <= 244
        assert server.ledger.billed_twice() == []


def test_all_faults_at_once_lose_nothing():
    faults = dict.fromkeys(["500", "drop", "malformed", "html", "blank", "error_200"], 0.05)
    with testing.serve(faults=faults, latency=0.002) as server:
        out = tag(frame(120), server, max_attempts=20)
        assert statuses(out)["ok"] >= 115  # a second bad reply in a row fails its row
        assert set(kinds(out)) <= {"output"}


def test_equal_rows_are_one_request(server):
    out = tag(pd.DataFrame({"text": ["same"] * 50}), server)
    assert len(server.ledger) == 1
    assert statuses(out) == {"ok": 50}
    assert out["summary"].nunique() == 1


def test_blank_rows_are_not_sent(server):
    df = pd.DataFrame({"text": [None, float("nan"), pd.NA, "", " \n", "a"]})
    out = tag(df, server)
    assert out["llm_status"].tolist() == ["skipped"] * 5 + ["ok"]
    assert len(server.ledger) == 1


def test_a_rate_limit_without_headers_loses_no_row():
    with testing.serve(rpm=12_000, retry_after=None, headers=False, latency=0.01) as server:
        out = tag(frame(150), server, concurrency=50)
    assert statuses(out) == {"ok": 150}


def test_at_most_so_many_in_flight_loses_no_row():
    with testing.serve(max_in_flight=5, retry_after=0.02, latency=0.01) as server:
        out = tag(frame(150), server, concurrency=12)
    assert statuses(out) == {"ok": 150}


# -- time ----


def test_what_hangs_is_over_at_its_time_out():
    with testing.serve(fault_rows={"record 3": "hang", "record 4": "trickle"}) as server:
        began = time.monotonic()
        out = tag(frame(), server, timeout=0.3, max_attempts=1)
        assert time.monotonic() - began < 3
    assert kinds(out).tolist() == ["timeout", "timeout"]
    assert out["llm_error"].dropna().tolist()[0] == "timeout: no complete reply within 0.3 s"


def test_a_row_has_its_deadline():
    with testing.serve(fault_rows={"record 3": "hang"}) as server:
        out = tag(frame(), server, deadline=0.3, max_attempts=50)
    assert kinds(out).tolist() == ["deadline"]


# -- hopeless ----


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
def test_the_hopeless_aborts_the_run_and_leaves_rows_pending(fault, words, tmp_path):
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
    monkeypatch.setattr(decisions, "NEVER_CONNECTED", 0.3)
    server = testing.serve()
    server.close()
    began = time.monotonic()
    with pytest.raises(RunAborted, match="cannot be reached") as caught:
        tag(frame(), server)
    assert time.monotonic() - began < 3
    assert statuses(caught.value.run.partial()) == {"pending": 20}
    assert "start the server, or check base_url" in str(caught.value)


def test_a_host_that_does_not_exist_aborts_the_run(monkeypatch):
    monkeypatch.setattr(decisions, "NEVER_CONNECTED", 0.3)
    with pytest.raises(RunAborted, match="cannot be reached"):
        lf.tag(
            frame(3), "text", FIELDS, model="m", api_key="k", progress=False, checkpoint=False,
            base_url="https://nowhere.invalid/v1",
        )  # fmt: skip


def test_an_echoed_key_is_seen_nowhere(tmp_path, caplog):
    key = "sk-proj-SeCrEt0123456789"
    faults = {"record 1": "500", "record 2": "content_filter", "record 3": "error_200"}
    with testing.serve(key=key, echo_key=True, fault_rows=faults) as server:
        out = tag(
            frame(10), server, api_key=key, max_attempts=1, checkpoint=tmp_path / "c.jsonl"
        )  # fmt: skip
        with pytest.raises(RunAborted) as caught:
            tag(frame(10, "other"), server, api_key=key[:-1])
    assert len(out["llm_error"].dropna()) == 3
    told = out.to_json() + str(out.attrs) + str(caught.value) + caplog.text
    told += (tmp_path / "c.jsonl").read_text()
    assert "SeCrEt" not in told


# -- stop, and two at once ----


def test_a_stop_sends_nothing_more_and_the_next_call_goes_on(tmp_path):
    where = {"checkpoint": tmp_path / "c.jsonl"}
    with testing.serve(latency=0.05) as server:
        run = lf.start(frame(200), "text", FIELDS, model="test-model", base_url=server.url,
                       progress=False, concurrency=10, **where)  # fmt: skip
        until(lambda: len(server.ledger) >= 35)
        run.stop()
        with pytest.warns(IncompleteWarning, match="pending"):
            out = run.result()
        sent = len(server.ledger)
        assert statuses(out) == {"ok": sent, "pending": 200 - sent}
        assert sent <= 60
        assert run.status == "stopped"
        assert statuses(tag(frame(200), server, **where)) == {"ok": 200}
        assert set(server.ledger.rows().values()) == {1}


def test_a_paused_run_waits(tmp_path):
    with testing.serve(latency=0.02) as server:
        run = lf.start(frame(60), "text", FIELDS, model="test-model", base_url=server.url,
                       progress=False, concurrency=5, checkpoint=False)  # fmt: skip
        until(lambda: len(server.ledger) >= 10)
        run.pause()
        until(lambda: session_of(run).snapshot().in_flight == 0)
        sent = len(server.ledger)
        assert run.status == "paused"
        assert session_of(run).snapshot().limited_by == "pause by you"
        time.sleep(0.1)
        assert len(server.ledger) == sent
        run.resume()
        assert statuses(run.result()) == {"ok": 60}


@pytest.mark.parametrize("prefixes", [("a_", "b_"), ("a_", "b_", "c_")])
def test_calls_at_once_from_several_threads_buy_nothing_twice(prefixes):
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


def test_a_cancelled_owner_leaves_its_rows_to_who_waits():
    async def main(server):
        options = {"model": "test-model", "base_url": server.url, "progress": False,
                   "concurrency": 5, "checkpoint": False}  # fmt: skip
        first = asyncio.create_task(lf.atag(frame(30), "text", FIELDS, **options))
        await asyncio.sleep(0.05)
        second = asyncio.create_task(lf.atag(frame(30), "text", FIELDS, prefix="x", **options))
        await asyncio.sleep(0.05)
        first.cancel()
        out = await second
        with pytest.raises(asyncio.CancelledError):
            await first
        return out

    with testing.serve(latency=0.2) as server:
        out = asyncio.run(main(server))
    assert Counter(out["xllm_status"]) == {"ok": 30}


# -- redact ----


def mask(text):
    if text.endswith("3"):
        raise ValueError(f"cannot mask {text}")
    if text.endswith("4"):
        return None
    if text.endswith("5"):
        return "  "
    return text.replace("record", "[thing]")


def test_only_redacted_text_leaves(server, tmp_path):
    out = tag(frame(10), server, redact=mask, checkpoint=tmp_path / "c.jsonl", store_input=True)
    assert statuses(out) == {"ok": 7, "failed": 2, "skipped": 1}
    assert out["llm_error"].dropna().tolist() == [
        "redact: ValueError in redact=; nothing was sent",
        "redact: TypeError in redact=; nothing was sent",
    ]
    assert all(row.startswith("[thing]") for row in server.ledger.rows())
    assert "record" not in (tmp_path / "c.jsonl").read_text()


def test_texts_that_are_the_same_after_redaction_are_one_request(server):
    tag(frame(10), server, redact=lambda text: "all the same")
    assert len(server.ledger) == 1


# -- errors that leave the call ----


def test_the_first_failed_row_is_raised_where_that_is_asked_for():
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
        told = run_script(server, FULL_DISK)
        answered = sum(call.status == 200 for call in server.ledger.calls)
        assert len(server.ledger) == answered
    assert told["counts"] == {"ok": answered, "pending": 300 - answered}
    assert told["values"] == answered
    assert 20 < answered < 100
    assert "File too large" in told["message"]
    assert f"{answered} of 300 rows are answered" in told["message"]


# -- clients ----


def test_a_persons_client_is_used(server):
    async def main():
        async with openai.AsyncOpenAI(
            api_key="k", base_url=server.url, http_client=openai.DefaultAsyncHttpxClient()
        ) as client:
            out = await lf.atag(
                frame(5), "text", FIELDS, model="m", client=client, progress=False, checkpoint=False
            )
            assert not client.is_closed()
            return out

    assert statuses(asyncio.run(main())) == {"ok": 5}
    made = lf.tag(
        frame(5), "text", FIELDS, model="m", progress=False, checkpoint=False,
        client=lambda: openai.AsyncOpenAI(
            api_key="k", base_url=server.url, http_client=openai.DefaultAsyncHttpxClient()
        ),
    )  # fmt: skip
    assert statuses(made) == {"ok": 5}


def test_values_that_json_has_no_word_for_fail_their_row_only():
    answers = {"record 2": '{"score": NaN}', "record 3": '{"score": Infinity}'}
    answers |= {f"record {i}": json.dumps({"score": i / 2}) for i in (0, 1, 4)}
    with testing.serve(answer=answers) as server:
        out = lf.tag(frame(5), "text", {"score": float}, model="m", base_url=server.url,
                     progress=False)  # fmt: skip
    assert out["score"].tolist()[:2] == [0.0, 0.5]
    assert out["llm_status"].tolist() == ["ok", "ok", "failed", "failed", "ok"]
    assert set(kinds(out)) == {"output"}


# -- long texts ----


def test_of_a_text_that_is_too_long_only_the_beginning_leaves(server, tmp_path):
    df = pd.DataFrame({"text": ["begin " + "x" * 5_000_000, "short"]})
    out = tag(df, server, max_input_tokens=10, on_long="truncate", checkpoint=tmp_path / "c.jsonl")
    assert list(out["llm_status"]) == ["ok", "ok"]
    assert set(server.ledger.rows()) == {"begin " + "x" * 34, "short"}
    tag(df, server, max_input_tokens=10, on_long="truncate", checkpoint=tmp_path / "c.jsonl")
    assert len(server.ledger) == 2


def test_a_text_that_is_too_long_fails_unsent(server):
    out = tag(pd.DataFrame({"text": ["x" * 100, "short"]}), server, max_input_tokens=10)
    assert list(out["llm_status"]) == ["failed", "ok"]
    assert out["llm_error"][0].startswith("context_length: ")
    assert set(server.ledger.rows()) == {"short"}


def test_a_cut_without_a_length_is_a_mistake_of_the_call(server):
    with pytest.raises(PlanError, match="max_input_tokens"):
        tag(frame(1), server, on_long="truncate")
