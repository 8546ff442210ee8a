"""Runs on a loop that belongs to somebody else: the caller's, or the notebook's re-entered."""

from __future__ import annotations

import asyncio
import contextlib
import sys
import threading
from typing import TYPE_CHECKING, Any

from llmframe.errors import warn
from llmframe.runs.session import registry
from llmframe.runs.thread import POLL, TICK, run_engine
from llmframe.system.loops import foreign_loop, running_loop

if TYPE_CHECKING:
    from collections.abc import Callable

    from llmframe.runs.session import Session

GRACE = 1.0  # seconds that a call waits after a stop for what is in flight: its loop ends with it


async def run_here(session: Session, tick: Callable[[], None]) -> None:
    """Run on the running loop; a stop or a cancel leaves a second of grace."""

    async def keep_ticking() -> None:
        while True:
            await asyncio.sleep(TICK)
            tick()

    registry.begin(session, asyncio.get_running_loop())
    engine = asyncio.ensure_future(run_engine(session))
    ticker = asyncio.ensure_future(keep_ticking())
    try:
        while not engine.done():
            await asyncio.wait({engine}, timeout=POLL)
            if session.status == "stopping":
                await _end_within_grace(engine)
    except asyncio.CancelledError:
        session.leave()
        await _end_within_grace(engine)
        raise
    finally:
        with contextlib.suppress(RuntimeError):  # the loop is closed and this is being collected
            ticker.cancel()


async def _end_within_grace(engine: asyncio.Future[None]) -> None:
    """Let what is in flight come back; a cancel meanwhile ends the grace."""
    try:
        await asyncio.wait({engine}, timeout=GRACE)
    finally:
        engine.cancel()
        await asyncio.wait({engine})


def run_nested(session: Session, tick: Callable[[], None]) -> None:
    """Run on the loop of this thread, re-entered, or on a new one where none is running.

    Call it only if ``can_nest()``. An outer time-out cannot end it, and nest-asyncio patches
    the process for good.
    """
    loop = running_loop()
    if loop is None:
        with asyncio.Runner() as runner:
            runner.run(run_here(session, tick))
    else:
        _nest_asyncio()[0].apply(loop)
        loop.run_until_complete(run_here(session, tick))


def can_nest() -> bool:
    """Whether the loop of this thread, if one is running, can be re-entered; warns if not."""
    loop = running_loop()
    if loop is None and not foreign_loop():
        return True
    if loop is None:
        reason = f"{foreign_loop()} runs here, which is not asyncio"
    elif not isinstance(loop, asyncio.BaseEventLoop):
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
    """nest-asyncio2 if installed, else nest-asyncio; and why it must not be used here, if so."""
    with contextlib.suppress(ImportError):
        import nest_asyncio2

        return nest_asyncio2, ""
    import nest_asyncio

    # nest-asyncio is not maintained: its last version breaks tasks on Python 3.14, and loses
    # the queued cells of ipykernel 7
    reason, ipykernel = "", sys.modules.get("ipykernel")
    if sys.version_info >= (3, 14):
        reason = "nest-asyncio does not know Python 3.14; install nest-asyncio2"
    elif ipykernel is not None and int(ipykernel.__version__.partition(".")[0]) >= 7:
        reason = "nest-asyncio loses queued cells on ipykernel 7; install nest-asyncio2"
    return nest_asyncio, reason
