"""Models as people write them: validators that change, what is dumped, labels without words."""

from __future__ import annotations

import datetime as dt
import enum
import json
from collections import Counter
from typing import Annotated

import pandas as pd
import pytest
from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    Field,
    PlainSerializer,
    computed_field,
    field_validator,
    model_validator,
)

import llmframe as lf
from llmframe import testing
from llmframe.task.fields import resolve_fields

DF = pd.DataFrame({"text": ["row 0", "row 1", "row 2"]})

# -- a stored answer is validated by the model that is given now -----------------------------------


def at_most(most):
    def check(value):
        if value > most:
            raise ValueError(f"at most {most}")
        return value

    return check


def with_field_validator(most):
    class Rating(BaseModel):
        stars: int

        @field_validator("stars")
        @classmethod
        def in_range(cls, value):
            return at_most(most)(value)

    return Rating


def with_model_validator(most):
    class Rating(BaseModel):
        stars: int

        @model_validator(mode="after")
        def in_range(self):
            at_most(most)(self.stars)
            return self

    return Rating


def with_post_init(most):
    class Rating(BaseModel):
        stars: int

        def model_post_init(self, _):
            at_most(most)(self.stars)

    return Rating


class Score(BaseModel):
    stars: int


RULES = {
    # vercel/ai#20488, langchain#22389
    "of a field": with_field_validator,
    "of a model": with_model_validator,
    "after it is made": with_post_init,
    "of an annotation": lambda most: {"stars": Annotated[int, AfterValidator(at_most(most))]},
    "of a list's items": lambda most: {
        "stars": list[Annotated[int, AfterValidator(at_most(most))]]
    },
    "of a nested model": lambda most: {"stars": with_field_validator(most)},
    "a bound of a date": lambda most: {
        "stars": Annotated[dt.date, Field(le=dt.date(2024, 1, most))]
    },
    "where it may be null": lambda most: {
        "stars": Annotated[int, AfterValidator(at_most(most))] | None
    },
}


def answer_of(name, number):
    value = {
        "of a list's items": [number],
        "of a nested model": {"stars": number},
        "a bound of a date": f"2024-01-{number:02}",
    }
    return {"stars": value.get(name, number)}


@pytest.mark.parametrize("name", RULES)
def test_what_the_model_given_now_refuses_is_asked_again(name):
    with testing.serve(answer=lambda *_: answer_of(name, 8)) as server:
        options = {"model": "m", "base_url": server.url, "api_key": "k", "progress": False}
        DF.llm.tag("text", RULES[name](10), **options)
        server.update(answer=lambda *_: answer_of(name, 4))
        out = DF.llm.tag("text", RULES[name](5), **options)
        assert out["llm_status"].eq("ok").all()
        assert "8" not in str(out["stars"].iloc[0])
        asked = len(server.ledger.calls)
        DF.llm.tag("text", RULES[name](5), **options)  # what was bought anew holds
        assert len(server.ledger.calls) == asked


KEPT = {
    # a stored answer is not what these read: it would be bought again at every call
    "reads the reply": {
        "day": Annotated[
            dt.date, BeforeValidator(lambda text: dt.datetime.strptime(text, "%d.%m.%Y").date())
        ]
    },
    "plain types": {"day": str},
    "bounds in the schema": {"day": Annotated[str, Field(max_length=20)]},
    "written as nobody reads it": {
        "day": list[Annotated[str, AfterValidator(str.strip), PlainSerializer(len)]]
    },
}


@pytest.mark.parametrize("fields", KEPT.values(), ids=KEPT)
def test_other_answers_are_taken_as_they_are(fields):
    assert not resolve_fields(fields).has_hidden_rules


def test_a_validator_that_is_broken_buys_nothing_again():
    def broken(value):
        raise NameError("a typing error")

    fields = resolve_fields({"stars": Annotated[int, AfterValidator(broken)]})
    assert fields.has_hidden_rules
    assert fields.holds({"stars": 3})


# -- value and shape are of one view of the model --------------------------------------------------


class Computed(BaseModel):
    price: float
    n: int

    @computed_field
    @property
    def total(self) -> float:
        return self.price * self.n


class Written(BaseModel):
    name: str = Field(serialization_alias="NAME")


class Both(BaseModel):
    name: str = Field(alias="the name")
    inner: Computed


class Rounded(BaseModel):
    price: Annotated[float, PlainSerializer(lambda price: f"{price:.2f}", return_type=str)]


class Many(BaseModel):
    written: list[Written]


NESTED = {
    # pydantic#12064, #6564
    "computed fields": (Computed, {"price": 2.5, "n": 2}),
    "aliases of the written form": (Written, {"name": "x"}),
    "aliases of both": (Both, {"the name": "x", "inner": {"price": 2.5, "n": 2}}),
    "a serializer": (Rounded, {"price": 2.5}),
    "a list of them": (Many, {"written": [{"name": "x"}, {"name": "y"}]}),
}


@pytest.mark.parametrize(("kind", "reply"), NESTED.values(), ids=NESTED)
def test_a_nested_model_comes_back_as_it_was_dumped(kind, reply):
    with testing.serve(answer=lambda *_: {"m": reply}) as server:
        out = DF.llm.tag("text", {"m": kind}, model="m", base_url=server.url, api_key="k")
    dumped = kind.model_validate(reply).model_dump(mode="json", by_alias=True)
    assert out["m"].iloc[0] == dumped
    back = lf.read_parquet(out.llm.to_parquet("a.parquet"))  # any warning is an error here
    assert back["m"].iloc[0] == dumped


# -- labels keep their meaning ---------------------------------------------------------------------


class Intent(enum.Enum):
    REFUND = enum.auto()
    DELIVERY = enum.auto()


class Priority(enum.IntEnum):
    URGENT = 1
    LATER = 2


class Code(enum.Enum):
    POSITIVE = "p"
    NEGATIVE = "n"


class Word(enum.Enum):
    REFUND = "refund"
    DELIVERY = "Delivery of goods"


class Ticket(BaseModel):
    intent: Intent
    more: list[Priority]


MEANT = {
    # datamodel-code-generator#2624, pydantic#7471
    "auto": (Intent, "1: REFUND"),
    "numbers": (Priority, "1: URGENT"),
    "codes": (Code, "p: POSITIVE"),
    "its members as a list": (list(Intent), "1: REFUND"),
    "or null": ({"x": Intent | None}, "1: REFUND"),
    "described": ({"x": Annotated[Intent, Field(description="What?")]}, "What?\n1: REFUND"),
    "described or null": (
        {"x": Annotated[Intent | None, Field(description="What?")]}, "What?\n1: REFUND",
    ),
    "several a row": ({"x": list[Intent]}, "1: REFUND"),
    "in a model": (Ticket, "1: URGENT"),
    "in a nested model": ({"x": Ticket}, "1: REFUND"),
}  # fmt: skip


@pytest.mark.parametrize("response_format", ["json_schema", "json_object", "plain"])
@pytest.mark.parametrize(("field", "line"), MEANT.values(), ids=MEANT)
def test_the_names_of_numbers_and_codes_reach_the_model(field, line, response_format):
    unsupported = {"json_object": ["json_schema"], "plain": ["json_schema", "json_object"]}
    bodies = []
    with testing.serve(
        answer=lambda _, body: bodies.append(body) or {},
        unsupported=unsupported.get(response_format, []),
    ) as server:
        options = {"model": "m", "base_url": server.url, "api_key": "k", "progress": False}
        DF.head(1).llm.tag("text", field, **options)
    sent = json.dumps(bodies[-1]["messages"], ensure_ascii=False).replace("\\\\", "\\")
    assert all(part in sent for part in line.split("\n"))


def test_names_that_say_no_more_than_the_labels_are_left_out():
    words = resolve_fields({"x": Word}).canonical, resolve_fields({"x": Word | None}).canonical
    assert Counter("description" in str(each) for each in words) == {False: 2}
