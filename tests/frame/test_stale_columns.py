"""Rows may be moved without a clash; the companions of a replaced answer are removed with it."""

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmframe.errors import PlanError
from llmframe.results import SKIPPED
from llmframe.task.fields import FieldSpec, Kind
from tests.kits.columns import DETAILS, FAILED, INDEXES, INTENT, MOOD, SERVICE, ok, plan_for, tag

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


def test_companions_of_replaced_answers_are_removed_with_them(df):
    first = tag(df, details=True, confidence="logprob")
    assert {"intent_confidence", *DETAILS} <= set(first.columns)
    again = tag(first, [ok(9)] * 4)
    assert list(again.columns) == ["text", "n", "intent", "stars", "summary", "tags", *SERVICE]
    assert list(again.attrs["llmframe"]["columns"]) == list(again.columns[2:])


def test_what_goes_for_another_task_is_named_in_the_one_warning(df):
    first = tag(df, details=True, confidence="logprob")
    with pytest.warns(UserWarning, match="'intent_confidence', 'llm_attempts'.* will go") as caught:
        tag(first, task="task2")
    assert len(caught) == 1


def test_a_confidence_stays_beside_an_answer_that_stays(df):
    first = tag(df, details=True, confidence="logprob")
    out = tag(first, specs=[MOOD])
    assert "intent_confidence" in out
    assert not set(DETAILS) & set(out.columns)
    assert "intent_confidence" in tag(first, specs=[INTENT], prefix="b_")
    assert set(DETAILS) <= set(tag(first, prefix="b_").columns)


@pytest.mark.parametrize("name", ["intent_confidence", "llm_cost"])
def test_what_a_person_edited_is_kept_and_stays_noted_as_it_was(df, name):
    first = tag(df, details=True, confidence="logprob")
    first[name] = pd.array([0.5, 0.25, 0.125, None], dtype="Float64")
    out = tag(first)
    assert out[name].tolist() == [0.5, 0.25, 0.125, pd.NA]
    noted = [frame.attrs["llmframe"]["columns"][name] for frame in (first, out)]
    assert noted[0] == noted[1]
    assert name not in tag(out, overwrite=True)
    with pytest.raises(PlanError, match=f"'{name}' changed since"):
        plan_for(out, details=True, confidence="logprob")


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
    first = tag(df, details=True, confidence="logprob")
    options = {"inputs": ("llm_raw", "intent_confidence"), "overwrite": overwrite}
    out = tag(first, **options)
    pd.testing.assert_series_equal(out["llm_raw"], first["llm_raw"])
    assert "intent_confidence" in out
    assert "llm_cost" not in out


def test_a_part_of_the_frame_keeps_no_details_of_an_earlier_call(df):
    part = tag(df, details=True, confidence="logprob").iloc[1:]
    out = tag(part, specs=[INTENT], overwrite=True)
    assert not {"intent_confidence", *DETAILS} & set(out.columns)
    assert not set(DETAILS) & set(tag(part, specs=[MOOD]).columns)


def test_what_goes_is_found_under_padded_names():
    columns = pd.MultiIndex.from_tuples([("text", ""), ("n", "x")])
    df = pd.DataFrame([["t", 1]], columns=columns)
    first = tag(df, inputs=(("text", ""),), details=True, confidence="logprob")
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
    tasks = {name: caught["task"] for name, caught in out.attrs["llmframe"]["columns"].items()}
    assert tasks["intent"] == "task1"
    assert tasks["llm_status"] == tasks["mood"] == "task2"


def test_a_prefix_keeps_both_tasks_without_a_warning(df):
    out = tag(tag(df, task="task1"), task="task2", prefix="b_")
    assert {"llm_status", "b_llm_status", "intent", "b_intent"} <= set(out.columns)
    assert list(tag(out, task="task1").columns)[2:8] == [
        "b_intent", "b_stars", "b_summary", "b_tags", "b_llm_status", "b_llm_error",
    ]  # fmt: skip
