"""confidence="logprob" the whole way: asked for, kept, in columns; its absence reported once."""

from __future__ import annotations

import pandas as pd
import pytest

import llmframe as lf
from llmframe import testing
from llmframe.errors import PlanError

FIELDS = {"intent": ["refund", "delivery", "other"], "angry": bool, "summary": str}
COLUMNS = ["intent", "intent_confidence", "angry", "angry_confidence", "summary"]


@pytest.fixture
def server():
    with testing.serve() as running:
        yield running


def tag(server, n=10, **options):
    df = pd.DataFrame({"text": [f"record {i}" for i in range(n)]})
    settings = {"confidence": "logprob", "model": "test-model", "base_url": server.url,
                "progress": False, "checkpoint": False}  # fmt: skip
    return lf.tag(df, "text", FIELDS, **(settings | options))


def test_every_choice_is_followed_by_its_probability(server):
    out = tag(server)
    assert list(out.columns) == ["text", *COLUMNS, "llm_status", "llm_error"]
    for name in ("intent_confidence", "angry_confidence"):
        assert out[name].dtype == "Float64"
        assert out[name].between(0, 1).all()
    assert out["intent_confidence"].nunique() > 1


def test_probabilities_come_back_from_the_checkpoint(server, tmp_path):
    first = tag(server, checkpoint=tmp_path / "c.jsonl")
    sent = len(server.ledger)
    again = tag(server, checkpoint=tmp_path / "c.jsonl")
    assert len(server.ledger) == sent
    for column in ("intent_confidence", "angry_confidence"):
        assert again[column].to_list() == pytest.approx(first[column].to_list(), abs=1e-6)


def test_answers_without_probabilities_are_asked_again(server, tmp_path):
    tag(server, confidence=None, checkpoint=tmp_path / "c.jsonl")
    out = tag(server, checkpoint=tmp_path / "c.jsonl")
    assert len(server.ledger) == 20
    assert out["intent_confidence"].notna().all()


@pytest.mark.parametrize("lack", [{"logprobs": False}, {"unsupported": ("logprobs",)}])
def test_absent_probabilities_are_reported_once_and_the_answers_are_kept(lack, tmp_path):
    with testing.serve(**lack) as server:
        with pytest.warns(UserWarning, match="gave no probabilities") as caught:
            out = tag(server, checkpoint=tmp_path / "c.jsonl")
        assert len(caught) == 1
        assert set(out["llm_status"]) == {"ok"}
        assert out["intent_confidence"].isna().all()
        sent = len(server.ledger)
        with pytest.warns(UserWarning, match="gave no probabilities"):
            tag(server, checkpoint=tmp_path / "c.jsonl")
        assert len(server.ledger) == sent


def test_rows_without_an_answer_have_none(server):
    server.update(fault_rows={"record 3": "content_filter"})
    out = tag(server)
    assert out["intent_confidence"].isna().tolist() == [i == 3 for i in range(10)]


def test_without_a_closed_choice_it_is_a_mistake(server):
    with pytest.raises(PlanError, match="closed choice"):
        lf.tag(pd.DataFrame({"text": ["a"]}), "text", {"summary": str}, confidence="logprob",
               model="m", base_url=server.url, checkpoint=False)  # fmt: skip


def test_a_column_of_that_name_is_a_clash(server):
    df = pd.DataFrame({"text": ["a"], "intent_confidence": [1]})
    with pytest.raises(PlanError, match="intent_confidence"):
        lf.tag(df, "text", FIELDS, confidence="logprob", model="m", base_url=server.url)
