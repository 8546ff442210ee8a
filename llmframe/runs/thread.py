"""Who owns the loop: a thread of ours, the notebook's loop re-entered, or the caller's."""

from __future__ import annotations

import asyncio
import atexit
import os
import threading
import time
from typing import TYPE_CHECKING, Any

from llmframe.engine.governor import forget_governors
from llmframe.engine.rows.in_flight import in_flight
from llmframe.errors import PlanError
from llmframe.providers.local import server as local
from llmframe.runs.run import registry
from llmframe.system.loops import loops
from llmframe.system.switch_interval import turns

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from llmframe.runs.run import Run

POLL = 0.1  # seconds between two looks of the waiting cell
TICK = 0.2  # seconds between two refreshes of the view
EXIT_DRAIN = 2.0  # seconds for the same when the interpreter ends
EXIT_CLOSE = 0.5  # seconds more to give up what is not back, and to close the checkpoints


class LoopThread:
    """One daemon thread with its own event loop, for all runs of the process."""

    def __init__(self) -> None:
        self.loop = asyncio.new_event_loop()
        self.thread = threading.Thread(target=self._live, name="llmframe", daemon=True)
        self.thread.start()

    def _live(self) -> None:
        asyncio.set_event_loop(self.loop)
        while not self.loop.is_closed():
            try:
                self.loop.run_forever()
            except SystemExit:  # of somebody's code, such as a validator: it has ended its task
                continue
            return

    def submit(self, coroutine: Coroutine[Any, Any, Any]) -> None:
        """Run a coroutine there."""
        asyncio.run_coroutine_threadsafe(coroutine, self.loop)

    def call(self, function: Callable[[], Any]) -> Any:
        """Call a function there and wait for what it returns."""

        async def on_loop() -> Any:
            return function()

        return asyncio.run_coroutine_threadsafe(on_loop(), self.loop).result()


_thread: LoopThread | None = None
_thread_lock = threading.Lock()


def loop_thread() -> LoopThread:
    """The process's loop thread, begun when first needed."""
    global _thread
    with _thread_lock:
        if _thread is None or not _thread.thread.is_alive():
            _thread = LoopThread()
        return _thread


def _after_fork() -> None:
    """A child has the parent's objects but not its threads: begin anew."""
    global _thread, _thread_lock
    _thread, _thread_lock = None, threading.Lock()
    registry.forget_all()
    forget_governors()
    in_flight.forget_all()
    local.forget_all()
    loops.forget_all()
    turns.forget_all()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)


@atexit.register
def _at_exit() -> None:
    """Stop what is still running; what comes back within two seconds is kept."""
    for seconds in (EXIT_DRAIN, EXIT_CLOSE):  # the second stop gives up what is in flight
        end = time.monotonic() + seconds
        runs = [run for run in registry.alive() if run.loop and run.loop.is_running()]
        for run in runs:
            run.stop()
        for run in runs:
            run.wait(max(0.0, end - time.monotonic()))
    local.stop_all()


def refuse_own_thread() -> None:
    """PlanError for a call on the loop thread: it would wait for itself."""
    if _thread is not None and threading.current_thread() is _thread.thread:
        raise PlanError(
            "a blocking call cannot be made on llmframe's own loop; use `await df.llm.atag(...)`"
        )


async def live(run: Run) -> None:
    """Run the engine on the running loop, to whatever end."""
    crash: BaseException | None = None
    try:
        await run.execution.run()
    except BaseException as exc:
        crash = exc
        if not isinstance(exc, Exception):  # a cancel, or an interrupt that hit this very step
            raise
    finally:
        run.ended(crash)


async def _live_beside_cells(run: Run) -> None:
    with turns.short():
        await live(run)


def begin(run: Run) -> None:
    """Start a run in the background, on the loop thread."""
    thread = loop_thread()
    run.loop = thread.loop
    registry.add(run)
    thread.submit(_live_beside_cells(run))


# -- waiting in a cell ---------------------------------------------------------------


# -- on a loop that is somebody's own --------------------------------------------------
