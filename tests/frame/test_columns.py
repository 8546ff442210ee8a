"""Columns are set once, by position, on any frame; clashes are found before a call."""

import json
import warnings

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmframe.errors import PlanError
from llmframe.frame.columns import STATUSES, add_columns, new_columns, plan_columns
from llmframe.results import SKIPPED, Failure, RowResult, Usage
from llmframe.task.fields import FieldSpec, Kind

INTENT = FieldSpec("intent", kind=Kind.CHOICE, labels=("refund", "other"), nullable=False)
STARS = FieldSpec("stars", kind=Kind.INTEGER, nullable=True)
SUMMARY = FieldSpec("summary", kind=Kind.TEXT, nullable=False)
TAGS = FieldSpec("tags", kind=Kind.OBJECT, nullable=False)
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


FAILED = RowResult("failed", error=Failure("timeout", "no answer in 60 s"), attempts=5)


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
    specs = [FieldSpec(f"f{i}", kind=Kind.TEXT, nullable=True) for i in range(150)]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        out = tag(df, [RowResult("ok", {})] * 4, specs=specs)
    assert out.shape == (4, 154)


def test_only_the_new_columns_for_a_series(df):
    df = df.set_axis([7, 8, 6, 5])
    out = new_columns(df.index, plan_for(df), [ok(i) for i in range(4)], info={"model": "m"})
    assert list(out.columns) == ["intent", "stars", "summary", "tags", *SERVICE]
    pd.testing.assert_index_equal(out.index, df.index)
    assert out["summary"].tolist() == ["s0", "s1", "s2", "s3"]
    assert out.attrs == {"llmframe": tag(df, info={"model": "m"}).attrs["llmframe"]}


# --- clashes


def test_names_that_two_outputs_share_are_refused(df):
    for name, details in (("llm_status", False), ("llm_raw", True)):
        spec = FieldSpec(name, kind=Kind.TEXT, nullable=False)
        with pytest.raises(PlanError, match=f"two outputs would be named '{name}'"):
            plan_for(df, [spec], details=details)


def test_a_detail_is_no_clash_where_no_details_are_asked(df):
    spec = FieldSpec("llm_raw", kind=Kind.TEXT, nullable=False)
    assert plan_for(df, [spec]).columns == ["llm_raw", *SERVICE]


@pytest.mark.parametrize("overwrite", [False, True])
def test_an_output_is_never_named_like_an_input(df, overwrite):
    spec = FieldSpec("text", kind=Kind.TEXT, nullable=False)
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


def test_a_column_whose_note_a_merge_has_lost_is_foreign_and_the_message_says_so(df):
    merged = tag(df).merge(pd.DataFrame({"n": [1, 2, 3, 4], "extra": 1}), on="n")
    merged.attrs = {}  # some pandas keep them
    with pytest.raises(PlanError, match=r"'llm_error' in the frame not written.*merge or a concat"):
        plan_for(merged)


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


MOOD = FieldSpec("mood", kind=Kind.TEXT, nullable=False)
OTHER_ROWS = {
    "fewer": lambda f: f[f["n"] > 1],
    "more": lambda f: pd.concat([f, f.iloc[:1]]),
    "joined": lambda f: f.join(pd.Series([1, 2], index=[7, 7], name="extra")),
}


@pytest.mark.parametrize("change", OTHER_ROWS.values(), ids=OTHER_ROWS)
def test_answers_on_other_rows_are_kept_and_nobody_is_said_to_have_edited_them(df, change):
    first = tag(df, details=True)
    part = change(first)
    part.attrs = first.attrs  # a join loses them in some pandas
    with pytest.raises(PlanError, match=r"'summary', 'tags' written by llmframe, but") as caught:
        plan_for(part)
    assert "changed since" not in str(caught.value)
    assert "(they were filtered, joined or added to)" in str(caught.value)
    assert "overwrite=True, which is safe if nobody did and pays again for no answer" in str(
        caught.value
    )
    assert "prefix=" in str(caught.value)
    assert "llm_status" not in str(caught.value)
    assert len(tag(part, overwrite=True)) == len(part)


@pytest.mark.parametrize("change", OTHER_ROWS.values(), ids=OTHER_ROWS)
def test_a_status_on_other_rows_follows_the_latest_call(df, change):
    part = change(tag(df, details=True))
    part.attrs = tag(df, details=True).attrs
    part["llm_error"] = "mine"
    out = tag(part, [FAILED] * len(part), specs=[MOOD], details=True)
    assert (out["llm_status"] == "failed").all()


def test_rows_are_counted_for_each_column_as_it_was_written(df):
    first = tag(df, prefix="a_")
    part = tag(first[first["n"] > 1], prefix="b_")
    with pytest.raises(PlanError, match="'a_tags' written by llmframe, but not on these rows"):
        plan_for(part, prefix="a_")


def test_a_frame_without_rows_has_nothing_to_lose(df):
    none = tag(df, details=True).iloc[:0]
    assert list(tag(none, details=True).columns) == list(none.columns)


@pytest.mark.parametrize("name", ["llm_status", "llm_error", "llm_attempts", "llm_cost", "llm_raw"])
def test_an_edited_status_is_kept_as_an_edited_answer_is(df, name):
    first = tag(df, [ok(1), FAILED, SKIPPED, None], details=True)
    cells = first[name].astype(object)
    cells.iloc[1] = {"llm_status": "ok", "llm_attempts": 2, "llm_cost": 0.25}.get(name, "mine")
    first[name] = cells.astype(first[name].dtype)
    with pytest.raises(PlanError, match=f"taken: '{name}' changed since llmframe wrote it"):
        plan_for(first, specs=[MOOD], details=True)
    out = tag(first, [FAILED] * 4, specs=[MOOD], details=True, overwrite=True)
    assert str(out[name].iloc[1]) != str(cells.iloc[1])
    new = tag(first, specs=[MOOD], details=True, prefix="new_")
    assert new[name].iloc[1] == cells.iloc[1]


# --- rows that were moved

MOVES = {
    "sorted": lambda f: f.sort_values("text", ascending=False),
    "shuffled": lambda f: f.sample(frac=1, random_state=4),
    "reversed": lambda f: f.iloc[::-1],
}
KEPT = {
    "index reset": lambda f: f.reset_index(drop=True),
    "index as a column": lambda f: f.rename_axis(
        index=[f"key{i}" for i in range(f.index.nlevels)]
    ).reset_index(),
    "another index": lambda f: f.set_index("n", drop=False),
    "columns moved": lambda f: f[f.columns[::-1]],
}


@pytest.mark.parametrize("move", (MOVES | KEPT).values(), ids=MOVES | KEPT)
@pytest.mark.parametrize("index", INDEXES.values(), ids=INDEXES)
def test_moving_rows_or_the_index_is_no_change(index, move):
    df = pd.DataFrame({"text": list("bdca"), "n": [1, 2, 3, 4]}, index=index)
    first = tag(df, [ok(1), ok(2), FAILED, SKIPPED], details=True)
    moved = move(first)
    out = tag(moved, [ok(9)] * 4, details=True)
    assert out["stars"].tolist() == [9] * 4
    assert out["text"].tolist() == moved["text"].tolist()


@pytest.mark.parametrize("name", ["intent", "stars", "summary", "tags"])
@pytest.mark.parametrize("move", [lambda f: f, *MOVES.values()], ids=["in place", *MOVES])
@pytest.mark.parametrize("index", INDEXES.values(), ids=INDEXES)
def test_two_answers_that_change_places_are_a_change_even_where_labels_repeat(index, move, name):
    df = pd.DataFrame({"text": list("bdca"), "n": [1, 2, 3, 4]}, index=index)
    answers = [ok(i) for i in range(4)]
    for answer in answers[:2]:
        answer.values["intent"] = "other"
    first = tag(df, answers)
    swapped = first.copy()
    cells = first[name].tolist()
    cells[0], cells[3] = cells[3], cells[0]
    swapped[name] = pd.Series(cells, index=index, dtype=first[name].dtype)
    with pytest.raises(PlanError, match=f"taken: '{name}' changed since"):
        plan_for(move(swapped))


def test_rows_that_were_sorted_and_numbered_anew_keep_their_status_replaceable(df):
    first = tag(df, [ok(1), FAILED, SKIPPED, None], details=True)
    moved = first.iloc[[3, 1, 0, 2]].reset_index(drop=True)
    assert tag(moved, specs=[MOOD], details=True)["llm_status"].tolist() == ["ok"] * 4
    with pytest.raises(PlanError, match=r"'intent'.* changed since .*or rows were moved and numb"):
        plan_for(moved)


labels = st.none() | st.integers(0, 2) | st.text(max_size=1) | st.just("\ud83d")


@given(st.lists(st.tuples(labels, st.booleans()), min_size=2), st.randoms(use_true_random=False))
def test_rows_in_any_order_are_unchanged_and_any_edit_is_seen(rows, random):
    index = pd.Index([label for label, _ in rows], dtype=object, tupleize_cols=False)
    df = pd.DataFrame({"text": [f"{i}\ud83d" for i in range(len(rows))]}, index=index, dtype=object)
    out = tag(df, [ok(i) if done else FAILED for i, (_, done) in enumerate(rows)])
    order = random.sample(range(len(rows)), len(rows))
    moved = out.iloc[order]
    plan_for(moved)
    edited = moved.copy()
    edited["stars"] = edited["stars"].fillna(0) + ([1] + [0] * (len(rows) - 1))
    with pytest.raises(PlanError, match="'stars' changed since"):
        plan_for(edited)


# --- what goes with an answer


def test_what_was_told_of_replaced_answers_goes_with_them(df):
    first = tag(df, details=True, confidence=True)
    assert {"intent_confidence", *DETAILS} <= set(first.columns)
    again = tag(first, [ok(9)] * 4)
    assert list(again.columns) == ["text", "n", "intent", "stars", "summary", "tags", *SERVICE]
    assert list(again.attrs["llmframe"]["columns"]) == list(again.columns[2:])


def test_what_goes_for_another_task_is_named_in_the_one_warning(df):
    first = tag(df, details=True, confidence=True)
    with pytest.warns(UserWarning, match="'intent_confidence', 'llm_attempts'.* will go") as caught:
        tag(first, task="task2")
    assert len(caught) == 1


def test_a_confidence_stays_beside_an_answer_that_stays(df):
    first = tag(df, details=True, confidence=True)
    out = tag(first, specs=[MOOD])
    assert "intent_confidence" in out
    assert not set(DETAILS) & set(out.columns)
    assert "intent_confidence" in tag(first, specs=[INTENT], prefix="b_")
    assert set(DETAILS) <= set(tag(first, prefix="b_").columns)


@pytest.mark.parametrize("name", ["intent_confidence", "llm_cost"])
def test_what_a_person_edited_is_kept_and_stays_noted_as_it_was(df, name):
    first = tag(df, details=True, confidence=True)
    first[name] = pd.array([0.5, 0.25, 0.125, None], dtype="Float64")
    out = tag(first)
    assert out[name].tolist() == [0.5, 0.25, 0.125, pd.NA]
    noted = [frame.attrs["llmframe"]["columns"][name] for frame in (first, out)]
    assert noted[0] == noted[1]
    assert name not in tag(out, overwrite=True)
    with pytest.raises(PlanError, match=f"'{name}' changed since"):
        plan_for(out, details=True, confidence=True)


def test_a_column_of_the_same_name_that_llmframe_did_not_write_is_kept(df):
    out = tag(tag(df).assign(intent_confidence=1.0, llm_cost=2.0), overwrite=True)
    assert out["intent_confidence"].tolist() == [1.0] * 4
    assert out["llm_cost"].tolist() == [2.0] * 4


@pytest.mark.parametrize("name", ["intent_confidence", "llm_raw"])
def test_a_field_that_is_named_like_a_companion_is_an_answer_of_its_own(df, name):
    own = FieldSpec(name, kind=Kind.TEXT, nullable=True)
    first = tag(df, specs=[INTENT, own])
    assert name in tag(first, specs=[INTENT])
    assert name in tag(first, specs=[INTENT], overwrite=True)


@pytest.mark.parametrize("overwrite", [False, True])
def test_an_input_never_goes(df, overwrite):
    first = tag(df, details=True, confidence=True)
    options = {"inputs": ("llm_raw", "intent_confidence"), "overwrite": overwrite}
    out = tag(first, **options)
    pd.testing.assert_series_equal(out["llm_raw"], first["llm_raw"])
    assert "intent_confidence" in out
    assert "llm_cost" not in out


def test_a_part_of_the_frame_keeps_no_details_of_an_earlier_call(df):
    part = tag(df, details=True, confidence=True).iloc[1:]
    out = tag(part, specs=[INTENT], overwrite=True)
    assert not {"intent_confidence", *DETAILS} & set(out.columns)
    assert not set(DETAILS) & set(tag(part, specs=[MOOD]).columns)


def test_what_goes_is_found_under_padded_names():
    columns = pd.MultiIndex.from_tuples([("text", ""), ("n", "x")])
    df = pd.DataFrame([["t", 1]], columns=columns)
    first = tag(df, inputs=(("text", ""),), details=True, confidence=True)
    out = tag(first, inputs=(("text", ""),))
    assert [name for name, _ in out.columns][2:] == [
        "intent", "stars", "summary", "tags", *SERVICE,
    ]  # fmt: skip


def test_a_renamed_column_frees_its_name(df):
    first = tag(df).rename(columns={"intent": "before"})
    out = tag(first)
    assert "before" in out
    assert list(out.columns).count("intent") == 1
    assert "before" not in out.attrs["llmframe"]["columns"]


def test_a_name_that_now_stands_twice_is_kept(df):
    first = tag(df)
    twice = pd.concat([first, first[["intent"]]], axis=1)
    with pytest.raises(PlanError, match="'intent' more than once in the frame"):
        plan_for(twice)
    assert list(tag(twice, overwrite=True).columns).count("intent") == 1
    status = pd.concat([first, first[["llm_status"]]], axis=1)
    with pytest.raises(PlanError, match="'llm_status' more than once in the frame"):
        plan_for(status, specs=[MOOD])


def test_another_tasks_status_is_replaced_with_one_warning(df):
    first = tag(df, task="task1")
    other = FieldSpec("mood", kind=Kind.TEXT, nullable=False)
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
