"""llmframe.testing.serve: what a client sees, what the ledger says."""

from __future__ import annotations

import asyncio
import email.utils
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path

import aiohttp
import jsonschema
import pytest
from openai import AsyncOpenAI

from llmframe.testing import FAULTS, expected, serve
from llmframe.testing.options import Changes, Options

SCHEMA = {
    "type": "object",
    "properties": {
        "intent": {"type": "string", "enum": ["refund", "delivery", "other"]},
        "urgency": {"anyOf": [{"enum": ["low", "high"]}, {"type": "null"}]},
        "summary": {"type": "string"},
    },
    "required": ["intent", "urgency", "summary"],
    "additionalProperties": False,
}
FORMAT = {"type": "json_schema", "json_schema": {"name": "a", "strict": True, "schema": SCHEMA}}


def body(text, **more):
    messages = [
        {"role": "system", "content": "Tag it."},
        {"role": "user", "content": f"<record n1>\n{text}\n</record n1>"},
    ]
    return {"model": "m", "messages": messages, "response_format": FORMAT} | more


class Answer:
    def __init__(self, status, headers, text):
        self.status, self.headers, self.text = status, headers, text

    @property
    def json(self):
        return json.loads(self.text)

    @property
    def content(self):
        return self.json["choices"][0]["message"]["content"]

    @property
    def values(self):
        return json.loads(self.content)


async def send(session, server, request, **headers):
    headers = {"Authorization": "Bearer k", **headers}
    url = server.url + "/chat/completions"
    async with session.post(url, json=request, headers=headers) as response:
        return Answer(response.status, response.headers, await response.text())


def ask_all(server, requests, *, at_once=False, timeout=10.0):
    """The answers to requests (bodies or texts), one after another or all at once."""

    async def main():
        limit = aiohttp.ClientTimeout(total=timeout)
        connector = aiohttp.TCPConnector(limit=0)
        async with aiohttp.ClientSession(timeout=limit, connector=connector) as session:
            made = [send(session, server, r if isinstance(r, dict) else body(r)) for r in requests]
            if at_once:
                return await asyncio.gather(*made, return_exceptions=True)
            return [await one for one in made]

    return asyncio.run(main())


def ask(server, request, **more):
    return ask_all(server, [request], **more)[0]


def wait_until(true, seconds=10.0):
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end
        time.sleep(0.005)


# What it answers


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


# Keys and parameters


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


def test_streaming_is_refused_aloud():
    with serve() as server:
        answer = ask(server, body("a", stream=True))
    assert (answer.status, answer.json["error"]["param"]) == (400, "stream")


# Faults

STATUS = {
    "429": 429,
    "429_after": 429,
    "500": 500,
    "502": 502,
    "503": 503,
    "503_after": 503,
    "content_filter": 400,
    "context": 400,
    "quota": 429,
    "401": 401,
    "402": 402,
    "403": 403,
    "404_model": 404,
}


@pytest.mark.parametrize("name", STATUS)
def test_an_error_fault_has_its_status_and_costs_nothing(name):
    with serve(faults={name: 1.0}) as server:
        answer = ask(server, "a")
        assert answer.status == STATUS[name]
        assert answer.json["error"]["message"]
        assert ("Retry-After" in answer.headers) == name.endswith("_after")
        (call,) = server.ledger.calls
        assert (call.fault, call.status, call.billed) == (name, STATUS[name], False)


def test_the_codes_are_those_that_clients_look_for():
    codes = {
        "quota": "insufficient_quota",
        "context": "context_length_exceeded",
        "content_filter": "content_filter",
        "404_model": "model_not_found",
        "401": "invalid_api_key",
    }
    with serve(fault_rows={f"<{name}>": name for name in codes}) as server:
        answers = ask_all(server, [f"<{name}>" for name in codes])
    assert [a.json["error"]["code"] for a in answers] == list(codes.values())


def is_json(text):
    try:
        json.loads(text)
    except ValueError:
        return False
    return True


SPOILT = {
    "malformed": lambda a: (
        not is_json(a.content) and a.json["choices"][0]["finish_reason"] == "stop"
    ),
    "length": lambda a: (
        not is_json(a.content) and a.json["choices"][0]["finish_reason"] == "length"
    ),
    "schema": lambda a: set(a.values) != set(SCHEMA["properties"]),
    "off_list": lambda a: (
        a.values["intent"] not in SCHEMA["properties"]["intent"]["enum"]
        and a.values["urgency"] not in ("low", "high", None)
    ),
    "null_content": lambda a: a.content is None,
    "blank": lambda a: a.content.isspace(),
    "refusal": lambda a: a.content is None and a.json["choices"][0]["message"]["refusal"],
    "empty_choices": lambda a: a.json["choices"] == [],
    "html": lambda a: a.text.startswith("<!DOCTYPE html>"),
    "error_200": lambda a: "choices" not in a.json and a.json["error"]["message"],
}


@pytest.mark.parametrize("name", SPOILT)
def test_a_spoilt_answer_has_status_200_and_its_flaw(name):
    with serve(fault_rows={"bad": name}) as server:
        bad, good = ask_all(server, ["a bad row", "fine"])
        assert bad.status == 200
        assert SPOILT[name](bad)
        assert good.values == expected("fine", SCHEMA)
        unpaid = {"empty_choices", "html", "error_200"}
        assert [call.billed for call in server.ledger.calls] == [name not in unpaid, True]


def test_every_fault_is_tested_here():
    assert set(FAULTS) == {*STATUS, *SPOILT, "drop", "hang", "trickle"}


def test_a_drop_closes_the_connection_without_an_answer():
    with serve(faults={"drop": 1}) as server:
        (error,) = ask_all(server, ["a"], at_once=True)
        assert isinstance(error, aiohttp.ServerDisconnectedError)
        (call,) = server.ledger.calls
        assert (call.answered, call.status, call.billed, call.fault) == (None, 0, False, "drop")


@pytest.mark.parametrize("name", ["hang", "trickle"])
def test_no_answer_ever_comes_and_the_place_is_free_when_the_client_leaves(name):
    with serve(faults={name: 1}, max_in_flight=1) as server:
        (error,) = ask_all(server, ["a"], at_once=True, timeout=0.3)
        assert isinstance(error, TimeoutError)
        server.update(faults={})

        def served():
            return ask(server, "b").status == 200

        wait_until(served)
        assert not any(call.billed for call in server.ledger.calls if call.row == "a")


def test_a_trickle_sends_headers_and_blanks():
    async def main(url):
        async with (
            aiohttp.ClientSession() as session,
            session.post(url + "/chat/completions", json=body("a")) as response,
        ):
            return response.status, await response.content.readany()

    with serve(faults={"trickle": 1}) as server:
        assert asyncio.run(main(server.url)) == (200, b" ")


def faults_seen(server, texts, times):
    for _ in range(times):
        ask_all(server, texts, at_once=True)
    return {(call.row, call.attempt): call.fault for call in server.ledger.calls}


def test_faults_follow_row_and_attempt_not_the_order():
    texts = [f"row {i}" for i in range(200)]
    shares = {"500": 0.2, "429_after": 0.1}
    with serve(faults=shares, seed=3) as one, serve(faults=shares, seed=3) as two:
        seen = faults_seen(one, texts, 2)
        assert seen == faults_seen(two, texts[::-1], 2)
    with serve(faults=shares, seed=4) as other:
        assert seen != faults_seen(other, texts, 2)
    count = sum(fault == "500" for fault in seen.values())
    assert 50 < count < 110
    assert any(seen[t, 0] == "500" and seen[t, 1] is None for t in texts)


def test_a_callable_may_choose_the_fault():
    with serve(faults=lambda text, attempt: "500" if attempt < 2 else None) as server:
        assert [a.status for a in ask_all(server, ["a"] * 3)] == [500, 500, 200]


# Latency and limits


def test_an_answer_takes_the_latency():
    with serve(latency=0.05) as server:
        ask(server, "a")
        (call,) = server.ledger.calls
        assert 0.045 <= call.answered - call.at < 0.5


def test_a_lognormal_latency_has_its_median_and_its_tail():
    from llmframe.testing.faults import choose_latency

    drawn = sorted(choose_latency((0.5, 3.0), 1, f"row {i}", 0) for i in range(10_000))
    assert 0.48 < drawn[5000] < 0.52
    assert 2.7 < drawn[9900] < 3.3
    assert choose_latency((0.5, 3.0), 1, "row", 0) != choose_latency((0.5, 3.0), 1, "row", 1)


def test_more_than_max_in_flight_are_refused():
    with serve(latency=0.2, max_in_flight=3) as server:
        answers = ask_all(server, [f"row {i}" for i in range(5)], at_once=True)
        assert sorted(a.status for a in answers) == [200, 200, 200, 429, 429]
        refused = next(a for a in answers if a.status == 429)
        assert (refused.headers["Retry-After"], refused.headers["retry-after-ms"]) == ("1", "1000")
        assert server.ledger.peak_in_flight == 4  # a refused one leaves at once
        assert {call.fault for call in server.ledger.calls} == {None, "limit"}


def test_slots_make_requests_wait_in_line():
    with serve(latency=0.1, slots=2) as server:
        answers = ask_all(server, [f"row {i}" for i in range(6)], at_once=True)
        calls = server.ledger.calls
        assert {a.status for a in answers} == {200}
        assert max(c.answered for c in calls) - min(c.at for c in calls) >= 0.3


@pytest.mark.parametrize("limiter", ["bucket", "minute"])
def test_requests_above_rpm_are_refused_and_the_headers_say_so(limiter):
    with serve(rpm=5, limiter=limiter, burst=60, retry_after="wait") as server:
        first, *_, last = ask_all(server, ["a"] * 6)
        assert first.headers["x-ratelimit-limit-requests"] == "5"
        assert first.headers["x-ratelimit-remaining-requests"] == "4"
        assert re.fullmatch(r"(\d+m)?[\d.]+s", first.headers["x-ratelimit-reset-requests"])
        assert "x-ratelimit-limit-tokens" not in first.headers
        assert last.status == 429
        assert last.headers["x-ratelimit-remaining-requests"] == "0"
        assert 1 < float(last.headers["Retry-After"]) <= 60
        assert [c.status for c in server.ledger.calls] == [200] * 5 + [429]


def test_tokens_above_tpm_are_refused():
    with serve(tpm=1000, burst=60) as server:
        ok, refused = ask_all(server, [body("a", max_completion_tokens=900)] * 2)
        assert (ok.status, refused.status) == (200, 429)
        assert refused.json["error"]["type"] == "tokens"
        assert int(ok.headers["x-ratelimit-remaining-tokens"]) < 100
        assert ok.headers["x-ratelimit-limit-tokens"] == "1000"


def test_headers_can_be_left_out():
    with serve(rpm=100, headers=False) as server:
        assert not any(name.startswith("x-ratelimit") for name in ask(server, "a").headers)


@pytest.mark.parametrize(
    ("retry_after", "headers"),
    [
        (2.5, {"Retry-After": "3", "retry-after-ms": "2500"}),
        ("ms:1500", {"retry-after-ms": "1500"}),
        ("soon", {"Retry-After": "soon"}),
        (None, {}),
    ],
)
def test_retry_after_takes_the_form_that_was_asked_for(retry_after, headers):
    with serve(faults={"429_after": 1}, retry_after=retry_after) as server:
        told = ask(server, "a").headers
    assert {k: v for k, v in told.items() if k.lower().startswith("retry-after")} == headers


def test_tokens_of_an_uncapped_answer_are_counted_when_it_is_sent():
    with serve(tpm=10_000, burst=60, answer=lambda text, request: "x" * 8000) as server:
        headers = ask(server, "a").headers
    assert int(headers["x-ratelimit-remaining-tokens"]) < 8000


def test_retry_after_may_be_a_date():
    with serve(faults={"503_after": 1}, retry_after="date:100") as server:
        told = ask(server, "a").headers["Retry-After"]
    assert 95 < email.utils.parsedate_to_datetime(told).timestamp() - time.time() < 105


# The ledger


def test_the_ledger_counts_rows_attempts_and_what_was_paid_twice():
    with serve(
        faults=lambda text, attempt: "malformed" if (text, attempt) == ("b", 0) else None
    ) as s:
        before = time.monotonic()
        ask_all(s, ["a", "b", "b", "a", "c"])
        ledger = s.ledger
        assert len(ledger) == 5
        assert ledger.rows() == {"a": 2, "b": 2, "c": 1}
        assert [call.attempt for call in ledger.calls] == [0, 0, 1, 1, 0]
        assert ledger.billed_twice() == ["a"]  # b's first answer was paid, but not good
        assert len(ledger.since(before)) == 5
        assert ledger.since(time.monotonic()) == []
        ledger.clear()
        assert (len(ledger), ledger.peak_in_flight) == (0, 0)
        ask(s, "a")
        assert [call.attempt for call in ledger.calls] == [0]


def test_the_ledger_counts_connections():
    with serve(latency=0.05) as server:
        ask_all(server, ["a"] * 4)
        assert server.ledger.connections == 1
        server.ledger.clear()
        ask_all(server, ["a"] * 4, at_once=True)
        assert server.ledger.connections == 4


def test_an_answer_is_billed_even_if_the_client_has_left():
    with serve(latency=0.2) as server:
        (error,) = ask_all(server, ["a"], at_once=True, timeout=0.05)
        assert isinstance(error, TimeoutError)
        wait_until(lambda: server.ledger.calls[0].billed)


# Options


@pytest.mark.parametrize(
    "options",
    [
        {"latency": -1},
        {"latency": (2, 1)},
        {"latency": "fast"},
        {"faults": {"nope": 1}},
        {"faults": {"500": 0.8, "429": 0.3}},
        {"fault_rows": {"x": "nope"}},
        {"rpm": 0},
        {"limiter": "day"},
        {"answer": "silver"},
        {"unsupported": ("logic",)},
        {"colour": "red"},
        {"cpu": 0},
        {"faults": lambda text, attempt: None, "process": True},
    ],
)
def test_an_option_that_cannot_be_is_refused_at_once(options):
    with pytest.raises(ValueError, match=next(iter(options))[:5]):
        serve(**options)


def test_the_typed_names_are_the_options():
    assert set(Changes.__annotations__) == set(Options.__dataclass_fields__)


def test_a_taken_port_is_told():
    with serve() as server:
        port = int(server.url.split(":")[2].split("/")[0])
        with pytest.raises(OSError, match="in use"):
            serve(port=port)
        with pytest.raises(OSError, match="in use"):
            serve(port=port, process=True)


def test_a_closed_server_refuses_connections_and_comes_back_on_its_port():
    server = serve()
    port = int(server.url.split(":")[2].split("/")[0])
    server.close()
    server.close()
    (error,) = ask_all(server, ["a"], at_once=True)
    assert isinstance(error, aiohttp.ClientConnectorError)
    with serve(port=port) as again:
        assert ask(again, "a").status == 200


# Another process


def test_a_process_server_serves_updates_and_hands_over_its_ledger():
    options: Mapping = {"faults": {"500": 1.0}, "latency": [0.001, 0.002], "rpm": 100_000}
    with serve(process=True, cpu=0, **options) as server:
        assert server.pid != os.getpid()
        assert ask(server, "a").status == 500
        server.update(faults={})
        with pytest.raises(ValueError, match="callable"):
            server.update(answer=lambda text, request: "")
        with pytest.raises(ValueError, match="nope"):
            server.update(faults={"nope": 1})
        assert ask(server, "a \ud800 surrogate").status == 200
        ledger = server.ledger
        first, second = ledger.calls
        assert (first.row, first.fault, first.billed) == ("a", "500", False)
        assert (second.row, second.billed) == ("a \ud800 surrogate", True)
        assert second.at < second.answered < time.monotonic()
        ask(server, "b")
        assert len(ledger) == 3
    assert len(ledger) == 3
    assert not alive(server.pid)


def test_the_ledger_of_a_process_server_can_be_cleared():
    with serve(process=True) as server:
        ask_all(server, ["a", "b"])
        server.ledger.clear()
        assert len(server.ledger) == 0
        ask(server, "a")
        assert [(call.row, call.attempt) for call in server.ledger.calls] == [("a", 0)]


def alive(pid):
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return "Z" not in Path(f"/proc/{pid}/stat").read_text().split(") ")[-1][:1]


@pytest.mark.skipif(not Path("/proc").exists(), reason="looks into /proc")
def test_a_process_server_dies_with_its_killed_parent():
    code = (
        "import time; from llmframe.testing import serve\n"
        "server = serve(process=True); print(server.pid, flush=True); time.sleep(60)"
    )
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE) as parent:
        child = int(parent.stdout.readline())
        assert alive(child)
        parent.send_signal(signal.SIGKILL)
        parent.wait()
        wait_until(lambda: not alive(child))


def test_the_command_line_prints_the_url_and_a_summary():
    command = [sys.executable, "-m", "llmframe.testing", "--port", "0", "--latency", "0.01,0.02"]
    command += ["--fault", "500=1", "--retry-after", "2"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:

        class Shell:
            url = process.stdout.readline().strip()

        assert ask(Shell, "a").status == 500
        process.send_signal(signal.SIGINT)
        said, _ = process.communicate(timeout=10)
    assert said.startswith("1 requests for 1 rows, 0 billed, 0 rows paid twice")
    assert process.returncode == 0


def test_importing_it_loads_neither_aiohttp_nor_asyncio_servers():
    code = (
        "import sys, llmframe.testing.server; loaded = set(sys.modules);"
        "assert 'aiohttp' not in loaded and 'openai' not in loaded"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
