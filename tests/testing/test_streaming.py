"""The test server's streams, read by the SDK."""

from __future__ import annotations

import json
import urllib.request

import openai
import pytest

from llmframe.testing import serve
from tests.kits.until import until

ASKED = [{"role": "user", "content": "refund me"}]


@pytest.fixture(scope="module")
def server():
    with serve(stream=10_000, answer=lambda text, body: '{"intent": "refund"}') as running:
        yield running


@pytest.fixture
def client(server):
    server.ledger.clear()
    server.update(fault_rows={}, unsupported=(), stream=10_000)
    with openai.OpenAI(api_key="k", base_url=server.url, max_retries=0, timeout=5) as client:
        yield client


def test_a_completion_comes_in_pieces_with_its_usage_at_the_end(server, client):
    usage = {"include_usage": True}
    chunks = [*client.chat.completions.create(
        model="m", messages=ASKED, stream=True, stream_options=usage)]  # fmt: skip
    pieces = [each.choices[0].delta.content or "" for each in chunks if each.choices]
    assert len([piece for piece in pieces if piece]) == 5
    assert "".join(pieces) == '{"intent": "refund"}'
    assert chunks[-2].choices[0].finish_reason == "stop"
    assert chunks[-1].usage.completion_tokens == 5
    [call] = server.ledger.calls
    assert (call.status, call.billed, call.tokens_out, call.fault) == (200, True, 5, None)


def test_a_response_comes_as_events(server, client):
    body = json.dumps({"model": "m", "input": "refund me", "stream": True}).encode()
    with urllib.request.urlopen(server.url + "/responses", body) as answer:
        lines = answer.read().decode().split("\n\n")
    events = [json.loads(line.removeprefix("data: ")) for line in lines if line]
    deltas = [each["delta"] for each in events if each["type"] == "response.output_text.delta"]
    assert "".join(deltas) == '{"intent": "refund"}'
    last = events[-1]
    assert last["type"] == "response.completed"
    assert last["response"]["output"][0]["content"][0]["text"] == '{"intent": "refund"}'


@pytest.mark.parametrize("fault", ["break", "stall"])
def test_a_stream_breaks_or_stalls_in_its_middle_and_what_was_sent_is_billed(server, client, fault):
    server.update(fault_rows={"refund": fault})
    stream = client.with_options(timeout=2).chat.completions.create(
        model="m", messages=ASKED, stream=True
    )
    pieces = []
    with pytest.raises(Exception, match=r"(?i)time|connection|closed|peer"):
        pieces.extend(each.choices[0].delta.content for each in stream)
    assert "".join(pieces) == '{"intent'
    until(lambda: server.ledger.calls[0].billed)
    assert (server.ledger.calls[0].tokens_out, server.ledger.calls[0].answered) == (2, None)


def test_the_same_faults_leave_no_answer_that_is_not_streamed(server, client):
    server.update(fault_rows={"refund": "break"})
    with pytest.raises(openai.APIConnectionError):
        client.chat.completions.create(model="m", messages=ASKED)
    assert not server.ledger.calls[0].billed


def test_a_server_without_streams_or_without_their_options_refuses_them(server, client):
    for changes, name in (
        ({"stream": None}, "stream"),
        ({"stream": 5, "unsupported": ("stream_options",)}, "stream_options"),
    ):
        server.update(**changes)
        with pytest.raises(openai.BadRequestError) as refused:
            client.chat.completions.create(
                model="m", messages=ASKED, stream=True, stream_options={"include_usage": True}
            )
        assert refused.value.param == name
