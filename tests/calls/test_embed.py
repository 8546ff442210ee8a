"""``df.llm.embed``: what it takes, what it gives back, and what it sends."""

from __future__ import annotations

import inspect
import pickle
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import llmframe as lf
from llmframe import testing
from llmframe.errors import PlanError, RunAborted
from llmframe.testing import embedding

MODEL = {"model": "embed-model"}


def frame(n=20, name="record"):
    return pd.DataFrame({"text": [f"{name} {i} wants something" for i in range(n)]})


def vectors(out, column="text_embedding"):
    return np.stack(out[column])


def wanted(texts, size=64):
    return np.array([embedding(text, size) for text in texts], dtype=np.float32)


@pytest.fixture
def calls(configured):
    """The bodies of the requests, by the ledger of the configured server."""
    return configured.ledger


# -- what comes back ----------------------------------------------------------------------


def test_every_text_gets_its_vector_in_a_new_frame(configured):
    df = frame()
    df.index = pd.Index(["same"] * 20)
    before = df.copy()
    out = df.llm.embed("text", **MODEL)
    pd.testing.assert_frame_equal(df, before)
    assert list(out.columns) == ["text", "text_embedding", "llm_status", "llm_error"]
    assert out.index.equals(df.index)
    assert (out["llm_status"] == "ok").all()
    assert vectors(out).dtype == np.float32
    np.testing.assert_array_equal(vectors(out), wanted(df["text"]))


def test_equal_texts_are_asked_once_and_blank_ones_never(calls):
    df = pd.DataFrame({"text": ["one", "two", "one", " ", None]})
    out = df.llm.embed("text", **MODEL)
    assert calls.texts() == {"one": 1, "two": 1}
    assert out["llm_status"].tolist() == ["ok", "ok", "ok", "skipped", "skipped"]
    assert out["text_embedding"].isna().tolist() == [False, False, False, True, True]
    first, _, third, *_ = out["text_embedding"]
    first[0] = 7.0  # the cells of equal texts are not one array
    assert third[0] != 7.0


def test_many_texts_travel_in_one_request(calls):
    frame(250).llm.embed("text", **MODEL)
    assert sorted(len(call.texts) for call in calls.calls) == [50, 100, 100]


def test_batch_size_is_the_most_texts_of_a_request(calls):
    frame(20).llm.embed("text", **MODEL, batch_size=8)
    assert sorted(len(call.texts) for call in calls.calls) == [4, 8, 8]


def test_long_texts_travel_in_smaller_requests(calls):
    df = pd.DataFrame({"text": [f"{i}" + " word" * 40_000 for i in range(8)]})
    with testing.serve(embeddings={"text_tokens": 100_000}) as server:
        out = df.llm.embed("text", **MODEL, base_url=server.url)
        assert (out["llm_status"] == "ok").all()
        assert max(len(call.texts) for call in server.ledger.calls) == 3  # 600,000 of 750,000 bytes


def test_the_column_and_the_options_of_the_frame(configured):
    df = frame(3).assign(title="parcel")
    out = df.llm.embed("{title}: {text}", **MODEL, into="vector", prefix="e_", details=True)
    np.testing.assert_array_equal(vectors(out, "e_vector"), wanted("parcel: " + df["text"]))
    assert out["e_llm_tokens_out"].tolist() == [0, 0, 0]
    assert out["e_llm_attempts"].tolist() == [1, 1, 1]
    [call] = configured.ledger.calls
    assert out["e_llm_tokens_in"].sum() == call.tokens_in == lf.last_run().report.tokens_in


def test_dimensions_are_asked_for(configured):
    out = frame(3).llm.embed("text", **MODEL, dimensions=16)
    np.testing.assert_array_equal(vectors(out), wanted(frame(3)["text"], 16))


def test_a_second_call_is_free_and_replaces_what_the_first_wrote(configured):
    out = frame().llm.embed("text", **MODEL)
    before = len(configured.ledger)
    again = out.llm.embed("text", **MODEL)
    assert len(configured.ledger) == before
    pd.testing.assert_frame_equal(again, out)
    other = frame().llm.embed("text", **MODEL, into="elsewhere")  # stored by text, not by column
    assert len(configured.ledger) == before
    np.testing.assert_array_equal(vectors(other, "elsewhere"), vectors(out))


def test_other_dimensions_and_another_model_are_asked_anew(configured):
    frame().llm.embed("text", **MODEL)
    with pytest.warns(UserWarning, match="dimensions= changed since .*was not given, now 16"):
        frame().llm.embed("text", **MODEL, dimensions=16)
    with pytest.warns(UserWarning, match="(?s)model.*all 20 rows are asked and paid again"):
        frame().llm.embed("text", model="another")
    assert len(configured.ledger) == 3


def test_a_chat_model_is_asked_other_questions_under_the_same_name(configured):
    frame(3).llm.embed("text", **MODEL)
    out = frame(3).llm.tag("text", {"embedding": list[float]}, **MODEL)
    assert (out["llm_status"] == "ok").all()
    assert [bool(call.texts) for call in configured.ledger.calls] == [True, False, False, False]


def test_an_edited_column_is_not_replaced_unasked(configured):
    out = frame(3).llm.embed("text", **MODEL)
    out["text_embedding"].iloc[1][0] = 9.0
    with pytest.raises(PlanError, match="changed since llmframe wrote it"):
        out.llm.embed("text", **MODEL)
    again = out.llm.embed("text", **MODEL, overwrite=True)
    np.testing.assert_array_equal(vectors(again), wanted(frame(3)["text"]))


def test_a_frame_that_was_pickled_is_known_as_written(configured):
    out = pickle.loads(pickle.dumps(frame(3).llm.embed("text", **MODEL)))
    assert (out.llm.embed("text", **MODEL)["llm_status"] == "ok").all()


def test_the_price_of_the_input_is_the_cost(configured):
    frame(10).llm.embed("text", **MODEL, prices={"in": 1000.0, "out": 5000.0, "currency": "USD"})
    report = lf.last_run().report
    assert report.tokens_out == 0
    assert report.cost == pytest.approx(configured.ledger.cost({"in": 1000.0, "out": 0.0}))


def test_a_budget_ends_the_run_with_everything_saved(configured):
    with pytest.warns(lf.errors.IncompleteWarning):
        out = frame(100).llm.embed("text", **MODEL, batch_size=10, max_tokens=300, concurrency=1)
    counts = out["llm_status"].value_counts()
    assert 0 < counts["ok"] < 100
    assert counts["ok"] + counts["pending"] == 100
    assert lf.last_run().report.tokens_in <= 300
    again = frame(100).llm.embed("text", **MODEL)
    assert (again["llm_status"] == "ok").all()
    assert max(configured.ledger.texts().values()) == 1


def test_a_budget_for_less_than_one_request_is_used_for_fewer_rows(configured):
    with pytest.warns(lf.errors.IncompleteWarning, match="the budget is spent"):
        out = frame(100).llm.embed("text", **MODEL, max_tokens=300)
    tokens = lf.last_run().report.tokens_in
    assert 250 <= tokens <= 300
    assert (out["llm_status"] == "ok").sum() == configured.ledger.texts().total()


# -- mistakes in the call ----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("column", "options", "message"),
    [
        ("text", {"model": None}, "needs an embedding model by name"),
        ("text", {"instructions": "Embed it."}, "instructions= has no meaning"),
        ("text", {"temperature": 0.0}, "temperature= has no meaning"),
        ("text", {"mode": "batch"}, "mode= has no meaning"),
        ("text", {"dimensions": 0}, "dimensions=0 is not valid"),
        ("text", {"dimensions": "256"}, "dimensions='256' is not valid"),
        ("text", {"batch_size": True}, "batch_size=True is not valid"),
        ("text", {"into": 7}, "into=7 is not valid"),
        ("txet", {}, "txet"),
        (["text"], {}, "takes one column"),
        ("{text}!", {}, "into= names the new column"),
        ("text", {"into": "text"}, "like the input column"),
    ],
)
def test_a_mistake_is_found_before_anything_is_sent(configured, column, options, message):
    with pytest.raises(PlanError, match=message):
        frame(3).llm.embed(column, **(MODEL | options))
    assert len(configured.ledger) == 0


def test_the_configured_model_is_not_taken_for_one_that_embeds(configured):
    with pytest.raises(PlanError, match="needs an embedding model by name"):
        frame(3).llm.embed("text")


def test_an_existing_column_is_left_alone(configured):
    df = frame(3).assign(text_embedding=1)
    with pytest.raises(PlanError, match="the frame already has 'text_embedding'"):
        df.llm.embed("text", **MODEL)


def test_the_signature_shows_what_it_takes():
    parameters = inspect.signature(lf.llm(frame(1)).embed).parameters
    assert [*parameters][:4] == ["column", "into", "dimensions", "batch_size"]
    assert parameters["into"].default is None
    assert "instructions" not in parameters
    assert {"model", "concurrency", "max_cost", "checkpoint"} <= {*parameters}


def test_an_endpoint_without_embeddings_ends_the_call():
    with testing.serve(apis=("chat",)) as server:
        with pytest.raises(RunAborted, match="there is no embeddings API"):
            frame(3).llm.embed("text", **MODEL, base_url=server.url, api_key="k", progress=False)
        assert len(server.ledger) == 0


def test_the_example_of_the_page_finds_nearest_neighbours(configured, capsys):
    page = (Path(__file__).parents[2] / "docs" / "embeddings.md").read_text(encoding="utf-8")
    [block] = re.findall(r"^```python\n(.*?)^```$", page, re.MULTILINE | re.DOTALL)
    names = {}
    exec(compile(block, "docs/embeddings.md", "exec"), names)
    nearest = dict(zip(names["out"]["text"], names["out"]["nearest"], strict=True))
    assert nearest["My parcel is late again."] == "Where is my parcel again?"
    assert nearest["Please refund my money."] == "I want my money back, please."
    assert "nearest" in capsys.readouterr().out


def test_where_embeds_some_rows_and_leaves_the_others_as_they_are(configured):
    half = frame(4).llm.embed("text", **MODEL, where=[True, True, False, False])
    assert half["text_embedding"].isna().tolist() == [False, False, True, True]
    whole = half.llm.embed("text", **MODEL, where=[False, False, True, True])
    np.testing.assert_array_equal(vectors(whole), wanted(frame(4)["text"]))
    assert max(configured.ledger.texts().values()) == 1
