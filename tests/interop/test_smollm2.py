"""A real model: SmolLM2 with 135 million weights, by llama.cpp's server in its wheel."""

from __future__ import annotations

import statistics
import struct
import time
from typing import Annotated, Literal

import numpy as np
import pandas as pd
import pytest
from pydantic import Field

import llmframe as lf
from llmframe import testing
from llmframe.calls.destination import find_destination, start_local
from llmframe.errors import PlanError
from llmframe.options.layers import settle
from llmframe.providers.local import server as local
from llmframe.runs.run import session_of
from tests.providers.local.test_gguf import text

pytestmark = pytest.mark.interop

LABELS = ["refund", "delivery", "billing", "account", "praise", "other"]
ASK = "Tag this customer-service record."


@pytest.fixture
def df(smollm2):
    records = [record for record in testing.records(40) if record["text"].isascii()]
    return pd.DataFrame(records[:8])[["text"]]


def test_no_row_is_lost_and_no_label_is_off_the_list(df):
    out = df.llm.tag("text", LABELS, instructions=ASK)
    assert (out["llm_status"] == "ok").all()
    assert set(out["label"]) <= set(LABELS)
    report = lf.last_run().report
    assert report.tokens_in > 50 * len(df)
    assert report.tokens_out > 0


def test_the_schema_is_enforced_to_its_numbers_and_lists(df):
    fields = {
        "stars": Annotated[int, Field(ge=1, le=5)],
        "urgent": bool,
        "topics": list[Literal["price", "quality", "service"]],
    }
    out = df.head(3).llm.tag("text", fields, instructions=ASK, details=True)
    for status, error, stars in zip(out["llm_status"], out["llm_error"], out["stars"], strict=True):
        assert status == "ok" or str(error).startswith(("truncated", "output")), error
        assert status != "ok" or 1 <= stars <= 5
    assert out["llm_raw"].dropna().str.startswith("{").all()


def test_json_that_is_cut_is_asked_for_again_with_a_larger_cap(df):
    out = df.head(4).llm.tag("text", LABELS, instructions=ASK, max_output_tokens=3)
    assert (out["llm_status"] == "ok").all()
    assert lf.last_run().report.retries == 4  # each answer met the cap once


def test_a_text_without_end_fails_with_its_reason_or_ends(df):
    out = df.head(1).llm.tag(
        "text", {"summary": str}, instructions="Summarise in one sentence.", max_output_tokens=24
    )
    for status, error in zip(out["llm_status"], out["llm_error"], strict=True):
        assert status == "ok" or "raise max_output_tokens" in error


def test_a_text_beyond_the_models_context_fails_its_row_alone(df):
    df.loc[1, "text"] = "so many words " * 6000
    out = df.head(3).llm.tag("text", LABELS, instructions=ASK)
    assert list(out["llm_status"]) == ["ok", "failed", "ok"]
    assert out["llm_error"][1].startswith("context_length: ")
    assert "8192" in out["llm_error"][1]


def test_the_notebook_goes_on_while_the_model_works(df):
    run = df.llm.start("text", LABELS, instructions=ASK)
    gaps, last = [], time.perf_counter()
    while not run.wait(0.02):
        session_of(run).snapshot()
        now = time.perf_counter()
        gaps.append(now - last)
        last = now
    assert statistics.median(gaps) < 0.1
    assert run.report.ok == len(df)


def test_a_stopped_run_goes_on_where_it_stopped(df, tmp_path):
    run = df.llm.start("text", LABELS, instructions=ASK, checkpoint=tmp_path / "c.jsonl")
    while not run.report.ok:
        time.sleep(0.02)
    run.stop()
    run.wait()
    kept = run.report.ok
    assert 1 <= kept < len(df)
    out = df.llm.tag("text", LABELS, instructions=ASK, checkpoint=tmp_path / "c.jsonl")
    assert (out["llm_status"] == "ok").all()
    assert lf.last_run().report.reused == kept


def test_check_tells_every_line_right(smollm2, capsys):
    check = lf.check()
    found = {line.name: line.found for line in check.lines}
    assert check.ok, str(check)
    assert found["reachable"].startswith("SmolLM2-135M-Instruct.Q4_1 (98 MB) answers on this")
    assert found["key accepted"] == "no key is needed"
    assert found["response format"].startswith("json_schema, and the answer follows it")
    assert found["logprobs"] == "yes"
    assert found["rate-limit headers"].startswith("none")
    assert found["price"].startswith("free on this machine (")
    assert "reachable" in capsys.readouterr().out


def test_a_wrong_key_is_told(smollm2):
    destination = start_local(find_destination(settle({}), own_loop=True), need=lambda: 0)
    check = lf.check(base_url=destination.endpoint.base_url, api_key="sk-wrong-0123456", model="m")
    (wrong,) = [line for line in check.lines if line.ok is False]
    assert wrong.name == "key accepted"


def test_the_confidence_of_a_label_comes_from_its_probability(df):
    out = df.llm.tag("text", LABELS, instructions=ASK, confidence="logprob")
    assert (out["llm_status"] == "ok").all()
    assert out["label_confidence"].between(0, 1).all()
    assert out["label_confidence"].nunique() > 1


def test_logprobs_may_be_asked_for_by_hand(df):
    out = df.head(2).llm.tag("text", LABELS, instructions=ASK, extra_body={"logprobs": True})
    assert (out["llm_status"] == "ok").all()


def test_the_server_listens_on_this_machine_only(smollm2):
    server, _ = local.serve(local.find_file("smollm2"), need=0, in_use=lambda _: True)
    assert server.base_url.startswith("http://127.0.0.1:")


@pytest.fixture
def pooled(smollm2, tmp_path):
    """The same weights in a file that says how they make one vector of a text."""
    raw = local.find_file("smollm2").path.read_bytes()
    values = text("llama.pooling_type") + struct.pack("<II", 4, 1)
    filler = text("of.no.meaning") + struct.pack("<I", 8)
    # the tensors behind the head stay at multiples of 32 bytes
    values += filler + text("." * (-(len(values) + len(filler) + 8) % 32))
    _, version, tensors, count = struct.unpack("<4sIQQ", raw[:24])
    path = tmp_path / "pooled.gguf"
    path.write_bytes(
        struct.pack("<4sIQQ", b"GGUF", version, tensors, count + 2) + values + raw[24:]
    )
    return str(path)


def test_a_file_that_embeds_gives_vectors_and_one_that_writes_is_refused(pooled):
    df = pd.DataFrame({"text": ["my parcel is late", "where is my parcel", None]})
    for model in ("smollm2", str(local.find_file("smollm2").path)):
        with pytest.raises(PlanError, match="writes text"):
            df.llm.embed("text", provider="local", model=model, progress=False)
    out = df.llm.embed("text", provider="local", model=pooled, progress=False)
    assert out["llm_status"].tolist() == ["ok", "ok", "skipped"]
    vectors = np.stack(out["text_embedding"].dropna())
    assert (vectors.dtype, vectors.shape) == (np.float32, (2, 576))
    assert np.isfinite(vectors).all()
    assert lf.last_run().report.cost is None
