"""Calls of the Batch API that fail, and limits that it has: every row is asked for once."""

from __future__ import annotations

import asyncio
import io
from collections import Counter

import pandas as pd
import pytest
from openai import AsyncOpenAI

import llmframe as lf
from llmframe.engine.batch import room, steps
from llmframe.engine.batch.provider import BatchProvider
from llmframe.engine.rows import decisions
from llmframe.engine.wire.verdict import BadReply
from llmframe.errors import IncompleteWarning, RunAborted
from tests.kits.foreign import serve_page

FIELDS = {"intent": ["refund", "delivery", "other"]}


@pytest.fixture
def quick(monkeypatch):
    """Waits of tenths of a second, not of minutes."""
    monkeypatch.setattr(steps, "LISTED", 0.3)
    monkeypatch.setattr(room, "SHORTEST", 0.1)
    monkeypatch.setattr(room, "LONGEST", 0.2)


def tag(n=40, **options):
    df = pd.DataFrame({"text": [f"record {i}" for i in range(n)]})
    return lf.tag(df, "text", FIELDS, mode="batch", prices=(1.0, 2.0), **options)


def asked(server):
    return set(Counter(call.row for call in server.ledger.calls).values())


@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize(
    ("step", "faults"),
    [
        ("upload", ["500", "drop"]),
        ("create", ["done:drop"]),  # it was created, and the reply is lost
        ("create", ["done:500"]),
        ("create", ["500"]),
        ("create", ["429_after"]),
        ("retrieve", ["missing", "drop", "503_after"]),
        ("download", ["cut", "missing", "500"]),
    ],
)
def test_a_call_that_fails_is_made_again_and_no_batch_is(configured, step, faults):
    configured.update(batches={"faults": {step: faults}}, retry_after=0.1)
    assert (tag()["llm_status"] == "ok").all()
    assert len(configured.ledger.batches) == 1
    assert asked(configured) == {1}


@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize("over_quota", ["failed", "429"])
def test_a_full_queue_is_waited_for(configured, over_quota):
    configured.update(batches={"max_enqueued": 4000, "over_quota": over_quota}, retry_after=0.1)
    assert (tag()["llm_status"] == "ok").all()
    assert asked(configured) == {1}
    assert max(b["request_counts"]["total"] for b in configured.ledger.batches) < 40


@pytest.mark.usefixtures("quick")
def test_a_file_that_is_too_large_is_halved(configured):
    configured.update(batches={"max_bytes": 12_000})
    assert (tag()["llm_status"] == "ok").all()
    assert asked(configured) == {1}


def test_lines_that_are_broken_foreign_or_repeated_harm_no_other_row(configured):
    spoilt = {"record 3": "broken", "record 14": "unknown", "record 25": "repeated"}
    configured.update(batches={"lines": spoilt})
    out = tag(30, max_attempts=1)
    assert out.index[out["llm_status"] == "failed"].tolist() == [3, 14]
    assert asked(configured) == {1}


def test_a_budget_decides_before_the_upload(configured):
    with pytest.warns(IncompleteWarning, match="budget"):
        out = tag(max_tokens=3000)
    done = int((out["llm_status"] == "ok").sum())
    report = lf.last_run().report
    assert 0 < done < 40
    assert report.budget.tokens <= 3000
    assert sum(call.tokens_in + call.tokens_out for call in configured.ledger.calls) <= 3000


def test_results_that_are_never_there_are_paid_for_twice_at_most(configured, monkeypatch):
    monkeypatch.setattr(steps, "NOT_FOUND", 1)
    configured.update(batches={"faults": {"download": "missing"}})
    gone = pytest.warns(UserWarning, match="does not have the results")
    with gone, pytest.raises(RunAborted, match="does not give out what its batches answered"):
        tag()
    assert len(configured.ledger.batches) == 2


def test_a_provider_that_refuses_a_batch_is_quoted_and_nothing_harmless_is_claimed(configured):
    configured.update(batches={"faults": {"create": "content_filter"}})
    with pytest.raises(RunAborted, match="does not run this batch") as caught:
        tag()
    assert "harmless" not in str(caught.value)
    assert 'without mode="batch"' in str(caught.value)


def test_a_provider_without_the_model_is_not_said_to_have_no_batches(configured):
    configured.update(batches={"faults": {"create": "404_model"}})
    with pytest.raises(RunAborted, match="has no model 'test-model'"):
        tag(batch_fallback="live")
    assert not configured.ledger.calls


def test_a_page_in_place_of_the_uploaded_file_is_called_a_page(monkeypatch):
    monkeypatch.setattr(decisions, "NEVER_CONNECTED", 0.1)
    with serve_page() as (url, _), pytest.raises(RunAborted, match="not answer like an API"):
        tag(base_url=f"{url}/v1", model="m", api_key="k")


@pytest.mark.parametrize("body", [b'{"object": "file"}', b'{"id": ""}', b"[]"])
def test_an_upload_without_an_id_has_failed_instead_of_being_made_anew_at_once(body):
    async def upload(url):
        async with AsyncOpenAI(base_url=f"{url}/v1", api_key="k", max_retries=0) as client:
            provider = BatchProvider(client, url="/v1/chat/completions", purpose="batch")
            await provider.upload(io.BytesIO(b"{}"), "in.jsonl")

    page = serve_page(200, body, "application/json")
    with page as (url, _), pytest.raises(BadReply, match="no file"):
        asyncio.run(upload(url))
