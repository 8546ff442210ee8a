"""Who owns the loop: a thread of ours, the notebook's loop re-entered, or the caller's."""

from __future__ import annotations

import asyncio
import atexit
import contextlib
import os
import signal
import sys
import threading
import time
from typing import TYPE_CHECKING, Any

from llmframe.engine.governor import forget_governors
from llmframe.engine.inflight import in_flight
from llmframe.engine.loops import loops, running_loop
from llmframe.engine.turns import turns
from llmframe.errors import PlanError, warn
from llmframe.providers import local
from llmframe.run import registry

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Iterator

    from llmframe.run import Run

POLL = 0.1  # seconds between two looks of the waiting cell
TICK = 0.2  # seconds between two refreshes of the view
DRAIN = 1.2  # seconds that a cell waits after a stop for what is in flight
GRACE = 1.0  # seconds for the same on the caller's loop, which ends with the call
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


def refuse_to_hold_up() -> None:
    """PlanError for a blocking call that would hold up the loop of a run that is alive.

    That run's requests would stay on the wire, and both would wait for each other.
    """
    if registry.lives_here():
        raise PlanError(
            "a run lives on this thread's event loop, and a blocking call would hold it up; await "
            'it first, or use `await df.llm.atag(...)`, df.llm.start(...) or runner="nest"'
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


# -- on a loop that is somebody's own --------------------------------------------------


async def run_here(run: Run, tick: Callable[[], None]) -> None:
    """Run on the running loop. After a stop or a cancel: a second of grace, then the end."""
    run.loop = asyncio.get_running_loop()
    registry.add(run)
    engine = asyncio.ensure_future(live(run))
    ticker = asyncio.ensure_future(_keep_ticking(tick))
    try:
        await _with_grace(run, engine)
    except asyncio.CancelledError:
        run.stop()
        await _give_grace(engine)
        raise
    finally:
        with contextlib.suppress(RuntimeError):  # the loop was closed, and this is collected
            ticker.cancel()


async def _with_grace(run: Run, engine: asyncio.Future[None]) -> None:
    while not engine.done():
        await asyncio.wait({engine}, timeout=POLL)
        if run.status == "stopping":
            await _give_grace(engine)


async def _give_grace(engine: asyncio.Future[None]) -> None:
    """Let what is in flight come back; a cancel meanwhile ends the grace."""
    try:
        await asyncio.wait({engine}, timeout=GRACE)
    finally:
        engine.cancel()
        await asyncio.wait({engine})


async def _keep_ticking(tick: Callable[[], None]) -> None:
    while True:
        await asyncio.sleep(TICK)
        tick()


def run_nested(run: Run, tick: Callable[[], None]) -> None:
    """Run on the loop of this thread, re-entered, or on a new one where none is running.

    Only where ``can_nest``. An outer time-out cannot end it, and the process is patched by
    nest-asyncio for good.
    """
    loop = running_loop()
    if loop is None:
        with asyncio.Runner() as runner:
            runner.run(run_here(run, tick))
    else:
        _nest_asyncio()[0].apply(loop)
        loop.run_until_complete(run_here(run, tick))


def can_nest() -> bool:
    """Whether the loop of this thread, if one is running, can be re-entered; warns if not."""
    loop = running_loop()
    if loop is None:
        return True
    if not isinstance(loop, asyncio.BaseEventLoop):
        reason = f"a {type(loop).__module__} loop cannot be re-entered"
    elif threading.current_thread() is not threading.main_thread():
        reason = "this is not the main thread"
    else:
        reason = _nest_asyncio()[1]
    if reason:
        warn(
            f'runner="nest" is not possible here ({reason}); the thread runner is used',
            RuntimeWarning,
        )
    return not reason


def _nest_asyncio() -> tuple[Any, str]:
    """nest-asyncio2 where it is installed, else nest-asyncio, and what speaks against it."""
    try:
        import nest_asyncio2
    except ImportError:
        import nest_asyncio

        return nest_asyncio, _unsound()
    return nest_asyncio2, ""


def _unsound() -> str:
    """Where nest-asyncio 1.6 loses queued cells or breaks tasks."""
    if sys.version_info >= (3, 14):
        return "nest-asyncio does not know Python 3.14; install nest-asyncio2"
    ipykernel = sys.modules.get("ipykernel")
    if ipykernel is not None and int(ipykernel.__version__.partition(".")[0]) >= 7:
        return "nest-asyncio loses queued cells on ipykernel 7; install nest-asyncio2"
    return ""
