"""Descriptions of fields reach the model, wherever they are written."""

from __future__ import annotations

import json
from datetime import date
from enum import Enum
from typing import Annotated, Literal, NewType

import pytest
from pydantic import BaseModel, Field
from typing_extensions import TypeAliasType, TypedDict

from llmframe.task.fields import resolve_fields
from llmframe.task.prompt import Prompt

ABOUT = "What the text is about."
Note = Annotated[str, Field(description=ABOUT)]
Alias = TypeAliasType("Alias", Note)
Named = NewType("Named", str)


class Color(Enum):
    RED = "red"
    BLUE = "blue"


class Inner(BaseModel):
    note: str = Field(description=ABOUT)


class Outer(BaseModel):
    inner: Inner


class Aliased(BaseModel):
    note: str = Field(alias="Note of it", description=ABOUT)


class Typed(TypedDict):
    note: Note


FORMS = {
    "text": {"x": Note},
    "or null": {"x": Note | None},
    "null inside": {"x": Annotated[str | None, Field(description=ABOUT)]},
    "bounds": {"x": Annotated[int, Field(ge=1, le=5, description=ABOUT)]},
    "two fields": {"x": Annotated[int, Field(ge=1), Field(description=ABOUT)]},
    "date": {"x": Annotated[date, Field(description=ABOUT)]},
    "bool": {"x": Annotated[bool, Field(description=ABOUT)]},
    "choice": {"x": Annotated[Literal["a", "b"], Field(description=ABOUT)]},
    "enum": {"x": Annotated[Color, Field(description=ABOUT)]},
    "labels": {"x": Annotated[list[Literal["a", "b"]], Field(description=ABOUT)]},
    "items": {"x": list[Note]},
    "alias": {"x": Alias},
    "new type": {"x": Annotated[Named, Field(description=ABOUT)]},
    "nested": {"x": Inner},
    "list of nested": {"x": list[Inner]},
    "nested or null": {"x": Inner | None},
    "typed dict": {"x": Typed},
    "class": Inner,
    "class in class": Outer,
    "class with alias": Aliased,
    "single": Note,
}


@pytest.mark.parametrize("form", FORMS)
def test_a_description_reaches_prompt_schema_and_key(form):
    found = resolve_fields(FORMS[form])
    prompt = Prompt("", found)
    for response_format in ("json_schema", "json_object", "plain"):
        assert ABOUT in prompt.system(response_format)
    assert ABOUT in json.dumps(prompt.response_format("json_schema"))
    assert ABOUT in json.dumps(found.canonical)
