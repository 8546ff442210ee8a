"""What the person sees of a call: its real signature, and plain errors without a key in them."""

from __future__ import annotations

import functools
import inspect
import re
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar, cast

from llmframe.config import DEFAULTS, Options, Settings
from llmframe.errors import LLMFrameError
from llmframe.secret import mask_key

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

P = ParamSpec("P")
R = TypeVar("R")

_TABLE = inspect.cleandoc(Settings.__doc__ or "").split("\n\n", 1)[1]


def with_options(
    *, without: Iterable[str] = (), doc: Callable[..., object] | None = None
) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Spell out ``**options`` in a function's signature and docstring, and tell errors plainly.

    without: options that make no sense for this call. doc: a function that was spelled out,
    whose docstring and options are taken instead.
    """
    left_out = frozenset(without)

    def spell_out(function: Callable[P, R]) -> Callable[P, R]:
        signature = inspect.signature(function)
        own = [
            parameter.replace(annotation=_shown(parameter.annotation))
            for parameter in signature.parameters.values()
            if parameter.kind is not parameter.VAR_KEYWORD
        ]
        annotations = Options.__annotations__
        options = [
            inspect.Parameter(
                name,
                inspect.Parameter.KEYWORD_ONLY,
                default=default,
                annotation=_shown(annotations[name]),
            )
            for name, default in DEFAULTS.items()
            if name not in left_out
        ]
        if doc is not None:
            taken = inspect.signature(doc).parameters.values()
            options = [p for p in taken if p.kind is p.KEYWORD_ONLY]
        spelled_out = signature.replace(
            parameters=[*own, *options], return_annotation=_shown(signature.return_annotation)
        )
        told = told_plainly(function)
        setattr(told, "__signature__", spelled_out)  # noqa: B010 - typed as a plain callable
        own_doc = f"{inspect.cleandoc(function.__doc__ or '')}\n\n{_TABLE}\n"
        told.__doc__ = own_doc if doc is None else doc.__doc__
        return told

    return spell_out


def told_plainly(function: Callable[P, R]) -> Callable[P, R]:
    """The call, whose expected errors show the person's line and the message, not our insides.

    The key among its options is masked from here on: a traceback may show variables.
    """
    call = cast("Callable[..., Any]", function)

    @functools.wraps(call)
    def told(*args: Any, **options: Any) -> Any:
        mask_key(options)
        try:
            return call(*args, **options)
        except (LLMFrameError, KeyboardInterrupt) as exc:
            raise exc.with_traceback(None)  # noqa: B904 - it is the same error

    @functools.wraps(call)
    async def told_awaited(*args: Any, **options: Any) -> Any:
        mask_key(options)
        try:
            return await call(*args, **options)
        except LLMFrameError as exc:
            raise exc.with_traceback(None)  # noqa: B904 - it is the same error

    return cast("Callable[P, R]", told_awaited if inspect.iscoroutinefunction(call) else told)


class _Words(str):
    """An annotation that is shown as it is written, without quotes."""

    __slots__ = ()

    def __repr__(self) -> str:
        return str(self)


def _shown(annotation: object) -> object:
    """An annotation as short text; no annotation stays none."""
    if annotation is inspect.Parameter.empty:
        return annotation
    text = getattr(annotation, "__forward_arg__", str(annotation))
    return _Words(re.sub(r"\b(?:os|typing|collections\.abc|pd)\.", "", text))
