"""``extend=True``: only new fields are asked for, then only rows without an answer."""

from __future__ import annotations

import asyncio
from typing import Annotated, Literal

import pandas as pd
import pydantic
import pytest

import llmframe as lf
from llmframe.calls.plan import plan
from llmframe.errors import PlanError
from llmframe.options.layers import settle

INTENT = {"intent": ["refund", "other"], "note": str}
MORE = {**INTENT, "urgency": int}
ROWS = 6
MIXED = ["row 0", "row 1", "bad row", "row 3", "", "row 5"]


def frame(texts=None, index=None):
    texts = [f"row {n}" for n in range(ROWS)] if texts is None else texts
    return pd.DataFrame({"text": texts, "n": range(len(texts))}, index=index)


def assert_kept(before, after, columns=("text", "n", "intent", "note")):
    pd.testing.assert_frame_equal(after[[*columns]], before[[*columns]])


@pytest.mark.parametrize("prefix", ["", "p_"])
@pytest.mark.parametrize(
    "index", [None, [1] * ROWS, pd.MultiIndex.from_product([[1, 2], list("abc")])]
)
def test_a_new_field_alone_is_asked_for(asked, call, index, prefix):
    before = frame(index=index).llm.tag("text", INTENT, prefix=prefix, **call)
    asked.requests.clear()
    after = before.llm.tag("text", MORE, prefix=prefix, extend=True, **call)
    assert asked.fields == ['["urgency"]']
    assert asked.texts == before["text"].tolist()
    assert_kept(before, after, ("text", "n", f"{prefix}intent", f"{prefix}note"))
    own = [prefix + name for name in ("intent", "note", "urgency", "llm_status", "llm_error")]
    assert list(after.columns) == ["text", "n", *own]
    assert after[f"{prefix}llm_status"].tolist() == ["ok"] * ROWS
    assert str(after.llm.summary(prefix)).count("intent") >= 1


def test_many_rows_cost_one_request_each_for_the_new_field(served, asked, call):
    before = frame(["row 0"] * 1_000).llm.tag("text", INTENT, **call)
    before["text"] = [f"row {n}" for n in range(1_000)]
    held = before.copy(deep=True)
    served[0].ledger.clear()
    asked.requests.clear()
    after = before.llm.tag("text", MORE, extend=True, **call)
    assert len(served[0].ledger) == len(asked.requests) == 1_000
    assert asked.fields == ['["urgency"]']
    assert_kept(before, after)
    pd.testing.assert_frame_equal(before, held)


def test_nothing_is_asked_twice_and_the_frame_is_as_it_was(served, asked, call):
    before = frame().llm.tag("text", INTENT, **call).llm.tag("text", MORE, extend=True, **call)
    asked.requests.clear()
    for fields in (MORE, INTENT, {"urgency": int}, {"urgency": int, "note": str}):
        after = before.llm.tag("text", fields, extend=True, **call)
        assert lf.last_run().report.requests == 0
        pd.testing.assert_frame_equal(after, before)
        assert after.attrs == before.attrs
        assert after is not before
    assert asked.requests == []


def test_a_frame_without_answers_is_tagged_as_ever(asked, call):
    after = frame().llm.tag("text", MORE, extend=True, **call)
    plain = frame().llm.tag("text", MORE, **call)
    pd.testing.assert_frame_equal(after, plain)
    assert asked.fields == ['["intent", "note", "urgency"]']


@pytest.mark.parametrize("change", ["model", "temperature", "concurrency", "confidence"])
def test_who_answers_and_how_is_no_part_of_the_prompt(asked, call, change):
    before = frame().llm.tag("text", INTENT, **call)
    asked.requests.clear()
    value = {"model": "big", "temperature": 1, "concurrency": 2, "confidence": "logprob"}[change]
    fields = {**INTENT, "urgency": ["low", "high"]} if change == "confidence" else MORE
    after = before.llm.tag("text", fields, extend=True, **call | {change: value})
    assert asked.fields == ['["urgency"]']
    assert_kept(before, after)


@pytest.mark.parametrize("more", [{}, {"tone": ["refund", "other"]}], ids=["none new", "a field"])
@pytest.mark.parametrize(
    ("option", "column"),
    [
        ({"evidence": True}, "'intent_evidence', 'note_evidence'"),
        ({"confidence": "logprob"}, "'intent_confidence'"),
        ({"votes": 3}, "'intent_agreement'"),
    ],
    ids=["evidence", "confidence", "votes"],
)
def test_what_is_kept_gets_no_column_beside_it_and_the_card_says_so(
    asked, call, option, column, more
):
    before = frame().llm.tag("text", INTENT, **call)
    left = extending(before, INTENT | more, call | option)
    assert f"What is kept gets no columns beside it ({column})" in left
    assert "no columns beside" not in extending(before, INTENT | more, call)


def extending(df, fields, options):
    """The note of a call with extend=True, which is only planned."""
    settings = settle({**options, "extend": True})
    return plan(df, "text", fields, settings).note


# --- the prompt has changed


def test_a_field_whose_description_has_changed_is_asked_again_and_no_other(asked, call):
    before = frame().llm.tag("text", INTENT, **call)
    asked.requests.clear()
    described = {**INTENT, "note": Annotated[str, pydantic.Field(description="in five words")]}
    after = before.llm.tag("text", described, extend=True, **call)
    assert asked.fields == ['["note"]']
    assert_kept(before, after, ("text", "n", "intent"))
    asked.requests.clear()
    labels = {**described, "intent": ["refund", "delivery", "other"]}
    after.llm.tag("text", labels, extend=True, **call)
    assert asked.fields == ['["intent"]']


@pytest.mark.parametrize(
    ("given", "options"),
    [("text", {"instructions": "be brief"}), ("{n}: {text}", {}), (["text", "n"], {})],
)
def test_other_instructions_or_another_input_are_another_prompt(asked, call, given, options):
    before = frame().llm.tag("text", INTENT, **call)
    asked.requests.clear()
    with pytest.warns(UserWarning, match="'llm_status', 'llm_error' held the status of another"):
        after = before.llm.tag(given, MORE, extend=True, **call | options)
    assert asked.fields == ['["intent", "note", "urgency"]']
    assert after["urgency"].tolist() == [2] * ROWS


def test_the_same_prompt_in_other_words_is_the_same(asked, call):
    before = frame().llm.tag("text", {"intent": ["refund", "other"]}, instructions="a", **call)
    asked.requests.clear()
    kind = Literal["refund", "other"]
    before.llm.tag("text", {"intent": kind}, extend=True, instructions=" a\n", **call)
    assert asked.requests == []


def test_an_edited_answer_is_kept_but_not_replaced_unasked(asked, call):
    before = frame().llm.tag("text", INTENT, **call)
    before.loc[0, "note"] = "mine"
    after = before.llm.tag("text", MORE, extend=True, **call)
    assert after["note"].iloc[0] == "mine"
    with pytest.raises(PlanError, match="'note' changed since"):
        after.llm.tag("text", MORE, extend=True, instructions="other", **call)


# --- a frame whose attrs are lost


def test_a_column_of_which_the_prompt_is_not_known_is_a_mistake_in_the_call(asked, call):
    frame().llm.tag("text", INTENT, **call).to_csv("tagged.csv", index=False)
    read = pd.read_csv("tagged.csv")
    asked.requests.clear()
    with pytest.raises(PlanError, match=r"'intent', 'note'.* is lost .*lf\.load\(checkpoint, df\)"):
        read.llm.tag("text", MORE, extend=True, **call)
    assert asked.requests == []
    after = read.llm.tag("text", {"urgency": int}, extend=True, overwrite=True, **call)
    assert asked.fields == ['["urgency"]']
    assert after["note"].tolist() == read["note"].tolist()


@pytest.mark.parametrize("way", ["parquet", "pickle", "llmframe"])
def test_a_file_that_keeps_attrs_keeps_the_prompts(asked, call, way):
    before = frame().llm.tag("text", INTENT, **call)
    if way == "llmframe":
        read = lf.read_parquet(before.llm.to_parquet("tagged.parquet"))
    elif way == "pickle":
        before.to_pickle("tagged.pkl")
        read = pd.read_pickle("tagged.pkl")
    else:
        before.to_parquet("tagged.parquet")
        read = pd.read_parquet("tagged.parquet")
    asked.requests.clear()
    read.llm.tag("text", MORE, extend=True, **call)
    assert asked.fields == ['["urgency"]']


# --- rows without an answer


def test_a_row_that_failed_stays_failed_until_it_has_all_its_answers(asked, call):
    before = frame(MIXED).llm.tag("text", INTENT, **call)
    assert before["llm_status"].tolist()[2] == "failed"
    mended = before.assign(text=before["text"].str.replace("bad", "good"))
    mended.attrs = before.attrs
    asked.requests.clear()
    after = mended.llm.tag("text", MORE, extend=True, **call)
    assert asked.fields == ['["urgency"]']
    assert_kept(mended, after)
    assert after["llm_status"].tolist() == ["ok", "ok", "failed", "ok", "skipped", "ok"]
    assert after["urgency"].isna().tolist() == [False] * 4 + [True, False]
    assert after["llm_error"].tolist()[2] == before["llm_error"].tolist()[2]
    asked.requests.clear()
    whole = after.llm.tag("text", MORE, extend=True, **call)
    assert [request[1:] for request in asked.requests] == [("good row", ["intent", "note"])]
    assert whole["llm_status"].tolist() == ["ok"] * 4 + ["skipped", "ok"]
    assert whole["urgency"].tolist() == after["urgency"].tolist()
    others = [0, 1, 3, 4, 5]
    pd.testing.assert_frame_equal(whole[after.columns].iloc[others], after.iloc[others])


def test_new_rows_are_asked_and_no_others(asked, call):
    before = frame().llm.tag("text", INTENT, **call)
    more = pd.concat([before, frame(["new 0", "new 1"])], ignore_index=True)
    more.attrs = before.attrs
    asked.requests.clear()
    after = more.llm.tag("text", INTENT, extend=True, **call)
    assert asked.texts == ["new 0", "new 1"]
    assert after["llm_status"].tolist() == ["ok"] * (ROWS + 2)


def test_an_answer_of_null_is_an_answer(asked, call):
    fields = {"code": str | None, "note": str}
    before = frame(MIXED).llm.tag("text", fields, **call)
    asked.requests.clear()
    after = before.llm.tag("text", {**fields, "urgency": int}, extend=True, **call)
    assert sorted(asked.texts) == sorted(["bad row", *(text for text in MIXED if "row " in text)])
    asked.requests.clear()
    after.llm.tag("text", {**fields, "urgency": int}, extend=True, **call)
    assert asked.texts == ["bad row"]


def test_only_what_is_missing_is_filled_where_rows_lack_different_fields(asked, call):
    before = frame().llm.tag("text", INTENT, where="n != 1", **call)
    after = before.llm.tag("text", MORE, extend=True, where="n != 2", **call)
    assert after["note"].isna().tolist() == [False, True, False, False, False, False]
    assert after["urgency"].isna().tolist() == [False, False, True, False, False, False]
    after.loc[2, "note"] = "mine"
    asked.requests.clear()
    whole = after.llm.tag("text", MORE, extend=True, **call | {"model": "big"})
    assert asked.texts == ["row 1", "row 2"]
    assert whole["note"].tolist()[:3] == ["m on row 0", "big on row 1", "mine"]
    assert whole["urgency"].notna().all()
    assert (whole["llm_status"] == "ok").all()


def test_where_bounds_what_is_asked(asked, call):
    before = frame().llm.tag("text", INTENT, **call)
    asked.requests.clear()
    after = before.llm.tag("text", MORE, extend=True, where="n < 2", **call)
    assert asked.texts == ["row 0", "row 1"]
    assert after["urgency"].notna().tolist() == [True] * 2 + [False] * 4
    rest = after.llm.tag("text", MORE, extend=True, where="n < 4", **call)
    assert asked.texts == ["row 0", "row 1", "row 2", "row 3"]
    assert rest["urgency"].notna().tolist() == [True] * 4 + [False] * 2


def test_the_stronger_model_and_then_a_new_field(asked, call):
    first = frame().llm.tag("text", INTENT, **call)
    out = first.assign(intent_confidence=[0.5, 0.9, 0.7, 0.95, None, 1.0])
    again = call | {"model": "big", "instructions": "think twice"}
    sure = out.llm.tag("text", INTENT, where=out["intent_confidence"] < 0.8, **again)
    assert [note.split()[0] for note in sure["note"]] == ["big", "m", "big", "m", "m", "m"]
    kept = ~(out["intent_confidence"] < 0.8)
    pd.testing.assert_frame_equal(sure.loc[kept, out.columns], out[kept])
    for options in (call, again):
        asked.requests.clear()
        after = sure.llm.tag("text", MORE, extend=True, **options)
        assert asked.fields == ['["urgency"]']
        assert_kept(sure, after)


# --- every call, and every form of fields


class Tags(pydantic.BaseModel):
    """What a customer wants."""

    intent: Literal["refund", "other"]
    note: str = pydantic.Field(description="in a few words")


class MoreTags(Tags):
    """What a customer wants."""

    urgency: int


class Checked(MoreTags):
    """What a customer wants."""

    @pydantic.field_validator("urgency")
    @classmethod
    def _is_low(cls, value):
        return value


def test_a_model_with_one_more_field(asked, call):
    before = frame().llm.tag("text", Tags, **call)
    asked.requests.clear()
    after = before.llm.tag("text", MoreTags, extend=True, **call)
    assert asked.fields == ['["urgency"]']
    assert_kept(before, after)
    with pytest.raises(PlanError, match="Checked has validators"):
        before.llm.tag("text", Checked, extend=True, **call)


def test_single_fields_one_after_the_other(asked, call):
    before = frame().llm.tag("text", ["refund", "other"], into="intent", **call)
    asked.requests.clear()
    after = before.llm.tag("text", {"intent": ["refund", "other"]}, extend=True, **call)
    assert asked.requests == []
    pd.testing.assert_frame_equal(after, before)


def test_atag_and_start_extend_too(asked, call):
    before = frame().llm.tag("text", INTENT, **call)
    asked.requests.clear()
    after = asyncio.run(before.llm.atag("text", MORE, extend=True, **call))
    assert asked.fields == ['["urgency"]']
    asked.requests.clear()
    started = before.llm.start("text", MORE, extend=True, **call).result()
    pd.testing.assert_frame_equal(started, after)
    assert asked.requests == []  # the checkpoint had them
    done = after.llm.start("text", MORE, extend=True, **call)
    pd.testing.assert_frame_equal(done.result(), after)
    assert (done.status, done.report.rows) == ("finished", 0)


@pytest.mark.parametrize(
    "given",
    [
        lambda df, call: df["text"].llm.tag(["a", "b"], extend=True, **call),
        lambda df, call: lf.tag_stream(["a"], ["a", "b"], extend=True, **call),
        lambda df, call: df.llm.embed("text", extend=True, **call),
    ],
    ids=["series", "stream", "embed"],
)
def test_calls_without_earlier_answers_do_not_take_it(call, given):
    with pytest.raises(PlanError, match="extend= has no meaning"):
        given(frame(), call)


def test_levels_of_columns(asked, call):
    columns = pd.MultiIndex.from_tuples([("text", ""), ("n", "x")])
    before = pd.DataFrame([["row 0", 1], ["bad row", 2]], columns=columns)
    before = before.llm.tag("text", INTENT, confidence="logprob", **call)
    asked.requests.clear()
    after = before.llm.tag("text", MORE, extend=True, **call)
    assert asked.fields == ['["urgency"]']
    assert after[("llm_status", "")].tolist() == ["ok", "failed"]
    again = after.llm.tag("text", INTENT, where=after[("n", "x")] == 1, overwrite=True, **call)
    assert again[("intent_confidence", "")].isna().tolist() == [True, True]
