"""The test server's ledger: rows, attempts, and what was paid twice."""

from __future__ import annotations

import time

from llmframe.testing import serve
from tests.kits.http_client import ask, ask_all
from tests.kits.until import until


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
    with serve(latency=0.2) as server:
        (error,) = ask_all(server, ["a"], concurrent=True, timeout=0.05)
        assert isinstance(error, TimeoutError)
        until(lambda: server.ledger.calls[0].billed)
