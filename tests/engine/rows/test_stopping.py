"""Stop, hold and cancel: nothing is lost, and everything is given back."""

from __future__ import annotations

import asyncio
import contextlib
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llmframe.engine.governor import Governor
from llmframe.engine.rows.claims import InFlight
from llmframe.engine.rows.patience import Patience
from tests.kits import virtual_time
from tests.kits.engine import (
    Provider,
    knowing,
    lost_connection,
    numbered,
    refusal,
    reply,
    status_error,
    wire,
)
from tests.kits.virtual_pipelines import (
    BAD,
    run,
)


def test_a_stop_sends_nothing_new_and_keeps_what_is_in_flight():
    async def main():
        provider = Provider(latency=3.0)
        wired = wire(numbered(100), provider, cap=10)
        task = asyncio.create_task(wired.run())
        await asyncio.sleep(4)
        wired.pipeline.stop()
        sent = len(provider.calls)
        await task
        assert len(provider.calls) == sent == 20
        assert Counter(wired.statuses) == {"ok": 20, "pending": 80}
        assert wired.parts.in_flight.count == 0

    run(main)


def test_a_stop_between_grant_and_sending_sends_nothing():
    async def main():
        provider = Provider(latency=3.0)
        wired = wire(numbered(100), provider, cap=1)
        release = wired.parts.governor.release

        def release_and_stop(lease, **facts):
            release(lease, **facts)
            wired.pipeline.stop()

        wired.parts.governor.release = release_and_stop
        await wired.run()
        assert len(provider.calls) == 1
        assert wired.statuses[0] == "ok"

    run(main)


def test_rows_that_wait_are_pending_after_a_stop():
    async def main():
        def answer(text, attempt):
            return (0.1, status_error(500)) if text < "row 5" else (1.0, reply())

        wired = wire(numbered(10), Provider(answer), patience=Patience(max_attempts=50))
        task = asyncio.create_task(wired.run())
        while not wired.pipeline.waiting:  # noqa: ASYNC110 - no event says so
            await asyncio.sleep(0.7)
        wired.pipeline.stop()
        await task
        assert Counter(wired.statuses) == {"ok": 5, "pending": 5}
        assert wired.parts.in_flight.count == 0

    run(main)


@pytest.mark.parametrize("response", [refusal(1), status_error(500), reply(BAD)])
def test_a_row_that_would_be_tried_again_after_the_stop_is_pending(response):
    async def main():
        wired = wire(numbered(1), Provider(lambda *_: (2.0, response)))
        task = asyncio.create_task(wired.run())
        await asyncio.sleep(1)
        wired.pipeline.stop()
        await task
        assert wired.statuses == ["pending"]

    run(main)


def test_a_stop_before_the_start_sends_nothing():
    async def main():
        provider = Provider()
        wired = wire(numbered(10), provider)
        wired.pipeline.stop()
        await wired.run()
        assert (provider.calls, wired.statuses) == ([], ["pending"] * 10)

    run(main)


def test_a_stop_while_planning_ends_the_run():
    async def main():
        provider = Provider()
        wired = wire(numbered(5000), provider, cap=10)
        task = asyncio.create_task(wired.run())
        await asyncio.sleep(0)
        wired.pipeline.stop()
        await task
        assert len(provider.calls) == 0
        assert wired.tally.planned

    run(main)


def test_a_second_stop_changes_nothing():
    async def main():
        wired = wire(numbered(10), Provider())
        task = asyncio.create_task(wired.run())
        await asyncio.sleep(0.5)
        wired.pipeline.stop()
        wired.pipeline.stop()
        await task
        assert wired.statuses == ["ok"] * 10

    run(main)


def test_a_held_run_sends_nothing_until_it_goes_on():
    async def main():
        provider = Provider()
        wired = wire(numbered(100), provider, cap=10)
        task = asyncio.create_task(wired.run())
        await asyncio.sleep(1.5)
        wired.pipeline.hold(True)
        sent = len(provider.calls)
        await asyncio.sleep(1000)
        assert len(provider.calls) == sent
        wired.pipeline.hold(False)
        await task
        assert wired.statuses == ["ok"] * 100

    run(main)


def test_a_cancel_drops_what_is_in_flight_and_gives_everything_back():
    async def main():
        governor = knowing(Governor(virtual_time.now))
        provider = Provider(latency=100.0)
        wired = wire(numbered(100), provider, governor=governor, cap=10)
        task = asyncio.create_task(wired.run())
        await asyncio.sleep(4)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert (provider.on_wire, governor.binding().on_wire) == (0, 0)
        assert wired.parts.in_flight.count == 0
        assert wired.pipeline.workers == 0
        assert wired.statuses == ["pending"] * 100

    run(main)


def test_a_cancel_while_planning_ends_the_workers():
    async def main():
        governor = knowing(Governor(virtual_time.now))
        wired = wire(numbered(50_000), Provider(latency=100.0), governor=governor)
        task = asyncio.create_task(wired.run())
        for _ in range(5):
            await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert governor.binding().on_wire == 0
        assert wired.parts.in_flight.count == 0

    run(main)


def test_a_cancel_of_rows_that_wait_for_the_provider_gives_their_keys_back():
    async def main():
        in_flight = InFlight()
        wired = wire(
            numbered(30), Provider(lambda *_: (0.1, refusal(1000))), in_flight=in_flight
        )  # fmt: skip
        task = asyncio.create_task(wired.run())
        await asyncio.sleep(5)
        assert in_flight.count
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert in_flight.count == 0

    run(main)


@settings(max_examples=60, deadline=None)
@given(
    moment=st.floats(0, 30),
    step=st.sampled_from(["stop", "cancel", "hold and stop"]),
    faults=st.lists(st.sampled_from(["ok", "500", "429", "429 after", "bad", "drop"]), max_size=5),
)
def test_whenever_a_run_ends_nothing_is_lost_and_everything_is_given_back(moment, step, faults):
    async def main():
        governor = knowing(Governor(virtual_time.now))
        responses = {
            "ok": reply(), "500": status_error(500), "429": refusal(), "429 after": refusal(3),
            "bad": reply(BAD), "drop": lost_connection(),
        }  # fmt: skip

        def answer(text, attempt):
            fault = faults[attempt] if attempt < len(faults) else "ok"
            return 0.7, responses[fault if int(text.split()[1]) % 3 == 0 else "ok"]

        provider = Provider(answer)
        wired = wire(numbered(60), provider, governor=governor, cap=5)
        task = asyncio.create_task(wired.run())
        await asyncio.sleep(moment)
        if step == "hold and stop":
            wired.pipeline.hold(True)
        sent = len(provider.calls)
        if step == "cancel":
            task.cancel()
        else:
            wired.pipeline.stop()
        with contextlib.suppress(asyncio.CancelledError):
            await task
        assert len(provider.calls) <= sent + (step == "cancel")  # it takes a turn of the loop
        assert governor.binding().on_wire == provider.on_wire == 0
        assert wired.parts.in_flight.count == 0
        done = Counter(wired.statuses)
        assert (done["ok"], done["failed"]) == (wired.tally.ok, wired.tally.failed)
        assert wired.tally.requests == len(provider.calls)

    run(main)
