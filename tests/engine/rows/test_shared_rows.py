"""Runs at once over the same rows: each key is asked for by one of them."""

from __future__ import annotations

import asyncio
import threading
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llmframe.engine.governor import Governor
from llmframe.engine.rows.claims import InFlight
from tests.kits import virtual_time
from tests.kits.engine import (
    Provider,
    Texts,
    knowing,
    numbered,
    refusal,
    reply,
    status_error,
    wire,
)
from tests.kits.virtual_pipelines import (
    BAD,
    Pair,
    for_row,
    lines,
    run,
    wired_together,
)


def test_two_runs_at_once_never_send_the_same_key_twice(checkpoint):
    async def main():
        pair = Pair(checkpoint=checkpoint)
        await asyncio.gather(*pair.start())
        assert set(pair.provider.asked.values()) == {1}
        assert [each.statuses for each in pair.wired] == [["ok"] * 40] * 2
        assert sum(each.tally.requests for each in pair.wired) == 40
        assert sum(each.tally.shared + each.tally.reused for each in pair.wired) == 40
        assert len(lines(checkpoint)) == 40

    run(main)


def test_the_waiting_run_takes_over_when_the_owner_is_cancelled():
    async def main():
        pair = Pair(provider=Provider(latency=10.0), cap=5)
        first, second = pair.start()
        await asyncio.sleep(15)
        first.cancel()
        with pytest.raises(asyncio.CancelledError):
            await first
        await second
        assert pair.wired[1].statuses == ["ok"] * 40
        assert pair.in_flight.count == 0

    run(main)


def test_the_waiting_run_takes_over_when_the_owner_is_stopped(checkpoint):
    async def main():
        pair = Pair(provider=Provider(latency=10.0), cap=5, checkpoint=checkpoint)
        tasks = pair.start()
        await asyncio.sleep(15)
        pair.wired[0].pipeline.stop()
        await asyncio.gather(*tasks)
        assert pair.wired[1].statuses == ["ok"] * 40
        assert set(pair.provider.asked.values()) == {1}

    run(main)


def test_the_waiting_run_takes_over_when_the_owner_fails():
    async def main():
        provider = Provider(for_row("row 0", status_error(400, {"error": {"message": "no"}})))
        pair = Pair(rows=10, provider=provider)
        await asyncio.gather(*pair.start())
        assert [each.errors[0] for each in pair.wired] == ["bad_request: no"] * 2
        assert provider.asked["row 0"] == 2 * 3  # by each run, until it is surely the row

    run(main)


def test_a_stop_while_a_key_of_another_run_is_awaited_leaves_the_row_pending():
    async def main():
        pair = Pair(rows=5, provider=Provider(latency=10.0))
        first = asyncio.create_task(pair.wired[0].run())
        await asyncio.sleep(1)
        second = asyncio.create_task(pair.wired[1].run())
        await asyncio.sleep(1)
        began = virtual_time.now()
        pair.wired[1].pipeline.stop()
        await second
        assert virtual_time.now() - began < 1
        assert pair.wired[1].statuses == ["pending"] * 5
        await first
        assert pair.wired[0].statuses == ["ok"] * 5

    run(main)


def test_a_cancel_while_a_key_of_another_run_is_awaited_disturbs_nobody():
    async def main():
        pair = Pair(rows=5, provider=Provider(latency=10.0))
        first, second = pair.start()
        await asyncio.sleep(1)
        second.cancel()
        with pytest.raises(asyncio.CancelledError):
            await second
        await first
        assert pair.wired[0].statuses == ["ok"] * 5

    run(main)


def test_a_row_that_waits_for_another_run_holds_nobody_up():
    async def main():
        pair = Pair(rows=3, provider=Provider(latency=50.0))
        first = asyncio.create_task(pair.wired[0].run())
        await asyncio.sleep(1)
        provider = Provider()
        both = wire(
            Texts(["row 0", "row 1", "row 2", "mine"]), provider, governor=pair.governor,
            in_flight=pair.in_flight, cap=1,
        )  # fmt: skip
        task = asyncio.create_task(both.run())
        await asyncio.sleep(10)
        assert both.statuses == ["pending"] * 3 + ["ok"]
        await asyncio.gather(first, task)
        assert both.statuses == ["ok"] * 4
        assert len(provider.calls) == 1

    run(main)


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.tuples(st.floats(0, 25), st.integers(0, 1), st.booleans()), max_size=2),
    st.lists(st.sampled_from(["ok", "500", "400", "bad"]), min_size=1, max_size=4),
)
def test_no_key_is_ever_on_the_wire_twice(ends, faults):
    async def main():
        responses = {"ok": reply(), "500": status_error(500), "400": status_error(400),
                "bad": reply(BAD)}  # fmt: skip
        on_wire, counts = Counter(), []

        class Watched(Provider):
            async def send(self, body):
                text = body["messages"][1]["content"]
                on_wire[text] += 1
                counts.append(on_wire[text])
                try:
                    return await super().send(body)
                finally:
                    on_wire[text] -= 1

        def answer(text, attempt):
            return responses[faults[(attempt + int(text.split()[1])) % len(faults)]]

        pair = Pair(provider=Watched(answer), cap=4)
        tasks = pair.start()
        for moment, which, cancel in sorted(ends):
            await asyncio.sleep(max(0.0, 1000 + moment - virtual_time.now()))
            if cancel:
                tasks[which].cancel()
            else:
                pair.wired[which].pipeline.stop()
        await asyncio.wait(tasks)
        assert set(counts) <= {1}
        assert pair.in_flight.count == 0
        assert pair.governor.binding().on_wire == 0
        for number, each in enumerate(pair.wired):
            if number not in {which for _, which, _ in ends}:
                assert "pending" not in each.statuses or each.parts.halt.verdict

    run(main)


def test_two_runs_in_two_threads_share_what_is_in_flight():
    governor, in_flight = knowing(Governor()), InFlight()
    asked = Counter()
    lock = threading.Lock()

    class Quick(Provider):
        async def send(self, body):
            with lock:
                asked[body["messages"][1]["content"]] += 1
            await asyncio.sleep(0.001)
            return reply()

    results = []

    async def main():
        wired = wire(numbered(200), Quick(), governor=governor, in_flight=in_flight, cap=8)
        results.append((await wired.run()).statuses)

    threads = [threading.Thread(target=asyncio.run, args=(main(),)) for _ in range(3)]
    for each in threads:
        each.start()
    for each in threads:
        each.join(30)
    assert results == [["ok"] * 200] * 3
    assert in_flight.count == 0
    # a key that was asked and answered may be asked anew by who comes after, without a checkpoint
    assert len(asked) == 200


def both(first, second, provider, seconds=3600.0):
    """Two runs over rows that they share; whether both have come to an end."""

    async def main():
        runs = wired_together(first, second, provider=provider)
        tasks = [asyncio.create_task(each.run()) for each in runs]
        _, left = await asyncio.wait(tasks, timeout=seconds)
        for task in left:
            task.cancel()
        assert runs[0].parts.in_flight.count == 0 or left
        return not left, runs

    return virtual_time.run(main())


def second_beside_held(rows, provider, checkpoint, *, hold_at, held_for):
    """Two runs over the same rows: the first is held, the second runs, then the first goes on."""

    async def main():
        runs = wired_together(
            numbered(rows), numbered(rows), provider=provider, checkpoint=checkpoint
        )
        first, second = runs
        task = asyncio.create_task(first.run())
        await asyncio.sleep(hold_at)
        first.pipeline.hold(held=True)
        await asyncio.sleep(held_for)
        assert first.parts.in_flight.count == 0
        assert (await second.run()).statuses == ["ok"] * rows
        first.pipeline.hold(held=False)
        await task
        assert first.statuses == ["ok"] * rows
        assert first.parts.governor.binding().on_wire == 0
        return runs

    return virtual_time.run(main())


def test_two_runs_whose_first_answers_all_fail_do_not_wait_for_each_others_held_rows():
    ended, runs = both(numbered(12), numbered(12), Provider(lambda *_: (0.1, reply(BAD))))
    assert ended
    assert all(each.parts.halt.verdict.kind == "output" for each in runs)
    assert all(each.statuses == ["pending"] * 12 for each in runs)


def test_two_runs_do_not_wait_for_each_others_last_rows():
    def answer(text, attempt):
        return (0.1, refusal()) if "always refused" in text else reply()

    texts = [f"row {n}" for n in range(400)]
    texts[20], texts[-21] = "always refused 1", "always refused 2"
    ended, runs = both(Texts(texts), Texts(texts[::-1]), Provider(answer))
    assert ended
    for each in runs:
        assert Counter(each.statuses) == {"ok": 398, "failed": 2}
        assert all(error.startswith("rate_limit") for error in each.errors if error)


@pytest.mark.parametrize("response", [status_error(500), refusal(), reply(BAD)])
def test_a_row_that_a_held_run_has_to_retry_keeps_no_key(checkpoint, response):
    provider = Provider(lambda text, attempt: (2.0, reply() if attempt else response))
    runs = second_beside_held(4, provider, checkpoint, hold_at=0.5, held_for=60.0)
    paid = sum(each.tally.usage.tokens_in for each in runs)
    replies = len(provider.calls) - 4 * isinstance(response, Exception)
    assert paid == 10 * replies


def test_a_run_that_is_held_keeps_no_key_from_others(checkpoint):
    provider = Provider(latency=1.0)
    second_beside_held(20, provider, checkpoint, hold_at=1.5, held_for=2.0)
    assert len(provider.calls) == 20
