"""Field sets and the replies that they read or refuse."""

from __future__ import annotations

from datetime import date, datetime
from enum import Enum, IntEnum
from typing import Any, Literal

import pytest
from pydantic import BaseModel

from llmframe.errors import OutputError
from llmframe.task.fields import resolve_fields
from llmframe.task.parse import parse_reply

TICKET = resolve_fields(
    {"intent": ["refund", "delivery", "billing", "other"], "urgency": ["low", "high"], "note": str}
)
GOOD = {"intent": "refund", "urgency": "low", "note": "A lamp is broken."}


class Color(Enum):
    RED = "red"
    BLUE = "blue"


class Stars(IntEnum):
    ONE = 1
    TWO = 2


class Item(BaseModel):
    color: Color
    stars: Stars | None = None
    price: float = 0.0
    day: date | None = None


EVERYTHING = resolve_fields(
    {
        "choice": ["a", "B b", "straße"],
        "stars": [1, 2, 3],
        "int": int | None,
        "float": float,
        "bool": bool,
        "text": str | None,
        "date": date,
        "moment": datetime | None,
        "tags": list[Literal["a", "b"]],
        "items": list[Item],
        "Ä ": str,
    }
)
PLAIN = resolve_fields({"choice": ["a", "b"], "int": int, "float": float | None, "date": date})
LISTS = resolve_fields({"tags": list[list[int]], "n": float})


def read(field: Any, reply: str) -> Any:
    """The value of one field x, from the JSON text of its value."""
    return parse_reply('{"x": ' + reply + "}", resolve_fields({"x": field}))["x"]


def refusal(reply: str | None, fields: Any = TICKET) -> OutputError:
    with pytest.raises(OutputError) as caught:
        parse_reply(reply, fields)
    return caught.value


def refused(field: Any, reply: str) -> OutputError:
    return refusal('{"x": ' + reply + "}", resolve_fields({"x": field}))
