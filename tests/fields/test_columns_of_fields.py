"""``explode="indicator"`` and ``flatten=True``: several typed columns for one field."""

from __future__ import annotations

import io
from datetime import date
from enum import Enum
from typing import Literal

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import BaseModel, Field, computed_field

import llmframe as lf
from llmframe import testing
from llmframe.errors import PlanError
from llmframe.frame.columns import add_columns, plan_columns
from llmframe.options.settings import Settings
from llmframe.results import Results, RowResult
from llmframe.task.fields import resolve_fields

DF = pd.DataFrame({"text": ["ab", "none", "a", "gone"]}, index=[3, 1, 1, 0])
TOPICS = {"topics": list[Literal["a", "b"]]}
SAID = {"ab": ["a", "b"], "none": [], "a": ["a", "a"]}
NAMES = ["topics_a", "topics_b"]


class Color(Enum):
    RED = "red"
    BLUE = "blue"


class Place(BaseModel):
    city: str = Field(alias="City")
    since: date | None

    @computed_field
    @property
    def size(self) -> int:
        return len(self.city)


class Tree(BaseModel):
    name: str
    kids: list[Tree]


class Person(BaseModel):
    age: int | None
    color: Color
    likes: list[Literal["tea", "coffee"]]
    home: Place | None
    tree: Tree | None
    either: Place | Tree | None
    score: float
    ok: bool


def answer(text, body):
    if text == "gone":
        return "no JSON"
    return {"topics": SAID.get(text, [])}


@pytest.fixture(scope="module")
def server():
    with testing.serve(answer=answer) as server:
        yield server


@pytest.fixture
def call(server, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    server.ledger.clear()
    return {"model": "m", "base_url": server.url, "progress": False, "explode": "indicator"}


def written(fields, values, *, n=None, df=None, **options):
    """A frame with these values of one field, None where a row has no answer."""
    df = pd.DataFrame(index=range(len(values))) if df is None else df
    results = Results(len(values))
    for position, value in enumerate(values):
        if value is not None:
            results[position] = RowResult("ok", {"x": value})
    plan = plan_columns(
        df, resolve_fields({"x": fields}).specs, Settings(**options), inputs=(), task="t",
    )  # fmt: skip
    return add_columns(df, plan, results, info={})


# Indicators


def test_each_label_has_a_boolean_column_in_the_place_of_the_list(call):
    out = DF.llm.tag("text", TOPICS | {"n": list[str]}, explode="indicator",
                     **{k: v for k, v in call.items() if k != "explode"})  # fmt: skip
    assert list(out.columns) == ["text", *NAMES, "n", "llm_status", "llm_error"]


def test_a_row_without_an_answer_has_no_value_and_an_empty_list_is_false(call):
    out = DF.llm.tag("text", TOPICS, **call)
    assert out.index.tolist() == [3, 1, 1, 0]
    assert out[NAMES].dtypes.tolist() == ["boolean", "boolean"]
    assert out["topics_a"].tolist() == [True, False, True, pd.NA]
    assert out["topics_b"].tolist() == [True, False, False, pd.NA]
    assert out.attrs["llmframe"]["columns"]["topics_a"]["of"] == "topics"


def test_a_rerun_replaces_them_and_another_form_takes_their_place(server, call):
    listed = {**call, "explode": None}
    once = DF.llm.tag("text", TOPICS, **call)
    server.ledger.clear()
    assert list(once.llm.tag("text", TOPICS, **call).columns) == list(once.columns)
    back = once.llm.tag("text", TOPICS, **listed)
    assert list(back.columns) == ["text", "topics", "llm_status", "llm_error"]
    again = back.llm.tag("text", TOPICS, **call)
    assert list(again.columns) == list(once.columns)
    assert {*server.ledger.rows()} <= {"gone"}  # both forms share their answers
    with pytest.warns(UserWarning, match="'topics_b' will go"):
        fewer = again.llm.tag("text", {"topics": list[Literal["a", "c"]]}, **call)
    assert list(fewer.columns) == ["text", "topics_a", "topics_c", "llm_status", "llm_error"]


def test_a_column_that_somebody_edited_stays(call):
    once = DF.llm.tag("text", TOPICS, **call)
    once.iloc[0, once.columns.get_loc("topics_b")] = False
    back = once.llm.tag("text", TOPICS, **{**call, "explode": None})
    assert "topics_b" in back
    assert "topics_a" not in back
    with pytest.raises(PlanError, match="topics_b"):
        once.llm.tag("text", TOPICS, **call)


@pytest.mark.parametrize("name", ["topics_b", "llm_status"])
def test_names_that_are_taken_are_found_before_anything_is_paid(server, call, name):
    df = DF.assign(**{name: 1})
    with pytest.raises(PlanError, match=name):
        df.llm.tag("text", TOPICS, **call)
    with pytest.raises(PlanError, match="two outputs would be named 'topics_a'"):
        DF.llm.tag("text", TOPICS | {"topics_a": str}, **call)
    with pytest.raises(PlanError, match="input column 'topics_a'"):
        DF.rename(columns={"text": "topics_a"}).llm.tag("topics_a", TOPICS, **call)
    assert not server.ledger.rows()
    out = df.llm.tag("text", TOPICS, prefix="p_", **call)
    assert list(out.columns)[2:4] == ["p_topics_a", "p_topics_b"]


def test_only_some_rows_can_be_tagged(call):
    whole = DF.llm.tag("text", TOPICS, **{**call, "explode": None})
    out = whole.llm.tag("text", TOPICS, where=[True, False, False, False], **call)
    assert out["topics_a"].isna().tolist() == [False, True, True, True]
    assert out["topics"].tolist()[1:3] == [[], ["a", "a"]]
    assert out["topics"].iloc[0] is None
    assert list(out.columns) == ["text", *NAMES, "topics", "llm_status", "llm_error"]


def test_summary_and_files_know_them(call, tmp_path):
    out = DF.llm.tag("text", TOPICS, **call)
    [field] = out.llm.summary().fields
    assert (field.name, field.answered, dict(field.bars)) == ("topics", 3, {"a": 2, "b": 1})
    out.reset_index(drop=True).llm.to_parquet(tmp_path / "t.parquet")
    read = pd.read_parquet(tmp_path / "t.parquet")
    assert read["topics_a"].tolist()[:3] == [True, False, True]
    assert lf.read_metadata(tmp_path / "t.parquet")["columns"]["topics_a"]["type"] == "boolean"
    text = io.StringIO(out.to_csv())
    assert pd.read_csv(text)["topics_b"].tolist()[:3] == [True, False, False]


def test_where_no_field_has_another_form_the_option_is_a_mistake(call):
    with pytest.raises(PlanError, match=r"list\[Literal"):
        DF.llm.tag("text", {"x": ["a", "b"]}, **call)
    with pytest.raises(PlanError, match="give flatten=True, too"):
        DF.llm.tag("text", {"x": Person}, **call)
    with pytest.raises(PlanError, match="no field is a nested model"):
        DF.llm.tag("text", TOPICS, flatten=True, **call)
    for option in ({"explode": "indicator"}, {"flatten": True}):
        with pytest.raises(PlanError, match="no meaning for a stream"):
            lf.tag_stream(["a"], TOPICS, **option)


def test_a_series_has_them_too(call):
    new = DF["text"].llm.tag(TOPICS, **call)
    assert list(new.columns) == [*NAMES, "llm_status", "llm_error"]


def test_an_unsure_list_has_no_indicator(call):
    with testing.serve(answer=lambda text, _: {"topics": ["unsure"]}) as server:
        out = DF.llm.tag("text", TOPICS, abstain=True, **call | {"base_url": server.url})
    assert out[NAMES].isna().to_numpy().all()
    assert (out["llm_status"] == "ok").all()


labels = st.lists(st.text(min_size=1, max_size=4), min_size=1, max_size=5, unique=True)


@settings(max_examples=25, deadline=None)
@given(labels=labels, data=st.data())
def test_whatever_the_labels_are_the_columns_say_what_the_lists_say(labels, data):
    try:
        field = list[Literal[tuple(labels)]]
        resolve_fields({"x": field})
        values = data.draw(st.lists(st.none() | st.lists(st.sampled_from(labels)), max_size=4))
        out = written(field, values, explode="indicator")
    except PlanError:
        return
    for label in labels:
        said = [pd.NA if each is None else label in each for each in values]
        assert out[f"x_{label}"].tolist() == said


# Nested models


PERSON = {
    "age": 40, "color": "red", "likes": ["tea"], "ok": True, "score": 0.5,
    "home": {"City": "Rome", "since": "2020-01-02", "size": 4},
    "tree": {"name": "t", "kids": []}, "either": {"name": "e", "kids": []},
}  # fmt: skip
BARE = PERSON | {"home": None, "age": None, "tree": None, "either": None}
COLUMNS = {
    "x.age": "Int64", "x.color": "category", "x.likes": "object", "x.home.City": "text",
    "x.home.since": "datetime64[us]", "x.home.size": "Int64", "x.tree": "object",
    "x.either": "object", "x.score": "Float64", "x.ok": "boolean",
}  # fmt: skip


def test_each_value_of_a_nested_model_is_a_typed_column():
    out = written(Person, [PERSON, BARE, None], flatten=True)
    text = str(pd.Series(["a"]).dtype)
    wanted = {name: text if kind == "text" else kind for name, kind in COLUMNS.items()}
    assert {name: str(out[name].dtype) for name in COLUMNS} == wanted
    assert list(out.columns) == [*COLUMNS, "llm_status", "llm_error"]
    assert out["x.color"].cat.categories.tolist() == ["red", "blue"]
    assert out["x.home.City"].tolist()[0] == "Rome"
    assert out["x.home.since"].iloc[0] == pd.Timestamp("2020-01-02")
    assert out["x.tree"].iloc[0] == {"name": "t", "kids": []}
    gone = ["x.age", "x.home.City", "x.home.since", "x.home.size", "x.tree", "x.either"]
    assert out[gone].iloc[1].isna().all()
    assert out[[*COLUMNS]].iloc[2].isna().all()


def test_labels_inside_can_be_columns_too():
    out = written(Person, [PERSON, BARE | {"likes": []}, None], flatten=True, explode="indicator")
    assert out["x.likes_tea"].tolist() == [True, False, pd.NA]
    assert out["x.likes_coffee"].tolist() == [False, False, pd.NA]
    assert "x.likes" not in out


def test_a_model_that_may_be_null_and_one_in_a_list():
    assert list(written(Place | None, [None], flatten=True).columns)[:2] == ["x.City", "x.since"]
    assert written(list[Place], [[]], flatten=True)["x"].tolist() == [[]]


def test_a_flat_name_that_another_field_has_is_a_mistake(call):
    fields = {"x": Place, "x.City": str}
    with pytest.raises(PlanError, match=r"two outputs would be named 'x\.City'"):
        DF.llm.tag("text", fields, flatten=True, **{**call, "explode": None})


def test_a_call_keeps_its_answers_whatever_form_they_have(server, call):
    fields, call = {"home": Place}, {**call, "explode": None}
    with testing.serve() as server:
        call["base_url"] = server.url
        flat = DF.llm.tag("text", fields, flatten=True, **call)
        assert list(flat.columns)[1:4] == ["home.City", "home.since", "home.size"]
        server.ledger.clear()
        whole = flat.llm.tag("text", fields, **call)
        assert not server.ledger.rows()
    assert list(whole.columns) == ["text", "home", "llm_status", "llm_error"]
    assert whole["home"].map(lambda one: one["City"]).tolist() == flat["home.City"].tolist()
    assert np.array_equal(whole["home"].map(lambda one: one["size"]), flat["home.size"])
