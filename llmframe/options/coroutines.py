"""Coroutines and ``await`` as people use them: one too many, and one forgotten."""

from __future__ import annotations

import dis
import functools
import inspect
import types
from collections.abc import Coroutine, Generator
from typing import Any, NoReturn, ParamSpec, TypeVar

from llmframe.errors import MisuseError, persons_frame

P = ParamSpec("P")
R = TypeVar("R")

_IN_COROUTINE = inspect.CO_COROUTINE | inspect.CO_ASYNC_GENERATOR


def is_awaited() -> bool:
    """Whether the person's line is going to ``await`` what the running call returns."""
    frame = persons_frame()
    if not frame.f_code.co_flags & _IN_COROUTINE:
        return False
    return _next_step(frame) == "GET_AWAITABLE"


def is_argument() -> bool:
    """Whether the person's line hands what the running call returns to a call: ``print(...)``."""
    return _next_step(persons_frame()) in ("PRECALL", "CALL")


def _next_step(frame: types.FrameType) -> str:
    """The name of the instruction after the one that a frame is at."""
    after = (step for step in dis.get_instructions(frame.f_code) if step.offset > frame.f_lasti)
    return next((step.opname for step in after), "")


class AsyncFunction(functools.partial[Coroutine[Any, Any, R]]):
    """An async function whose coroutine says that it has to be awaited.

    ``inspect`` looks through a partial: it still counts as the async function that it holds.
    """

    __qualname__: str

    @property  # type: ignore[misc]
    def __class__(self) -> Any:  # so that help() shows it like any function
        return types.FunctionType

    def __getattr__(self, name: str) -> Any:
        return getattr(self.func, name)

    def __call__(self, *args: Any, **options: Any) -> Coroutine[Any, Any, R]:
        """The coroutine of one call, which has not begun."""
        return _Call(super().__call__(*args, **options))

    def __get__(self, instance: object, owner: object = None) -> Any:
        return self if instance is None else types.MethodType(self, instance)

    def __reduce__(self) -> Any:
        return self.__qualname__  # pickled by name, as functions are


def async_function(function: R) -> R:
    """The async function as an ``AsyncFunction``, with its name and its docstring."""
    wrapped: Any = AsyncFunction(function)  # type: ignore[arg-type]
    return functools.update_wrapper(wrapped, function)  # type: ignore[arg-type,return-value]


class _Call(Coroutine[Any, Any, R]):
    """A coroutine that, used as the frame that it will return, says how to get that.

    Everything else about it is as it is with the coroutine inside.
    """

    def __init__(self, inner: Coroutine[Any, Any, R]) -> None:
        self._inner = inner
        name = getattr(inner, "__name__", "atag")
        self._sentence = (
            f"{name}(...) has not begun, it returns a coroutine: put `await` before the call, "
            f"out = await df.llm.{name}(...), or use df.llm.tag(...)"
        )

    @property  # type: ignore[misc]
    def __class__(self) -> Any:  # for inspect.iscoroutine
        return types.CoroutineType

    def __await__(self) -> Generator[Any, Any, R]:
        return self._inner.__await__()

    def send(self, value: Any) -> Any:
        """Go on with a value, as a coroutine does."""
        return self._inner.send(value)

    def throw(self, *error: Any) -> Any:
        """Go on with an error, as a coroutine does."""
        return self._inner.throw(*error)

    def close(self) -> None:
        """End it, as a coroutine is ended."""
        self._inner.close()

    def __repr__(self) -> str:
        return f"<{self._sentence}>"

    def __getattr__(self, name: str) -> Any:
        if not name.startswith(("_", "cr_")):  # what tools ask a coroutine for
            self._refuse()
        return getattr(self._inner, name)

    def _refuse(self, *_: object) -> NoReturn:
        raise MisuseError(self._sentence)

    __getitem__ = __setitem__ = __len__ = __iter__ = __contains__ = _refuse
