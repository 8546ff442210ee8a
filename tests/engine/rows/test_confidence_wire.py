"""confidence="logprob" the whole way: asked for, kept, in columns; its absence reported once."""

from __future__ import annotations

import math

import pandas as pd
import pytest

import llmframe as lf
from llmframe import testing
from llmframe.errors import PlanError
from tests.kits.raw import Raw, completion, http

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


def told(asked):
    """A reply whose tokens come with alternatives where they are asked for."""
    pieces = ['{"intent": "', "refund", '", "angry": ', "true", ', "summary": "x"}']
    chances = {"refund": (0.3, {"deliver": 0.1}), "true": (0.4, {"false": 0.4})}
    content = []
    for piece in pieces:
        chance, others = chances.get(piece, (1.0, {}))
        listed = [
            {"token": t, "logprob": math.log(p)} for t, p in ({piece: chance} | others).items()
        ]
        listed = listed if asked.body.get("top_logprobs") else []
        content.append({"token": piece, "logprob": math.log(chance), "top_logprobs": listed})
    body = completion("".join(pieces))
    body["choices"][0]["logprobs"] = {"content": content}
    return http(body)


def test_the_alternatives_are_asked_for_and_make_a_confidence_a_share():
    with Raw(told) as server:
        out = tag(server)
        assert out["intent_confidence"].iloc[0] == pytest.approx(0.75)
        assert out["angry_confidence"].iloc[0] == pytest.approx(0.5)
        assert out.attrs["llmframe"]["confidence"] == "share among the labels"


def test_an_endpoint_that_refuses_the_alternatives_alone_still_gives_probabilities():
    def refusing(asked):
        if "top_logprobs" in asked.body:
            return http({"error": {"message": "top_logprobs is unknown"}}, "400 Bad Request")
        return told(asked)

    with Raw(refusing) as server:
        out = tag(server)
    assert out["intent_confidence"].tolist() == pytest.approx([0.3] * 10)
    assert out.attrs["llmframe"]["confidence"] == "probability of the label's tokens"


def test_the_frame_says_what_a_confidence_without_alternatives_is(server):
    run = lf.start(pd.DataFrame({"text": ["a"]}), "text", FIELDS, confidence="logprob", model="m",
                   base_url=server.url, checkpoint=False, progress=False)  # fmt: skip
    assert run.result().attrs["llmframe"]["confidence"] == "probability of the label's tokens"


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
