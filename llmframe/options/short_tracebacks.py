"""Short tracebacks: an expected error shows the caller's line and the message, and no key."""

from __future__ import annotations

import functools
import inspect
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar, cast

from llmframe.errors import LLMFrameError
from llmframe.secret import mask_key

if TYPE_CHECKING:
    from collections.abc import Callable

P = ParamSpec("P")
R = TypeVar("R")


def short_tracebacks(
    function: Callable[P, R],
    *,
    check: Callable[[tuple[Any, ...], dict[str, Any]], None] | None = None,
) -> Callable[P, R]:
    """The function; its expected errors do not show the library's own frames.

    check: called with the arguments first; it may raise a PlanError about them.
    Tracebacks may show variables: the key among the options is masked before the call, and
    the arguments are dropped once it has failed. Plain Python shows the frame that raises, one
    line of this file, which therefore says no more than ``raise error``.
    """
    call = cast("Callable[..., Any]", function)

    @functools.wraps(call)
    def wrapper(*args: Any, **options: Any) -> Any:
        mask_key(options)
        try:
            if check is not None:
                check(args, options)
            return call(*args, **options)
        except (LLMFrameError, KeyboardInterrupt) as exc:
            args, options = (), {}
            error = exc.with_traceback(None)
        try:
            raise error
        finally:
            del error  # its traceback holds this frame, which would hold it

    @functools.wraps(call)
    async def async_wrapper(*args: Any, **options: Any) -> Any:
        mask_key(options)
        try:
            if check is not None:
                check(args, options)
            return await call(*args, **options)
        except LLMFrameError as exc:  # a KeyboardInterrupt is the event loop's own affair
            args, options = (), {}
            error = exc.with_traceback(None)
        try:
            raise error
        finally:
            del error

    return cast("Callable[P, R]", async_wrapper if inspect.iscoroutinefunction(call) else wrapper)
