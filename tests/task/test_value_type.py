"""A field's lists and dicts are described by small JSON, or not at all."""

from __future__ import annotations

import json
from datetime import date
from enum import Enum
from typing import Annotated, Literal

import pytest
from pydantic import BaseModel, Field, create_model

from llmframe.task.fields import resolve_fields
from llmframe.task.value_type import JSON, LIMIT
from tests.kits.export import Item, Order, Tree


class Size(Enum):
    SMALL = 1
    LARGE = 2


class Wide(BaseModel):
    day: date
    size: Size
    word: Literal["a", "b"] | None
    number: Annotated[int, Field(ge=0)] | None
    share: float
    sure: bool
    items: list[Item] | None


UNION = create_model("Union", either=(int | str, ...))


def shape(field):
    return resolve_fields({"a": field}).specs[0].value_type


@pytest.mark.parametrize(
    ("field", "expected"),
    [
        (list[str], ["text"]),
        (list[Literal["a", "b"]], ["text"]),
        (list[Size], ["integer"]),
        (list[int | None], ["integer"]),
        (list[list[float]], [["float"]]),
        (list[bool] | None, ["boolean"]),
        (Item, {"name": "text", "count": "integer"}),
        (list[Item], [{"name": "text", "count": "integer"}]),
        (
            Wide,
            {
                "day": "text",
                "size": "integer",
                "word": "text",
                "number": "integer",
                "share": "float",
                "sure": "boolean",
                "items": [{"name": "text", "count": "integer"}],
            },
        ),
    ],
)
def test_lists_and_models_have_a_shape(field, expected):
    assert shape(field) == expected


@pytest.mark.parametrize("field", [list[int | str], Tree, list[Tree], UNION])
def test_what_has_no_one_form_is_json(field):
    assert shape(field) == JSON


def test_a_huge_model_is_json_so_that_a_frame_stays_small():
    parts = {f"a_long_name_of_a_field_{i}": (int, ...) for i in range(LIMIT // 30)}
    assert shape(create_model("Huge", **parts)) == JSON


@pytest.mark.parametrize("field", [["a", "b"], str, int, float, bool, date, str | None])
def test_other_fields_need_none(field):
    assert shape(field) is None


def test_a_shape_is_json_and_no_part_of_what_is_asked():
    fields = resolve_fields({"order": Order})
    assert json.loads(json.dumps(fields.specs[0].value_type)) == fields.specs[0].value_type
    assert '"shape"' not in json.dumps(fields.canonical)
