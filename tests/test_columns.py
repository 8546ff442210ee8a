"""Columns are set once, by position, on any frame; clashes are found before a call."""

import json
import warnings

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmframe.engine.results import SKIPPED, RowResult, Usage
from llmframe.errors import PlanError
from llmframe.frame.columns import STATUSES, add_columns, new_columns, plan_columns
from llmframe.task.fields import FieldSpec, Kind

INTENT = FieldSpec("intent", Kind.CHOICE, ("refund", "other"), nullable=False)
STARS = FieldSpec("stars", Kind.INTEGER, None, nullable=True)
SUMMARY = FieldSpec("summary", Kind.TEXT, None, nullable=False)
TAGS = FieldSpec("tags", Kind.OBJECT, None, nullable=False)
FIELDS = (INTENT, STARS, SUMMARY, TAGS)
SERVICE = ["llm_status", "llm_error"]
DETAILS = [
    "llm_attempts", "llm_tokens_in", "llm_tokens_out", "llm_cost", "llm_seconds", "llm_raw",
]  # fmt: skip
TEXT_DTYPE = pd.Series(["text"]).dtype


def ok(i=0):
    values = {"intent": "refund", "stars": i, "summary": f"s{i}", "tags": [f"t{i}"]}
    usage = Usage(10, i, 0.5)
    return RowResult("ok", values, attempts=1, usage=usage, seconds=0.25, raw="{}")


FAILED = RowResult("failed", error="timeout: no answer in 60 s", attempts=5)


def plan_for(df, specs=FIELDS, **options):
    defaults = {
        "inputs": ("text",),
        "prefix": "",
        "overwrite": False,
        "details": False,
        "task": "task1",
    }
    return plan_columns(df, specs, **{**defaults, **options})


def tag(df, results=None, specs=FIELDS, info=(), **options):
    results = [ok(i) for i in range(len(df))] if results is None else results
    return add_columns(df, plan_for(df, specs, **options), results, info=dict(info))


@pytest.fixture
def df():
    return pd.DataFrame({"text": ["a", "b", "c", "d"], "n": [1, 2, 3, 4]}, index=[7, 7, 8, 7])


# --- what is written


def test_the_columns_come_in_the_contracts_order_and_types(df):
    out = tag(df, [ok(3), FAILED, SKIPPED, None], details=True)
    names = ["intent", "stars", "summary", "tags"]
    assert list(out.columns) == ["text", "n", *names, *SERVICE, *DETAILS]
    assert [str(dtype) for dtype in out.dtypes[2:]] == [
        "category", "Int64", str(TEXT_DTYPE), "object", "category", str(TEXT_DTYPE),
        "Int64", "Int64", "Int64", "Float64", "Float64", str(TEXT_DTYPE),
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


def test_details_are_told_of_every_row_that_was_reached(df):
    out = tag(df, [ok(3), FAILED, SKIPPED, None], details=True)
    assert out["llm_attempts"].tolist() == [1, 5, 0, pd.NA]
    assert out["llm_tokens_in"].tolist() == [10, 0, 0, pd.NA]
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
        add_columns(df, plan_for(df), [None] * 3, info={})


# --- on any frame

INDEXES = {
    "a range": pd.RangeIndex(4),
    "duplicates": pd.Index([1, 1, 0, 1]),
    "text": pd.Index(["b", "a", "b", ""], name="key"),
    "missing": pd.Index([None, "a", np.nan, None], dtype=object),
    "mixed": pd.Index([1, "a", (2, 3), 1.5], dtype=object, tupleize_cols=False),
    "levels": pd.MultiIndex.from_tuples([("a", 1), ("a", 1), ("b", 2), ("a", 1)], names=["x", "y"]),
    "times": pd.date_range("2024", periods=4, freq="D", tz="UTC"),
    "categories": pd.CategoricalIndex(["a", "b", "a", "c"]),
    "intervals": pd.interval_range(0, 4),
    "floats": pd.Index([0.5, np.nan, np.nan, -1.0]),
}


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
    specs = [FieldSpec(f"f{i}", Kind.TEXT, None, nullable=True) for i in range(150)]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        out = tag(df, [RowResult("ok", {})] * 4, specs=specs)
    assert out.shape == (4, 154)


def test_only_the_new_columns_for_a_series(df):
    out = new_columns(df.index, plan_for(df), [ok(i) for i in range(4)], info={"model": "m"})
    assert list(out.columns) == ["intent", "stars", "summary", "tags", *SERVICE]
    pd.testing.assert_index_equal(out.index, df.index)
    assert out["summary"].tolist() == ["s0", "s1", "s2", "s3"]
    assert out.attrs == {"llmframe": tag(df, info={"model": "m"}).attrs["llmframe"]}


# --- clashes


def test_names_that_two_outputs_share_are_refused(df):
    for name, details in (("llm_status", False), ("llm_raw", True)):
        spec = FieldSpec(name, Kind.TEXT, None, nullable=False)
        with pytest.raises(PlanError, match=f"two outputs would be named '{name}'"):
            plan_for(df, [spec], details=details)


def test_a_detail_is_no_clash_where_no_details_are_asked(df):
    spec = FieldSpec("llm_raw", Kind.TEXT, None, nullable=False)
    assert plan_for(df, [spec]).columns == ["llm_raw", *SERVICE]


@pytest.mark.parametrize("overwrite", [False, True])
def test_an_output_is_never_named_like_an_input(df, overwrite):
    spec = FieldSpec("text", Kind.TEXT, None, nullable=False)
    with pytest.raises(PlanError, match=r"named like the input column 'text'.*prefix="):
        plan_for(df, [spec], overwrite=overwrite)
    assert plan_for(df, [spec], prefix="x_").columns[0] == "x_text"


def test_a_status_column_is_never_an_input(df):
    df = df.rename(columns={"text": "llm_error"})
    with pytest.raises(PlanError, match="named like the input column 'llm_error'"):
        plan_for(df, inputs=("llm_error",), overwrite=True)


@pytest.mark.parametrize("name", ["intent", "llm_status", "llm_cost"])
def test_a_column_that_llmframe_did_not_write_is_kept(df, name):
    df = df.assign(**{name: "mine"})
    with pytest.raises(PlanError, match=rf"'{name}'.*overwrite=True.*prefix='new_'"):
        plan_for(df, details=True)
    out = tag(df, details=True, overwrite=True)
    assert list(out.columns).count(name) == 1
    assert list(out.columns[:2]) == ["text", "n"]
    both = tag(df, details=True, prefix="new_")
    assert (both[name] == "mine").all()
    assert f"new_{name}" in both


@pytest.mark.parametrize("prefix", [None, 3, b"x"])
def test_a_prefix_is_text(df, prefix):
    with pytest.raises(PlanError, match="prefix must be text"):
        plan_for(df, prefix=prefix)


# --- running again


def test_running_again_replaces_what_was_written_and_not_changed(df):
    first = tag(df, details=True)
    again = tag(first, [ok(9)] * 4, details=True)
    assert list(again.columns) == list(first.columns)
    assert again["stars"].tolist() == [9] * 4


def test_columns_added_since_come_before_the_written_ones(df):
    first = tag(df).assign(mine=1)
    assert list(tag(first).columns)[:4] == ["text", "n", "mine", "intent"]


@pytest.mark.parametrize("name", ["intent", "stars", "summary", "tags"])
def test_a_field_that_was_changed_since_is_kept(df, name):
    first = tag(df)
    column = first[name].copy()
    column.iloc[2] = None
    first[name] = column
    with pytest.raises(PlanError, match=f"'{name}' changed since llmframe wrote"):
        plan_for(first)
    assert tag(first, overwrite=True)[name].notna().all()


def test_a_list_edited_in_place_is_a_change(df):
    first = tag(df)
    first["tags"].iloc[0].append("mine")
    with pytest.raises(PlanError, match="'tags' changed since"):
        plan_for(first)


@pytest.mark.parametrize("change", [lambda f: f.iloc[::-1], lambda f: f[f["n"] > 1]])
def test_fields_of_moved_rows_are_kept_but_status_columns_follow(df, change):
    moved = change(tag(df, details=True))
    with pytest.raises(PlanError, match="'stars', 'summary', 'tags' changed since"):
        plan_for(moved)
    other = FieldSpec("mood", Kind.TEXT, None, nullable=False)
    out = tag(moved, [FAILED] * len(moved), specs=[other], details=True)
    assert (out["llm_status"] == "failed").all()


def test_a_renamed_column_frees_its_name(df):
    first = tag(df).rename(columns={"intent": "before"})
    out = tag(first)
    assert "before" in out
    assert list(out.columns).count("intent") == 1
    assert "before" not in out.attrs["llmframe"]["columns"]


def test_a_name_that_now_stands_twice_was_changed(df):
    first = tag(df)
    twice = pd.concat([first, first[["intent"]]], axis=1)
    with pytest.raises(PlanError, match="'intent' changed since"):
        plan_for(twice)
    assert list(tag(twice, overwrite=True).columns).count("intent") == 1


def test_another_tasks_status_is_replaced_with_one_warning(df):
    first = tag(df, task="task1")
    other = FieldSpec("mood", Kind.TEXT, None, nullable=False)
    with pytest.warns(UserWarning, match=r"'llm_status', 'llm_error' .*prefix=") as caught:
        out = tag(first, [FAILED] * 4, specs=[other], task="task2")
    assert len(caught) == 1
    assert (out["llm_status"] == "failed").all()
    assert list(out.columns) == [
        "text",
        "n",
        "intent",
        "stars",
        "summary",
        "tags",
        "mood",
        *SERVICE,
    ]
    tasks = {name: told["task"] for name, told in out.attrs["llmframe"]["columns"].items()}
    assert tasks["intent"] == "task1"
    assert tasks["llm_status"] == tasks["mood"] == "task2"


def test_a_prefix_keeps_both_tasks_without_a_warning(df):
    out = tag(tag(df, task="task1"), task="task2", prefix="b_")
    assert {"llm_status", "b_llm_status", "intent", "b_intent"} <= set(out.columns)
    assert list(tag(out, task="task1").columns)[2:8] == [
        "b_intent", "b_stars", "b_summary", "b_tags", "b_llm_status", "b_llm_error",
    ]  # fmt: skip


# --- attrs


def test_attrs_tell_what_was_written_and_stay_small(df):
    info = {"model": "m", "checkpoint": "x.jsonl", "counts": {"ok": np.int64(4)}}
    out = tag(df, info=info, details=True)
    told = out.attrs["llmframe"]
    assert {name: told[name] for name in info} == info
    assert told["task"] == "task1"
    assert list(told["columns"]) == list(out.columns[2:])
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
    specs = (*FIELDS, FieldSpec("day", Kind.DATE, None, nullable=True))
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
