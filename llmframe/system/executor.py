"""A blocking call off the loop, in a thread that the interpreter does not wait for at exit."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

R = TypeVar("R")


def as_exception(error: BaseException) -> Exception:
    """The error, or one that it caused where it is no Exception, such as a Rust library's panic."""
    if isinstance(error, Exception):
        return error
    exception = RuntimeError(type(error).__name__)
    exception.__cause__ = error
    return exception


async def run_in_daemon_thread(function: Callable[[], R]) -> R:
    """What the function returns or raises; a cancel ends the waiting, not the function."""
    # Not asyncio.to_thread: its threads are joined before any exit handler runs, so a slow
    # function of the person's would hold up the exit, and the next call would fail.
    loop = asyncio.get_running_loop()
    answer: asyncio.Future[R] = loop.create_future()

    def deliver(result: R | None, error: BaseException | None) -> None:
        if answer.done():  # cancelled meanwhile
            return
        if error is not None:
            answer.set_exception(error)
        else:
            answer.set_result(result)  # type: ignore[arg-type]

    def call() -> None:
        result, error = None, None
        try:
            result = function()
        except BaseException as exc:  # noqa: BLE001 - raised where it is awaited
            error = as_exception(exc)
        with contextlib.suppress(RuntimeError):  # the loop is closed: nobody waits any more
            loop.call_soon_threadsafe(deliver, result, error)

    threading.Thread(target=call, name="llmframe-call", daemon=True).start()
    return await answer
