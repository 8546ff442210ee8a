"""Clashing names are found before a call; what somebody changed is never replaced."""

import pandas as pd
import pytest

from llmframe.errors import PlanError
from llmframe.results import SKIPPED
from llmframe.task.fields import FieldSpec, Kind
from tests.kits.columns import FAILED, MOOD, SERVICE, ok, plan_for, tag

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


def test_a_column_whose_record_a_merge_has_lost_is_foreign_and_the_message_explains_it(df):
    merged = tag(df).merge(pd.DataFrame({"n": [1, 2, 3, 4], "extra": 1}), on="n")
    merged.attrs = {}  # some pandas keep them
    with pytest.raises(PlanError, match=r"the frame already has .*'llm_error'"):
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


OTHER_ROWS = {
    "fewer": lambda f: f[f["n"] > 1],
    "more": lambda f: pd.concat([f, f.iloc[:1]]),
    "joined": lambda f: f.join(pd.Series([1, 2], index=[7, 7], name="extra")),
}


@pytest.mark.parametrize("change", OTHER_ROWS.values(), ids=OTHER_ROWS)
def test_answers_on_other_rows_are_kept_and_the_message_claims_no_edit(df, change):
    first = tag(df, details=True)
    part = change(first)
    part.attrs = first.attrs  # a join loses them in some pandas
    with pytest.raises(PlanError, match=r"'summary', 'tags' written by llmframe, but") as caught:
        plan_for(part)
    assert "changed since" not in str(caught.value)
    assert "(they were filtered, joined or added to)" in str(caught.value)
    assert "overwrite=True, which is safe if nobody edited one, and answers" in str(caught.value)
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
