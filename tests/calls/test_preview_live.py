"""``preview(live=True)`` over a real wire: the same answers, paid once, whatever a stream does."""

from __future__ import annotations

import json

import pandas as pd
import pytest

import llmframe as lf
from llmframe import testing
from tests.kits.raw import CLOSE, Raw, http

FIELDS = {"intent": ["refund", "delivery", "other"], "名": str}
TEXTS = [f"text {n}" for n in range(30)]


def answer(text, body):
    return {"intent": "refund", "名": f"on {text}"}


@pytest.fixture(scope="module")
def running():
    with testing.serve(stream=2_000, answer=answer) as server:
        yield server


@pytest.fixture
def served(running):
    running.update(stream=2_000, fault_rows={}, unsupported=(), faults={})
    running.ledger.clear()
    lf.configure(model="m", base_url=running.url, progress=False)
    return running


def frame():
    return pd.DataFrame({"text": TEXTS})


def preview(**options):
    return frame().llm.preview("text", FIELDS, live=True, **options)


@pytest.mark.parametrize("kept", [{}, {"checkpoint": "mine.jsonl"}, {"checkpoint": False}])
@pytest.mark.parametrize("api", ["chat", "responses"])
def test_tag_pays_for_no_row_of_a_live_preview_again(served, kept, api):
    live = preview(api=api, **kept)
    still = frame().llm.preview("text", FIELDS, api=api, **kept)
    out = frame().llm.tag("text", FIELDS, api=api, **kept)
    assert served.ledger.rows() == dict.fromkeys(TEXTS, 1)
    pd.testing.assert_frame_equal(pd.DataFrame(live), pd.DataFrame(still))
    assert live["名"].tolist() == [f"on {text}" for text in live["text"]]
    assert out["llm_status"].eq("ok").all()


def test_the_usage_at_the_end_of_a_stream_is_what_is_counted(served):
    preview()
    report = lf.last_run().report
    assert report.tokens_out == sum(call.tokens_out for call in served.ledger.calls)
    assert report.tokens_in == sum(call.tokens_in for call in served.ledger.calls)
    assert report.estimated == 0


@pytest.mark.parametrize("fault", ["break", "stall"])
def test_one_stream_that_breaks_or_stalls_costs_no_other(served, fault):
    def once(text, attempt):
        return fault if text == "text 7" and not attempt else None

    served.update(faults=once)
    out = preview(n=30, timeout=3)  # a busy machine holds up the others for less
    assert out["llm_status"].eq("ok").all()
    assert served.ledger.rows() == dict.fromkeys(TEXTS, 1) | {"text 7": 2}


@pytest.mark.parametrize(
    "changes",
    [{"stream": None}, {"unsupported": ("stream",)}, {"unsupported": ("stream_options",)}],
)
def test_an_endpoint_that_refuses_streams_answers_as_ever(served, changes):
    served.update(**changes)
    assert preview()["llm_status"].eq("ok").all()
    refused = [call for call in served.ledger.calls if call.status == 400]
    assert (len(refused), len(served.ledger)) == (1, 11)


def chunk(content, finish=None):
    choice = {"index": 0, "delta": {"content": content}, "finish_reason": finish}
    return f"data: {json.dumps({'choices': [choice]})}\n\n".encode()


HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\n"
ENDINGS = {
    "breaks after the last word": [CLOSE],
    "breaks in the middle of the next chunk": [b'data: {"choices": [{"ind', CLOSE],
    "never ends after the last word": [9.0],
    "is no stream after all": [],
}


@pytest.mark.parametrize("ending", ENDINGS)
def test_an_answer_that_is_whole_is_used_however_its_stream_ends(ending):
    """What was written is paid for; nobody pays for it again because its end is missing."""

    def script(asked):
        assert asked.body["stream"] is True
        if not ENDINGS[ending]:
            return http({"choices": [{"message": {"content": asked.content}}]})
        return [HEAD, *map(chunk, asked.content), *ENDINGS[ending]]

    with Raw(script) as server:
        lf.configure(model="m", base_url=server.url, progress=False)
        out = preview(n=3, timeout=8)
        assert out["llm_status"].eq("ok").all()
        assert len(server.asked) == 3


def test_a_client_of_your_own_streams_too_and_its_answers_come_whole(served):
    import httpx2
    import openai

    def make():
        return openai.AsyncOpenAI(
            base_url=served.url, api_key="k", http_client=httpx2.AsyncClient()
        )

    assert preview(client=make, base_url=None)["llm_status"].eq("ok").all()
    assert len(served.ledger) == 10
