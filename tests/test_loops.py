"""Runs in two loops of two threads share one governor; one that is killed holds up nobody."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import threading
import time

import pytest
from engine_kit import Provider, numbered, wire

from llmframe.engine.governor import Governor
from llmframe.engine.governor.gcra import SLACK
from llmframe.engine.inflight import InFlight


class LoopInThread:
    """An event loop in a thread of its own."""

    def __init__(self):
        self.loop = asyncio.new_event_loop()
        self.thread = threading.Thread(target=self.loop.run_forever, daemon=True)
        self.thread.start()

    def start(self, coroutine):
        return asyncio.run_coroutine_threadsafe(coroutine, self.loop)

    def kill(self):
        """Stop and close it in the middle of everything."""
        self.loop.call_soon_threadsafe(self.loop.stop)
        self.thread.join(10)
        with contextlib.suppress(RuntimeError):
            for task in asyncio.all_tasks(self.loop):
                task._log_destroy_pending = False
        self.loop.close()


@pytest.fixture
def two_loops():
    loops = [LoopInThread(), LoopInThread()]
    yield loops
    for each in loops:
        if not each.loop.is_closed():
            each.kill()


async def go(governor, name, n, provider, rpm=None):
    wired = wire(numbered(n, name), provider, governor=governor, in_flight=InFlight(), cap=8)
    wired.parts.seat.rpm = rpm
    with governor.lock:
        governor._expect(1)
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


# what is left of the killed run is thrown away on a closed loop
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
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
    gc.collect()
