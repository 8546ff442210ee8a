"""Over a real wire: what a provider can do wrong, and what the frame shows then."""

from __future__ import annotations

import asyncio
import json
import time

import openai
import pandas as pd
import pytest

import llmframe as lf
from llmframe import testing
from llmframe.errors import PlanError, RunAborted
from tests.kits.loopback import FIELDS, frame, kinds, statuses, tag

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


def test_every_fault_fails_its_own_row_with_its_kind_and_no_other():
    df = pd.concat([frame(100), pd.DataFrame({"text": [f"<{fault}>" for fault in FAULTS]})])
    rows = {f"<{fault}>": fault for fault in FAULTS}
    with testing.serve(fault_rows=rows, latency=0.005) as server:
        out = tag(df, server, max_attempts=2, timeout=2.0, details=True)
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


def test_a_request_that_hangs_ends_at_its_time_out():
    with testing.serve(fault_rows={"record 3": "hang", "record 4": "trickle"}) as server:
        began = time.monotonic()
        out = tag(frame(), server, timeout=1, max_attempts=1)
        assert time.monotonic() - began < 15
    assert kinds(out).tolist() == ["timeout", "timeout"]
    assert out["llm_error"].dropna().tolist()[0] == (
        "timeout: no complete reply within 1 s; if rows need longer, raise timeout="
    )


def test_a_row_has_its_deadline():
    with testing.serve(fault_rows={"record": "hang"}) as server:
        out = tag(frame(3), server, deadline=0.3, max_attempts=50)
    assert kinds(out).tolist() == ["deadline"] * 3


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
    found = out.to_json() + str(out.attrs) + str(caught.value) + caplog.text
    found += (tmp_path / "c.jsonl").read_text()
    assert "SeCrEt" not in found


def mask(text):
    if text.endswith("3"):
        raise ValueError(f"cannot mask {text}")
    if text.endswith("4"):
        return None
    if text.endswith("5"):
        return "  "
    return text.replace("record", "[thing]")


def test_only_redacted_text_is_sent(server, tmp_path):
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


def test_the_caller_s_client_is_used(server):
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


def test_values_that_json_cannot_hold_fail_their_row_only():
    answers = {"record 2": '{"score": NaN}', "record 3": '{"score": Infinity}'}
    answers |= {f"record {i}": json.dumps({"score": i / 2}) for i in (0, 1, 4)}
    with testing.serve(answer=answers) as server:
        out = lf.tag(frame(5), "text", {"score": float}, model="m", base_url=server.url,
                     progress=False)  # fmt: skip
    assert out["score"].tolist()[:2] == [0.0, 0.5]
    assert out["llm_status"].tolist() == ["ok", "ok", "failed", "failed", "ok"]
    assert set(kinds(out)) == {"output"}


def test_only_the_beginning_of_a_text_that_is_too_long_is_sent(server, tmp_path):
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
