"""Waiting in a cell, and what an interrupt does meanwhile."""

from __future__ import annotations

import contextlib
import signal
import threading
import time
from typing import TYPE_CHECKING

from llmframe.errors import PlanError
from llmframe.runs.run import registry

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from llmframe.runs.run import Run
from llmframe.runs.thread import POLL, TICK, begin

DRAIN = 1.2  # seconds that a cell waits after a stop for what is in flight


def refuse_to_hold_up() -> None:
    """PlanError for a blocking call that would hold up the loop of a run that is alive.

    That run's requests would stay on the wire, and both would wait for each other.
    """
    if registry.lives_here():
        raise PlanError(
            "a run lives on this thread's event loop, and a blocking call would hold it up; await "
            'it first, or use `await df.llm.atag(...)`, df.llm.start(...) or runner="nest"'
        )


class Interrupts:
    """How often the person has interrupted, and the run that this stops."""

    def __init__(self) -> None:
        self.count = 0
        self._run: Run | None = None
        self._opening = False

    def opening(self) -> None:
        """From now on one interrupt waits for the run: what is being opened must not be lost."""
        self._opening = True

    def stop(self, run: Run) -> None:
        """From now on an interrupt stops this run; so does one that came before and was lost."""
        self._run = run
        if self.count:
            run.stop()

    def note(self) -> None:
        """An interrupt, in the signal's handler."""
        self.count += 1
        if self._run is not None:
            self._run.stop()
        elif not self._opening or self.count > 1:
            raise KeyboardInterrupt


@contextlib.contextmanager
def interruptible() -> Iterator[Interrupts]:
    """Turn SIGINT into a stop of the run, so that no interrupt lands inside anything.

    Raises KeyboardInterrupt at the end of the block if there was one; at once while nothing
    is opened. Only the main thread gets signals; elsewhere nothing is changed, nor where
    interrupts are ignored (a job in a shell's background) or handled outside of Python.
    """
    seen = Interrupts()
    in_main = threading.current_thread() is threading.main_thread()
    if not in_main or signal.getsignal(signal.SIGINT) in (signal.SIG_IGN, None):
        yield seen
        return

    before = signal.signal(signal.SIGINT, lambda *_: seen.note())
    try:
        yield seen
    finally:
        signal.signal(signal.SIGINT, before)
    if seen.count:
        raise KeyboardInterrupt


def wait_in_cell(run: Run, tick: Callable[[], None], interrupts: Interrupts) -> None:
    """Wait for a run on the loop thread: to its end, or a little while after a stop.

    A run that nobody has begun is begun. tick: refreshes the view, five times a second.
    What is not back after the little while is left to drain in the background.
    """
    if run.loop is None:
        begin(run)
    stopped_at: float | None = None
    ticked = 0.0
    while not run.wait(POLL):
        now = time.monotonic()
        if now - ticked >= TICK:
            tick()
            ticked = now
        if run.status == "stopping":
            stopped_at = stopped_at or now
            if now - stopped_at >= DRAIN or interrupts.count > 1:
                return
