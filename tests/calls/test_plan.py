"""Mistakes of the caller are found before anything is sent."""

from __future__ import annotations

import json

import pandas as pd
import pytest

import llmframe as lf
from llmframe.calls import opening
from llmframe.errors import PlanError

FIELDS = {"intent": ["refund", "delivery"], "summary": str}
DF = pd.DataFrame({"text": ["a parcel", "a bill"], "n": [1, 2]})


@pytest.mark.parametrize(
    ("arguments", "options", "words"),
    [
        (("txt", FIELDS), {}, "text"),
        (("text", {}), {}, "field"),
        (("text", {"intent": []}), {}, "intent"),
        (("text", {"x": bytes}), {}, "x"),
        (("text", {"n": str}), {}, "overwrite=True"),
        (("text", {"text": str}), {"overwrite": True}, "input"),
        (("text", {"llm_status": str}), {}, "llm_status"),
        (("text", FIELDS), {"id": "number"}, "number"),
        (("text", FIELDS), {"adopt": True}, "id="),
        (("text", FIELDS), {"model": None}, "no model is named"),
        (("text", FIELDS), {"voters": 3}, "no option 'voters'"),
        (("text", FIELDS), {"checkpoint": "."}, "checkpoint"),
        (("text", FIELDS), {"checkpoint": "answers.DB"}, r"such as 'answers\.jsonl'"),
        (("text", FIELDS), {"client": object()}, "AsyncOpenAI"),
        (("text", FIELDS), {"client": lambda: 3}, "AsyncOpenAI"),
    ],
)
def test_a_mistake_is_a_plan_error_and_nothing_is_sent(configured, arguments, options, words):
    with pytest.raises(PlanError, match=words):
        lf.tag(DF, *arguments, **options)
    assert len(configured.ledger) == 0


def test_a_checkpoint_that_cannot_be_starts_no_server(configured, monkeypatch):
    monkeypatch.setattr(
        opening, "start_local", lambda *_, **__: pytest.fail("a server was started")
    )
    with pytest.raises(PlanError, match="names a database"):
        lf.tag(DF, "text", FIELDS, checkpoint="answers.db")


def test_no_key_is_a_plan_error():
    with pytest.raises(PlanError, match="OPENAI_API_KEY"):
        lf.tag(DF, "text", FIELDS, model="m")


def test_a_frame_is_needed():
    with pytest.raises(PlanError, match="DataFrame"):
        lf.tag([1, 2], "text", FIELDS, model="m")


BLANK = pd.DataFrame({"text": [" "]})  # nothing is ever sent
ELSEWHERE = {"base_url": "http://gateway.invalid/v1", "api_key": "k" * 9}


def test_a_key_over_plain_http_is_warned_of(configured):
    with pytest.warns(UserWarning, match="plain http") as caught:
        lf.tag(BLANK, "text", FIELDS, **ELSEWHERE)
    assert len(caught) == 1
    assert caught[0].filename == __file__


def test_allow_http_silences_that_warning(configured):
    out = lf.tag(BLANK, "text", FIELDS, **ELSEWHERE, allow_http=True)
    assert out["llm_status"].tolist() == ["skipped"]


def test_a_plain_file_is_taken_over_by_id(configured, tmp_path):
    plain = tmp_path / "answers.jsonl"
    lines = [{"id": "p1", "intent": "Delivery ", "summary": "parcel"}, {"id": "p2", "intent": "?"}]
    plain.write_text("".join(json.dumps(line) + "\n" for line in lines))
    df = DF.assign(key=["p1", "p2"])
    out = lf.tag(df, "text", FIELDS, checkpoint=plain, id="key", adopt=True)
    assert out["intent"].iloc[0] == "delivery"
    assert len(configured.ledger) == 1
    assert lf.last_run().report.reused == 1


def test_the_checkpoint_says_what_was_asked_and_holds_no_text_and_no_key(configured, tmp_path):
    secret = "sk-canary-9876543210"
    df = pd.DataFrame({"text": ["a secret story of a customer"]})
    path = tmp_path / "run.jsonl"
    asked = {"instructions": "Tag.", "checkpoint": path, "api_key": secret}
    lf.tag(df, "text", {"intent": FIELDS["intent"]}, **asked)
    stored = path.read_text()
    assert '"instructions":"Tag."' in stored.replace(": ", ":")
    assert secret not in stored
    assert "secret story" not in stored


def test_store_input_keeps_the_text(configured, tmp_path):
    path = tmp_path / "run.jsonl"
    lf.tag(DF, "text", FIELDS, checkpoint=path, store_input=True)
    assert "a parcel" in path.read_text()
