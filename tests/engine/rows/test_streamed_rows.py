"""Rows whose answers are streamed: side by side, none for another, and nothing paid is lost."""

from __future__ import annotations

import asyncio
import json
from collections import Counter

import httpx2
import openai
import pytest

from llmframe.engine.events import AnswerGrows, Unread
from llmframe.engine.rows.budget import Budget
from llmframe.engine.rows.patience import Patience
from llmframe.engine.wire.reply import as_reply
from llmframe.providers.responses.streamed import join_stream
from llmframe.testing.answers import row_text
from tests.kits import virtual_time
from tests.kits.engine import URL, Provider, numbered, status_error, wire

ANSWER = '{"intent": "refund"}' + " " * 220  # 60 tokens of four characters
RATE = 20  # tokens a second
LATENCY = 0.2  # seconds until the first token
TEN = [f"row {n}" for n in range(10)]


class Streaming(Provider):
    """Streams answers; ``answer`` says after how many tokens a row's stream ends, and how."""

    async def send(self, body, growing=None):
        self.bodies.append(body)
        if "stream" not in body:
            return await super().send(body)
        text = row_text(body["messages"])
        attempt, self.asked[text] = self.asked[text], self.asked[text] + 1
        tokens, end = self.answer(text, attempt)
        await asyncio.sleep(self.latency)
        for at in range(0, 4 * tokens, 4):
            await asyncio.sleep(1 / RATE)
            growing.add(data({"content": ANSWER[at : at + 4]}))
        if isinstance(end, Exception):
            raise end
        await asyncio.sleep(end)
        growing.add(data({}, "stop"))
        return as_reply(join_stream(growing.finish()), {})


def data(delta, finish=None):
    choice = {"index": 0, "delta": delta, "finish_reason": finish}
    return b"data: " + json.dumps({"choices": [choice]}).encode() + b"\n\n"


def whole(text, attempt):
    return 60, 0.0


def go(answer=whole, *, before=None, after=None, **options):
    """A run of ten rows that are streamed; when each row's words came; and how it ended."""
    grown: list[tuple[float, AnswerGrows]] = []

    def note(event):
        if isinstance(event, AnswerGrows):
            grown.append((virtual_time.now() - 1000, event))

    async def main():
        options.setdefault("probes", True)
        wired = wire(
            numbered(10), Streaming(answer, LATENCY), streams=True, observers=[note], **options
        )
        if before is not None:
            before(wired)
        return await wired.run()

    return virtual_time.run(main()), grown


def first_words(grown):
    """When each row's first words came."""
    return {event.position: at for at, event in reversed(grown)}


def test_all_answers_begin_within_a_second_of_the_first_and_are_written_side_by_side():
    wired, grown = go()
    began = first_words(grown)
    assert len(began) == 10
    assert max(began.values()) - min(began.values()) <= 1.0
    assert max(at for at, _ in grown) <= max(began.values()) + 60 / RATE
    assert wired.statuses == ["ok"] * 10
    assert wired.tally.requests == 10


def test_a_known_endpoint_is_asked_for_all_of_them_at_once():
    _, grown = go(probes=False)
    began = first_words(grown)
    assert max(began.values()) - min(began.values()) < 0.01


BROKEN = openai.APIConnectionError(request=httpx2.Request("POST", URL))
BROKEN.__cause__ = ConnectionResetError()
ENDS = {"breaks": (30, BROKEN), "stalls": (30, 1e9), "breaks at once": (0, BROKEN)}


@pytest.mark.parametrize("end", ENDS)
def test_a_stream_that_breaks_or_stalls_costs_no_other(end):
    def answer(text, attempt):
        return ENDS[end] if text == "row 3" and not attempt else whole(text, attempt)

    wired, grown = go(answer, patience=Patience(timeout=20))
    asked, usual = wired.provider.asked, first_words(go()[1])
    assert asked == Counter(TEN) + Counter({"row 3": 1})
    assert wired.statuses == ["ok"] * 10
    began = first_words(grown)
    assert all(began[at] <= usual[at] + 0.01 for at in began if at != 3)
    assert len([each for each in wired.events if isinstance(each, Unread)]) == 1


def test_words_that_keep_coming_are_never_thrown_away_by_the_time_out():
    wired, _ = go(patience=Patience(timeout=1.5))
    assert wired.statuses == ["ok"] * 10
    assert wired.tally.requests == 10


def test_a_deadline_ends_a_stream_all_the_same():
    wired, _ = go(patience=Patience(timeout=60, deadline=2.0))
    assert wired.statuses == ["failed"] * 10


@pytest.mark.parametrize("param", ["stream", "stream_options", None])
def test_an_endpoint_that_refuses_streams_is_asked_without_them(param):
    def answer(text, attempt):
        return 0, status_error(400, {"error": {"message": "Unsupported.", "param": param}})

    class Refusing(Streaming):
        async def send(self, body, growing=None):
            refused = "stream_options" if param == "stream_options" else "stream"
            if refused in body:
                self.bodies.append(body)
                raise answer("", 0)[1]
            if "stream" in body:
                return await super().send(body, growing)
            return await Provider.send(self, body)

    async def main():
        wired = wire(numbered(10), Refusing(), streams=True, probes=True)
        wired.provider.answer = Provider().answer if refuses_all else whole
        return await wired.run()

    refuses_all = param != "stream_options"
    wired = virtual_time.run(main())
    assert wired.statuses == ["ok"] * 10
    refused = [body for body in wired.provider.bodies if (param or "stream") in body]
    assert len(refused) <= 3


def test_a_stop_lets_all_streams_come_to_their_end():
    def stop(wired):
        asyncio.get_running_loop().call_later(2.5, wired.pipeline.stop)

    wired, grown = go(before=stop)
    assert wired.statuses == ["ok"] * 10
    assert len(grown) == 600


def test_answers_that_are_not_streamed_emit_no_words():
    async def main():
        return await wire(numbered(3)).run()

    wired = virtual_time.run(main())
    assert not any(isinstance(event, AnswerGrows) for event in wired.events)
    assert not any("stream" in body for body in wired.provider.bodies)


def test_under_a_budget_the_first_answer_is_awaited_as_ever():
    _, grown = go(budget=Budget(max_tokens=10**9))
    began = sorted(first_words(grown).values())
    assert began[1] - began[0] >= 60 / RATE
