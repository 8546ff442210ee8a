"""Columns are set once, by position, on any frame."""

import json
import warnings

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmframe.errors import PlanError
from llmframe.frame.columns import STATUSES, add_columns, new_columns
from llmframe.results import SKIPPED, Results, RowResult
from llmframe.task.fields import FieldSpec, Kind
from tests.kits.columns import (
    DETAILS,
    FAILED,
    FIELDS,
    INDEXES,
    SERVICE,
    STARS,
    TEXT_DTYPE,
    held,
    ok,
    plan_for,
    tag,
)

# --- what is written


def test_the_columns_come_in_the_contracts_order_and_types(df):
    out = tag(df, [ok(3), FAILED, SKIPPED, None], details=True)
    names = ["intent", "stars", "summary", "tags"]
    assert list(out.columns) == ["text", "n", *names, *SERVICE, *DETAILS]
    assert [str(dtype) for dtype in out.dtypes[2:]] == [
        "category", "Int64", str(TEXT_DTYPE), "object", "category", str(TEXT_DTYPE),
        "Int64", "Int64", "Int64", "Int64", "Float64", "Float64", str(TEXT_DTYPE),
    ]  # fmt: skip
    pd.testing.assert_frame_equal(out[["text", "n"]], df)


def test_rows_without_an_answer_are_missing_in_every_field_and_say_why(df):
    out = tag(df, [ok(3), FAILED, SKIPPED, None])
    assert out["llm_status"].tolist() == ["ok", "failed", "skipped", "pending"]
    assert tuple(out["llm_status"].cat.categories) == STATUSES
    assert out["llm_error"].isna().tolist() == [True, False, True, True]
    assert out["llm_error"].iloc[1] == "timeout: no answer in 60 s"
    assert out[["intent", "stars", "summary", "tags"]].isna().to_numpy()[1:].all()
    assert out.iloc[0][["intent", "stars", "summary", "tags"]].tolist() == [
        "refund", 3, "s3", ["t3"],
    ]  # fmt: skip


def test_every_row_that_was_reached_has_details(df):
    out = tag(df, [ok(3), FAILED, SKIPPED, None], details=True)
    assert out["llm_attempts"].tolist() == [1, 5, 0, pd.NA]
    assert out["llm_tokens_in"].tolist() == [10, 0, 0, pd.NA]
    assert out["llm_tokens_cached"].tolist() == [0, 0, 0, pd.NA]
    assert out["llm_tokens_out"].tolist() == [3, 0, 0, pd.NA]
    assert out["llm_cost"].tolist() == [0.5, pd.NA, pd.NA, pd.NA]
    assert out["llm_seconds"].tolist() == [0.25, pd.NA, pd.NA, pd.NA]
    assert out["llm_raw"].isna().tolist() == [False, True, True, True]


def test_a_null_is_an_answer_that_is_missing(df):
    answer = RowResult("ok", {"stars": None})
    out = tag(df, [answer] * 4, specs=(STARS,))
    assert out["stars"].isna().all()
    assert (out["llm_status"] == "ok").all()


def test_a_value_that_no_column_can_hold_costs_its_own_cell(df):
    results = [ok(i) for i in range(4)]
    results[1].values.update(intent="nonsense", stars=10**30, summary="\ud83d", tags=["\ud83d"])
    out = tag(df, results)
    assert out["intent"].isna().tolist() == [False, True, False, False]
    assert out["stars"].tolist() == [0, pd.NA, 2, 3]
    assert out["summary"].tolist() == ["s0", "\ufffd", "s2", "s3"]
    assert out["tags"].tolist() == [["t0"], ["\ufffd"], ["t2"], ["t3"]]


def test_rows_that_share_an_answer_can_be_edited_one_by_one(df):
    out = tag(df, [ok(1)] * 4)
    out["tags"].iloc[0].append("mine")
    assert out["tags"].tolist() == [["t1", "mine"], ["t1"], ["t1"], ["t1"]]


def test_the_frame_itself_is_never_changed(df):
    before = df.copy()
    df.attrs["mine"] = {"kept": [1]}
    out = tag(df)
    out.loc[:, "n"] = 0
    out.attrs["mine"]["kept"].append(2)
    pd.testing.assert_frame_equal(df, before)
    assert df.attrs == {"mine": {"kept": [1]}}
    assert out is not df


def test_as_many_results_as_rows_are_needed(df):
    with pytest.raises(ValueError, match="3 results for 4 rows"):
        add_columns(df, plan_for(df), Results(3), info={})


# --- on any frame


@pytest.mark.parametrize("index", INDEXES.values(), ids=INDEXES)
def test_any_index_is_kept_and_rows_stay_in_their_place(index):
    df = pd.DataFrame({"text": list("abcd")}, index=index)
    out = tag(df)
    pd.testing.assert_index_equal(out.index, index)
    assert out["summary"].tolist() == ["s0", "s1", "s2", "s3"]
    again = tag(out)
    pd.testing.assert_frame_equal(again, out)


cells = st.none() | st.integers(0, 3) | st.text(max_size=2) | st.tuples(st.integers(0, 1))


@given(st.lists(st.tuples(cells, st.sampled_from(["ok", "failed", "skipped", "pending"]))))
def test_any_labels_and_any_missing_pattern_keep_every_row(rows):
    index = pd.Index([label for label, _ in rows], dtype=object, tupleize_cols=False)
    df = pd.DataFrame({"text": ["x"] * len(rows)}, index=index)
    made = {"failed": FAILED, "skipped": SKIPPED, "pending": None}
    results = [made.get(status) or (ok(i) if status == "ok" else None)
               for i, (_, status) in enumerate(rows)]  # fmt: skip
    out = tag(df, results, details=True)
    assert out.index is df.index or out.index.equals(df.index)
    assert out["llm_status"].tolist() == [status for _, status in rows]
    for i, (_, status) in enumerate(rows):
        values = out.iloc[i][["intent", "stars", "summary", "tags"]].tolist()
        if status == "ok":
            assert values == ["refund", i, f"s{i}", [f"t{i}"]]
        else:
            assert all(pd.isna(value) for value in values)


def test_an_empty_frame_gets_the_same_typed_columns(df):
    out = tag(df.iloc[:0], details=True)
    pd.testing.assert_series_equal(out.dtypes, tag(df, details=True).dtypes)
    assert len(out) == 0


def test_levels_of_columns_are_padded_and_their_names_kept():
    columns = pd.MultiIndex.from_tuples([("text", "", ""), ("n", "x", "y")], names=list("abc"))
    df = pd.DataFrame([["t", 1]], columns=columns)
    out = tag(df, inputs=(("text", "", ""),))
    assert list(out.columns[:3]) == [*columns, ("intent", "", "")]
    assert list(out.columns.names) == list("abc")
    assert out[("summary", "", "")].tolist() == ["s0"]
    pd.testing.assert_frame_equal(tag(out, inputs=(("text", "", ""),)), out)


@pytest.mark.parametrize(
    "columns",
    [
        pd.RangeIndex(2),
        pd.Index([0, "text"], dtype=object, name="cols"),
        pd.DatetimeIndex(["2024-01-01", "2024-01-02"]),
        pd.CategoricalIndex(["a", "b"]),
        pd.Index([1.5, 2.5]),
        pd.Index(["same", "same"]),
    ],
    ids=repr,
)
def test_old_columns_may_have_any_names(columns):
    df = pd.DataFrame([["x", "y"]] * 2, columns=columns)
    out = tag(df, inputs=(columns[0],))
    assert list(out.columns) == [*columns, "intent", "stars", "summary", "tags", *SERVICE]
    assert out.columns.name == columns.name
    assert list(tag(out, inputs=(columns[0],)).columns) == list(out.columns)


def test_a_subclass_of_a_frame_stays_one():
    class Mine(pd.DataFrame):
        _metadata = ("owner",)

        @property
        def _constructor(self):
            return Mine

    df = Mine({"text": ["a"]})
    df.owner = "me"
    out = tag(df)
    assert type(out) is Mine
    assert out.owner == "me"


def test_a_hundred_fields_do_not_fragment_the_frame(df):
    specs = [FieldSpec(f"f{i}", kind=Kind.TEXT, nullable=True) for i in range(150)]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        out = tag(df, [RowResult("ok", {})] * 4, specs=specs)
    assert out.shape == (4, 154)


def test_only_the_new_columns_for_a_series(df):
    df = df.set_axis([7, 8, 6, 5])
    out = new_columns(df.index, plan_for(df), held([*map(ok, range(4))]), info={"model": "m"})
    assert list(out.columns) == ["intent", "stars", "summary", "tags", *SERVICE]
    pd.testing.assert_index_equal(out.index, df.index)
    assert out["summary"].tolist() == ["s0", "s1", "s2", "s3"]
    assert out.attrs == {"llmframe": tag(df, info={"model": "m"}).attrs["llmframe"]}


# --- attrs


def test_attrs_record_what_was_written_and_stay_small(df):
    info = {"model": "m", "checkpoint": "x.jsonl", "counts": {"ok": np.int64(4)}}
    out = tag(df, info=info, details=True)
    recorded = out.attrs["llmframe"]
    assert {name: recorded[name] for name in info} == info
    assert recorded["task"] == "task1"
    assert list(recorded["columns"]) == list(out.columns[2:])
    assert len(json.dumps(out.attrs)) < 2000


@pytest.mark.parametrize(
    "foreign",
    [3, None, {}, {"columns": 3}, {"columns": {"intent": 3}}, {"columns": {"intent": {}}}],
)
def test_attrs_that_are_not_ours_count_as_none(df, foreign):
    df = df.assign(intent="mine")
    df.attrs["llmframe"] = foreign
    with pytest.raises(PlanError, match="'intent'"):
        plan_for(df)


def test_a_frame_read_back_from_parquet_can_be_tagged_again(df, tmp_path):
    pytest.importorskip("pyarrow")
    path = tmp_path / "out.parquet"
    specs = (*FIELDS, FieldSpec("day", kind=Kind.DATE, nullable=True))
    results = [ok(i) for i in range(4)]
    for result in results:
        result.values["day"] = "2024-01-02"
    first = tag(df.reset_index(drop=True), results, specs=specs, details=True)
    first.to_parquet(path)
    back = pd.read_parquet(path)
    assert list(tag(back, results, specs=specs, details=True).columns) == list(first.columns)


def test_attrs_survive_what_is_usually_done_to_a_frame(df):
    out = tag(df)
    for same in (out.copy(), out.reset_index(), pd.concat([out])):
        assert same.attrs == out.attrs
