"""Each fault of the test server, as a client sees it."""

from __future__ import annotations

import asyncio
import json

import aiohttp
import pytest

from llmframe.testing import FAULTS, expected, serve
from llmframe.testing.faults import UNSTREAMED, VECTORS
from tests.kits.http_client import SCHEMA, ask, ask_all, body
from tests.kits.until import until

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


def test_errors_have_the_codes_that_clients_expect():
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
    # VECTORS: in test_embeddings.py, UNSTREAMED: in test_streaming.py
    here = {*STATUS, *SPOILT, "drop", "hang", "trickle"}
    assert set(FAULTS) == {*here, *VECTORS, *UNSTREAMED}


def test_a_drop_closes_the_connection_without_an_answer():
    with serve(faults={"drop": 1}) as server:
        (error,) = ask_all(server, ["a"], concurrent=True)
        assert isinstance(error, aiohttp.ServerDisconnectedError)
        (call,) = server.ledger.calls
        assert (call.answered, call.status, call.billed, call.fault) == (None, 0, False, "drop")


@pytest.mark.parametrize("name", ["hang", "trickle"])
def test_no_answer_ever_comes_and_the_slot_is_free_when_the_client_leaves(name):
    with serve(faults={name: 1}, max_in_flight=1) as server:
        (error,) = ask_all(server, ["a"], concurrent=True, timeout=0.3)
        assert isinstance(error, TimeoutError)
        server.update(faults={})

        def served():
            return ask(server, "b").status == 200

        until(served)
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
        ask_all(server, texts, concurrent=True)
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
