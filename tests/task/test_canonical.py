"""The description of the fields that goes into the checkpoint's key."""

from __future__ import annotations

import json
from datetime import date, datetime
from typing import Annotated, Literal, Optional

import pytest
from pydantic import BaseModel, Field

from llmframe.task.fields import resolve_fields
from tests.kits.fields import Address, Color, Stars, Ticket

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
