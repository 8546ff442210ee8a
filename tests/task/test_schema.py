"""The strict schema: closed, complete, and only with what strict endpoints accept."""

from __future__ import annotations

import json
from datetime import date, datetime, time
from enum import Enum, IntEnum
from typing import Annotated, Any, Literal

import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import AnyUrl, BaseModel, ConfigDict, Field, create_model

from llmframe.errors import PlanError
from llmframe.task.fields import resolve_fields
from llmframe.task.parse import parse_reply
from llmframe.task.schema import is_lenient, json_types, strict_schema, tidy_schema

ALLOWED = {
    "$defs",
    "$ref",
    "additionalProperties",
    "anyOf",
    "description",
    "enum",
    "exclusiveMaximum",
    "exclusiveMinimum",
    "format",
    "items",
    "maxItems",
    "maximum",
    "minItems",
    "minimum",
    "multipleOf",
    "pattern",
    "properties",
    "required",
    "type",
}


class Color(Enum):
    """How it looks."""

    RED = "red"
    BLUE = "blue"


class Stars(IntEnum):
    ONE = 1
    TWO = 2


class Cat(BaseModel):
    kind: Literal["cat"]
    lives: int


class Dog(BaseModel):
    kind: Literal["dog"]
    name: str = "Rex"


class Everything(BaseModel):
    """All that a model may hold."""

    model_config = ConfigDict(extra="allow", json_schema_extra={"examples": [1]})

    color: Color = Color.RED
    stars: Stars | None = None
    pets: list[Annotated[Cat | Dog, Field(discriminator="kind")]] = Field(min_length=1)
    word: str = Field("x", min_length=2, max_length=5, title="Word", examples=["ab"])
    url: AnyUrl | None
    at: time
    day: Annotated[date, Field(description="When.")] | None
    share: float = Field(ge=0.0, le=1.0, allow_inf_nan=False)


def nodes(schema: dict[str, Any]) -> list[dict[str, Any]]:
    """A schema and all schemas inside it."""
    inner = [
        *schema.get("properties", {}).values(),
        *schema.get("$defs", {}).values(),
        *schema.get("anyOf", ()),
        *([schema["items"]] if "items" in schema else ()),
    ]
    return [schema, *(node for part in inner for node in nodes(part))]


def schema_of(field: Any) -> dict[str, Any]:
    """The strict schema of one field."""
    return resolve_fields({"x": field}).schema["properties"]["x"]


def test_the_example_of_the_contract_becomes_the_least_schema():
    fields = {
        "intent": ["refund", "delivery", "billing", "other"],
        "urgency": ["low", "mid", "high"],
        "summary": str,
    }
    assert resolve_fields(fields).schema == {
        "type": "object",
        "properties": {
            "intent": {"type": "string", "enum": ["refund", "delivery", "billing", "other"]},
            "urgency": {"type": "string", "enum": ["low", "mid", "high"]},
            "summary": {"type": "string"},
        },
        "required": ["intent", "urgency", "summary"],
        "additionalProperties": False,
    }


@pytest.mark.parametrize("fields", [Everything, {"a": Everything, "b": list[Everything]}])
def test_every_object_is_closed_and_every_property_required(fields):
    schema = resolve_fields(fields).schema
    jsonschema.Draft202012Validator.check_schema(schema)
    for node in nodes(schema):
        assert set(node) <= ALLOWED
        assert json_types(node) or "anyOf" in node or "$ref" in node
        if "object" in json_types(node):
            assert node["required"] == list(node["properties"])
            assert node["additionalProperties"] is False


def test_a_constraint_that_strict_mode_refuses_is_in_the_description():
    properties = resolve_fields(Everything).schema["properties"]
    assert properties["word"] == {
        "type": "string",
        "description": "At least 2 characters. At most 5 characters.",
    }
    assert properties["url"] == {
        "type": ["string", "null"],
        "description": "At least 1 character. In the format uri.",
    }
    assert properties["at"] == {"type": "string", "format": "time"}
    assert properties["share"] == {"type": "number", "minimum": 0, "maximum": 1}


def test_a_fields_own_description_comes_first():
    field = Annotated[str, Field(max_length=9, description="One word.")]
    assert schema_of(field)["description"] == "One word. At most 9 characters."


def test_a_look_around_pattern_is_described_and_not_sent():
    class Answer(BaseModel):
        model_config = ConfigDict(regex_engine="python-re")
        code: str = Field(pattern="^(?!x)[a-z]+$")
        plain: str = Field(pattern="^[a-z]+$")

    properties = resolve_fields(Answer).schema["properties"]
    assert properties["code"] == {"type": "string", "description": "Matching ^(?!x)[a-z]+$"}
    assert properties["plain"] == {"type": "string", "pattern": "^[a-z]+$"}


@pytest.mark.parametrize(
    ("field", "schema"),
    [
        (Literal["a", "b"] | None, {"type": ["string", "null"], "enum": ["a", "b", None]}),
        (Literal["a", None], {"type": ["string", "null"], "enum": ["a", None]}),
        (Literal["a", "b"], {"type": "string", "enum": ["a", "b"]}),
        (int | None, {"type": ["integer", "null"]}),
        (datetime | None, {"type": ["string", "null"], "format": "date-time"}),
        (
            Annotated[int, Field(ge=1)] | None,
            {"type": ["integer", "null"], "minimum": 1},
        ),
        (
            list[str] | None,
            {"anyOf": [{"type": "array", "items": {"type": "string"}}, {"type": "null"}]},
        ),
        (
            Annotated[list[str], Field(min_length=1, max_length=3)],
            {"type": "array", "items": {"type": "string"}, "minItems": 1, "maxItems": 3},
        ),
    ],
)
def test_null_and_bounds_have_one_form(field, schema):
    assert schema_of(field) == schema


def test_a_bound_at_infinity_is_no_bound():
    field = Annotated[float, Field(lt=float("inf"), gt=-float("inf"))]
    assert schema_of(field) == {"type": "number"}


def test_a_shared_model_is_written_where_it_is_used():
    class Pair(BaseModel):
        left: Cat
        right: Annotated[Cat, Field(description="The other one.")]

    schema = resolve_fields(Pair).schema
    assert "$defs" not in schema
    assert schema["properties"]["left"]["required"] == ["kind", "lives"]
    assert schema["properties"]["right"]["description"] == "The other one."


def test_a_model_used_in_two_models_is_written_in_both():
    class Left(BaseModel):
        cat: Cat

    class Right(BaseModel):
        cat: Cat

    class Both(BaseModel):
        left: Left
        right: Right

    schema = schema_of(list[Both])
    assert "$ref" not in json.dumps(schema)
    both = schema["items"]["properties"]
    assert both["left"] == both["right"]


def test_models_that_hold_each_other_stay_references():
    class Egg(BaseModel):
        hen: Hen | None
        father: Hen | None
        cat: Cat

    class Hen(BaseModel):
        eggs: list[Egg]

    class Farm(BaseModel):
        first: Hen | None
        cat: Cat

    for model in (Egg, Hen, Farm):
        model.model_rebuild(_types_namespace={"Hen": Hen, "Egg": Egg, "Cat": Cat})
    schema = resolve_fields(Farm).schema
    assert sorted(schema["$defs"]) == ["Egg", "Hen"]
    assert schema["properties"]["first"] == {"anyOf": [{"$ref": "#/$defs/Hen"}, {"type": "null"}]}
    assert schema["properties"]["cat"]["type"] == "object"


def test_a_definition_with_an_odd_name_is_found():
    box = create_model("Box[int/str~]", a=(int, ...))
    assert schema_of(box)["properties"] == {"a": {"type": "integer"}}


def test_a_lone_allof_is_its_only_part():
    raw = {
        "type": "object",
        "properties": {"a": {"allOf": [{"$ref": "#/$defs/A"}], "description": "mine"}},
        "required": ["a"],
        "$defs": {"A": {"enum": ["x"], "title": "A", "type": "string", "description": "its"}},
    }
    assert tidy_schema(raw)["properties"]["a"] == {
        "description": "mine",
        "type": "string",
        "enum": ["x"],
    }


def test_a_recursive_root_is_found_in_every_form_pydantic_writes_it_in():
    node = {"type": "object", "properties": {"n": {"$ref": "#/$defs/N"}}, "required": ["n"]}
    for root in ({"$ref": "#/$defs/N"}, {"allOf": [{"$ref": "#/$defs/N"}]}):
        assert list(tidy_schema({"$defs": {"N": node}, **root})["properties"]) == ["n"]


@pytest.mark.parametrize(
    "part",
    [
        {},
        {"description": "anything"},
        {"type": "string", "format": "binary"},
        {"type": "object"},
        {"type": "object", "additionalProperties": {"type": "string"}},
        {"type": "object", "properties": {"a": {"type": "string"}}, "patternProperties": {}},
        {"type": "array"},
        {"type": "array", "items": {}},
        {"type": "array", "items": {"type": "string"}, "uniqueItems": True},
        {"type": "array", "prefixItems": [{"type": "string"}], "items": {"type": "string"}},
        {"enum": [1.5]},
        {"enum": [True]},
        {"type": "integer", "maxLength": 3},
        {"type": "string", "maximum": 3},
        {"allOf": [{"type": "string"}, {"type": "integer"}]},
    ],
)
def test_what_has_no_fixed_form_is_refused_with_its_path(part):
    raw = {"type": "object", "properties": {"a": {"type": "array", "items": part}}}
    with pytest.raises(PlanError, match="'a'"):
        tidy_schema(raw)


def test_a_tidy_schema_stays_as_it_is():
    tidy = tidy_schema(Everything.model_json_schema())
    assert tidy_schema(tidy) == tidy
    assert strict_schema(strict_schema(tidy)) == strict_schema(tidy)


@pytest.mark.parametrize(
    ("field", "lenient"),
    [
        (str, False),
        (int | None, False),
        (["a", "b"], False),
        (date, False),
        (list[Literal["a"]], False),
        ([1, 2], True),
        (Stars, True),
        (Literal[7, 8], True),
        (Literal[1, None], True),
        (Literal["a", None], False),
        (create_model("Words", enum=(str, ...), const=(str, ...)), False),
        (list[Literal[1]], True),
        (datetime, True),
        (Cat, False),
        (Dog, True),
        (list[Dog | None], True),
    ],
)
def test_fields_where_pydantic_accepts_too_much_are_known(field, lenient):
    assert resolve_fields({"x": field}).careful is lenient


@given(st.recursive(st.none() | st.integers() | st.text(), st.lists))
def test_leniency_is_asked_of_any_json(raw):
    assert is_lenient(raw) is False


CASES: list[tuple[Any, Any]] = [
    (["a", "b"], st.sampled_from(["a", "b"])),
    ([1, 2], st.sampled_from([1, 2])),
    (bool, st.booleans()),
    (int | None, st.none() | st.integers(-(2**63), 2**63 - 1)),
    (float, st.floats(allow_nan=False, allow_infinity=False)),
    (str, st.text()),
    (list[Literal["a", "b"]], st.lists(st.sampled_from(["a", "b"]))),
]


@given(st.data())
def test_what_the_schema_allows_the_model_accepts(data):
    chosen = data.draw(st.lists(st.sampled_from(CASES), min_size=1, max_size=4))
    fields = resolve_fields({f"n{i}": field for i, (field, _) in enumerate(chosen)})
    reply = {f"n{i}": data.draw(values) for i, (_, values) in enumerate(chosen)}
    jsonschema.validate(reply, fields.schema)
    assert parse_reply(json.dumps(reply), fields) == reply
