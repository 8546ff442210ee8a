"""A call off the loop: what it gives, what it raises, and who waits for it."""

from __future__ import annotations

import asyncio
import threading

import pytest

from llmframe.system.executor import run_in_daemon_thread
from tests.kits.until import turns, until_true


def test_it_gives_what_the_function_returns_from_another_thread():
    assert asyncio.run(run_in_daemon_thread(threading.get_ident)) != threading.get_ident()


def test_it_raises_what_the_function_raises():
    def fail():
        raise LookupError("no")

    with pytest.raises(LookupError, match="no"):
        asyncio.run(run_in_daemon_thread(fail))


def test_what_is_no_exception_is_raised_as_one():
    def panic():
        raise asyncio.CancelledError  # of a loop of its own, say; a library in Rust panics so

    with pytest.raises(RuntimeError, match="CancelledError"):
        asyncio.run(run_in_daemon_thread(panic))


def test_a_cancel_ends_the_waiting_and_what_comes_later_is_no_error():
    go_on = threading.Event()

    async def main():
        before = threading.active_count()
        task = asyncio.ensure_future(run_in_daemon_thread(go_on.wait))
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        go_on.set()
        await until_true(lambda: threading.active_count() <= before)
        await turns()  # what the thread has left for the loop is done

    asyncio.run(main())


def test_a_loop_that_is_closed_meanwhile_is_called_no_more():
    go_on, ended = threading.Event(), threading.Event()

    def call():
        go_on.wait(10)
        ended.set()

    loop = asyncio.new_event_loop()
    task = loop.create_task(run_in_daemon_thread(call))
    loop.run_until_complete(asyncio.sleep(0))
    task.cancel()
    loop.run_until_complete(asyncio.wait([task]))
    loop.close()
    go_on.set()
    assert ended.wait(10)
