"""The forms of a reply: what is read of it, and what is none."""

from __future__ import annotations

import json

import httpx2
import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmframe.engine.wire.reply import Reply, read_reply
from llmframe.engine.wire.verdict import BadReply
from llmframe.results import Usage

BODY = {"model": "test-model", "messages": [{"role": "user", "content": "a parcel"}]}
COMPLETION = {
    "choices": [{"message": {"content": "hello"}, "finish_reason": "stop"}],
    "usage": {"prompt_tokens": 12, "completion_tokens": 5},
}


def response(data, content_type="application/json"):
    content = data if isinstance(data, bytes) else json.dumps(data).encode()
    return httpx2.Response(200, content=content, headers={"content-type": content_type, "x-a": "b"})


def read(data, **more):
    return read_reply(response(data, **more))


def bad(data, **more):
    with pytest.raises(BadReply) as caught:
        read(data, **more)
    return caught.value


def with_choice(**choice):
    return COMPLETION | {"choices": [choice]}


def test_a_completion_is_read():
    assert read(COMPLETION) == Reply(
        "hello", "stop", None, Usage(12, 5), response(COMPLETION).headers
    )


def test_headers_come_along():
    assert read(COMPLETION).headers["X-A"] == "b"


@pytest.mark.parametrize(
    ("message", "content"),
    [
        ({"content": ""}, ""),
        ({"content": None}, None),
        ({}, None),
        (None, None),
        ("hello", None),
        ({"content": 7}, None),
        ({"content": [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]}, "ab"),
        ({"content": [{"type": "thinking", "thinking": "hm"}, {"text": "a"}]}, "a"),
        ({"content": [{"text": None}, "x", 3]}, ""),
        ({"content": []}, ""),
    ],
)
def test_content_is_text_or_none(message, content):
    assert read(with_choice(message=message, finish_reason="stop")).content == content


def test_a_refusal_is_read():
    reply = read(with_choice(message={"content": None, "refusal": "I cannot"}))
    assert (reply.content, reply.refusal, reply.finish_reason) == (None, "I cannot", None)


def test_only_the_first_choice_counts():
    more = COMPLETION | {"choices": [*COMPLETION["choices"], {"message": {"content": "other"}}]}
    assert read(more).content == "hello"


@pytest.mark.parametrize(
    ("usage", "expected"),
    [
        (None, Usage()),
        ([], Usage()),
        ({}, Usage()),
        ({"prompt_tokens": None, "completion_tokens": "7"}, Usage()),
        ({"prompt_tokens": 3.0, "completion_tokens": 4}, Usage(3, 4)),
        ({"prompt_tokens": -3, "completion_tokens": True}, Usage()),
        ({"prompt_tokens": 10**400, "completion_tokens": 1e300}, Usage()),
        ({"prompt_tokens": 10**9, "completion_tokens": 10**9, "cost": 1e7}, Usage()),
        ({"cost": 0.25}, Usage(cost=0.25)),
        ({"cost": 0}, Usage(cost=0.0)),
        ({"cost": -1}, Usage()),
        ({"cost": True}, Usage()),
        ({"cost": "0.1"}, Usage()),
    ],
)
def test_usage_is_what_can_be_counted(usage, expected):
    assert read(COMPLETION | {"usage": usage}).usage == expected


@pytest.mark.parametrize("junk", [b"NaN", b"Infinity", b"-Infinity", b"1e999"])
def test_usage_that_is_no_number_is_nothing(junk):
    usage = b'{"prompt_tokens": %b, "completion_tokens": %b, "cost": %b}' % (junk, junk, junk)
    raw = b'{"choices": [{"message": {"content": "x"}}], "usage": %b}' % usage
    assert read(raw).usage == Usage()


def test_half_an_emoji_does_not_spoil_a_reply():
    raw = b'{"choices": [{"message": {"content": "a \\ud83d b"}, "finish_reason": "stop"}]}'
    assert read(raw).content == "a \ud83d b"


def test_a_byte_order_mark_does_not_spoil_a_reply():
    assert read(b"\xef\xbb\xbf" + json.dumps(COMPLETION).encode()).content == "hello"


def test_an_empty_body_and_broken_json_have_messages_of_their_own():
    assert str(bad(b" \n", content_type="text/html")) == "the endpoint answered with an empty body"
    broken = bad(b'{"choices": [', content_type="application/json")
    assert str(broken) == "the endpoint answered with broken JSON"


@pytest.mark.parametrize("raw", [b"<html>", b"{", b'{"a": 1} {"b": 2}', b"\xff\xfe\x00"])
def test_what_is_no_json_is_named_by_its_content_type(raw):
    found = bad(raw, content_type="text/html")
    assert str(found) == "the endpoint answered with text/html instead of JSON"
    assert found.error is None


def test_json_too_deep_to_read_is_a_bad_reply():
    bad(b"[" * 100_000)


@pytest.mark.parametrize("data", [[], 0, None, "", {}, {"choices": None}, {"choices": "x"}])
def test_what_is_no_completion_is_a_bad_reply_without_an_error(data):
    assert not bad(data).error


@pytest.mark.parametrize("choices", [[], [None], ["x"], {}])
def test_a_reply_without_a_choice_keeps_its_usage(choices):
    found = bad(COMPLETION | {"choices": choices, "error": None})
    assert not found.error
    assert found.usage == Usage(12, 5)


@pytest.mark.parametrize("error", [{"code": 502, "message": "x"}, "went wrong", ["x"]])
def test_an_error_under_status_200_is_kept(error):
    assert bad({"error": error}).error == error
    assert bad(COMPLETION | {"error": error}).usage == Usage(12, 5)


def test_a_list_of_errors_is_kept():
    assert bad([{"error": {"code": 429}}]).error == [{"error": {"code": 429}}]


def test_a_choice_that_ended_with_an_error_is_none():
    error = {"code": 429, "message": "busy"}
    assert bad(with_choice(finish_reason="error", error=error, message={})).error == error
    assert bad(with_choice(finish_reason="error")).error is None


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: (
        st.lists(inner)
        | st.dictionaries(
            st.sampled_from(
                ["choices", "message", "content", "usage", "error", "cost", "prompt_tokens",
                 "finish_reason", "refusal"]
            ),
            inner,
        )
    ),
)  # fmt: skip


@given(json_values | st.binary())
def test_any_reply_is_a_completion_or_a_bad_reply(data):
    try:
        usage = read(data).usage
    except BadReply as found:
        usage = found.usage
    assert usage.tokens_in >= 0
    assert usage.cost is None or usage.cost >= 0
