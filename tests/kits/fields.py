"""Fields of every kind, and what a mistake in them raises."""

from __future__ import annotations

from datetime import date
from enum import Enum, IntEnum, StrEnum
from typing import Literal, NewType

import pytest
from pydantic import BaseModel
from typing_extensions import TypeAliasType

from llmframe.errors import PlanError
from llmframe.task.fields import FieldSpec, resolve_fields


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
