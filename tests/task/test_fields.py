"""All forms of ``fields``, what is refused, and the description that goes into the key."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from datetime import date, datetime, time
from decimal import Decimal
from enum import Enum, IntEnum, StrEnum
from types import GenericAlias
from typing import Annotated, Any, ClassVar, Literal, NewType, Optional, TypeVar

import numpy as np
import pydantic
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import AliasPath, BaseModel, Field, RootModel, field_validator
from typing_extensions import TypeAliasType, TypedDict

from llmframe.errors import PlanError
from llmframe.task.fields import FieldSpec, Kind, resolve_fields
from llmframe.task.parse import parse_reply
from llmframe.task.text import fold, shows_nothing


def only(field: object) -> FieldSpec:
    """The spec of a single field."""
    (spec,) = resolve_fields({"x": field}).specs
    return spec


def refusal(fields: object) -> str:
    with pytest.raises(PlanError) as caught:
        resolve_fields(fields)
    return str(caught.value)


class Color(Enum):
    RED = "red"
    BLUE = "blue"


class Stars(IntEnum):
    ONE = 1
    TWO = 2


class Mood(StrEnum):
    GOOD = "good"
    BAD = "bad"


class Address(BaseModel):
    city: str
    zip: str | None


class Ticket(BaseModel):
    intent: Literal["refund", "delivery"]
    stars: Stars
    address: Address
    tags: list[Color]
    when: date | None


class Tree(BaseModel):
    value: int
    kids: list[Tree]


Age = NewType("Age", int)
Alias = TypeAliasType("Alias", Literal["a", "b"] | None)


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


@given(st.lists(st.text(min_size=1, max_size=5), min_size=1, max_size=5))
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


# What is refused


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({}, "empty dict"),
        ({"": str}, "not blank"),
        ({" \t": str}, "not blank"),
        ({3: str}, "3 (int)"),
        ({None: str}, "None"),
        ({"a\ud800": str}, "half a character"),
        ({"a": ["x", "y"], "b": "text of mine"}, "mixes descriptions and fields: 'b'"),
        ({"a": "str"}, "without quotes"),
        ({"a": "str", "b": int}, "without quotes"),
        ({"a": "str", "b": "int"}, "without quotes"),
        ("summary", "'summary' (str)"),
        (None, "None"),
        (42, "42 (int)"),
        (BaseModel, "has no fields"),
        (Ticket.model_construct(), "give the class"),
        (RootModel[list[str]], "RootModel"),
    ],
)
def test_mistakes_in_fields_are_named(fields, said):
    assert said in refusal(fields)


@pytest.mark.parametrize(
    ("field", "said"),
    [
        ([], "empty list of labels"),
        ([""], "blank label"),
        (["a", " \u3000"], "blank label"),
        (["a", 1], "mixes text and int"),
        ([True, False], "use bool"),
        (["a", None], "None among its labels"),
        ([1.5], "type float"),
        ([[1]], "type list"),
        (["a", "a"], "'a' twice"),
        ([1, 1], "1 twice"),
        (["Refund", "refund "], "'Refund' and 'refund '"),
        (["straße", "STRASSE"], "'straße' and 'STRASSE'"),
        (["A", "Ａ"], "'A' and 'Ａ'"),
        ([2**63], "64 bits"),
        (["a\ud800"], "half a character"),
        (Enum("Empty", {}), "Enum Empty"),
        (Enum("Mixed", {"A": 1, "B": "b"}), "Enum Mixed"),
        (Enum("Pairs", {"A": (1, 2)}), "Enum Pairs"),
        (list[Enum("Odd", {"A": 1.5})], "Enum Odd"),
        (list[Literal["a", "A"]], "'a' and 'A'"),
        (Literal[None], "empty list of labels"),
        (Literal[True, False], "use bool"),
        (Literal[Color.RED, Color.BLUE], "the Enum itself"),
        (list[Literal[Color.RED]], "the Enum itself"),
        (GenericAlias(list, (["a", "b"],)), "list[Literal['a', 'b']]"),
        (GenericAlias(list, ({"a": "b"},)), "list[Literal['a', 'b']]"),
        ({"a": "d", "b": ["x"]}, "['x'] for 'b'"),
        ({"a": None}, "None for 'a'"),
        ({"a": {"b": "c"}}, "pydantic model"),
        ({}, "empty list of labels"),
        (bytes, "use str"),
        (set[str], "use list"),
        (frozenset[str], "use list"),
        (tuple[str, int], "use list"),
        (list, "list[str]"),
        (list[Any], "say what the answer is"),
        (Any, "say what the answer is"),
        (object, "say what the answer is"),
        (dict, "name the keys"),
        (dict[str, int], "name the keys"),
        (list[dict[str, str]], "name the keys"),
        (Decimal, "use float"),
        (list[Decimal | None], "use float"),
        (complex, "use float"),
        (type(None), "str | None"),
        (Callable[[int], str], "a field is a list of labels"),
        (pydantic.SecretStr, "a secret"),
        (pydantic.Json, "pydantic model"),
        (int | str, "several types"),
        (int | str | None, "several types"),
        (Iterable[str], "list[...]"),
        (TypeVar("T"), "~T"),
        (ClassVar[int], "ClassVar"),
        (range(5), "as a list"),
        ({"a", "b"}, "as a list"),
        (np.array(["a"]), "as a list"),
        ((letter for letter in "ab"), "as a list"),
        (print, "built-in function print"),
        (Field(description="d"), "Annotated[str, Field"),
        ("a b c", "mixes descriptions"),
        (type("Own", (), {}), "Own"),
        (list["Nowhere"], "not fully defined"),  # noqa: F821
        (Annotated[str, Field(pattern="(")], "regex"),
        (Annotated[str, Field(description="\ud800")], "half a character"),
        (Annotated[int, Field(max_length=3)], "x"),
        (Optional, "typing.Optional"),
    ],
)
def test_mistakes_in_a_field_are_named(field, said):
    message = refusal({"good": int, "x": field})
    assert said in message
    assert len(message) < 600


@pytest.mark.parametrize(
    ("inner", "said"),
    [
        (bytes, "x.part"),
        (dict[str, int], "x.part"),
        (Decimal, "use float"),
        (list[Any], "x.part"),
        (Literal["a", "A"], "'a' and 'A'"),
    ],
)
def test_mistakes_inside_a_nested_model_are_named_with_their_path(inner, said):
    nested = pydantic.create_model("Nested", part=(inner, ...))
    assert said in refusal({"x": nested})
    assert said in refusal({"x": list[nested]})


def test_a_model_without_keys_has_no_place_in_a_column():
    assert "without fixed keys" in refusal({"x": pydantic.create_model("Nothing")})


def test_a_model_with_one_name_for_two_fields_is_refused():
    class Twice(BaseModel):
        a: str = Field(alias="same")
        b: str = Field(alias="same")

    assert "'same'" in refusal(Twice)


def test_a_model_read_through_a_path_is_refused():
    class Deep(BaseModel):
        a: str = Field(validation_alias=AliasPath("z", 0))

    assert "plain alias" in refusal(Deep)


def test_a_model_that_bends_its_schema_is_refused():
    class Bent(BaseModel):
        a: str

        @classmethod
        def __get_pydantic_json_schema__(cls, schema, handler):
            return {"type": "object", "properties": {"b": {"type": "string"}}}

    class Broken(BaseModel):
        a: str

        @classmethod
        def __get_pydantic_json_schema__(cls, schema, handler):
            raise KeyError("boom")

    assert "does not have the model's fields" in refusal(Bent)
    assert "boom" in refusal(Broken)


def test_an_alias_that_holds_itself_is_refused_not_followed_for_ever():
    assert "'x'" in refusal({"x": pydantic.JsonValue})


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.binary(),
        lambda inner: st.lists(inner) | st.dictionaries(st.text() | st.integers(), inner),
        max_leaves=6,
    )
)
def test_any_value_is_either_fields_or_a_plan_error(fields):
    try:
        resolved = resolve_fields(fields)
    except PlanError as error:
        assert str(error)  # noqa: PT017
    else:
        assert resolved.specs


# What goes into the checkpoint's key


def test_the_canonical_form_is_pinned():
    """A change here buys every stored answer again: do not adapt these values, undo the change."""
    fields = {
        "intent": ["refund", "delivery"],
        "urgency": {"low": "can wait", "high": "today"},
        "stars": Literal[1, 2, 3] | None,
        "summary": Annotated[str, Field(max_length=80, description="One sentence.")],
        "amount": Annotated[float, Field(ge=0.0, lt=10.5)],
        "n": Annotated[int, Field(gt=0)] | None,
        "done": bool,
        "day": date,
        "moment": datetime | None,
        "tags": list[Literal["a", "b"]],
        "where": Address,
        "code": Annotated[str, Field(pattern="^[A-Z]+$")],
    }
    assert resolve_fields(fields).canonical == {
        "fields": [
            {"name": "intent", "kind": "choice", "labels": ["refund", "delivery"]},
            {
                "name": "urgency",
                "kind": "choice",
                "labels": ["low", "high"],
                "description": "low: can wait\nhigh: today",
            },
            {"name": "stars", "kind": "choice", "labels": [1, 2, 3], "nullable": True},
            {"name": "summary", "kind": "text", "description": "One sentence.", "maxLength": 80},
            {"name": "amount", "kind": "float", "minimum": 0, "exclusiveMaximum": 10.5},
            {"name": "n", "kind": "integer", "nullable": True, "exclusiveMinimum": 0},
            {"name": "done", "kind": "boolean"},
            {"name": "day", "kind": "date", "format": "date"},
            {"name": "moment", "kind": "date", "nullable": True, "format": "date-time"},
            {
                "name": "tags",
                "kind": "object",
                "schema": {"type": "array", "items": {"type": "string", "enum": ["a", "b"]}},
            },
            {
                "name": "where",
                "kind": "object",
                "schema": {
                    "type": "object",
                    "properties": {"city": {"type": "string"}, "zip": {"type": ["string", "null"]}},
                    "required": ["city", "zip"],
                    "additionalProperties": False,
                },
            },
            {"name": "code", "kind": "text", "pattern": "^[A-Z]+$"},
        ]
    }


def test_the_canonical_form_of_a_model_is_pinned():
    class Node(BaseModel):
        """A part of the whole."""

        stars: Stars
        kids: list[Node] = []

    node = {
        "type": "object",
        "description": "A part of the whole.",
        "properties": {
            "stars": {"type": "integer", "enum": [1, 2]},
            "kids": {"type": "array", "items": {"$ref": "#/$defs/Node"}},
        },
        "required": ["stars", "kids"],
        "additionalProperties": False,
    }
    Node.model_rebuild(_types_namespace={"Node": Node, "Stars": Stars})
    assert resolve_fields(Node).canonical == {
        "fields": [
            {"name": "stars", "kind": "choice", "labels": [1, 2]},
            {
                "name": "kids",
                "kind": "object",
                "schema": {"type": "array", "items": {"$ref": "#/$defs/Node"}},
            },
        ],
        "description": "A part of the whole.",
        "$defs": {"Node": node},
    }


def test_equal_requests_have_equal_canonical_forms_whatever_they_are_written_in():
    class Answer(BaseModel):
        intent: Literal["red", "blue"]
        n: int | None = None

    forms = [
        {"intent": ["red", "blue"], "n": int | None},
        {"intent": ("red", "blue"), "n": Optional[int]},  # noqa: UP045
        {"intent": Color, "n": None | int},
        {"intent": Literal["red", "blue"], "n": Annotated[int | None, Field(title="N")]},
        Answer,
    ]
    canonical = [resolve_fields(form).canonical for form in forms]
    assert all(form == canonical[0] for form in canonical)


@pytest.mark.parametrize(
    "other",
    [
        {"a": ["y", "x"], "b": str},
        {"b": str, "a": ["x", "y"]},
        {"a": ["x", "y"], "b": str | None},
        {"a": ["x", "y"], "b": Annotated[str, Field(description="d")]},
        {"a": ["x", "y"], "b": Annotated[str, Field(max_length=9)]},
        {"a": {"x": "first", "y": ""}, "b": str},
        {"a": ["x", "y"], "B": str},
        {"a": ["x", "y"]},
    ],
)
def test_another_question_has_another_canonical_form(other):
    assert resolve_fields(other).canonical != resolve_fields({"a": ["x", "y"], "b": str}).canonical


def test_the_canonical_form_is_json_with_sorted_keys():
    canonical = resolve_fields(Ticket).canonical
    text = json.dumps(canonical)
    assert json.loads(text) == canonical
    assert text == json.dumps(canonical, sort_keys=True)


def test_a_validator_of_the_persons_own_model_is_kept():
    class Shouted(BaseModel):
        word: str

        @field_validator("word")
        @classmethod
        def shout(cls, value: str) -> str:
            return value.upper()

    assert parse_reply('{"word": "hi"}', resolve_fields(Shouted)) == {"word": "HI"}
