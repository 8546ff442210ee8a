"""A reply becomes values: a certain meaning is repaired, nothing is guessed."""

from __future__ import annotations

import json
from datetime import date, datetime
from typing import Literal
from uuid import UUID

import pytest
from pydantic import BaseModel, ConfigDict

from llmframe.task.fields import resolve_fields
from llmframe.task.parse import parse_reply
from tests.kits.replies import GOOD, TICKET, Color, Item, Stars, read, refusal, refused

# A name given twice


def test_a_name_with_two_values_is_refused_and_both_are_named():
    error = refusal(json.dumps(GOOD)[:-1] + ', "intent": "other"}')
    assert str(error) == "the reply says 'intent' twice: 'refund' and 'other'"


def test_a_name_given_twice_with_one_value_is_read():
    assert parse_reply(json.dumps(GOOD)[:-1] + ', "intent": "refund"}', TICKET) == GOOD


def test_a_name_quoted_in_a_text_is_not_given_twice():
    reply = GOOD | {"note": 'He said "intent" and "urgency".'}
    assert parse_reply(json.dumps(reply), TICKET) == reply


def test_a_name_inside_a_nested_object_may_be_the_field_s_own():
    reply = {"x": {"color": "red", "stars": None, "price": 1.0, "day": None}, "color": "a"}
    fields = resolve_fields({"x": Item, "color": ["a", "b"]})
    assert parse_reply(json.dumps(reply), fields) == reply


# What is read


def test_a_good_reply_gives_its_values_in_the_fields_order():
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


def test_a_recursive_reply_is_repaired_at_every_depth():
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


# What is repaired


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
        (["straße", "weg"], '"STRASSE"', "straße"),
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
def test_a_certain_meaning_is_repaired(field, reply, value):
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


def test_names_that_differ_only_in_case_are_never_swapped():
    fields = resolve_fields({"a": int, "A": int})
    assert parse_reply('{"A": 1, "a": 2}', fields) == {"a": 2, "A": 1}
    assert "no 'A'" in str(refusal('{"a": 1, "a ": 2}', fields))


def test_two_names_that_could_be_meant_are_a_missing_one():
    fields = resolve_fields({"word": int})
    assert "no 'word'" in str(refusal('{"Word": 1, "WORD": 2}', fields))
