"""Long enums of a schema: how much they hold, and the schema without them."""

from __future__ import annotations

import json
from typing import Literal

import pydantic
import pytest

from llmframe.task.fields import resolve_fields
from llmframe.task.labels.enums import SHORT, EnumSize, enum_size, without_long_enums
from llmframe.task.prompt import Prompt

MANY = [f"label {n:03}" for n in range(860)]
FEW = ["low", "high"]


class Item(pydantic.BaseModel):
    kind: Literal[tuple(MANY)]
    enum: str


SHAPES = {
    "a list": MANY,
    "with descriptions": {label: f"about {label}" for label in MANY},
    "several labels": list[Literal[tuple(MANY)]],
    "or null": Literal[tuple(MANY)] | None,
    "a nested model": list[Item],
    "ints": list(range(860)),
}


def prompt_of(fields):
    return Prompt("", resolve_fields(fields))


@pytest.mark.parametrize("field", SHAPES.values(), ids=SHAPES)
def test_a_long_enum_leaves_the_schema_and_stays_in_the_instructions(field):
    prompt = prompt_of({"kind": field, "urgency": FEW})
    assert prompt.long_enums.labels == 862
    whole, less = (
        prompt.response_format("json_schema", enums=enums)["json_schema"]["schema"]
        for enums in (True, False)
    )
    assert enum_size(less) == EnumSize(2, 7)
    assert less["properties"]["urgency"] == whole["properties"]["urgency"]
    assert list(less["properties"]) == list(whole["properties"]) == less["required"]
    assert len(json.dumps(less)) < 600
    for label in MANY if field is not SHAPES["ints"] else ["859"]:
        assert label in prompt.system("json_schema")


def test_short_enums_are_never_in_question():
    assert prompt_of({"a": FEW, "b": str}).long_enums is None
    fifty = [f"label {n}" for n in range(50)]
    assert prompt_of({"a": fifty}).long_enums is None
    assert prompt_of({"a": fifty, "b": FEW}).long_enums is not None
    assert prompt_of({"a": [f"{n} {'x' * 300}" for n in range(4)]}).long_enums is not None


def test_of_many_enums_as_many_stay_as_are_short_together():
    schema = prompt_of({f"f{n}": [f"{n}-{k}" for k in range(20)] for n in range(40)}).fields.schema
    kept = enum_size(without_long_enums(schema))
    assert kept.labels == 40
    assert kept.fits_in(SHORT)


def test_a_model_that_holds_itself_keeps_its_definitions():
    class Node(pydantic.BaseModel):
        kind: Literal[tuple(MANY)]
        parts: list["Node"]  # noqa: UP037 - as people write it

    Node.model_rebuild(_types_namespace={"Node": Node})
    less = without_long_enums(prompt_of(Node).fields.schema)
    assert enum_size(less) == EnumSize()
    assert less["$defs"]
