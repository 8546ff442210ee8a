"""Errors as the person is to see them: the own line and the message, and no key."""

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


def short_tracebacks(function: Callable[P, R]) -> Callable[P, R]:
    """The call, whose expected errors show the person's line and the message, not our insides.

    A traceback may show variables: the key among the options is masked from here on, and
    when the call has failed nothing of it is left here.
    """
    call = cast("Callable[..., Any]", function)

    @functools.wraps(call)
    def told(*args: Any, **options: Any) -> Any:
        mask_key(options)
        try:
            return call(*args, **options)
        except (LLMFrameError, KeyboardInterrupt) as exc:
            args, options = (), {}
            raise exc.with_traceback(None)  # noqa: B904 - it is the same error

    @functools.wraps(call)
    async def told_awaited(*args: Any, **options: Any) -> Any:
        mask_key(options)
        try:
            return await call(*args, **options)
        except LLMFrameError as exc:
            args, options = (), {}
            raise exc.with_traceback(None)  # noqa: B904 - it is the same error

    return cast("Callable[P, R]", told_awaited if inspect.iscoroutinefunction(call) else told)
