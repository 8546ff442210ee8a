"""``preview``: a few rows are asked first, shown beside their answers, and never paid again."""

from __future__ import annotations

import asyncio
import inspect
import pickle
import re

import pandas as pd
import pytest

import llmframe as lf
from llmframe import testing
from llmframe.errors import IncompleteWarning, PlanError

FIELDS = {"intent": ["refund", "delivery", "other"], "note": str}
TEXTS = [f"text {n}" for n in range(40)]


def answer(text, body):
    return {"intent": "other" if text.endswith("7") else "refund", "note": f"on {text}"}


@pytest.fixture(scope="module")
def running():
    with testing.serve(answer=answer, fault_rows={"bad": "content_filter"}) as server:
        yield server


@pytest.fixture
def served(running):
    running.ledger.clear()
    lf.configure(model="m", base_url=running.url, progress=False)
    return running


def frame(texts=TEXTS, **columns):
    index = pd.Index([f"r{n}" for n in range(len(texts))], name="row")
    return pd.DataFrame({"n": range(len(texts)), "text": texts, "more": 1.5, **columns}, index)


def asked(server):
    return sorted(server.ledger.rows().elements())


def test_the_sample_comes_back_in_frame_order_input_beside_output(served):
    df = frame()
    out = df.llm.preview("text", FIELDS, 6)
    assert list(out.columns) == ["text", "intent", "note", "llm_status", "llm_error"]
    assert [int(label[1:]) for label in out.index] == sorted(int(label[1:]) for label in out.index)
    assert out["text"].tolist() == df.loc[out.index, "text"].tolist()
    assert out["note"].tolist() == [f"on {text}" for text in out["text"]]
    assert (out.index.name, len(out), asked(served)) == ("row", 6, sorted(out["text"]))
    assert out["intent"].cat.categories.tolist() == FIELDS["intent"]


def test_the_seed_draws_the_rows(served):
    drawn = [lf.preview(frame(), "text", FIELDS, seed=seed).index.tolist() for seed in (0, 0, 1)]
    assert drawn[0] == drawn[1] != drawn[2]
    assert len(drawn[0]) == 10


KEPT = {"default": {}, "path": {"checkpoint": "mine.jsonl"}, "nothing": {"checkpoint": False}}


@pytest.mark.parametrize("where", KEPT)
def test_tag_and_another_preview_pay_for_no_row_again(served, where):
    df = frame()
    first = df.llm.preview("text", FIELDS, **KEPT[where])
    again = df.llm.preview("text", FIELDS, **KEPT[where])
    pd.testing.assert_frame_equal(pd.DataFrame(first), pd.DataFrame(again))
    out = df.llm.tag("text", FIELDS, **KEPT[where])
    assert asked(served) == sorted(TEXTS)
    assert out.loc[first.index, "note"].tolist() == first["note"].tolist()
    assert (lf.last_run().report.reused, lf.last_run().report.requests) == (10, 30)


@pytest.mark.parametrize("where", KEPT)
def test_it_ends_with_the_estimate_of_what_is_left(served, where):
    out = frame().llm.preview("text", FIELDS, prices=(1, 2), **KEPT[where])
    left = frame().llm.estimate("text", FIELDS, prices=(1, 2), **KEPT[where])
    assert (left.done, left.requests, left.measured) == (10, 30, 10)
    assert repr(out).endswith(repr(left))
    assert out._repr_html_().count('class="llmframe ') == 2


def test_a_file_of_your_own_takes_in_what_the_default_one_holds(served):
    frame().llm.preview("text", FIELDS)
    frame().llm.tag("text", FIELDS, checkpoint="mine.jsonl")
    assert asked(served) == sorted(TEXTS)


def test_without_a_checkpoint_reuse_false_asks_again(served):
    options = {"checkpoint": False, "reuse": False}
    frame().llm.preview("text", FIELDS, **options)
    frame().llm.tag("text", FIELDS, **options)
    assert len(served.ledger) == 50


def test_nothing_that_only_a_preview_takes_changes_the_question(served):
    df = frame(group=["a", "b"] * 20)
    for options in ({"n": 3}, {"by": "group"}, {"seed": 5}, {"where": "n < 20"}):
        df.llm.preview("text", FIELDS, **options)
    df.llm.tag("text", FIELDS)
    assert asked(served) == sorted(TEXTS)


def test_with_batches_configured_the_sample_is_asked_live(served):
    lf.configure(mode="batch", batch_fallback="live")
    assert frame().llm.preview("text", FIELDS, 3)["llm_status"].tolist() == ["ok"] * 3
    assert len(served.ledger) == 3


def test_only_distinct_rows_with_a_text_are_drawn(served):
    df = frame(["a", None, "a", " ", "b", "a", "", "b", "c"])
    out = df.llm.preview("text", FIELDS)
    assert sorted(out["text"]) == ["a", "b", "c"]
    assert "this text is in 3 rows" in repr(out)
    assert "3 previewed of 6 rows with a text, 3 of them distinct" in repr(out)
    assert len(served.ledger) == 3


def test_the_groups_take_turns(served):
    groups = ["often"] * 30 + ["seldom"] * 8 + [None] * 2
    out = frame(group=groups).llm.preview("text", FIELDS, 9, by="group")
    assert list(out.columns[:2]) == ["group", "text"]
    assert out["group"].value_counts(dropna=False).tolist() == [4, 3, 2]


def test_the_id_is_shown_and_kept(served):
    frame().llm.preview("text", FIELDS, 4, id="n", checkpoint="kept.jsonl")
    kept = lf.read_checkpoint("kept.jsonl")
    out = frame().llm.preview("text", FIELDS, 4, id="n", checkpoint="kept.jsonl")
    assert sorted(kept["id"]) == out["n"].tolist()


def test_columns_of_an_earlier_call_are_no_clash(served):
    df = frame().llm.tag("text", FIELDS)
    out = df.llm.preview("text", {"intent": int}, 2, by="intent")
    assert list(out.columns) == ["intent_before", "text", "intent", "llm_status", "llm_error"]
    assert out["intent"].dtype == "Int64"
    assert out["intent_before"].equals(df["intent"].loc[out.index])
    by_text = df.llm.preview("text", FIELDS, 2, by="text")
    assert list(by_text.columns) == ["text", *FIELDS, "llm_status", "llm_error"]


def test_a_template_a_list_and_levels_are_previewed(served):
    df = frame()
    wide = pd.concat({"in": df}, axis=1)
    assert list(df.llm.preview("{n}: {text}", FIELDS, 2).columns[:3]) == ["n", "text", "intent"]
    assert list(df.llm.preview(["text", "n"], FIELDS, 2).columns[:2]) == ["text", "n"]
    out = wide.llm.preview(("in", "text"), FIELDS, 2, by=("in", "n"))
    assert list(out.columns[:3]) == [("in", "n"), ("in", "text"), ("intent", "")]
    assert out[("llm_status", "")].tolist() == ["ok", "ok"]
    assert "on text" in repr(out)


@pytest.mark.parametrize("texts", [[], [None, " "]])
def test_a_frame_without_texts_gives_an_empty_one(served, texts):
    out = frame(texts).llm.preview("text", FIELDS)
    assert (len(out), list(out.columns)[:2]) == (0, ["text", "intent"])
    assert "no row has a text" in repr(out)
    assert len(served.ledger) == 0


MISTAKES = [
    ({"n": 0}, "n=0 is not valid"), ({"n": "ten"}, "n='ten'"), ({"seed": -1}, "seed=-1"),
    ({"by": "grop"}, "grop"), ({"by": ["text"]}, "by: a list"), ({"labels": ["a"]}, "labels"),
    ({"by": "lists"}, "make no groups"),
]  # fmt: skip


@pytest.mark.parametrize(("options", "words"), MISTAKES)
def test_mistakes_are_found_before_anything_is_sent(served, options, words):
    with pytest.raises(PlanError, match=re.escape(words)):
        frame(group="a", lists=[[1]] * 40).llm.preview("text", FIELDS, **options)
    assert len(served.ledger) == 0


def test_a_mistake_that_tag_would_find_is_found_in_rows_that_are_not_drawn(served):
    with pytest.raises(PlanError, match="decode"):
        frame([*TEXTS, b"bytes"]).llm.preview("text", FIELDS, 1)


def test_an_await_too_many_is_refused_before_anything_is_sent(served):
    async def cell():
        await frame().llm.preview("text", FIELDS)

    with pytest.raises(PlanError, match="preview waits by itself"):
        asyncio.run(cell())
    assert len(served.ledger) == 0


def test_the_view_shows_texts_answers_failures_and_what_no_label_fits(served):
    df = frame(["text 7", "a bad one", "text 1", "text 1"])
    out = df.llm.preview("text", FIELDS)
    for shown in (repr(out), out._repr_html_()):
        for words in (
            *("text 7", "on text 7", "2 ok", "1 failed", "blocked by the content filter"),
            *("1 refund", "1 other", "1 of 2 other or none", "this text is in 2 rows"),
        ):
            assert words in shown
    assert "<b><bdi>refund</bdi></b>" in out._repr_html_()


def test_answers_that_no_label_covers_are_counted_by_the_options_that_ask_for_them(served):
    served.update(answer=lambda text, _: {"intent": "rest" if text == "text 1" else "unsure"})
    out = frame().llm.preview(
        "text", {"intent": ["refund", "delivery"]}, 40, other="rest", abstain=True
    )
    served.update(answer=answer)
    assert "39 unsure, 1 rest (40 of 40 other or unsure)" in repr(out)
    assert repr(out).count("intent: unsure") == 39  # beside each text, as in the line above
    assert out["intent"].isna().sum() == 39


def test_the_view_shows_what_was_sent_and_not_what_redact_takes_out(served):
    out = frame().llm.preview("text", FIELDS, 3, redact=lambda text: text.replace("text", "T"))
    assert not re.search(r"text \d", repr(out) + out._repr_html_())
    assert out["text"].str.startswith("text").all()


def test_a_row_that_was_not_reached_is_said_to_be_so(served):
    with pytest.warns(IncompleteWarning):
        out = frame().llm.preview("text", FIELDS, max_tokens=1)
    assert "10 not reached" in repr(out)


def test_what_pandas_makes_of_a_preview_is_an_ordinary_frame(served):
    out = frame().llm.preview("text", FIELDS, 3)
    made = [out.copy(), out[["text"]], out.T, out.head(2), pickle.loads(pickle.dumps(out))]
    assert {type(one) for one in made} == {pd.DataFrame}
    assert out.llm.summary().counts["ok"] == 3
    out["mine"] = 1
    del out["note"]
    assert "previewed" not in repr(out)


def test_rows_that_were_moved_in_place_are_not_shown_beside_the_texts_of_others(served):
    out = frame().llm.preview("text", FIELDS, 3)
    out.index = ["a", "b", "c"]
    assert "previewed" in repr(out)
    cells = out.iloc[::-1].reset_index(drop=True)
    for name in out.columns:
        out[name] = cells[name].array
    assert "previewed" not in repr(out)
    assert "previewed" not in out._repr_html_()


@pytest.mark.parametrize("dtype", [object, "category", "list"])
def test_cells_of_any_kind_have_the_view(served, dtype):
    cells = pd.Series([[1, 2], None, {"a": [float("nan")]}, ["x"]], dtype=object)
    if dtype != "list":
        cells = pd.Series(["a", None, "b", "c"], dtype=dtype)
    out = pd.DataFrame({"text": cells}).llm.preview("text", FIELDS, 3)
    assert "3 previewed of 3 rows" in repr(out)


def test_the_signature_names_its_own_seed_once():
    parameters = inspect.signature(lf.preview).parameters
    assert [*parameters][:6] == ["df", "input", "fields", "n", "by", "seed"]
    assert parameters["seed"].default == 0
