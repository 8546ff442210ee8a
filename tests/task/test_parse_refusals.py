"""A reply that cannot be used is an OutputError that names field and reason."""

from __future__ import annotations

import asyncio
import json
from datetime import date, datetime
from typing import Annotated, Any, Literal

import pytest
from pydantic import AfterValidator, BaseModel, field_validator, model_validator
from pydantic_core import PydanticCustomError

from llmframe.task.fields import resolve_fields
from llmframe.task.parse import parse_reply
from tests.kits.replies import GOOD, Item, Stars, refusal, refused

# What is refused


@pytest.mark.parametrize("reply", [None, "", " \n\t", "\ufeff", "\ufeff \ufeff\n"])
def test_a_blank_reply_is_called_blank(reply):
    error = refusal(reply)
    assert "blank" in str(error)
    assert error.field is None
    assert error.kind == "output"


@pytest.mark.parametrize(
    ("reply", "message_part"),
    [
        ("I cannot say.", "no JSON object: 'I cannot say.'"),
        ("null", "no JSON object"),
        ("[1, 2]", "no JSON object"),
        ('"text"', "no JSON object"),
        ("<think>{}</think>", "no JSON object"),
        ("{ prose }", "no JSON object"),
        ('{"intent": "refund", "urgency": "lo', "broken JSON"),
        ('{"intent": "refund", "urgency":', "its end"),
        ("{'intent': 'refund'}", "no 'urgency', 'note'"),
        ("{'intent': 'refund', ...}", "broken JSON"),
        ('{"a": {"intent": "refund", "urgency": "low", "note": ""}, "b": ', "broken JSON"),
        (json.dumps(GOOD) + json.dumps({**GOOD, "note": ""}), "2 JSON objects"),
        (f"first {json.dumps(GOOD)} then {{}}", "2 JSON objects"),
        (json.dumps([GOOD, GOOD, GOOD]), "3 JSON objects"),
        ('{"a":' * 100_000, "nested too deeply"),
        ('{"a":' + "[" * 100_000 + "]" * 100_000 + "}", "nested too deeply"),
        ('{"intent": ' + "9" * 5000 + "}", "too long"),
        ('{"intent": NaN}', "NaN"),
        ('{"intent": -Infinity}', "-Infinity"),
        ('{"intent": 1e999}', "1e999"),
        ("{}", "no 'intent', 'urgency', 'note'"),
        ('{"answer": {}}', "no 'intent', 'urgency', 'note'"),
        ('{"draft": ' + json.dumps(GOOD) + "}", "no 'intent', 'urgency', 'note'"),
    ],
    ids=lambda text: text[:30],
)
def test_a_reply_without_the_one_object_is_refused(reply, message_part):
    assert message_part in str(refusal(reply))
    assert len(str(refusal(reply))) < 300


def test_a_missing_property_is_named():
    error = refusal('{"intent": "refund", "note": ""}')
    assert str(error) == "the reply has no 'urgency'"
    assert error.field == "urgency"


def test_a_property_missing_inside_is_named_with_its_place():
    class Part(BaseModel):
        color: str
        stars: int
        price: float | None
        size: int

    error = refused(list[Part], '[{"color": "red"}]')
    assert str(error) == "the reply has no 'stars', 'size' in x[0]"
    assert error.field == "x"


def test_a_label_off_the_list_is_refused_with_the_list():
    error = refusal(json.dumps({**GOOD, "urgency": "urgent"}))
    assert str(error) == "urgency='urgent' is not one of 'low', 'high'"
    assert error.field == "urgency"


def test_a_long_value_and_a_long_list_are_cut():
    labels = [f"label number {i}" for i in range(1000)]
    error = refused(labels, json.dumps("x" * 10_000))
    assert len(str(error)) < 450
    assert "xxx" in str(error)
    assert "more" in str(error)
    nested = refused(list[Literal[tuple(labels)]], json.dumps(["x" * 10_000]))
    assert len(str(nested)) < 450
    assert str(nested).startswith("x[0]='xxx")


@pytest.mark.parametrize(
    ("field", "reply"),
    [
        (["a", "b"], '"c"'),
        (["a", "b"], '"a, b"'),
        (["a", "b"], '"a?"'),
        (["a", "b"], '["a", "b"]'),
        (["a", "b"], "null"),
        (["a", "b"], "1"),
        (["a", "b"], "true"),
        ([0, 1], "true"),
        ([0, 1], "false"),
        ([0, 1], "0.5"),
        ([0, 1], '"one"'),
        ([0, 1], '"01"'),
        (Stars, "true"),
        (Literal[1, None], "true"),
        (list[Stars], "[true]"),
        (Literal["null", "none"], "null"),
        (int, "true"),
        (int, "3.5"),
        (int, '"three"'),
        (int, '"3.1"'),
        (int, '"007"'),
        (int, '"1_000"'),
        (int, '"1,000"'),
        (int, "null"),
        (int, str(2**63)),
        (int, str(-(2**63) - 1)),
        (int, "1e300"),
        (int, "9" * 4000),
        (int, "9" * 5000),
        (float, "true"),
        (float, '"nan"'),
        (float, '"Infinity"'),
        (float, "NaN"),
        (float, "Infinity"),
        (float, "1e999"),
        (float, "9" * 400),
        (float, '"50 %"'),
        (bool, "0"),
        (bool, "1"),
        (bool, '"perhaps"'),
        (bool, '"1"'),
        (bool, "null"),
        (str, '["3"]'),
        (str, "true"),
        (str, "null"),
        (str, '["a"]'),
        (date, "1700000000"),
        (date, '"1700000000"'),
        (date, "20240102"),
        (date, '"yesterday"'),
        (date, '"2024-02-30"'),
        (date, '"2024-01-02T10:00:00"'),
        (date, '"2024-01-02T00:00:00+02:00"'),
        (date, '"0"'),
        (datetime, "1700000000"),
        (datetime, '"1700000000"'),
        (datetime, '"2024-01-02"'),
        (datetime, '"2024-13-02T00:00"'),
        (list[datetime], '["1700000000"]'),
        (list[str], '"a"'),
        (list[int], f"[{2**63}]"),
        (list[list[float]], "[[1e999]]"),
        (list[float], f"[{'9' * 400}]"),
        (Item, '"red"'),
        (Item, '{"color": "green", "stars": null, "price": 1, "day": null}'),
    ],
)
def test_nothing_is_guessed(field, reply):
    error = refused(field, reply)
    assert error.field in ("x", None)
    assert len(str(error)) < 300


def test_several_faults_are_reported_at_once_and_many_are_counted():
    fields = resolve_fields(dict.fromkeys("abcde", int))
    error = refusal(json.dumps(dict.fromkeys("abcde", "?")), fields)
    assert error.field == "a"
    assert "b='?'" in str(error)
    assert str(error).endswith("and 2 more")


# The person's own code


class Checked(BaseModel):
    n: int

    @field_validator("n")
    @classmethod
    def check(cls, value: int) -> Any:
        odd: dict[int, Any] = {10: None, 11: "eleven", 12: True, 13: 2**70}
        if value == 1:
            raise ValueError("one is not wanted")
        if value == 2:
            raise KeyError("two")
        if value == 3:
            raise PydanticCustomError("own", "three is {what}", {"what": "bad"})
        if value == 4:
            raise RecursionError
        if value == 6:
            raise asyncio.CancelledError  # of a loop of its own; a library in Rust panics so
        assert value != 5, "five is not wanted"
        return odd.get(value, value)


@pytest.mark.parametrize(
    ("n", "message_part"),
    [
        (1, "one is not wanted"),
        (2, "KeyError('two')"),
        (3, "three is bad"),
        (4, "RecursionError"),
        (5, "five is not wanted"),
        (6, "CancelledError"),
        (10, "n=None is not a value"),
        (11, "n='eleven' is not a whole number"),
        (12, "n=True is not a whole number"),
        (13, "64 bits"),
    ],
)
def test_a_validator_that_raises_or_changes_the_type_fails_its_row_only(n, message_part):
    fields = resolve_fields(Checked)
    assert message_part in str(refusal(json.dumps({"n": n}), fields))
    assert parse_reply('{"n": 7}', fields) == {"n": 7}


def test_an_interrupt_within_a_validator_is_one():
    class Interrupted(BaseModel):
        n: int

        @field_validator("n")
        @classmethod
        def check(cls, value: int) -> int:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        parse_reply('{"n": 1}', resolve_fields(Interrupted))


def test_no_validator_can_bring_a_value_into_a_column_that_does_not_fit():
    cases: list[tuple[Any, Any, str]] = [
        (Literal["a", "b"], "A", '"a"'),
        (Literal["a", "b"], ["a"], '"a"'),
        (Stars, True, "1"),
        (float, float("nan"), "1"),
        (float, 1, "1"),
        (bool, 1, "true"),
        (str, 1, '"a"'),
        (date, "2024-01-02", '"2024-01-02"'),
        (list[int], [float("inf")], "[1]"),
        (list[int], {"a": [2**64]}, "[1]"),
        (list[int], object(), "[1]"),
    ]
    for field, value, reply in cases:
        bent = Annotated[field, AfterValidator(lambda _, value=value: value)]
        refused(bent, reply)


def test_a_model_validator_speaks_for_the_whole_reply():
    class Pair(BaseModel):
        low: int
        high: int

        @model_validator(mode="after")
        def ordered(self) -> Pair:
            if self.low > self.high:
                raise ValueError("low is above high")
            return self

    error = refusal('{"low": 2, "high": 1}', resolve_fields(Pair))
    assert error.field is None
    assert "low is above high" in str(error)


def test_a_value_whose_repr_fails_is_named_by_its_type():
    class Bad:
        def __repr__(self) -> str:
            raise RuntimeError

    bent = Annotated[bool, AfterValidator(lambda _: Bad())]
    assert str(refused(bent, "true")) == "x=<Bad> is not true or false"
