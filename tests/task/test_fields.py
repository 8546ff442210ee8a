"""All forms of ``fields``."""

from __future__ import annotations

import json
from datetime import date, datetime, time
from typing import Annotated, Literal, Optional

import numpy as np
import pydantic
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, Field, field_validator
from typing_extensions import TypedDict

from llmframe.task.fields import FieldSpec, Kind, resolve_fields
from llmframe.task.parse import parse_reply
from llmframe.task.text import fold, shows_nothing
from tests.kits.fields import Address, Age, Alias, Color, Mood, Stars, Ticket, Tree, only, refusal


@pytest.mark.parametrize(
    ("field", "kind", "labels", "nullable"),
    [
        (["b", "a"], Kind.CHOICE, ("b", "a"), False),
        (("b", "a"), Kind.CHOICE, ("b", "a"), False),
        ([3, 1, 2], Kind.CHOICE, (3, 1, 2), False),
        ({"a": "first", "b": ""}, Kind.CHOICE, ("a", "b"), False),
        ({1: "bad", 2: "good"}, Kind.CHOICE, (1, 2), False),
        (Color, Kind.CHOICE, ("red", "blue"), False),
        (Stars, Kind.CHOICE, (1, 2), False),
        (Mood, Kind.CHOICE, ("good", "bad"), False),
        (list(Mood), Kind.CHOICE, ("good", "bad"), False),
        (list(Color), Kind.CHOICE, ("red", "blue"), False),
        (Literal["a", "b"], Kind.CHOICE, ("a", "b"), False),
        (Literal["a", None], Kind.CHOICE, ("a",), True),
        (Literal["a", "b"] | None, Kind.CHOICE, ("a", "b"), True),
        (Alias, Kind.CHOICE, ("a", "b"), True),
        (list(np.array(["a", "b"])), Kind.CHOICE, ("a", "b"), False),
        (list(np.array([0, 1])), Kind.CHOICE, (0, 1), False),
        (str, Kind.TEXT, None, False),
        (int, Kind.INTEGER, None, False),
        (float, Kind.FLOAT, None, False),
        (bool, Kind.BOOLEAN, None, False),
        (date, Kind.DATE, None, False),
        (datetime, Kind.DATE, None, False),
        (time, Kind.TEXT, None, False),
        (Age, Kind.INTEGER, None, False),
        (pydantic.PositiveInt, Kind.INTEGER, None, False),
        (Optional[int], Kind.INTEGER, None, True),  # noqa: UP045 - people write it
        (None | float, Kind.FLOAT, None, True),
        (Annotated[int, Field(ge=1)] | None, Kind.INTEGER, None, True),
        (Annotated[str | None, Field(description="d")], Kind.TEXT, None, True),
        (list[str], Kind.OBJECT, None, False),
        (list[Literal["a", "b"]], Kind.OBJECT, None, False),
        (list[Color] | None, Kind.OBJECT, None, True),
        (Address, Kind.OBJECT, None, False),
        (Tree, Kind.OBJECT, None, False),
        (TypedDict("Point", {"x": int, "y": int}), Kind.OBJECT, None, False),
    ],
)
def test_a_field_gets_the_kind_of_its_column(field, kind, labels, nullable):
    assert only(field) == FieldSpec("x", kind=kind, labels=labels, nullable=nullable)


def test_labels_are_plain_text_and_ints_whatever_they_came_from():
    for field in (list(np.array(["a", "b"])), list(np.array([1, 2])), list(Mood), Stars):
        assert {type(label) for label in only(field).labels} <= {str, int}


def test_a_model_class_gives_one_field_each_in_its_order():
    fields = resolve_fields(Ticket)
    assert fields.names == ("intent", "stars", "address", "tags", "when")
    assert [spec.kind.value for spec in fields.specs] == [
        "choice",
        "choice",
        "object",
        "object",
        "date",
    ]
    assert fields.model is Ticket
    assert fields.specs[-1].nullable


def test_a_model_is_asked_under_its_aliases():
    class Answer(BaseModel):
        kind: Literal["a", "b"] = Field(alias="the kind")
        other: str = Field(validation_alias="ander")

    fields = resolve_fields(Answer)
    assert fields.names == ("the kind", "ander")
    assert fields.attributes == ("kind", "other")
    reply = '{"the kind": "b", "ander": "o"}'
    assert parse_reply(reply, fields) == {"the kind": "b", "ander": "o"}


def test_a_recursive_model_becomes_a_column_of_dicts():
    fields = resolve_fields(Tree)
    reply = {"value": 1, "kids": [{"value": 2, "kids": []}]}
    assert parse_reply(json.dumps(reply), fields) == reply
    assert fields.schema["$defs"]["Tree"]["properties"]["kids"]["items"] == {"$ref": "#/$defs/Tree"}


def test_a_single_field_fills_the_column_into():
    assert resolve_fields(["a", "b"]).names == ("label",)
    assert resolve_fields(str, into="summary").names == ("summary",)
    assert resolve_fields(list[Address], into="all").names == ("all",)


def test_a_dict_of_texts_is_one_choice_with_descriptions():
    fields = resolve_fields({"refund": "wants money", "other": ""}, into="intent")
    assert fields.specs == (FieldSpec("intent", kind=Kind.CHOICE, labels=("refund", "other")),)
    assert fields.schema["properties"]["intent"]["description"] == "refund: wants money\nother"


def test_names_may_be_any_text_and_keep_their_order():
    names = ["意图", "_private", "two words", "class", "a.b", 'quo"te', "model_x", "z", "a"]
    fields = resolve_fields(dict.fromkeys(names, str))
    assert list(fields.names) == names
    assert list(fields.schema["properties"]) == names
    assert list(parse_reply(json.dumps(dict.fromkeys(names, "v")), fields)) == names


@given(st.lists(st.text(min_size=1).filter(str.strip), min_size=1, max_size=6, unique=True))
def test_every_name_that_is_not_blank_is_asked_and_read_under_itself(names):
    fields = resolve_fields({name: int for name in names if name.isprintable()} or {"a": int})
    reply = {name: i for i, name in enumerate(fields.names)}
    assert parse_reply(json.dumps(reply), fields) == reply


@given(st.lists(st.text(min_size=1, max_size=5), min_size=2, max_size=5))
def test_labels_are_taken_exactly_or_refused(labels):
    folded = [fold(label) for label in labels]
    if not any(map(shows_nothing, folded)) and len(set(folded)) == len(folded):
        assert only(labels).labels == tuple(labels)
        fields = resolve_fields({"x": labels})
        assert parse_reply(json.dumps({"x": labels[-1]}), fields) == {"x": labels[-1]}
    else:
        assert "'x'" in refusal({"x": labels})


def test_descriptions_stand_in_the_schema():
    fields = resolve_fields(
        {
            "intent": {"refund": "wants money back", "other": "all else"},
            "summary": Annotated[str, Field(description="One sentence.")],
        }
    )
    properties = fields.schema["properties"]
    assert properties["intent"]["description"] == "refund: wants money back\nother: all else"
    assert properties["summary"]["description"] == "One sentence."


def test_a_default_or_an_alias_in_an_annotation_changes_nothing():
    plain = resolve_fields({"x": Annotated[int, Field(ge=1)]})
    decorated = resolve_fields({"x": Annotated[int, Field(ge=1, default=3, alias="q", title="T")]})
    assert decorated.schema == plain.schema
    assert decorated.canonical == plain.canonical


def test_a_validator_of_the_persons_own_model_is_kept():
    class Shouted(BaseModel):
        word: str

        @field_validator("word")
        @classmethod
        def shout(cls, value: str) -> str:
            return value.upper()

    assert parse_reply('{"word": "hi"}', resolve_fields(Shouted)) == {"word": "HI"}
