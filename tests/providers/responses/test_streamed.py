"""A streamed answer is read the same however its bytes come, and used as soon as it is whole."""

from __future__ import annotations

import itertools
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmframe.providers.responses.streamed import GrowingText, join_stream

ANSWER = '{"note": "漢字 \u2028 \x85 {} [DONE]\\n", "intent": "refund"}'


def chunk(content=None, finish=None, **more):
    delta = {} if content is None else {"content": content}
    return {"choices": [{"index": 0, "delta": delta, "finish_reason": finish}], **more}


def stream(*chunks, end="data: [DONE]\n\n", line="\n\n"):
    datas = [f"data: {json.dumps(each, ensure_ascii=False)}{line}" for each in chunks]
    return (": a comment" + line + "".join(datas) + end).encode()


PIECES = [chunk(ANSWER[at : at + 4]) for at in range(0, len(ANSWER), 4)]
USAGE = {"choices": [], "usage": {"prompt_tokens": 7, "completion_tokens": 3}}
WHOLE = stream(chunk(""), *PIECES, chunk(finish="stop"), USAGE)
EVENTS = stream(
    {"type": "response.created", "response": {"output": []}},
    *({"type": "response.output_text.delta", "delta": each} for each in (ANSWER[:9], ANSWER[9:])),
    {"type": "response.completed", "response": {"output": [{"type": "message"}], "usage": {}}},
    end="",
)


def read(body, cuts=()):
    """What has grown, once for every growth, and the reader."""
    grown = []
    growing = GrowingText(grown.append)
    edges = [0, *sorted(cuts), len(body)]
    for start, stop in itertools.pairwise(edges):
        growing.add(body[start:stop])
    return grown, growing


@given(st.lists(st.integers(0, len(WHOLE)), max_size=30), st.sampled_from(["\n\n", "\r\n\r\n"]))
def test_the_text_grows_to_the_answer_however_the_bytes_are_cut(cuts, line):
    body = stream(chunk(""), *PIECES, chunk(finish="stop"), USAGE, line=line)
    grown, growing = read(body, cuts)
    assert all(ANSWER.startswith(text) for text in grown)
    assert grown[-1] == ANSWER
    assert growing.is_whole
    joined = join_stream(growing.finish())
    assert joined["choices"][0]["message"]["content"] == ANSWER
    assert joined["usage"] == USAGE["usage"]


def test_a_stream_that_breaks_anywhere_is_an_answer_if_it_was_whole_and_else_an_error():
    ends = []
    for at in range(len(WHOLE)):
        _, growing = read(WHOLE[:at])
        joined = join_stream(growing.finish())
        message = joined["choices"][0]["message"] if joined and joined.get("choices") else {}
        ends.append(growing.is_whole)
        if growing.is_whole:
            assert (message["content"], joined.get("error")) == (ANSWER, None)
        elif joined is not None:
            assert joined["error"]["message"] == "the endpoint's stream broke off"
            assert len(message.get("content", "")) < len(ANSWER)
    assert ends == sorted(ends)
    assert {True, False} == set(ends)


def test_the_events_of_the_responses_api_are_read_too():
    grown, growing = read(EVENTS, range(0, len(EVENTS), 20))
    assert (grown[-1], growing.is_whole) == (ANSWER, True)
    assert join_stream(growing.finish())["output"] == [{"type": "message"}]
    _, broken = read(EVENTS[: EVENTS.index(b"response.completed")])
    assert join_stream(broken.finish())["choices"][0]["message"]["content"] == ANSWER
    _, sooner = read(EVENTS[: EVENTS.index(b"refund")])
    assert "error" in join_stream(sooner.finish())


@pytest.mark.parametrize("indent", [None, 2])
def test_an_answer_that_is_not_streamed_after_all_stays_as_it_is(indent):
    body = json.dumps({"choices": [{"message": {"content": ANSWER}}]}, indent=indent).encode()
    grown, growing = read(body)
    assert (grown, growing.is_whole, growing.finish()) == ([], False, body)


@given(st.binary(max_size=60))
def test_no_bytes_are_an_error_of_the_reader(body):
    _, growing = read(b"data: " + body)
    growing.finish()


@pytest.mark.parametrize("index", [-1, -(10**9), 10**9, None])
def test_a_forged_index_of_a_tool_call_is_no_error(index):
    call = {"index": index, "function": {"arguments": ANSWER}}
    body = stream({"choices": [{"index": 0, "delta": {"tool_calls": [call]}}]})
    calls = join_stream(body)["choices"][0]["message"]["tool_calls"]
    assert calls[-1]["function"]["arguments"] == ANSWER
