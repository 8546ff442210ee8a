"""Replies that are no strict JSON, or not quite what was asked: read where one reading is sure.

A line is a reply and its values, None where two readings are possible. The sources are public
reports; the words are ours. The decisions behind the doubtful ones are in docs/replies.md.
"""

from __future__ import annotations

import json
from datetime import date, time, timedelta
from typing import Literal, Optional

import pytest
from pydantic import BaseModel, Field

from llmframe.errors import OutputError
from llmframe.task.fields import resolve_fields
from llmframe.task.parse import parse_reply

FIELDS = resolve_fields({"issue_type": ["refund", "late parcel", "other"], "note": str, "n": int})
GOLD = {"issue_type": "refund", "note": "it's broken", "n": 3}
STRICT = json.dumps(GOLD)


def read(reply, fields=FIELDS):
    try:
        return parse_reply(reply, fields)
    except OutputError:
        return None


ONE_READING = [
    # mem0#5623, deer-flow#2368, SICTIC-AI#37
    STRICT[:-1] + ",\n}",
    # json_repair's purpose, Open-Historia#353
    STRICT.replace('"refund",', '"refund", // the main wish\n /* a guess */'),
    STRICT.replace("{", "{ # as asked\n"),
    # crewAI#611
    str(GOLD),
    "{'issue_type': 'refund', 'note': 'it\\'s broken', 'n': 3}",
    # gpt-pilot#756, json_repair#19
    STRICT.replace("_", "\\_"),
    # Open-Historia#353
    STRICT.replace('"', "“", 1).replace('"', "”", 1).replace(": ", "：", 1),
    STRICT.replace('"issue_type"', "issue_type").replace('"n"', "n"),
    STRICT.replace(', "', '\n"'),
    # datachain#1930, letta#269
    json.dumps(STRICT),
    json.dumps(json.dumps(STRICT)),
    STRICT.replace('"', '\\"'),
    # ai-parrot#338, pydantic-ai#621, LatteReview#5, Gito#244
    '{"answer": G}',
    '{"result": {"record": G}}',
    '{"name": "answer", "arguments": ' + json.dumps(STRICT) + "}",
    '{"type": "object", "properties": G, "required": ["issue_type", "note", "n"]}',
    '{"reasoning": "it is broken", "answer": G}',
    "[G]",
    "```\n[G]\n```",
    # effect#6178, openai-agents-python#1531
    "GG",
    "G\nG",
    # ollama#10929, ollama-python#523
    '{"G',
    "{\n\nG",
    "G}",
    # stagehand#1204
    STRICT.replace("issue_type", "issueType"),
    STRICT.replace("issue_type", "Issue Type"),
    # python-genai#950
    STRICT.replace("refund", "Refund."),
    STRICT.replace('"refund"', "\"'refund'\""),
    STRICT.replace("refund", "**refund**"),
    STRICT.replace("refund", "issue type: refund"),
    STRICT.replace('"refund"', '["refund"]'),
    # guardrails#87
    STRICT.replace("3", '"3"'),
    STRICT.replace("3", "3.0"),
    STRICT.replace("3", '"3.0"'),
]


@pytest.mark.parametrize("reply", ONE_READING)
def test_what_can_mean_one_thing_only_is_read(reply):
    assert read(reply.replace("G", STRICT)) == GOLD


@pytest.mark.parametrize(
    "reply",
    [
        STRICT[:-1],  # nothing is ever completed
        STRICT[:-4] + "}",
        "{'issue_type': 'refund', 'note': 'it's broken', 'n': 3}",
        STRICT.replace("}", ', "n": 4}'),
        '{"issue_type": "refund", "note": "x", "N": 4, " n": 3}',
        STRICT.replace("refund", "refund or other"),
        STRICT.replace("refund", "refund?"),
        STRICT.replace("3", '"1,000"'),  # a thousand, or one
        STRICT.replace("3", '"03"'),
        STRICT.replace("}", ", ...}"),
        STRICT.replace("broken", "in C:\\data\\new"),
        '{"issue_type": "refund"}{"note": ""}{"n": 3}',
        '{"answer": G, "other": {"a": 1}}'.replace("G", STRICT),
        STRICT.replace("3", "NaN"),
    ],
)
def test_what_can_mean_two_things_is_asked_again(reply):
    assert read(reply) is None


TOPICS = list[Literal["price", "quality"]]


class Part(BaseModel):
    name: str
    size: int | None


@pytest.mark.parametrize(
    ("field", "reply", "value"),
    [
        # an order number: langchain#38996
        (str, "123456", "123456"),
        (str, "19.90", "19.90"),
        (str, "true", None),
        (str, '["a"]', None),
        # a path, a LaTeX word: SICTIC-AI#37
        (str, '"see C:\\data\\x and 50\\%"', "see C:\\data\\x and 50\\%"),
        # numbers
        (int, '"1,234"', 1234),
        (int, '"1,234,567"', 1234567),
        (int, "9007199254740993.0", 9007199254740993),
        (int, "3.0000000000000001", None),
        (float, '"2,5"', 2.5),
        (float, '"1,234"', None),
        (float, '"50 %"', None),
        # truth values: pydantic's lax mode, BAML
        (bool, '"Yes"', True),
        (bool, '"no."', False),
        (bool, "1", None),
        (["1", "2"], "1", "1"),
        (["0.5", "1"], "0.5", "0.5"),
        (["true", "false"], "true", "true"),
        (["<5", ">5"], '"5"', None),
        (["C", "Java"], '"C#"', None),
        ([1, 2], '"-1"', None),
        ([1, 2], '"2.0"', 2),
        ([1, 2], '"1.5"', None),
        # dates
        (date, '"2026-01-05T00:00:00"', "2026-01-05"),
        (date, '"2026-01-05 00:00:00Z"', "2026-01-05"),
        (date, '"2026-01-05T10:30:00"', None),
        (date, '"01/02/2026"', None),
        (date, '"20260105"', None),
        (date, '"0"', None),
        (time, '"36000"', None),
        (timedelta, '"3600"', None),
        (list[date], '["0"]', None),
        # lists: agentic-ci#74, datachain#1930
        (TOPICS, '"price"', ["price"]),
        (TOPICS, '"price, quality"', ["price", "quality"]),
        (TOPICS, '"[\\"price\\"]"', ["price"]),
        (list[str], '"a"', None),
        (list[str], '"[\\"a\\", \\"b\\"]"', ["a", "b"]),
        (list[int], "3", [3]),
        (list[Part], '{"name": "a", "size": 1}', [{"name": "a", "size": 1}]),
        # what is left out: omi#9872
        (list[Part], '[{"name": "a"}]', [{"name": "a", "size": None}]),
        # a name twice inside
        (Part, '{"name": "a", "name": "b", "size": 1}', None),
        (Part, '{"name": "a", "size": 1, "name" : "b"}', None),
    ],
)
def test_a_value_is_read_where_its_meaning_is_certain(field, reply, value):
    found = read('{"x": ' + reply + "}", resolve_fields({"x": field}))
    assert found == (None if value is None else {"x": value})
    if found is not None:
        assert type(found["x"]) is type(value)


def test_a_number_that_is_nearly_whole_does_not_become_a_missing_one():
    assert read('{"x": 3.0000000000000001}', resolve_fields({"x": int | None})) is None


@pytest.mark.parametrize("word", ["null", "None", "N/A", "n/a"])
def test_a_word_for_nothing_is_missing_where_a_value_may_be(word):
    # llama_extract#32, lm-format-enforcer#35
    fields = resolve_fields(
        {"text": str | None, "n": int | None, "tone": Literal["calm", "none"] | None, "own": str}
    )
    found = read(json.dumps({"text": word, "n": word, "tone": "calm", "own": word}), fields)
    assert found == {"text": None, "n": None, "tone": "calm", "own": word}
    assert read(json.dumps({**found, "own": "x", "tone": "None"}), fields)["tone"] == "none"


def test_a_null_that_is_left_out_is_missing():
    fields = resolve_fields({"intent": ["a", "b"], "name": str | None})
    assert read('{"intent": "a"}', fields) == {"intent": "a", "name": None}
    assert read('{"name": "x"}', fields) is None


class Address(BaseModel):
    city: str
    zip: str | None = None
    country: str = "de"


class Ticket(BaseModel):
    """A person's own model: guardrails#562, pydantic-ai#533."""

    intent: str
    order: Optional[str] = None  # noqa: UP045 - as people write it
    address: Address | None = None
    stars: int = 5
    tags: list[str] = Field(default_factory=list)
    sloppy: str = None  # type: ignore[assignment]


def test_what_a_model_declares_optional_may_be_left_out():
    fields = resolve_fields(Ticket)
    rest = {"order": None, "address": None, "stars": 5, "tags": [], "sloppy": None}
    assert read('{"intent": "refund"}', fields) == {"intent": "refund", **rest}
    inner = read('{"intent": "refund", "address": {"city": "Bonn"}}', fields)
    assert inner["address"] == {"city": "Bonn", "zip": None, "country": "de"}


def test_an_object_with_none_of_the_names_is_no_answer_even_if_all_may_be_left_out():
    class Loose(BaseModel):
        a: int = 1
        b: int = 2

    fields = resolve_fields(Loose)
    assert read("{}", fields) is None
    assert read('{"answer": {"a": 3}}', fields) == {"a": 3, "b": 2}
