"""The test server's ledger: rows, attempts, and what was paid twice."""

from __future__ import annotations

import asyncio
import time

import aiohttp
import pytest

from llmframe.providers.responses.usage import read_usage
from llmframe.testing import serve
from llmframe.testing.options import USAGES
from tests.kits.http_client import ask, ask_all, body, send
from tests.kits.until import until, until_true


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
        ask_all(server, ["a"] * 4, concurrent=True)
        assert server.ledger.connections == 4


def test_an_answer_is_billed_even_if_the_client_has_left():
    async def leave(server):
        async with aiohttp.ClientSession() as session:
            asking = asyncio.create_task(send(session, server, body("a")))
            await until_true(lambda: len(server.ledger) == 1)
            asking.cancel()

    with serve(latency=0.5) as server:
        asyncio.run(leave(server))
        until(lambda: server.ledger.calls[0].billed)


def test_prompts_that_begin_alike_are_cached_and_billed_as_such():
    shared = "the same beginning of every prompt " * 20  # 700 bytes: two whole blocks
    with serve(cache=True) as server:
        ask_all(server, [shared + "a", shared + "b", "something else"])
        first, second, other = server.ledger.calls
        assert (first.tokens_cached, second.tokens_cached, other.tokens_cached) == (0, 128, 0)
        assert second.tokens_in > 128
        prices = {"in": 1.0, "out": 2.0, "cached": 0.1}
        used = [(call.tokens_in, call.tokens_cached, call.tokens_out) for call in (first, second)]
        full, less = ((i - c) + 0.1 * c + 2 * o for i, c, o in used)
        assert second.cost(prices) * 1e6 == pytest.approx(less)
        assert server.ledger.cost(prices) * 1e6 == pytest.approx(
            full + less + 1e6 * other.cost(prices)
        )


@pytest.mark.parametrize("usage", [*USAGES, None])
def test_the_tokens_are_stated_as_each_family_of_providers_does(usage):
    shared = "the same beginning of every prompt " * 20
    with serve(cache=True, usage=usage) as server:
        ask(server, shared + "a")
        body = ask(server, shared + "b").json
        call = server.ledger.calls[1]
        assert ("usage" in body) == (usage is not None)
        read = read_usage(body.get("usage"))
        expected = (call.tokens_in, call.tokens_cached, call.tokens_out)
        assert (read.tokens_in, read.tokens_cached, read.tokens_out) == (
            expected if usage else (0, 0, 0)
        )
        assert (read.cost is None) == (usage != "openrouter")


def test_an_unknown_spelling_of_usage_is_refused():
    with pytest.raises(ValueError, match="usage='mine'"):
        serve(usage="mine")
