"""A reply becomes values or an OutputError: what is surely meant is mended, nothing is guessed."""

from __future__ import annotations

import asyncio
import json
from datetime import date, datetime
from enum import Enum, IntEnum
from typing import Annotated, Any, Literal
from uuid import UUID

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from pydantic import AfterValidator, BaseModel, ConfigDict, field_validator, model_validator
from pydantic_core import PydanticCustomError

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


# What is said twice


def test_a_name_with_two_values_is_refused_and_both_are_named():
    error = refusal(json.dumps(GOOD)[:-1] + ', "intent": "other"}')
    assert str(error) == "the reply says 'intent' twice: 'refund' and 'other'"


def test_a_name_that_is_said_twice_alike_is_read():
    assert parse_reply(json.dumps(GOOD)[:-1] + ', "intent": "refund"}', TICKET) == GOOD


def test_a_name_that_is_quoted_in_a_text_is_not_said_twice():
    reply = GOOD | {"note": 'He said "intent" and "urgency".'}
    assert parse_reply(json.dumps(reply), TICKET) == reply


def test_a_name_inside_a_nested_object_may_be_the_field_s_own():
    reply = {"x": {"color": "red", "stars": None, "price": 1.0, "day": None}, "color": "a"}
    fields = resolve_fields({"x": Item, "color": ["a", "b"]})
    assert parse_reply(json.dumps(reply), fields) == reply


# What is read


def test_a_good_reply_gives_its_values_in_the_order_asked():
    shuffled = {name: GOOD[name] for name in ("note", "urgency", "intent")}
    values = parse_reply(json.dumps(shuffled), TICKET)
    assert values == GOOD
    assert list(values) == ["intent", "urgency", "note"]


@pytest.mark.parametrize(
    ("field", "reply", "value"),
    [
        (str, '"a\\u0000b"', "a\0b"),
        (str, '" kept \\n"', " kept \n"),
        (str, '""', ""),
        (str | None, "null", None),
        (int, "-3", -3),
        (int, str(2**63 - 1), 2**63 - 1),
        (int, str(-(2**63)), -(2**63)),
        (float, "3", 3.0),
        (float, "1e-400", 0.0),
        (bool, "true", True),
        (date, '"2024-02-29"', "2024-02-29"),
        (datetime, '"2024-02-29T10:30:00Z"', "2024-02-29T10:30:00+00:00"),
        (datetime, '"2024-02-29 10:30"', "2024-02-29T10:30:00"),
        (datetime | None, "null", None),
        (Color, '"red"', "red"),
        (Stars, "2", 2),
        (Literal["a"] | None, "null", None),
        (list[Color], '["red", "blue"]', ["red", "blue"]),
        (list[date], '["2024-02-29"]', ["2024-02-29"]),
        (list[str] | None, "null", None),
        (UUID, '"12345678-1234-5678-1234-567812345678"', "12345678-1234-5678-1234-567812345678"),
        (
            Item,
            '{"color": "red", "stars": 1, "price": 2, "day": null}',
            {"color": "red", "stars": 1, "price": 2.0, "day": None},
        ),
    ],
)
def test_a_value_is_read_into_its_json_form(field, reply, value):
    read_value = read(field, reply)
    assert read_value == value
    assert type(read_value) is type(value)
    json.dumps(read_value)


class Tree(BaseModel):
    label: Literal["leaf", "node"]
    kids: list[Tree]


def test_a_recursive_reply_is_mended_at_every_depth():
    reply = {"Label": "NODE", "kids": [{"label": "leaf", "Kids": [], "more": 1}]}
    assert parse_reply(json.dumps(reply), resolve_fields(Tree)) == {
        "label": "node",
        "kids": [{"label": "leaf", "kids": []}],
    }


def test_properties_that_were_not_asked_for_are_ignored():
    class Strict(BaseModel):
        model_config = ConfigDict(extra="forbid")
        a: int

    assert parse_reply(json.dumps({**GOOD, "why": "because"}), TICKET) == GOOD
    assert parse_reply('{"a": 1, "b": 2}', resolve_fields(Strict)) == {"a": 1}


# What is mended


@pytest.mark.parametrize(
    "around",
    [
        "```json\n{}\n```",
        "```\n{}\n```",
        "Here it is:\n{}\nAnything else?",
        "\ufeff{}",
        "\n \t{} \r\n",
        "[{}]",
        "The record {{in braces}} says { this }: {}",
        '<think>Maybe {{"intent": "other"}}?</think>\n{}',
        "  <think>{{</think>{}",
        "answer = {};",
    ],
)
def test_text_around_the_one_object_is_left_out(around):
    reply = around.replace("{{", "\1").replace("}}", "\2").replace("{}", json.dumps(GOOD))
    assert parse_reply(reply.replace("\1", "{").replace("\2", "}"), TICKET) == GOOD


@pytest.mark.parametrize(
    ("field", "reply", "value"),
    [
        (["Refund", "other"], '"REFUND"', "Refund"),
        (["Refund", "other"], '" refund\\n"', "Refund"),
        (["Refund", "other"], '"Ｒｅｆｕｎｄ"', "Refund"),
        (["straße"], '"STRASSE"', "straße"),
        (["a", "b"], '"\\ud800 a"', None),
        ([1, 2], '"2"', 2),
        ([1, 2], '" 2 "', 2),
        ([1, 2], '"２"', 2),
        ([1, 2], "2.0", 2),
        (Literal[1, 2] | None, '"1"', 1),
        (int, '"3"', 3),
        (int, '" -3 "', -3),
        (int, "3.0", 3),
        (int | None, '"3"', 3),
        (float, '"3"', 3.0),
        (float, '"-2.5e3"', -2500.0),
        (bool, '"true"', True),
        (bool, '"False "', False),
        (date, '" 2024-02-29 "', "2024-02-29"),
        (datetime, '" 2024-02-29T10:30:00"', "2024-02-29T10:30:00"),
        (list[Literal["a", "b"]], '["A", " b"]', ["a", "b"]),
        (list[Literal["a", "b"]] | None, '["A"]', ["a"]),
        (list[int], '["1", 2]', [1, 2]),
        (
            Item,
            '{"Color ": "RED", "stars": "2", "PRICE": "1.5", "day": null, "more": 1}',
            {"color": "red", "stars": 2, "price": 1.5, "day": None},
        ),
        (str, '"two\nlines\ttab"', "two\nlines\ttab"),
        (str, '"half \\ud800 a character"', "half \ufffd a character"),
        (str, '"whole \\ud83d\\ude00"', "whole 😀"),
        (str, '"raw \ud800 half"', "raw \ufffd half"),
    ],
)
def test_what_is_surely_meant_is_mended(field, reply, value):
    if value is None:
        refused(field, reply)
    else:
        assert read(field, reply) == value


@pytest.mark.parametrize("name", ["Intent", " intent ", "INTENT", "ｉｎｔｅｎｔ"])
def test_a_name_in_another_case_or_with_blanks_is_the_name(name):
    reply = {name: "refund", "urgency": "low", "note": "A lamp is broken."}
    assert parse_reply(json.dumps(reply), TICKET) == GOOD


def test_an_exact_name_beats_one_that_is_alike():
    assert parse_reply(json.dumps({"NOTE": "no", **GOOD}), TICKET) == GOOD


def test_names_that_only_case_tells_apart_are_never_swapped():
    fields = resolve_fields({"a": int, "A": int})
    assert parse_reply('{"A": 1, "a": 2}', fields) == {"a": 2, "A": 1}
    assert "no 'A'" in str(refusal('{"a": 1, "a ": 2}', fields))


def test_two_names_that_could_be_meant_are_a_missing_one():
    fields = resolve_fields({"word": int})
    assert "no 'word'" in str(refusal('{"Word": 1, "WORD": 2}', fields))


# What is refused


@pytest.mark.parametrize("reply", [None, "", " \n\t", "\ufeff", "\ufeff \ufeff\n"])
def test_a_blank_reply_is_called_blank(reply):
    error = refusal(reply)
    assert "blank" in str(error)
    assert error.field is None
    assert error.kind == "output"


@pytest.mark.parametrize(
    ("reply", "said"),
    [
        ("I cannot say.", "no JSON object: 'I cannot say.'"),
        ("null", "no JSON object"),
        ("[1, 2]", "no JSON object"),
        ('"text"', "no JSON object"),
        ("<think>{}</think>", "no JSON object"),
        ("{ prose }", "no JSON object"),
        ('{"intent": "refund", "urgency": "lo', "broken JSON"),
        ('{"intent": "refund", "urgency":', "its end"),
        ("{'intent': 'refund'}", "broken JSON"),
        ('{"a": {"intent": "refund", "urgency": "low", "note": ""}, "b": ', "broken JSON"),
        (json.dumps(GOOD) * 2, "2 JSON objects"),
        (f"first {json.dumps(GOOD)} then {{}}", "2 JSON objects"),
        (json.dumps([GOOD, GOOD, GOOD]), "3 JSON objects"),
        ('{"a":' * 100_000, "nested too deeply"),
        ('{"a":' + "[" * 100_000 + "]" * 100_000 + "}", "nested too deeply"),
        ('{"intent": ' + "9" * 5000 + "}", "too long"),
        ('{"intent": NaN}', "NaN"),
        ('{"intent": -Infinity}', "-Infinity"),
        ('{"intent": 1e999}', "1e999"),
        ("{}", "no 'intent', 'urgency', 'note'"),
        ('{"answer": ' + json.dumps(GOOD) + "}", "no 'intent', 'urgency', 'note'"),
    ],
    ids=lambda text: text[:30],
)
def test_a_reply_without_the_one_object_is_refused(reply, said):
    assert said in str(refusal(reply))
    assert len(str(refusal(reply))) < 300


def test_a_missing_property_is_named():
    error = refusal('{"intent": "refund", "note": ""}')
    assert str(error) == "the reply has no 'urgency'"
    assert error.field == "urgency"


def test_a_property_missing_inside_is_named_with_its_place():
    error = refused(list[Item], '[{"color": "red"}]')
    assert str(error) == "the reply has no 'stars', 'price', 'day' in x[0]"
    assert error.field == "x"


def test_a_default_is_not_put_in_for_a_missing_answer():
    class Answer(BaseModel):
        intent: str
        urgency: Literal["low", "high"] = "low"

    assert refusal('{"intent": "refund"}', resolve_fields(Answer)).field == "urgency"


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
        (["a", "b"], '"a."'),
        (["a", "b"], '["a"]'),
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
        (Literal["null"], "null"),
        (int, "true"),
        (int, "3.5"),
        (int, '"three"'),
        (int, '"3.0"'),
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
        (bool, '"yes"'),
        (bool, '"1"'),
        (bool, "null"),
        (str, "3"),
        (str, "true"),
        (str, "null"),
        (str, '["a"]'),
        (date, "1700000000"),
        (date, '"1700000000"'),
        (date, "20240102"),
        (date, '"yesterday"'),
        (date, '"2024-02-30"'),
        (date, '"2024-01-02T00:00:00"'),
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


def test_several_faults_are_told_at_once_and_many_are_counted():
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
    ("n", "said"),
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
def test_a_validator_that_raises_or_changes_the_type_fails_its_row_only(n, said):
    fields = resolve_fields(Checked)
    assert said in str(refusal(json.dumps({"n": n}), fields))
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


# Whatever comes

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=10,
)
FIELD_SETS = [TICKET, EVERYTHING, PLAIN, LISTS]


def near(fields: Any) -> st.SearchStrategy[str]:
    """Replies that have the right names and any values."""
    return st.fixed_dictionaries(dict.fromkeys(fields.names, JSON)).map(json.dumps)


def check(reply: str | None, fields: Any) -> None:
    """Values that fit, or an OutputError that can be shown, stored and sent."""
    try:
        values = parse_reply(reply, fields)
    except OutputError as error:
        assert 0 < len(str(error)) < 1500  # noqa: PT017
        assert "\n" not in str(error).partition("\n")[0]  # noqa: PT017
        return
    assert list(values) == list(fields.names)
    json.dumps(values, allow_nan=False, ensure_ascii=False).encode()
    for spec in fields.specs:
        value = values[spec.name]
        assert spec.nullable or value is not None
        if spec.labels is not None and value is not None:
            assert value in spec.labels
            assert not isinstance(value, bool)


@settings(max_examples=300)
@given(st.one_of(st.none(), st.text(), JSON.map(json.dumps)))
@example("{" * 5000)
@example('{"' * 5000)
@example("{ " * 5000 + '"')
@example('\\ud800 {"intent": "\ud800"}')
@example('{"int": ' + "1" * 5000 + "}")
@example('{"tags": ' + "[" * 150 + "]" * 150 + "}")
@example('{"tags": ' + "[" * 900 + "]" * 900 + ', "n": 1}')
def test_any_text_is_read_or_refused_but_never_raises_anything_else(reply):
    for fields in FIELD_SETS:
        check(reply, fields)


@settings(max_examples=200)
@given(st.data())
def test_any_values_under_the_right_names_are_read_or_refused(data):
    fields = data.draw(st.sampled_from(FIELD_SETS))
    check(data.draw(near(fields)), fields)


@given(st.text(max_size=40), st.text(max_size=40))
def test_a_good_object_in_prose_is_found(before, after):
    reply = before.replace("{", "(") + json.dumps(GOOD) + after.replace("{", "(")
    if "<think>" not in reply:
        assert parse_reply(reply, TICKET) == GOOD


@given(st.integers(0, len(json.dumps(GOOD)) - 1))
def test_a_reply_cut_anywhere_is_never_accepted(length):
    refusal(json.dumps(GOOD)[:length])


@given(st.sampled_from(["refund", "Straße", "退款", "ｆｕｌｌ", "İstanbul"]), st.randoms())
def test_a_label_in_any_case_with_any_blanks_is_found(label, random):
    varied = "".join(random.choice([c, c.upper(), c.lower()]) for c in label)
    fields = resolve_fields({"x": [label, "another"]})
    for text in (f" {label}\t", varied if varied.casefold() == label.casefold() else label):
        assert parse_reply(json.dumps({"x": text}), fields) == {"x": label}
