"""Runs in two loops of two threads share one governor; one that is gone holds up nobody."""

from __future__ import annotations

import asyncio
import threading
import time

import pytest

from llmframe.engine.governor import Governor
from llmframe.engine.governor.gcra import SLACK
from llmframe.engine.rows.claims import InFlight
from llmframe.providers.dialect import Dialect
from llmframe.system.loops import STOPPED, Loops
from tests.kits.engine import Provider, numbered, reply, wire
from tests.kits.left_loops import leaves_a_loop
from tests.kits.until import until_true


async def go(governor, name, n, provider, rpm=None):
    wired = wire(
        numbered(n, name), provider, governor=governor, in_flight=InFlight(), cap=8, rpm=rpm
    )
    return await wired.run()


def test_two_runs_in_two_threads_keep_one_rate(two_loops):
    governor = Governor()
    providers = [Provider(latency=0.001) for _ in two_loops]
    began = time.monotonic()
    running = [
        each.start(go(governor, name, 60, provider, rpm=12_000))
        for each, name, provider in zip(two_loops, "ab", providers, strict=True)
    ]
    assert all(set(each.result(30).statuses) == {"ok"} for each in running)
    assert time.monotonic() - began >= 119 / 200 - SLACK
    assert governor.binding().on_wire == 0


@leaves_a_loop
def test_a_run_whose_loop_is_killed_in_mid_run_holds_up_nobody(two_loops):
    governor = Governor()
    killed, lives = two_loops
    reached = threading.Event()

    def answer(*_):
        reached.set()
        return 3600.0, None

    killed.start(go(governor, "doomed", 100, Provider(answer)))
    assert reached.wait(10)
    running = lives.start(go(governor, "row", 300, Provider(latency=0.001)))
    killed.kill()
    assert running.result(30).statuses == ["ok"] * 300
    assert governor.binding().on_wire == 0


# -- loops that are gone ----


@pytest.fixture
def standing():
    """A loop that has stopped and may go on."""
    loop = asyncio.new_event_loop()
    yield loop
    _close_at_once(loop)


def _close_at_once(loop):
    for task in asyncio.all_tasks(loop):
        task._log_destroy_pending = False
    loop.close()


async def _nothing():
    pass


def test_a_closed_loop_is_gone_at_once(standing):
    loops = Loops()
    standing.close()
    assert loops.check_gone(standing)


def test_a_loop_that_runs_is_not_gone():
    loops = Loops()

    async def main():
        return [loops.check_gone(asyncio.get_running_loop()) for _ in range(2)]

    assert asyncio.run(main()) == [False, False]


def test_a_loop_that_stands_still_is_gone_after_a_while(standing):
    now = 0.0
    loops = Loops(lambda: now)
    assert not loops.check_gone(standing)
    now = 0.99 * STOPPED
    assert not loops.check_gone(standing)
    now = STOPPED
    assert loops.check_gone(standing)
    standing.run_until_complete(_nothing())
    assert not loops.check_gone(standing)


def test_a_loop_that_runs_now_and_then_is_never_gone(standing):
    now = 0.0
    loops = Loops(lambda: now)
    for _ in range(4):
        assert not loops.check_gone(standing)
        now += STOPPED / 3
        standing.run_until_complete(_nothing())


@leaves_a_loop
@pytest.mark.parametrize("closed", [True, False], ids=["closed", "left standing"])
def test_who_waits_for_the_keys_of_a_loop_that_is_gone_asks_itself(standing, closed):
    governor, in_flight = Governor(), InFlight()
    hang = Provider(lambda *_: (3600.0, None))

    async def go(provider):
        return await wire(
            numbered(30), provider, governor=governor, in_flight=in_flight, cap=8
        ).run()

    governor.understood(Dialect())
    first = standing.create_task(go(hang))
    standing.run_until_complete(until_true(lambda: in_flight.count == 8))
    if closed:
        first._log_destroy_pending = False
        standing.close()
    second = asyncio.run(go(Provider(latency=0.001)))
    assert second.statuses == ["ok"] * 30
    assert in_flight.count == 0
    assert governor.binding().on_wire == 0


def test_a_loop_that_goes_on_after_all_finishes_its_rows(standing):
    governor, in_flight = Governor(), InFlight()
    governor.understood(Dialect())
    slow = Provider(lambda text, _: (1.2 if int(text.split()[1]) < 8 else 0.0, reply()))

    async def go(provider):
        return await wire(
            numbered(30), provider, governor=governor, in_flight=in_flight, cap=8
        ).run()

    first = standing.create_task(go(slow))
    standing.run_until_complete(until_true(lambda: in_flight.count == 8))
    assert asyncio.run(go(Provider(latency=0.001))).statuses == ["ok"] * 30
    assert standing.run_until_complete(first).statuses == ["ok"] * 30
    assert in_flight.count == 0
    assert governor.binding().on_wire == 0
