"""A provider that refuses for its rate pauses the run and fails no row."""

from __future__ import annotations

import asyncio

import pytest

from llmframe.engine.events import RequestRefused
from llmframe.engine.rows.health_probe import TEXT
from llmframe.engine.rows.patience import Patience
from tests.kits import virtual_time
from tests.kits.engine import (
    Provider,
    Texts,
    numbered,
    refusal,
    reply,
    wire,
)
from tests.kits.virtual_pipelines import (
    Bucket,
    Window,
    for_row,
    outcome,
    run,
)
from tests.kits.virtual_provider import LimitedProvider


def test_a_rate_pauses_all_for_as_long_as_the_provider_asks():
    def answer(text, attempt):
        refused = 1003 < virtual_time.now() < 1030
        return (0.1, refusal(30)) if refused else (1.0, reply())

    provider = Provider(answer)
    done = outcome(numbered(200), provider)
    assert done.statuses == ["ok"] * 200
    assert not [at for at, _ in provider.calls if 1005 < at < 1033]


def test_a_refusal_uses_up_no_attempt():
    async def main():
        refused = []

        def answer(text, attempt):
            if text == "row 0" and attempt < 5:
                refused.append(virtual_time.now())
                return 0.1, refusal(30)
            return 1.0, reply()

        provider = Provider(answer)
        done = await wire(numbered(200), provider, patience=Patience(max_attempts=2)).run()
        assert done.statuses.count("ok") >= 199
        assert done.tally.refusals == len(refused)
        assert sum(isinstance(each, RequestRefused) for each in done.events) == len(refused)

    run(main)


@pytest.mark.parametrize("cap", [1, 2, 10, 50, None])
@pytest.mark.parametrize("retry_after", [None, 1.0, "right"])
@pytest.mark.parametrize("limit", [lambda w: Bucket(0.3, retry_after=w),
                                   lambda w: Bucket(10, burst=10, retry_after=w),
                                   lambda w: Window(10, retry_after=w),
                                   lambda w: Window(60, retry_after=w)])  # fmt: skip
def test_a_rate_limit_fails_no_row(limit, retry_after, cap):
    done = outcome(numbered(120), Provider(limit(retry_after)), cap=cap)
    assert done.statuses == ["ok"] * 120


@pytest.mark.parametrize("retry_after", [None, 1.0])
def test_a_storm_of_refusals_fails_no_row(retry_after):
    def answer(text, attempt):
        storms = 1003 < virtual_time.now() < 1040
        return (0.1, refusal(retry_after)) if storms else (1.0, reply())

    provider = Provider(answer)
    done = outcome(numbered(300), provider)
    assert done.statuses == ["ok"] * 300
    in_storm = [at for at, _ in provider.calls if 1004 < at < 1040]
    assert len(in_storm) <= 2 * 37


@pytest.mark.parametrize("retry_after", [None, 1.0])
def test_a_row_that_alone_is_refused_fails_and_the_others_pass(retry_after):
    async def main():
        loop = asyncio.get_running_loop()
        provider = Provider(for_row("row 5", (0.1, refusal(retry_after))))
        began = loop.time()
        done = await wire(numbered(500), provider, cap=20).run()
        assert done.statuses.count("ok") == 499
        assert done.errors[5].startswith("rate_limit: slow down (rate-limited ")
        assert provider.asked["row 5"] <= 10
        assert loop.time() - began < 60

    run(main)


@pytest.mark.parametrize("rows", [2, 5])
def test_with_few_rows_a_row_is_blamed_only_after_a_quiet_minute(rows):
    async def main():
        loop = asyncio.get_running_loop()
        provider = Provider(for_row("row 0", (0.1, refusal(1.0))))
        began = loop.time()
        done = await wire(numbered(rows), provider).run()
        assert done.statuses.count("ok") == rows - 1
        assert done.errors[0].startswith("rate_limit: ")
        assert 60 <= loop.time() - began < 300

    run(main)


def test_several_rows_that_are_always_refused_go_last_and_pause_nobody():
    def answer(text, attempt):
        bad = int(text.split()[1]) % 100 == 0
        return (0.1, refusal(1.0)) if bad else (1.0, reply())

    done = outcome(numbered(1000), Provider(answer), cap=20)
    assert done.statuses.count("ok") == 990
    assert {each.split(":")[0] for each in done.errors if each} == {"rate_limit"}


def test_an_hour_long_wait_is_honoured_and_a_stop_works_in_it():
    async def main():
        loop = asyncio.get_running_loop()
        provider = Provider(lambda text, attempt: (0.1, refusal(3600)))
        wired = wire(numbered(5), provider)
        task = asyncio.create_task(wired.run())
        await asyncio.sleep(1000)
        sent = len(provider.calls)
        assert wired.parts.governor.binding().pause > 2000
        wired.pipeline.stop()
        began = loop.time()
        await task
        assert loop.time() - began < 1
        assert len(provider.calls) == sent
        assert wired.statuses == ["pending"] * 5

    run(main)


def test_a_row_that_is_always_refused_ends_even_where_no_other_is_left():
    async def main():
        began = virtual_time.now()
        wired = wire(numbered(1), Provider(lambda *_: (0.1, refusal())))
        task = asyncio.create_task(wired.run())
        await asyncio.wait([task], timeout=3600)
        assert wired.statuses == ["failed"]
        assert 900 <= virtual_time.now() - began < 1000

    run(main)


@pytest.mark.parametrize("rows", [1, 3, 10])
@pytest.mark.parametrize("retry_after", [None, 1.0, 5.0])
def test_a_storm_at_the_very_beginning_fails_no_row_of_a_small_frame(rows, retry_after):
    async def main():
        def answer(text, attempt):
            return (0.1, refusal(retry_after)) if virtual_time.now() < 1300 else reply()

        wired = await wire(numbered(rows), Provider(answer)).run()
        assert wired.statuses == ["ok"] * rows
        assert virtual_time.now() < 1500

    run(main)


@pytest.mark.parametrize(("first", "cap"), [(2, 1), (5, 1), (50, None), (50, 8)])
def test_rows_that_are_always_refused_hold_up_no_other_and_fail(first, cap):
    async def main():
        texts = [f"long {i}" for i in range(first)] + [f"good {i}" for i in range(100)]

        def answer(text, attempt):
            return (0.1, refusal()) if text.startswith("long") else (1.0, reply())

        provider = Provider(answer)
        done = await wire(Texts(texts), provider, cap=cap).run()
        assert done.statuses == ["failed"] * first + ["ok"] * 100
        assert all(error.startswith("rate_limit: ") for error in done.errors[:first])
        good = max(at for at, text in provider.calls if text.startswith("good"))
        assert good - 1000 < 300
        assert virtual_time.now() - 1000 < 3600

    run(main)


def test_where_only_refused_rows_are_left_a_health_probe_shows_that_the_provider_answers():
    provider = Provider(for_row("row 0", (0.1, refusal())))
    done = outcome(numbered(3), provider)
    assert done.statuses == ["failed", "ok", "ok"]
    assert provider.asked[TEXT] >= 1


def test_a_storm_that_comes_after_a_rows_first_refusal_fails_it_not():
    def answer(text, attempt):
        in_storm = virtual_time.now() > 1020
        unlucky = text == "row 7" and not attempt
        return (0.1, refusal()) if (unlucky or in_storm) and text != "row 0" else (1.0, reply())

    async def main():
        wired = wire(numbered(200), Provider(answer), cap=5)
        running = asyncio.create_task(wired.run())
        await asyncio.sleep(3000)
        assert "failed" not in wired.statuses
        wired.pipeline.stop()
        await running

    run(main)


@pytest.mark.parametrize("most", [1, 3, 30])
@pytest.mark.parametrize("retry_after", [None, 1.0])
def test_a_cap_on_requests_at_once_pauses_nobody(most, retry_after):
    provider = LimitedProvider(
        max_in_flight=most, says=False, latency=0.5, spread=0, retry_after=retry_after, refusal=0.01
    )
    rows = 60 * most + 400
    done = outcome(numbered(rows), provider, cap=None, probes=True)
    assert set(done.statuses) == {"ok"}
    assert provider.calls[-1] - provider.calls[0] <= 1.10 * rows * 0.5 / most
    assert provider.refused <= 0.01 * rows
