"""What is not accounted is not free: replies without usage, requests that were not read, hedges."""

from __future__ import annotations

import asyncio

import pytest

from llmframe.engine.rows.budget import Budget
from llmframe.engine.rows.patience import Patience
from llmframe.engine.wire.reply import Reply
from llmframe.providers.prices import Prices
from llmframe.results import Usage
from tests.kits.engine import GOOD, Provider, lost_connection, numbered, status_error, wire
from tests.kits.virtual_time import run

EVEN = Prices(1.0, 1.0)


class Billed(Provider):
    """A provider that bills what it answers, whoever waits for it."""

    def __init__(self, tokens=(900, 100), stated=True, hangs=lambda number: False, latency=1.0):
        super().__init__(latency=latency)
        self.tokens, self.stated, self.hangs, self.number = tokens, stated, hangs, 0

    @property
    def billed(self):
        return self.number * sum(self.tokens)

    async def send(self, body):
        self.number += 1
        await asyncio.sleep(1_000 if self.hangs(self.number) else self.latency)
        usage = Usage(*self.tokens) if self.stated else Usage()
        return Reply(GOOD, "stop", None, usage, {})


def finish(provider, rows=500, **options):
    async def main():
        return await wire(numbered(rows), provider, cap=options.pop("cap", 20), **options).run()

    return run(main())


def test_replies_without_usage_are_settled_by_an_estimate():
    wired = finish(Billed(stated=False), budget=Budget(max_tokens=20_000, prices=EVEN))
    used, ok = wired.tally.usage, wired.statuses.count("ok")
    assert 0 < ok < 500
    assert used.estimated == ok
    assert 19_000 < used.tokens <= 20_000
    assert used.cost == pytest.approx(used.tokens / 1e6)


def test_without_a_budget_they_are_estimated_too():
    wired = finish(Billed(stated=False), rows=20)
    assert wired.statuses.count("ok") == 20
    assert wired.tally.usage.estimated == 20
    assert wired.tally.usage.tokens_in > 0


def test_nothing_is_learnt_from_an_estimate():
    assert Usage(10, 3).if_stated == Usage(10, 3)
    assert Usage(10, 3, estimated=1).if_stated is None


def test_a_request_that_timed_out_keeps_its_reservation():
    provider = Billed(hangs=lambda number: number % 3 == 0)
    patience = Patience(30, None, 5)
    wired = finish(provider, budget=Budget(max_tokens=100_000), patience=patience)
    assert provider.billed <= 100_000 + 20 * 1_000
    assert provider.billed > 90_000
    assert wired.tally.unread == sum(map(provider.hangs, range(1, provider.number + 1)))
    assert wired.tally.usage.tokens + wired.tally.unread_usage.tokens == pytest.approx(
        provider.billed, rel=0.05
    )


@pytest.mark.parametrize(
    ("failure", "unread"),
    [
        (lost_connection(), 0),  # nobody listened
        (status_error(500), 0),
        (status_error(400), 0),
        (ConnectionResetError(104, "reset by peer"), 1),
    ],
)
def test_only_what_left_and_was_not_read_is_kept(failure, unread):
    def answer(text, attempt):
        usage = Usage(10, 3)
        return failure if text == "row 7" and not attempt else Reply(GOOD, "stop", None, usage, {})

    budget = Budget(max_tokens=100_000)
    wired = finish(Provider(answer), rows=20, budget=budget)
    assert wired.tally.unread == unread
    assert (budget.unread.tokens > 0) == bool(unread)
    assert budget.in_flight == 0
    assert budget.spent.tokens == wired.tally.usage.tokens


def test_a_cancelled_run_says_what_it_left_unread():
    async def main():
        wired = wire(numbered(50), Billed(latency=40.0), budget=Budget(max_tokens=10**6))
        running = asyncio.ensure_future(wired.run())
        await asyncio.sleep(60)
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        return wired

    wired = run(main())
    assert wired.tally.unread == 10
    assert wired.parts.job.budget.in_flight == 0
    assert wired.parts.job.budget.unread.tokens == pytest.approx(10_000, rel=0.1)


def late(text, attempt):
    """The first rows are quick, then the first request is late and the second is quick."""
    row = int(text.split()[1])
    reply = Reply(GOOD, "stop", None, Usage(900, 100), {})
    return (20.0 if row >= 50 and not attempt else 0.2), reply


def test_hedges_are_reserved_and_settled():
    provider, budget = Provider(late), Budget(max_tokens=10**6)
    wired = finish(provider, rows=60, budget=budget, hedge=True)
    assert wired.tally.hedges == wired.tally.unread == 10
    assert budget.spent.tokens == wired.tally.usage.tokens == 60_000
    assert budget.unread.tokens == pytest.approx(10_000, rel=0.05)


def test_nothing_is_hedged_that_the_budget_does_not_allow():
    wired = finish(Provider(late), rows=60, budget=Budget(max_tokens=64_000), hedge=True)
    assert wired.statuses.count("ok") == 60
    assert 0 < wired.tally.hedges <= 4
    assert not wired.parts.halt.over_budget


@pytest.mark.parametrize("cap", [1, 50, 200])
@pytest.mark.parametrize("out", [20, 1_000, 15_000])
def test_one_request_is_out_until_it_is_known_what_answers_take(cap, out):
    provider = Billed(tokens=(200, out), latency=30.0)
    finish(provider, cap=cap, budget=Budget(max_tokens=50_000))
    assert provider.billed <= 50_000
    assert provider.billed > 50_000 - 2 * (200 + out)


@pytest.mark.parametrize("most", [2_000, 4_000, 8_000])
def test_rows_that_wait_in_a_queue_have_spent_nothing(most):
    provider = Billed(tokens=(300, 10))
    wired = finish(provider, budget=Budget(max_tokens=most), probes=True)
    assert most - 2 * 310 <= provider.billed <= most
    assert wired.parts.halt.over_budget


def test_over_budget_is_said_when_what_is_in_flight_is_back():
    seen = []

    async def main():
        provider = Billed(latency=10.0)
        wired = wire(numbered(100), provider, cap=20, budget=Budget(max_tokens=15_500))
        running = asyncio.ensure_future(wired.run())
        while not running.done():
            await asyncio.sleep(0.5)
            halted, out = wired.parts.halt.over_budget, wired.parts.job.budget.in_flight
            seen.append((halted, out))
        return wired

    wired = run(main())
    assert wired.statuses.count("ok") == 15
    assert seen[-1] == (True, 0)
    assert not any(halted and out for halted, out in seen)


def test_a_stop_ends_the_wait_for_the_budget():
    async def main():
        wired = wire(numbered(100), Billed(latency=50.0), budget=Budget(max_tokens=10**6))
        running = asyncio.ensure_future(wired.run())
        await asyncio.sleep(10)  # the first is out, and nine wait for what it will show
        wired.pipeline.stop()
        return await running

    wired = run(main())
    assert wired.statuses.count("ok") == 1
    assert not wired.parts.halt.over_budget
