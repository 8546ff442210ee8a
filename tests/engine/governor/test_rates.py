"""Requests and tokens a minute: reserved, settled, and kept for all runs together."""

from __future__ import annotations

import asyncio

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llmframe.engine.governor import Governor
from llmframe.engine.governor.gcra import SHARE, SLACK
from llmframe.engine.governor.tokens import OUTPUT_GUESS
from llmframe.results import Usage
from tests.kits import virtual_time
from tests.kits.engine import knowing
from tests.kits.governor import lose, new_gate, send


def test_tokens_are_reserved_by_the_estimate_and_settled_to_usage():
    gate = new_gate()
    gate.tokens.ask(6000)  # a hundred a second
    (ticket,) = send(gate, 0.0, size=400)
    assert gate.wait(0.0) == pytest.approx((100 + OUTPUT_GUESS) / 100)
    gate.take_off(ticket)
    gate.succeeded(ticket, 1.0, Usage(450, 50), clean=True)
    assert gate.wait(0.0) == pytest.approx(500 / 100)


def test_the_estimate_learns_from_usage():
    gate = new_gate()
    for _ in range(100):
        (ticket,) = send(gate, 0.0, size=400)
        gate.take_off(ticket)
        gate.succeeded(ticket, 1.0, Usage(200, 10), clean=True)
    gate.tokens.ask(6000)
    send(gate, 1.0, size=400)
    assert gate.wait(1.0) == pytest.approx(210 / 100)


def test_a_refused_request_took_no_tokens_but_counts_as_a_request():
    gate = new_gate()
    gate.tokens.ask(60)
    gate.requests.ask(60)
    (ticket,) = send(gate, 0.0)
    gate.take_off(ticket)
    gate.refused(ticket, 0.0, 0.0)
    assert gate.tokens.wait(0.0) == 0
    assert gate.requests.wait(0.0) == 1.0


def test_a_timed_out_request_keeps_its_reservation():
    gate = new_gate()
    gate.tokens.ask(60)
    tickets = send(gate, 0.0)
    before = gate.tokens.wait(0.0)
    lose(gate, tickets, 0.0)
    assert gate.tokens.wait(0.0) == before > 0


def test_a_lease_that_was_not_used_costs_nothing():
    gate = new_gate()
    gate.tokens.ask(60)
    gate.requests.ask(60)
    (ticket,) = send(gate, 0.0)
    gate.take_off(ticket)
    gate.never_sent(ticket)
    assert gate.is_open(0.0)


def test_headers_of_a_response_set_the_limits():
    gate = new_gate()
    gate.read_headers([(b"x-ratelimit-limit-requests", b"60"), (b"content-type", b"x")], 0.0)
    gate.read_headers([(b"X-RateLimit-Limit-Tokens", b"6000")], 0.0)
    send(gate, 0.0)
    binding = gate.binding(0.0)
    assert (binding.rpm, binding.tpm, binding.named) == (60, 6000, True)
    assert binding.requests == pytest.approx(1 / SHARE)
    assert gate.wait(0.0) == max(binding.requests, binding.tokens)


runs_of_steps = st.lists(
    st.tuples(st.floats(0.0, 3.0), st.integers(0, 5), st.booleans()), max_size=80
)


@settings(max_examples=150, deadline=None)
@given(st.floats(10, 3000), runs_of_steps)
def test_no_span_of_time_ever_sees_more_than_its_rate(rpm, steps):
    gate = new_gate(1000)
    gate.requests.ask(rpm)
    now, sent = 0.0, []
    for pause, wanted, unsent in steps:
        now += pause
        for _ in range(wanted):
            if not gate.is_open(now):
                now += gate.wait(now) if unsent else 0.0
            if gate.is_open(now):
                (ticket,) = send(gate, now)
                gate.take_off(ticket)
                sent.append(now)
    for first, start in enumerate(sent):
        for last in range(first, len(sent)):
            allowed = 1 + rpm / 60 * (sent[last] - start + SLACK)
            assert last - first + 1 <= allowed + 1e-6


# -- several runs -----------------------------------------------------------------------------


def test_the_persons_rates_are_the_strictest_of_the_runs_that_live():
    async def main():
        governor = Governor(virtual_time.now)
        governor.join(5)
        strict = governor.join(5, rpm=60, tpm=90_000)
        lax = governor.join(5, rpm=600, tpm=50_000)
        assert (governor.binding().rpm, governor.binding().tpm) == (60, 50_000)
        governor.leave(strict)
        assert (governor.binding().rpm, governor.binding().tpm) == (600, 50_000)
        governor.leave(lax)
        assert (governor.binding().rpm, governor.binding().tpm) == (None, None)

    virtual_time.run(main())


def test_a_rate_holds_for_all_runs_together():
    async def main():
        governor = knowing(Governor(virtual_time.now))
        shares = [governor.join(20, rpm=120), governor.join(20), governor.join(None, rpm=600)]
        sent = []

        async def work(share):
            while True:
                lease = await governor.acquire(share, 100)
                sent.append(virtual_time.now() - began)
                governor.release(lease, answered=True)

        began = virtual_time.now()
        tasks = [asyncio.ensure_future(work(share)) for share in shares]
        await asyncio.sleep(60)
        for task in tasks:
            task.cancel()
        assert 119 <= len(sent) <= 122
        assert max(sent[n + 2] - sent[n] for n in range(100)) == pytest.approx(1.0)

    virtual_time.run(main())


def test_a_limit_below_what_one_request_took_is_none():
    gate = new_gate()
    (ticket,) = send(gate, 0.0, size=400)
    gate.read_headers([(b"x-ratelimit-limit-tokens", b"1")], 1.0, ticket)
    assert gate.binding(1.0).tpm is None
    assert gate.is_open(1.0)
