"""A loop's port: one timer, and calls that arrive on the loop's own thread."""

from __future__ import annotations

import asyncio
import threading

from llmframe.engine.governor.port import LoopPort
from tests.kits import virtual_time


def fired_after(*waits, cancel=False):
    """Seconds after which the timer fired, set to each of these in turn."""
    fired = []

    async def main():
        began = virtual_time.now()
        port = LoopPort(lambda: fired.append(virtual_time.now() - began))
        for wait in waits:
            port.wake_in(wait)
        if cancel:
            port.cancel_timer()
        await asyncio.sleep(100)

    virtual_time.run(main())
    return fired


def test_the_earlier_of_two_timers_fires_and_only_that():
    assert fired_after(5, 3) == fired_after(3, 5) == [3]


def test_a_timer_that_is_cancelled_never_fires():
    assert fired_after(3, cancel=True) == []
    assert fired_after(cancel=True) == []


def test_a_call_arrives_on_the_loops_own_thread():
    async def main():
        port, where, done = LoopPort(lambda: None), [], asyncio.Event()
        port.call(lambda: where.append(threading.get_ident()))
        assert where == [threading.get_ident()]  # at once

        def call():
            port.call(lambda: (where.append(threading.get_ident()), done.set()))

        threading.Thread(target=call).start()
        await done.wait()
        assert where == [threading.get_ident()] * 2

    asyncio.run(main())


def test_a_loop_that_is_closed_is_called_no_more():
    async def main():
        return LoopPort(lambda: None)

    port, called = asyncio.run(main()), []
    port.call(lambda: called.append(True))
    assert called == []
