"""Every row is asked once and answered; a slow or broken part holds up no other row."""

from __future__ import annotations

import asyncio
import random

import pytest

from llmframe.engine.events import RequestSent, RowsDone
from llmframe.engine.rows.patience import Patience
from llmframe.results import Usage
from tests.kits.engine import (
    Provider,
    Texts,
    numbered,
    reply,
    status_error,
    wire,
)
from tests.kits.virtual_pipelines import (
    for_row,
    outcome,
    run,
)


def test_every_row_is_asked_once_and_answered():
    provider = Provider()
    done = outcome(numbered(100), provider, cap=10)
    assert done.statuses == ["ok"] * 100
    assert set(provider.asked.values()) == {1}
    assert provider.peak == 10
    assert (done.tally.ok, done.tally.requests, done.tally.usage) == (100, 100, Usage(1000, 300))


def test_as_many_requests_as_allowed_are_always_on_the_wire():
    async def main():
        loop = asyncio.get_running_loop()
        began = loop.time()
        await wire(numbered(1000), Provider(latency=2.0), cap=50).run()
        assert loop.time() - began == pytest.approx(40.0)

    run(main)


def test_no_rows_need_no_request():
    done = outcome(Texts([]), provider := Provider())
    assert (done.statuses, provider.calls) == ([], [])


def test_there_are_never_more_workers_than_requests_may_be_on_the_wire():
    async def main():
        wired = wire(numbered(1000), Provider(), cap=7)
        task = asyncio.create_task(wired.run())
        for _ in range(20):
            await asyncio.sleep(0.5)
            assert wired.pipeline.workers <= 7
        await task

    run(main)


def test_equal_rows_are_one_request():
    provider = Provider()
    done = outcome(Texts(["same"] * 50), provider)
    assert done.statuses == ["ok"] * 50
    assert len(provider.calls) == 1
    assert (done.tally.ok, done.tally.shared) == (50, 49)


def test_equal_rows_share_a_failure():
    provider = Provider(lambda text, attempt: status_error(400, {"error": {"message": "bad"}}))
    done = outcome(Texts(["same"] * 5), provider)
    assert done.errors == ["bad_request: bad"] * 5
    assert len(provider.calls) == 3  # it may be chance


def test_without_a_cap_the_limit_climbs():
    provider = Provider()
    done = outcome(numbered(2000), provider, cap=None)
    assert provider.peak > 300
    assert done.tally.ok == 2000


def test_rows_that_wait_to_be_tried_again_hold_nothing_up():
    async def main():
        loop = asyncio.get_running_loop()

        def answer(text, attempt):
            bad = int(text.split()[1]) % 10 < 3  # 30 % fail at once, as often as repeats allow
            return (0.0, status_error(500)) if bad and attempt < 1 else (1.0, reply())

        began = loop.time()
        done = await wire(numbered(1000), Provider(answer), cap=50).run()
        assert done.tally.ok == 1000
        assert loop.time() - began <= 1.1 * 1000 / 50 + 3  # and the last one's waits

    run(main)


def test_a_long_wait_of_one_row_lets_the_others_finish():
    async def main():
        random.seed(1)
        loop = asyncio.get_running_loop()
        seen = []

        def note(event):
            if isinstance(event, RowsDone):
                seen.append((event.positions[0], loop.time() - 1000))

        provider = Provider(for_row("row 0", lambda n: status_error(500) if n < 7 else reply()))
        patience = Patience(max_attempts=9)
        await wire(numbered(20), provider, cap=2, observers=[note], patience=patience).run()
        assert seen[-1][0] == 0
        assert all(at < 15 for _, at in seen[:-1])

    run(main)


def test_an_observer_that_raises_gets_no_more_events_and_harms_nobody(caplog):
    seen = []

    def observer(event):
        seen.append(event)
        raise RuntimeError("the panel is gone")

    done = outcome(numbered(10), Provider(), observers=[observer])
    assert done.statuses == ["ok"] * 10
    assert len(seen) == 1
    assert len([each for each in done.events if isinstance(each, RequestSent)]) == 10
    assert "an observer failed" in caplog.text


def test_rows_that_cannot_be_rendered_end_the_run_after_what_is_in_flight_came_back():
    class Broken(Texts):
        def texts(self, start, stop):
            if start > 5000:
                raise RuntimeError("cannot render")
            return super().texts(start, stop)

    async def main():
        rows = Broken([f"row {i}" for i in range(10_000)])
        wired = wire(rows, Provider(latency=5.0), cap=10)
        with pytest.raises(RuntimeError, match="cannot render"):
            await wired.run()
        assert wired.statuses.count("ok") == 10

    run(main)


def test_a_worker_that_breaks_ends_the_run_and_gives_its_key_back():
    async def main():
        wired = wire(numbered(100), Provider(), cap=10)
        settle = wired.parts.store.settle

        def break_at_25(position, result):
            if position == 25:
                raise RuntimeError("a bug")
            return settle(position, result)

        wired.parts.store.settle = break_at_25
        with pytest.raises(RuntimeError, match="a bug"):
            await wired.run()
        assert wired.parts.in_flight.count == 0
        assert 25 <= wired.statuses.count("ok") == len(wired.provider.calls) - 1
        assert wired.parts.governor.binding().on_wire == 0

    run(main)
