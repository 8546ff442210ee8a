"""Chat completions in the words of the Responses API, and back."""

from __future__ import annotations

import asyncio
import contextlib
import json

import httpx2
import openai
import pytest
from hypothesis import given
from hypothesis import strategies as st
from openai.types.responses import Response

from llmframe.engine.asking.asking import Asker
from llmframe.engine.row import Row
from llmframe.engine.wire.reply import read_reply
from llmframe.engine.wire.responses_api import as_response_request
from llmframe.engine.wire.verdict import BadReply
from llmframe.options.settings import Settings
from llmframe.providers.dialect import FULL_DIALECT
from llmframe.results import Usage
from llmframe.task.fields import resolve_fields
from llmframe.task.prompt import Prompt
from llmframe.testing import serve

PROMPT = Prompt("Tag it.", resolve_fields({"intent": ["refund", "other"], "summary": str}))
ANSWER = '{"intent": "refund", "summary": "a lamp"}'


def request(**options):
    asker = Asker(PROMPT, Settings(model="m", api="responses", **options), nonce="n")
    return asker.body(Row(0, b"k", "a record"), FULL_DIALECT)


def message(*parts):
    return {"type": "message", "role": "assistant", "content": list(parts)}


def text(value=ANSWER, **more):
    return {"type": "output_text", "text": value, "annotations": [], **more}


def read(*output, status="completed", **more):
    body = {"object": "response", "status": status, "output": list(output), **more}
    return read_reply(httpx2.Response(200, json=body))


def test_a_request_has_the_words_of_the_api():
    body = request(max_output_tokens=50, confidence="logprob", seed=7)
    chat = Asker(PROMPT, Settings(model="m"), nonce="n").body(
        Row(0, b"k", "a record"), FULL_DIALECT
    )
    schema = chat["response_format"]["json_schema"]
    assert body == {
        "model": "m",
        "input": chat["messages"],
        "temperature": 0.0,
        "seed": 7,
        "store": False,
        "max_output_tokens": 50,
        "include": ["message.output_text.logprobs"],
        "top_logprobs": 5,
        "text": {"format": {"type": "json_schema", **schema}},
    }


def test_simpler_dialects_have_their_words_too():
    asker = Asker(PROMPT, Settings(model="m", api="responses"), nonce="n")
    row = Row(0, b"k", "a record")
    json_object = FULL_DIALECT.without("json_schema")
    assert asker.body(row, json_object)["text"] == {"format": {"type": "json_object"}}
    assert "text" not in asker.body(row, json_object.without("json_object"))


def test_what_the_person_adds_stays():
    extra = {"store": None, "text": {"verbosity": "low"}, "reasoning": {"effort": "low"}}
    body = request(
        extra_body={**extra, "include": ["file_search_call.results"]}, confidence="logprob"
    )
    assert "store" not in body
    assert body["reasoning"] == {"effort": "low"}
    assert body["text"]["verbosity"] == "low"
    assert body["text"]["format"]["type"] == "json_schema"
    assert body["include"] == ["file_search_call.results", "message.output_text.logprobs"]
    assert (
        request(extra_body={"max_output_tokens": 9}, max_output_tokens=50)["max_output_tokens"] == 9
    )


def test_an_answer_is_read_with_its_usage():
    usage = {
        "input_tokens": 90,
        "input_tokens_details": {"cached_tokens": 64},
        "output_tokens": 20,
        "output_tokens_details": {"reasoning_tokens": 8},
        "total_tokens": 110,
    }
    thought = {"type": "reasoning", "summary": [{"type": "summary_text", "text": "A lamp."}]}
    reply = read(thought, message(text()), usage=usage)
    assert (reply.content, reply.refusal) == (ANSWER, None)
    assert reply.usage == Usage(90, 20, tokens_cached=64)
    assert reply.elsewhere == ()


def test_parts_of_an_answer_are_joined_with_their_logprobs():
    pieces = [{"token": "{", "bytes": [123], "logprob": -0.5, "top_logprobs": []}]
    reply = read(message(text(ANSWER[:9], logprobs=pieces), text(ANSWER[9:])))
    assert reply.content == ANSWER
    assert reply.tokens == ((b"{", -0.5),)


@pytest.mark.parametrize(
    ("reason", "ends"),
    [("max_output_tokens", "truncated"), ("content_filter", "content_filter"), (None, "truncated")],
)
def test_an_incomplete_answer_says_why(reason, ends):
    details = {"reason": reason} if reason else None
    reply = read(message(text(ANSWER[:9])), status="incomplete", incomplete_details=details)
    asker, row = Asker(PROMPT, Settings(model="m", api="responses"), nonce="n"), Row(0, b"k", "a")
    row.note_sent(0.0, FULL_DIALECT)
    assert asker.read(row, reply, final=True).error.kind == ends


def test_an_answer_that_thoughts_used_up_is_cut():
    assert (
        read(status="incomplete", incomplete_details={"reason": "max_output_tokens"}).content
        is None
    )


def test_a_refusal_is_the_models_own():
    reply = read(message({"type": "refusal", "refusal": "I cannot."}))
    assert (reply.content, reply.refusal) == (None, "I cannot.")


def test_an_answer_as_a_function_call_or_among_thoughts_is_found():
    call = {"type": "function_call", "name": "f", "arguments": ANSWER}
    assert read(call).elsewhere == (ANSWER,)
    open_thought = {"type": "reasoning", "content": [{"type": "reasoning_text", "text": ANSWER}]}
    assert ANSWER in read(open_thought).elsewhere


@pytest.mark.parametrize(
    "body",
    [
        {"object": "response", "status": "failed", "error": {"code": "server_error"}, "output": []},
        {"object": "response", "status": "failed", "error": {"message": "no"}},
        {"object": "response", "status": "completed", "output": []},
        {"object": "response", "status": "cancelled", "output": [message(text())]},
        {"output": {"text": ANSWER}},
    ],
)
def test_what_is_no_answer_is_none(body):
    with pytest.raises(BadReply):
        read_reply(httpx2.Response(200, json=body))


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                ["type", "content", "text", "refusal", "logprobs", "summary", "arguments"]
            )
            | st.text(max_size=4),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)


@given(st.fixed_dictionaries({"object": st.just("response"), "output": JSON, "status": JSON}))
def test_junk_is_a_reply_or_a_bad_reply_and_nothing_else(body):
    with contextlib.suppress(BadReply):
        read_reply(httpx2.Response(200, content=json.dumps(body).encode()))


def test_the_test_server_answers_as_the_sdk_reads_it():
    async def ask(url):
        async with openai.AsyncOpenAI(base_url=url, api_key="k") as client:
            body = request(max_output_tokens=200, confidence="logprob")
            return await client.post("/responses", body=body, cast_to=Response)

    with serve(cache=True) as server:
        answer = asyncio.run(ask(server.url))
    Response.model_validate(answer.model_dump())
    assert json.loads(answer.output_text)["intent"] in ("refund", "other")
    assert answer.usage.input_tokens > 0
    assert answer.output[0].content[0].logprobs
    assert as_response_request({"messages": [], "model": "m"}) == {"input": [], "model": "m"}
