"""Runs on a loop that is somebody's own."""

from __future__ import annotations

import asyncio
import contextlib
import sys
import threading
from typing import TYPE_CHECKING, Any

from llmframe.errors import warn
from llmframe.runs.run import registry
from llmframe.system.loops import running_loop

if TYPE_CHECKING:
    from collections.abc import Callable

    from llmframe.runs.run import Run
from llmframe.runs.thread import POLL, TICK, live

GRACE = 1.0  # seconds for the same on the caller's loop, which ends with the call


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
