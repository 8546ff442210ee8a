"""A request has a time-out, and a row a deadline over all its attempts."""

from __future__ import annotations

import asyncio

import pytest

from llmframe.engine.rows.patience import Patience
from tests.kits.engine import (
    Provider,
    numbered,
    refusal,
    reply,
    status_error,
    wire,
)
from tests.kits.virtual_pipelines import (
    BAD,
    for_row,
    outcome,
    run,
)


def test_a_request_that_hangs_times_out_and_frees_its_slot():
    async def main():
        loop = asyncio.get_running_loop()
        began = loop.time()

        def answer(text, attempt):
            hangs = attempt == 0 and int(text.split()[1]) % 3 == 0
            return (1e9 if hangs else 1.0, reply())

        provider = Provider(answer)
        done = await wire(numbered(20), provider, patience=Patience(timeout=5.0)).run()
        assert done.statuses == ["ok"] * 20
        assert loop.time() - began < 2 * (5.0 + 1.0) + 2

    run(main)


def test_a_row_has_a_deadline_over_all_its_attempts():
    async def main():
        loop = asyncio.get_running_loop()
        began = loop.time()
        provider = Provider(for_row("row 0", status_error(500)), latency=2.0)
        patience = Patience(deadline=7.0, max_attempts=1000)
        done = await wire(numbered(3), provider, patience=patience).run()
        assert done.errors[0].startswith("deadline: the deadline of 7 s has passed; last: ")
        assert done.statuses[1:] == ["ok", "ok"]
        assert loop.time() - began < 7.001 + 5.0  # a health probe is not its time

    run(main)


def test_the_last_attempt_is_cut_off_at_the_deadline():
    async def main():
        loop = asyncio.get_running_loop()
        began = loop.time()
        provider = Provider(lambda text, attempt: (1e9, reply()))
        done = await wire(numbered(1), provider, patience=Patience(deadline=7.0)).run()
        assert done.errors[0].startswith(
            "deadline: the deadline of 7 s has passed; last: no complete"
        )
        assert loop.time() - began == pytest.approx(7.0)

    run(main)


def test_a_re_ask_after_the_deadline_is_not_sent():
    responses = [reply(BAD), (4.0, status_error(500)), reply()]
    provider = Provider(lambda text, attempt: responses[attempt], latency=4.0)
    done = outcome(numbered(1), provider, patience=Patience(deadline=7.0, max_attempts=9))
    assert done.errors[0].startswith("deadline: the deadline of 7 s has passed; last: ")
    assert len(provider.calls) == 2


def test_a_bad_reply_after_the_deadline_is_not_re_asked():
    async def main():
        wired = wire(numbered(1), Provider(lambda *_: (6.0, reply(BAD))),
                     patience=Patience(deadline=7.0))  # fmt: skip
        task = asyncio.create_task(wired.run())
        await asyncio.sleep(3)
        asyncio.get_running_loop().now += 5  # the loop was held up: the reply comes late
        await task
        assert wired.errors[0].startswith("deadline: the deadline of 7 s has passed")

    run(main)


def test_waiting_for_the_provider_does_not_count_against_the_deadline():
    def answer(text, attempt):
        return (0.1, refusal(100)) if attempt == 0 else (1.0, reply())

    done = outcome(numbered(3), Provider(answer), patience=Patience(deadline=5.0))
    assert done.statuses == ["ok"] * 3


def test_a_row_that_is_refused_after_its_deadline_fails():
    provider = Provider(lambda text, attempt: (6.0, refusal(1)))
    done = outcome(numbered(1), provider, patience=Patience(deadline=5.0))
    assert done.errors[0].startswith("deadline: ")
