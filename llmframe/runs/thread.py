"""llmframe's own loop: one daemon thread on which runs go on while cells are run."""

from __future__ import annotations

import asyncio
import atexit
import os
import threading
import time
from typing import TYPE_CHECKING, Any

from llmframe.errors import PlanError
from llmframe.providers.local import server as local
from llmframe.runs.session import registry
from llmframe.system.loops import green_threads, loops
from llmframe.system.switch_interval import switch_interval

if TYPE_CHECKING:
    from collections.abc import Callable

    from llmframe.runs.session import Session

POLL = 0.1  # seconds between two checks of a waiting cell
TICK = 0.2  # seconds between two refreshes of the view
EXIT_DRAIN = 2.0  # seconds that the interpreter's end waits for what is in flight
EXIT_CLOSE = 0.5  # seconds more to cancel what is not back, and to close the checkpoints


class LoopThread:
    """One daemon thread with its own event loop, for all runs of the process."""

    def __init__(self) -> None:
        self.loop = asyncio.new_event_loop()
        self.thread = threading.Thread(target=self._run_loop, name="llmframe", daemon=True)
        self.thread.start()

    def _run_loop(self) -> None:
        asyncio.set_event_loop(self.loop)
        while not self.loop.is_closed():
            try:
                self.loop.run_forever()
            except SystemExit:  # a person's code, such as a validator, ended its own task only
                continue
            return

    def call(self, function: Callable[[], Any]) -> Any:
        """Call a function there and wait for what it returns."""

        async def on_loop() -> Any:
            return function()

        return asyncio.run_coroutine_threadsafe(on_loop(), self.loop).result()


_thread: LoopThread | None = None
_thread_lock = threading.Lock()


def loop_thread() -> LoopThread:
    """The process's loop thread, started when it is first needed."""
    global _thread
    with _thread_lock:
        if _thread is None or not _thread.thread.is_alive():
            _thread = LoopThread()
        return _thread


def refuse_own_thread() -> None:
    """Raise PlanError for a call on the loop thread, or where there can be no loop thread."""
    if library := green_threads():
        raise PlanError(
            f"{library} has patched this process's threads, and llmframe needs a real one. Run the "
            "call in a process of its own that is not patched: a script started by subprocess"
        )
    if _thread is not None and threading.current_thread() is _thread.thread:
        raise PlanError(
            "a blocking call cannot be made on llmframe's own loop; use `await df.llm.atag(...)`"
        )


async def run_engine(session: Session) -> None:
    """Run the engine on the running loop, and note how it ended."""
    crash: BaseException | None = None
    try:
        await session.execution.run()
    except BaseException as exc:
        crash = exc
        # An engine's error is raised by run.result(). A cancel must reach this task's owner,
        # and so must an interrupt that hit the loop in this very step.
        if not isinstance(exc, Exception):
            raise
    finally:
        session.finish(crash)


def begin(session: Session, *, on_end: Callable[[], None] = lambda: None) -> None:
    """Start a run in the background, on the loop thread. on_end: called there when it has ended."""

    async def run_beside_cells() -> None:
        try:
            with switch_interval.short():  # so that a cell that computes does not starve the loop
                await run_engine(session)
        finally:
            on_end()

    loop = loop_thread().loop
    registry.begin(session, loop)
    asyncio.run_coroutine_threadsafe(run_beside_cells(), loop)


def _after_fork() -> None:
    """A child has the parent's objects but not its threads: start anew.

    The engine's modules do so for themselves: they are loaded with the first call.
    """
    global _thread, _thread_lock
    _thread, _thread_lock = None, threading.Lock()
    registry.forget_all()
    local.forget_all()
    loops.forget_all()
    switch_interval.forget_all()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)


@atexit.register
def _at_exit() -> None:
    """Stop what is still running; what comes back within two seconds is kept."""
    registry.abandon_closed()
    for seconds in (EXIT_DRAIN, EXIT_CLOSE):  # the second stop cancels what is in flight
        end = time.monotonic() + seconds
        runs = [run for run in registry.alive() if run.loop and run.loop.is_running()]
        for run in runs:
            run.leave()
        for run in runs:
            run.wait(max(0.0, end - time.monotonic()))
    local.stop_all()
