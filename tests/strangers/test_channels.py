"""Where a good answer stands in a response, and odd parts of a response that must not cost it."""

from __future__ import annotations

import json

import httpx2
import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmframe.engine.asking.asking import Asker
from llmframe.engine.row import Row
from llmframe.engine.wire.reply import read_reply
from llmframe.engine.wire.verdict import BadReply
from llmframe.options.settings import Settings
from llmframe.providers.dialect import FULL_DIALECT
from llmframe.results import Usage
from llmframe.task.fields import resolve_fields
from llmframe.task.prompt import Prompt

PROMPT = Prompt("Tag it.", resolve_fields({"intent": ["refund", "other"], "summary": str}))
GOLD = {"intent": "refund", "summary": "a lamp"}
STRICT = json.dumps(GOLD)
DRAFT = json.dumps({**GOLD, "intent": "other"})


def response(data, content_type="application/json"):
    body = data if isinstance(data, bytes) else json.dumps(data).encode()
    return httpx2.Response(200, content=body, headers={"content-type": content_type})


def completion(message=None, finish="stop", **top):
    choice = {"message": {"content": None, **(message or {})}, "finish_reason": finish}
    return {"choices": [choice], **top}


def ask(data, **options):
    """What one row makes of one response: its result, None where it is asked again."""
    asker = Asker(PROMPT, Settings(model="m", details=True, **options), nonce="n")
    row = Row(0, b"k", "a record")
    row.note_sent(0.0, FULL_DIALECT)
    return asker.read(row, read_reply(response(data)), final=False)


def call(arguments):
    return {"id": "t", "type": "function", "function": {"name": "f", "arguments": arguments}}


THOUGHT = {"type": "thinking", "thinking": [{"type": "text", "text": "hm " + DRAFT}]}

TAKEN = {
    # vllm#17349, Qwen3#1297, sglang#37645, litellm#38199
    "in reasoning_content": {"reasoning_content": STRICT},
    "in reasoning, behind blanks": {"content": " \n", "reasoning": f"\n{STRICT}"},
    "in reasoning_details": {"reasoning_details": [{"type": "text", "text": STRICT}]},
    "in reasoning, after thoughts": {"reasoning": f"<think>{DRAFT}</think>{STRICT}"},
    # litellm#6741, #25740
    "in a tool call": {"tool_calls": [call(STRICT)]},
    "in a tool call as an object": {"content": "", "tool_calls": [call(GOLD)]},
    "in two calls alike": {"tool_calls": [call(STRICT), call(STRICT)]},
    "in a function call": {"function_call": {"name": "f", "arguments": STRICT}},
    "in a call, beside thoughts": {"tool_calls": [call(STRICT)], "reasoning_content": DRAFT},
    "as an object": {"content": GOLD},
    "parsed": {"parsed": GOLD},
    # parts: Mistral, genkit#6259
    "in parts": {"content": [THOUGHT, {"type": "text", "text": STRICT}]},
    "in parts of other names": {
        "content": [{"type": "reasoning", "text": DRAFT}, {"type": "output_text", "text": STRICT}]
    },
    "in Gemini's parts": {
        "content": {"parts": [{"text": DRAFT, "thought": True}, {"text": STRICT}]}
    },
    "in a part with a value": {"content": [{"type": "text", "text": {"value": STRICT}}]},
}


@pytest.mark.parametrize("how", TAKEN)
def test_a_good_answer_is_taken_where_it_stands(how):
    assert ask(completion(TAKEN[how])).values == GOLD


NEVER_TAKEN = {
    "a draft among thoughts": {"reasoning_content": f"Perhaps {DRAFT}?"},
    "a draft after thoughts": {"reasoning_content": f"The customer writes.\n{DRAFT}"},
    "an open thought": {"reasoning": f"<think>{DRAFT}"},
    "two calls": {"tool_calls": [call(STRICT), call(DRAFT)]},
    "a fragment": {"reasoning": '{"intent": "refund"}'},
    "thoughts beside a content": {"content": "I am done.", "reasoning_content": DRAFT},
    "only a thought": {"content": [THOUGHT]},
}


@pytest.mark.parametrize("how", NEVER_TAKEN)
def test_a_draft_elsewhere_is_no_answer(how):
    assert ask(completion(NEVER_TAKEN[how])) is None


def test_a_refusal_beats_what_stands_elsewhere():
    said = ask(completion({"refusal": "I cannot.", "reasoning_content": STRICT}))
    assert said.error.kind == "refusal"


# one-api's fixtures, new-api-horizon#9
@pytest.mark.parametrize(
    "error",
    [
        {"message": "", "type": "", "param": "", "code": None},
        {},
        [],
        "",
        {"code": 0},
        {"a": [None]},
        "null",
        {"code": 200, "message": "OK"},
        {"code": "0", "message": "success", "type": "None"},
    ],
)
def test_an_empty_error_beside_a_good_answer_says_nothing(error):
    assert ask(completion({"content": STRICT}, error=error)).values == GOLD


@pytest.mark.parametrize(
    "error",
    ["upstream is down", {"message": "", "code": 502}, {"a": True}, {"code": 0, "message": "no"}],
)
def test_an_error_that_says_something_counts(error):
    with pytest.raises(BadReply):
        ask(completion({"content": STRICT}, error=error))


# Streams that nobody asked for: 9router#3492, open-webui/computer#193, sage-wiki#52


def chunks(text=STRICT, finish="stop", step=7, **delta):
    parts = [{"content": text[at : at + step]} for at in range(0, len(text), step)]
    made = [{"choices": [{"index": 0, "delta": part}]} for part in [{"role": "assistant"}, *parts]]
    made.append({"choices": [{"index": 0, "delta": delta, "finish_reason": finish}]})
    return [*made, {"choices": [], "usage": {"prompt_tokens": 9, "completion_tokens": 4}}]


def lines(made, end="data: [DONE]\n\n", form="data: {}\n\n"):
    return ("".join(form.replace("{}", json.dumps(each)) for each in made) + end).encode()


STREAMS = {
    "chunks": lines(chunks()),
    "with comments and events": b": ping\n\nevent: message\n"
    + lines(chunks(), form="id: 1\ndata:{}\n\n"),
    "lines without a name": lines(chunks(), end="", form="{}\n"),
    "without the word at the end": lines(chunks(), end=""),
    "JSON and the end": json.dumps(completion({"content": STRICT})).encode()
    + b"\n\ndata: [DONE]\n\n",
    "JSON over lines and the end": json.dumps(completion({"content": STRICT}), indent=1).encode()
    + b"\ndata: [DONE]\n",
    "one chunk with all": lines([completion({"content": STRICT})]),
    "empty data": lines(chunks(), form="data:\n\ndata: {}\n\n"),
    "carriage returns": lines(chunks()).replace(b"\n", b"\r\n"),
    "two choices": lines([{"choices": [{"index": 1, "delta": {"content": "x"}}]}, *chunks()]),
    "thoughts in chunks": lines(
        [{"choices": [{"delta": {"reasoning_content": DRAFT}}]}, *chunks()]
    ),
    "a tool call in chunks": lines(
        [
            {"choices": [{"delta": {"tool_calls": [{"index": 0, **call(part)}]}}]}
            for part in (STRICT[:9], STRICT[9:])
        ]
        + chunks("", finish="tool_calls")
    ),
}


@pytest.mark.parametrize("how", STREAMS)
def test_a_stream_that_nobody_asked_for_is_read(how):
    assert ask(STREAMS[how]).values == GOLD


def test_a_stream_states_its_usage_and_its_logprobs():
    made = chunks()
    made[1]["choices"][0]["logprobs"] = {"content": [{"token": "a", "logprob": -0.5}]}
    made[2]["choices"][0]["logprobs"] = {"content": [{"token": "b", "logprob": -0.25}]}
    found = read_reply(response(lines(made)))
    assert found.usage == Usage(9, 4)
    assert found.tokens == ((b"a", -0.5), (b"b", -0.25))


@pytest.mark.parametrize("cut", [1, 2, 4])
def test_a_stream_that_broke_off_is_no_answer(cut):
    with pytest.raises(BadReply) as caught:
        read_reply(response(lines(chunks()[:cut], end="")))
    assert "broke off" in str(caught.value.error)


@pytest.mark.parametrize(
    "body", [b"data: hello\n\n", b"data: [1]\n\n", b"data: \xff\n\n", b"data:"]
)
def test_what_is_no_stream_of_chunks_is_no_answer(body):
    with pytest.raises(BadReply):
        read_reply(response(body, content_type="text/event-stream"))


# Odd parts cost themselves alone

ODD = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=9), inner, max_size=3)
    ),
    max_leaves=5,
)
OPTIONAL = ["usage", "id", "created", "model", "system_fingerprint", "service_tier", "object"]
BESIDE = ["tool_calls", "function_call", "reasoning", "reasoning_content", "role", "annotations"]


@given(
    st.dictionaries(st.sampled_from(OPTIONAL), ODD), st.dictionaries(st.sampled_from(BESIDE), ODD)
)
def test_odd_optional_parts_do_not_cost_the_answer(top, beside):
    assert ask(completion({"content": STRICT, **beside}, **top)).values == GOLD


@given(st.dictionaries(st.sampled_from([*BESIDE, "content", "parsed", "refusal"]), ODD))
def test_odd_messages_are_read_or_asked_again_but_never_raise(message):
    said = ask(completion(message))
    assert said is None or said.status in ("ok", "failed")


@given(ODD, st.lists(ODD, max_size=3), st.floats())
def test_odd_logprobs_cost_the_confidence_alone(whole, pieces, logprob):
    for odd in (
        whole,
        {"content": pieces},
        {"content": [{"token": STRICT, "logprob": logprob, "bytes": None}]},
        {"content": [{"token": STRICT, "logprob": -0.1, "bytes": pieces}]},
    ):
        data = completion({"content": STRICT})
        data["choices"][0]["logprobs"] = odd
        said = ask(data, confidence="logprob")
        assert said.values == GOLD
        assert all(0 <= value <= 1 for value in (said.confidence or {}).values())


def test_a_probability_above_one_or_none_at_all_is_no_confidence():
    for logprob in (1000, float("nan"), float("inf"), float("-inf")):
        data = completion({"content": STRICT})
        data["choices"][0]["logprobs"] = {"content": [{"token": STRICT, "logprob": logprob}]}
        assert not ask(data, confidence="logprob").confidence
