"""llmock: a strict stand-in for OpenAI's API with limits, headers and its own faults."""

from __future__ import annotations

import contextlib
import json
import time
import urllib.error
import urllib.request

import pandas as pd
import pytest

import llmframe as lf
from llmframe.runs.run import session_of
from tests.interop.conftest import KEY

pytestmark = pytest.mark.interop

LABELS = ["good", "bad"]


def frame(rows):
    return pd.DataFrame({"text": [f"record {number}" for number in range(rows)]})


def test_rows_are_tagged_under_a_schema_that_is_kept_to(llmock):
    llmock()
    fields = {"tone": LABELS, "stars": int, "note": str | None}
    out = frame(40).llm.tag("text", fields)
    assert (out["llm_status"] == "ok").all()
    assert lf.last_run().report.requests == 40


def test_refusals_and_faults_cost_no_row(llmock):
    llmock("--error-rate", "503=0.1", "--error-rate", "429=0.1", "--error-rate", "500=0.05")
    out = frame(40).llm.tag("text", LABELS, concurrency=8)
    report = lf.last_run().report
    assert (out["llm_status"] == "ok").all()
    assert report.refusals > 0
    assert report.requests > 40


def test_a_limit_is_read_from_the_headers_and_kept(llmock):
    llmock("--rpm", "60")
    out = frame(5).llm.tag("text", LABELS)
    report = lf.last_run().report
    assert (out["llm_status"] == "ok").all()
    assert report.refusals == 0
    assert report.limited_by == "RPM 60 (header)"


def test_a_429_with_its_wait_is_waited_for(llmock):
    url = llmock("--rpm", "60")
    use_up(url, 60)
    began = time.monotonic()
    run = frame(2).llm.start("text", LABELS, checkpoint=False)
    while not run.report.refusals:
        assert not run.wait(0.02)
    assert "provider pause" in session_of(run).snapshot().limited_by
    assert run.result()["llm_status"].eq("ok").all()
    assert time.monotonic() - began > 0.5  # the real wait, until one more is allowed


def use_up(url, requests):
    """Spend the key's minute, as somebody else may do."""
    body = {"model": "gpt-4o", "messages": [{"role": "user", "content": "hello"}]}
    headers = {"Authorization": f"Bearer {KEY}", "Content-Type": "application/json"}
    for _ in range(requests):
        asked = urllib.request.Request(
            f"{url}/chat/completions", json.dumps(body).encode(), headers
        )
        with contextlib.suppress(urllib.error.HTTPError):
            urllib.request.urlopen(asked).close()


def test_check_tells_every_line_right(llmock, capsys):
    llmock()
    check = lf.check()
    found = {line.name: line.found for line in check.lines}
    assert check.ok, str(check)
    assert found["reachable"] == "it answers"
    assert found["key accepted"] == "as given"
    assert found["response format"] == "json_schema, and the answer follows it"
    assert found["logprobs"] == "no: requested, but none came"
    assert found["rate-limit headers"] == "none; a run finds the limits by itself"
    assert "tokens in" in found["price"]


def test_the_absence_of_logprobs_is_told_once(llmock):
    llmock()
    with pytest.warns(UserWarning, match="gave no probabilities") as warned:
        out = frame(4).llm.tag("text", LABELS, confidence="logprob")
    assert len(warned) == 1
    assert (out["llm_status"] == "ok").all()
    assert out["label_confidence"].isna().all()
