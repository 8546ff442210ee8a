"""Waiting in a cell, and what signals do meanwhile: an interrupt, a time limit of the person's."""

from __future__ import annotations

import contextlib
import signal
import threading
import time
from typing import TYPE_CHECKING, Any

from llmframe.errors import PlanError
from llmframe.runs.session import registry
from llmframe.runs.thread import POLL, TICK, begin

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from types import FrameType

    from llmframe.runs.session import Session

    Handler = Callable[[int, FrameType | None], object]

INTERRUPTED = "KeyboardInterrupt: stopped by you; the card says what is done and how to go on"
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
    """Counts the person's interrupts, and stops the run for them once there is one.

    A handler that raises (a time limit of Celery's, Airflow's or pytest-timeout's) is one, too.
    error: what the first of them raises when the run is left.
    """

    def __init__(self) -> None:
        self.count = 0
        self.error: BaseException | None = None
        self._session: Session | None = None
        self._opening = False

    def wait_for_run(self) -> None:
        """Hold one interrupt back until ``stop``: a file that is half opened would stay locked."""
        self._opening = True

    def stop(self, session: Session) -> None:
        """From now on an interrupt stops this run; one that was held back does so immediately."""
        self._session = session
        if self.count:
            session.leave()

    def leave_to_card(self) -> None:
        """Show an interrupt in a notebook as one line, without our frames: a card says the rest."""
        if isinstance(self.error, KeyboardInterrupt):
            # what IPython asks an exception for
            vars(self.error)["_render_traceback_"] = lambda: [INTERRUPTED]

    def on_signal(self, *_: object) -> None:
        """Handle SIGINT."""
        self._interrupt(KeyboardInterrupt())

    def carry(self, handler: Handler) -> Handler:
        """A handler that calls another one, and raises what that raises once the run is left."""

        # Raised where the signal finds the main thread it would break a step in the middle: a
        # view or a row would take it for a failure of its own, and the run would go on.
        def on_signal(number: int, frame: FrameType | None) -> None:
            try:
                handler(number, frame)
            except BaseException as exc:  # noqa: BLE001 - raised again, where it breaks nothing
                self._interrupt(exc)

        return on_signal

    def _interrupt(self, error: BaseException) -> None:
        self.count += 1
        self.error = self.error or error
        if self._session is not None:
            self._session.leave()
        elif not self._opening or self.count > 1:  # a second one: opening hangs, do not wait
            raise error


@contextlib.contextmanager
def interruptible() -> Iterator[Interrupts]:
    """Turn signals into a stop of the run, so that none breaks a step in the middle.

    SIGINT raises KeyboardInterrupt at the end of the block, any other signal what its own handler
    raises; at once while nothing is being opened.
    """
    interrupts = Interrupts()
    # Only the main thread gets signals.
    if threading.current_thread() is not threading.main_thread():
        yield interrupts
        return

    # A job in a shell's background ignores SIGINT (SIG_IGN), and None is a handler outside of
    # Python: both stay as they are, and so do signals without a handler.
    before: dict[int, Any] = {number: signal.getsignal(number) for number in signal.valid_signals()}
    ours: dict[int, Handler] = {
        number: interrupts.carry(handler) for number, handler in before.items() if callable(handler)
    }
    if before[signal.SIGINT] not in (signal.SIG_IGN, None):
        ours[signal.SIGINT] = interrupts.on_signal
    for number, handler in ours.items():
        signal.signal(number, handler)
    try:
        yield interrupts
    except Exception as exc:
        if interrupts.error is None or isinstance(interrupts.error, KeyboardInterrupt):
            raise
        raise interrupts.error from exc  # what somebody else waits for must not be hidden
    finally:
        for number, handler in ours.items():
            if signal.getsignal(number) == handler:  # else its own handler has set another
                signal.signal(number, before[number])
    if interrupts.error is not None:
        raise interrupts.error


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
