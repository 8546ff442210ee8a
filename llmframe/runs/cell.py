"""Waiting in a cell, and what an interrupt does meanwhile."""

from __future__ import annotations

import contextlib
import signal
import threading
import time
from typing import TYPE_CHECKING

from llmframe.errors import PlanError
from llmframe.runs.session import registry
from llmframe.runs.thread import POLL, TICK, begin

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from llmframe.runs.session import Session

DRAIN = 1.2  # seconds that a cell waits after a stop for what is in flight


def refuse_to_hold_up() -> None:
    """Raise PlanError for a blocking call that would hold up the loop of a live run.

    That run's requests would stay on the wire, and both would wait for each other.
    """
    if registry.lives_here():
        raise PlanError(
            "a run lives on this thread's event loop, and a blocking call would hold it up; await "
            'it first, or use `await df.llm.atag(...)`, df.llm.start(...) or runner="nest"'
        )


class Interrupts:
    """Counts the person's interrupts, and stops the run for them once there is one."""

    def __init__(self) -> None:
        self.count = 0
        self._session: Session | None = None
        self._opening = False

    def wait_for_run(self) -> None:
        """Hold one interrupt back until ``stop``: a file that is half opened would stay locked."""
        self._opening = True

    def stop(self, session: Session) -> None:
        """From now on an interrupt stops this run; one that was held back does so immediately."""
        self._session = session
        if self.count:
            session.stop()

    def on_signal(self, *_: object) -> None:
        """Handle SIGINT."""
        self.count += 1
        if self._session is not None:
            self._session.stop()
        elif not self._opening or self.count > 1:  # a second one: opening hangs, do not wait
            raise KeyboardInterrupt


@contextlib.contextmanager
def interruptible() -> Iterator[Interrupts]:
    """Turn SIGINT into a stop of the run, so that no interrupt breaks a step in the middle.

    Raises KeyboardInterrupt at the end of the block if there was one; at once while nothing
    is being opened.
    """
    interrupts = Interrupts()
    # Only the main thread gets signals. A job in a shell's background ignores them (SIG_IGN),
    # and None is a handler outside of Python: both stay as they are.
    in_main = threading.current_thread() is threading.main_thread()
    if not in_main or signal.getsignal(signal.SIGINT) in (signal.SIG_IGN, None):
        yield interrupts
        return

    before = signal.signal(signal.SIGINT, interrupts.on_signal)
    try:
        yield interrupts
    finally:
        signal.signal(signal.SIGINT, before)
    if interrupts.count:
        raise KeyboardInterrupt


def wait_in_cell(session: Session, tick: Callable[[], None], interrupts: Interrupts) -> None:
    """Wait for a run on the loop thread until its end, or a little longer than a stop.

    A run that has not begun is started. tick: refreshes the view, five times a second.
    After the little while the rest drains in the background.
    """
    if session.loop is None:
        begin(session)
    stopped_at: float | None = None
    ticked = 0.0
    while not session.wait(POLL):
        now = time.monotonic()
        if now - ticked >= TICK:
            tick()
            ticked = now
        if session.status == "stopping":
            stopped_at = stopped_at or now
            if now - stopped_at >= DRAIN or interrupts.count > 1:
                return
