"""Health probes in an outage: what their answer means, and that no row pays for them."""

from __future__ import annotations

import asyncio

import pytest

from llmframe.engine.rows.budget import Budget
from llmframe.engine.rows.health_probe import TEXT
from llmframe.engine.rows.patience import Patience
from llmframe.engine.wire.verdict import BadReply
from llmframe.providers.prices import Prices
from llmframe.results import Usage
from tests.kits import virtual_time
from tests.kits.engine import (
    Provider,
    lost_connection,
    numbered,
    refusal,
    reply,
    status_error,
    wire,
)

ROWS = 60
DOWN = (10, 40)  # seconds of the outage


def run(probe, *, until=DOWN[1], begin=DOWN[0], before=None, **options):
    """A run with an outage in which the first probe is answered so, and the later ones not."""
    probes = []

    def answer(text, attempt):
        now = virtual_time.now() - 1000
        if text == TEXT:
            probes.append(now)
            return 0.1, (probe if len(probes) == 1 else status_error(500))
        return (0.1, status_error(500)) if begin <= now < until else (1.0, reply())

    async def main():
        wired = wire(numbered(ROWS), Provider(answer), cap=5, **options)
        if before is not None:
            before(wired)
        return await wired.run()

    return virtual_time.run(main()), probes


def test_an_answer_to_a_probe_belongs_to_no_row_and_is_paid():
    budget = Budget(max_tokens=10**6, prices=Prices(1.0, 1.0))
    done, probes = run(reply(), budget=budget)
    assert done.statuses == ["ok"] * ROWS
    assert len(probes) >= 1
    assert done.tally.usage.tokens_in == 10 * (ROWS + 1)
    assert budget.spent.tokens_in == 10 * (ROWS + 1)


def test_a_probe_that_is_refused_for_the_rate_is_an_answer():
    done, _ = run(refusal(0.2))
    assert done.statuses == ["ok"] * ROWS
    assert done.tally.refusals == 1


def test_a_probe_that_is_a_bad_request_is_an_answer():
    done, _ = run(status_error(400, {"error": {"message": "no"}}), until=10.3)
    assert done.statuses == ["ok"] * ROWS


def test_a_reply_that_is_none_is_no_answer_but_is_paid():
    done, probes = run(BadReply("a page", usage=Usage(7, 2)), until=12)
    assert done.statuses == ["ok"] * ROWS
    assert len(probes) > 1
    assert done.tally.usage.tokens_in == 10 * ROWS + 7


@pytest.mark.parametrize("response", [lost_connection(), status_error(503)])
def test_a_probe_that_is_lost_is_followed_by_another(response):
    done, probes = run(response, until=12)
    assert done.statuses == ["ok"] * ROWS
    assert len(probes) > 1


def test_a_probe_that_finds_the_account_empty_ends_the_run():
    done, probes = run(status_error(402))
    assert done.parts.halt.verdict.status == 402
    assert "failed" not in done.statuses
    assert len(probes) == 1


def test_a_probe_with_a_key_that_is_refused_is_followed_by_one_row_alone():
    done, probes = run(status_error(401), until=10.5)
    assert done.statuses == ["ok"] * ROWS
    assert len(probes) == 1


def test_a_probe_whose_run_is_cancelled_frees_its_slot():
    async def main():
        def answer(text, attempt):
            if text == TEXT:
                return 1e6, reply()
            return (0.1, status_error(500)) if virtual_time.now() > 1010 else (1.0, reply())

        wired = wire(numbered(ROWS), Provider(answer), cap=5, patience=Patience(timeout=1e5))
        task = asyncio.ensure_future(wired.run())
        await asyncio.sleep(15)
        assert wired.parts.governor.binding().on_wire == 1
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert wired.parts.governor.binding().on_wire == 0
        assert "failed" not in wired.statuses

    virtual_time.run(main())
