"""What the test server answers to a request, its key and its parameters."""

from __future__ import annotations

import asyncio
import json

import aiohttp
import jsonschema
import pytest
from openai import AsyncOpenAI

from llmframe.testing import expected, serve
from tests.kits.http_client import SCHEMA, ask, ask_all, body


def test_the_answer_is_what_expected_computes_and_fits_the_schema():
    with serve() as server:
        answer = ask(server, "Where is my parcel?")
    assert answer.values == expected("Where is my parcel?", SCHEMA)
    jsonschema.validate(answer.values, SCHEMA)
    assert answer.json["usage"]["total_tokens"] > answer.json["usage"]["completion_tokens"] > 0


def test_the_openai_client_is_served():
    async def main(url):
        async with AsyncOpenAI(base_url=url, api_key="k", max_retries=0) as client:
            models = [model.id async for model in client.models.list()]
            reply = await client.chat.completions.create(**body("hello", model="big"))
            return models, reply

    with serve(models=("small", "big")) as server:
        models, reply = asyncio.run(main(server.url))
    assert models == ["small", "big"]
    assert (reply.model, reply.choices[0].finish_reason) == ("big", "stop")
    assert json.loads(reply.choices[0].message.content) == expected("hello", SCHEMA)


@pytest.mark.parametrize(
    "schema",
    [
        {"type": "boolean"},
        {"type": "integer", "minimum": 3, "maximum": 5},
        {"type": "integer", "exclusiveMinimum": -3, "multipleOf": 7},
        {"type": "number", "minimum": -1, "exclusiveMaximum": 0},
        {"type": "string", "format": "date"},
        {"type": "string", "format": "date-time"},
        {"type": "string", "format": "time"},
        {"type": "string", "minLength": 30, "maxLength": 32},
        {"const": 4},
        {"type": ["string", "null"]},
        {"type": "array", "items": {"enum": ["a", "b"]}, "minItems": 1, "uniqueItems": True},
        {"type": "array", "items": {"type": "integer"}, "minItems": 2, "maxItems": 4},
        {"$ref": "#/$defs/Node"},
        {"allOf": [{"$ref": "#/$defs/Node"}], "description": "as pydantic writes it"},
        {"oneOf": [{"type": "null"}, {"$ref": "#/$defs/Node"}]},
    ],
    ids=str,
)
def test_every_form_of_schema_gets_a_valid_value(schema):
    node = {
        "type": "object",
        "properties": {"next": {"anyOf": [{"$ref": "#/$defs/Node"}, {"type": "null"}]}},
        "required": ["next"],
    }
    root = {"type": "object", "properties": {"v": schema}, "required": ["v"]}
    root["$defs"] = {"Node": node}
    check = jsonschema.Draft202012Validator(
        root, format_checker=jsonschema.Draft202012Validator.FORMAT_CHECKER
    )
    for text in ("", "one", "two words", "漢字", "a lone \ud800", "x " * 900):
        check.validate(expected(text, root))


def test_labels_spread_over_texts_and_do_not_follow_each_other():
    values = [expected(f"row {i}", SCHEMA) for i in range(600)]
    pairs = {(v["intent"], v["urgency"]) for v in values}
    assert len(pairs) == 9
    assert 150 < sum(v["intent"] == "refund" for v in values) < 250


def test_a_schema_in_the_system_message_counts_when_there_is_no_other():
    system = f"Answer as JSON {{not this}} by this schema: {json.dumps(SCHEMA)} Thanks."
    messages = [{"role": "system", "content": system}, {"role": "user", "content": "hi"}]
    with serve() as server:
        plain, bare = ask_all(
            server,
            [
                {"messages": messages, "response_format": {"type": "json_object"}},
                {"messages": messages[1:]},
            ],
        )
    assert plain.values == expected("hi", SCHEMA)
    assert bare.values == {}


def test_the_row_is_the_first_fenced_user_message_else_the_last_one():
    fenced = body("one\n</record n2>\ntwo")
    again = body("row")
    again["messages"] += [
        {"role": "assistant", "content": "{}"},
        {"role": "user", "content": "That is no valid answer."},
    ]
    parts = {"messages": [{"role": "user", "content": [{"type": "text", "text": "in parts"}]}]}
    with serve() as server:
        ask_all(server, [fenced, again, parts])
        assert [call.row for call in server.ledger.calls] == [
            "one\n</record n2>\ntwo",
            "row",
            "in parts",
        ]


def test_an_answer_may_be_a_mapping_or_a_callable():
    known = {"a": {"intent": "refund", "urgency": "no such label", "extra": 1}, "b": "as it is"}
    with serve(answer=known) as server:
        a, b, c = ask_all(server, ["a", "b", "c"])
        assert a.values == expected("a", SCHEMA) | {"intent": "refund"}
        assert b.content == "as it is"
        assert c.values == expected("c", SCHEMA)
        server.update(answer=lambda text, request: {"text": text, "model": request["model"]})
        assert ask(server, "d").values == {"text": "d", "model": "m"}


def test_gold_answers_are_the_labels_of_the_records():
    from llmframe.testing import records

    row = records(3, seed=5)[2]
    fields = {"intent": {"enum": ["refund", "delivery", "billing", "account", "praise", "other"]}}
    schema = {
        "type": "object",
        "properties": {**fields, "urgency": {"enum": ["low", "mid", "high"]}},
    }
    form = {"type": "json_schema", "json_schema": {"name": "a", "schema": schema}}
    with serve(answer="gold:5") as server:
        answer = ask(server, body(row["text"], response_format=form))
    assert answer.values == {"intent": row["intent"], "urgency": row["urgency"]}


def test_other_paths_and_broken_bodies_get_json_errors():
    async def main(server):
        async with aiohttp.ClientSession() as session:
            async with session.get(server.url + "/nothing") as response:
                nothing = response.status, (await response.json())["error"]["code"]
            async with session.post(server.url + "/chat/completions", data=b"{") as response:
                broken = response.status
            async with session.post(server.url + "/deep/chat/completions", json=body("a")) as deep:
                return nothing, broken, deep.status

    with serve() as server:
        assert asyncio.run(main(server)) == ((404, "unknown_url"), 400, 200)
        assert len(server.ledger) == 1


def test_a_megabyte_of_text_is_read():
    with serve() as server:
        assert ask(server, "word " * 200_000).status == 200


def test_a_wrong_key_is_refused_and_may_be_echoed():
    with serve(key="right", echo_key=True) as server:
        wrong = ask(server, "a")
        server.update(key="k")
        right = ask(server, "a")
        assert (wrong.status, right.status) == (401, 200)
        assert "Bearer k" in wrong.json["error"]["message"]
        assert [call.billed for call in server.ledger.calls] == [False, True]


def test_an_unsupported_parameter_is_named_in_a_400():
    with serve(unsupported=("json_schema", "temperature")) as server:
        form, warm = ask_all(
            server, [body("a"), body("a", temperature=0, response_format={"type": "json_object"})]
        )
    assert (form.status, form.json["error"]["param"]) == (400, "response_format")
    assert (warm.status, warm.json["error"]["param"]) == (400, "temperature")


def test_streaming_is_refused_with_an_error():
    with serve() as server:
        answer = ask(server, body("a", stream=True))
    assert (answer.status, answer.json["error"]["param"]) == (400, "stream")


@pytest.mark.parametrize("limit", [{"most_labels": 4}, {"most_label_characters": 20}])
def test_a_schema_with_too_many_labels_is_a_400(limit):
    with serve(**limit) as server:
        assert ask(server, "a").status == 400
        plain = ask(server, body("a", response_format={"type": "json_object"}))
        server.update(most_labels=5, most_label_characters=27)
        assert (plain.status, ask(server, "a").status) == (200, 200)


def test_labels_that_stand_in_the_instructions_alone_are_read_there():
    lines = (
        "Tag it. Its properties, in this order:\n"
        '- "tone": one of "good", "b, \\"bad\\"". How it sounds.\n'
        '- "all": JSON by the schema {"type":"array","items":{"enum":["x","y"]},"minItems":1}\n'
        '- "rest": text'
    )
    properties = {name: {"type": "string"} for name in ("tone", "all", "rest")}
    request = body("hello there")
    request["messages"][0]["content"] = lines
    schema = {"type": "object", "properties": properties}
    request["response_format"] = {"type": "json_schema", "json_schema": {"schema": schema}}
    with serve() as server:
        values = ask(server, request).values
    assert values["tone"] in ("good", 'b, "bad"')
    assert set(values["all"]) <= {"x", "y"}
    assert values["rest"] == "hello there"
