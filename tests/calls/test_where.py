"""``where=``: only these rows are asked, and all others keep their cells byte for byte."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

import llmframe as lf
from llmframe import testing
from llmframe.errors import PlanError
from llmframe.frame.selection import selected

FIELDS = {"intent": ["refund", "other"], "stars": int, "topics": list[str], "note": str}
NEW = [*FIELDS, "llm_status", "llm_error"]
ROWS = 6


@pytest.fixture(autouse=True)
def _folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


@pytest.fixture(scope="module")
def server():
    count = iter(range(10_000))

    def answer(text, body):
        return {"intent": "refund", "stars": next(count), "topics": [text], "note": text}

    with testing.serve(answer=answer, fault_rows={"bad": "refusal"}) as server:
        yield server


@pytest.fixture
def call(server):
    """The options of a call; and how many requests it sent."""
    server.ledger.clear()
    return {"model": "m", "base_url": server.url, "progress": False, "instructions": "a"}


def frame(index=None):
    return pd.DataFrame({"text": [f"row {n}" for n in range(ROWS)], "n": range(ROWS)}, index=index)


def assert_others_kept(before, after, mask):
    """The rows outside of the mask, cells and types, are those of before."""
    columns = list(before.columns)
    pd.testing.assert_frame_equal(after.loc[~mask, columns], before.loc[~mask])
    pd.testing.assert_index_equal(after.index, before.index)


INDEXES = {
    "plain": None,
    "repeated": [5, 5, 3, 3, 1, 1],
    "levels": pd.MultiIndex.from_product([["a", "b"], [1, 2, 3]]),
    "texts": list("fedcba"),
}


@pytest.mark.parametrize("index", INDEXES)
@pytest.mark.parametrize("form", ["series", "query", "array", "list", "nullable"])
def test_only_these_rows_are_asked(server, call, index, form):
    df = frame(INDEXES[index])
    mask = df["n"] >= 4
    forms = {
        "series": mask, "query": "n >= 4", "array": mask.to_numpy(), "list": mask.tolist(),
        "nullable": mask.astype("boolean").where(df["n"] != 0),
    }  # fmt: skip
    out = df.llm.tag("text", FIELDS, where=forms[form], **call)
    assert sorted(server.ledger.rows()) == ["row 4", "row 5"]
    assert_others_kept(df, out, mask)
    assert out.loc[~mask, NEW].isna().to_numpy().all()
    assert out.loc[mask, "llm_status"].tolist() == ["ok", "ok"]
    assert out["intent"].cat.categories.tolist() == ["refund", "other"]
    assert (out["stars"].dtype, out["topics"].iloc[0]) == ("Int64", None)


@pytest.mark.parametrize("index", INDEXES)
def test_the_other_rows_keep_their_answers_and_their_status(server, call, index):
    before = frame(INDEXES[index]).llm.tag("text", FIELDS, **call)
    mask = before["n"] % 2 == 0
    again = call | {"instructions": "another prompt"}
    after = before.llm.tag("text", FIELDS, where=mask, **again)
    assert len(server.ledger) == ROWS + mask.sum()
    assert_others_kept(before, after, mask)
    assert (after.loc[mask, "stars"] != before.loc[mask, "stars"]).all()
    assert list(after.columns) == list(before.columns)
    assert after.attrs["llmframe"]["counts"]["rows"] == mask.sum()


def test_failed_rows_of_a_filtered_copy_are_asked_without_overwrite(server, call):
    df = frame().assign(text=lambda df: df["text"].where(df["n"] != 2, "bad row"))
    out = df.llm.tag("text", FIELDS, **call)
    assert out["llm_status"].tolist() == ["ok", "ok", "failed", "ok", "ok", "ok"]
    copy = out[out["n"] > 0]
    server.ledger.clear()
    mended = copy.assign(text=copy["text"].str.replace("bad", "good"))
    after = mended.llm.tag("text", FIELDS, where="llm_status == 'failed'", **call)
    assert list(server.ledger.rows()) == ["good row"]
    assert (after["llm_status"] == "ok").all()
    assert_others_kept(mended, after, copy["n"] == 2)


def test_failed_rows_alone_are_a_frame_like_any_other(server, call):
    df = frame().assign(text="bad row")
    out = df.llm.tag("text", FIELDS, **call)
    failed = out[out["llm_status"] == "failed"].head(3)
    assert (failed.llm.tag("text", FIELDS, **call)["llm_status"] == "failed").all()


def test_an_edited_cell_is_replaced_only_where_it_is_asked_for(call):
    out = frame().llm.tag("text", FIELDS, **call)
    out.loc[0, "note"] = "mine"
    again = call | {"instructions": "b"}
    with pytest.raises(PlanError, match="'note' changed since"):
        out.llm.tag("text", FIELDS, where=out["n"] < 2, **again)
    after = out.llm.tag("text", FIELDS, where=out["n"] < 2, overwrite=True, **again)
    assert after["note"].tolist()[:2] == ["row 0", "row 1"]
    kept = after.llm.tag("text", FIELDS, where=[False] * ROWS, overwrite=True, **call)
    pd.testing.assert_frame_equal(kept, after)


def test_empty_cells_of_ones_own_column_are_filled(call):
    own = frame().assign(intent=["mine", None, "refund", None, "x", None])
    out = own.llm.tag("text", {"intent": ["refund", "other"]}, where=own["intent"].isna(), **call)
    assert out["intent"].tolist() == ["mine", "refund", "refund", "refund", "x", "refund"]
    with pytest.raises(PlanError, match="already has 'intent'"):
        own.llm.tag("text", {"intent": ["refund", "other"]}, where="n < 2", **call)


def test_cells_of_another_kind_are_no_neighbours(call):
    own = frame().assign(stars=["three", None, None, None, None, None])
    with pytest.raises(PlanError, match="cannot stay beside the new answers"):
        own.llm.tag("text", {"stars": int}, where=own["stars"].isna(), **call)


def test_a_probability_goes_with_the_answer_that_it_belonged_to(call):
    field = {"intent": ["refund", "other"]}
    out = frame().llm.tag("text", field, confidence="logprob", **call)
    before = out.assign(intent_confidence=out["intent_confidence"])
    after = before.llm.tag("text", field, where="n == 1", **call | {"instructions": "b"})
    at = list(after.columns).index("intent")
    assert after.columns[at + 1] == "intent_confidence"
    assert after["intent_confidence"].isna()[1]
    assert_others_kept(before, after, before["n"] == 1)


def test_a_series_and_a_background_run_take_it(server, call):
    df = frame()
    out = df["text"].llm.tag(["refund", "other"], into="intent", where=df["n"] == 5, **call)
    assert out["intent"].notna().tolist() == [False] * 5 + [True]
    run = lf.start(df, "text", FIELDS, where="n < 2", **call)
    assert run.result()["stars"].notna().sum() == 2
    assert run.report.rows == 2


BAD = {
    "int": 3, "ints": [1] * ROWS, "short": [True], "frame": frame(), "text column": "text",
    "no such column": "stars < 3", "constant": "1", "variable": "n < @m", "nothing": "",
    "other index": pd.Series([True] * ROWS, index=range(10, 10 + ROWS)), "set": {True},
}  # fmt: skip


@pytest.mark.parametrize("name", BAD)
def test_what_is_no_mask_is_a_mistake_found_before_anything_is_sent(server, call, name):
    with pytest.raises(PlanError, match="where="):
        frame().llm.tag("text", FIELDS, where=BAD[name], **call)
    assert len(server.ledger) == 0


def test_an_array_of_several_columns_and_a_variable_in_a_query_are_told_what_to_write(server, call):
    with pytest.raises(PlanError, match=r"one boolean for each row.*mask\[:, 0\]"):
        frame().llm.tag("text", FIELDS, where=frame()[["n"]].to_numpy() > 1, **call)
    with pytest.raises(PlanError, match=r"write its value, f'stars < \{most\}', or give a mask"):
        frame().llm.tag("text", FIELDS, where="n < @m", **call)
    assert len(server.ledger) == 0


@given(st.lists(st.sampled_from([True, False, None]), min_size=ROWS, max_size=ROWS))
def test_any_mask_puts_new_cells_there_and_nowhere_else(mask):
    df = frame()
    chosen = selected(df, pd.Series(mask, dtype="boolean"))
    wanted = [value is True for value in mask]
    for old in (df["text"], df["n"].astype("Int64"), df["text"].astype("category")):
        new = old.iloc[chosen.at].set_axis(range(len(chosen.at)))
        pd.testing.assert_series_equal(chosen.filled(new, old), old)
        empty = chosen.filled(new, None)
        assert empty.notna().tolist() == wanted
    assert np.flatnonzero(wanted).tolist() == chosen.at.tolist()
