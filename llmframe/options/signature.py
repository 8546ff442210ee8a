"""Real signatures for calls that take all options, so that Shift-Tab and help() show them."""

from __future__ import annotations

import inspect
import re
from typing import TYPE_CHECKING, ParamSpec, TypeVar

from llmframe.options.settings import DEFAULTS, Settings, table
from llmframe.options.short_tracebacks import short_tracebacks

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

P = ParamSpec("P")
R = TypeVar("R")


def with_options(
    *,
    without: Iterable[str] = (),
    only: Iterable[str] = DEFAULTS,
    doc: Callable[..., object] | None = None,
) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Spell out ``**options`` in a function's signature and docstring; shorten its tracebacks.

    without: options that make no sense for this call. only: those that do, where they are few.
    doc: a decorated function whose options and docstring are copied.
    """
    names = frozenset(only) - frozenset(without)

    def spell_out(function: Callable[P, R]) -> Callable[P, R]:
        signature = inspect.signature(function)
        parameters = signature.parameters.values()
        own = [
            parameter.replace(annotation=_readable(parameter.annotation))
            for parameter in parameters
            if parameter.kind is not parameter.VAR_KEYWORD
        ]
        if doc is None:
            options = [
                inspect.Parameter(
                    name,
                    inspect.Parameter.KEYWORD_ONLY,
                    default=default,
                    annotation=_readable(Settings.__annotations__[name]),
                )
                for name, default in DEFAULTS.items()
                if name in names
            ]
            text = f"{inspect.cleandoc(function.__doc__ or '')}\n\n{table(names)}\n"
        else:
            shown = inspect.signature(doc).parameters.values()
            options = [each for each in shown if each.kind is each.KEYWORD_ONLY]
            text = doc.__doc__ or ""
        wrapped = short_tracebacks(function)
        wrapped.__doc__ = text
        spelled_out = signature.replace(
            parameters=[*own, *options], return_annotation=_readable(signature.return_annotation)
        )
        setattr(wrapped, "__signature__", spelled_out)  # noqa: B010 - typed as a plain callable
        return wrapped

    return spell_out


class _Unquoted(str):
    """An annotation that a signature shows as it is written, without quotes."""

    __slots__ = ()

    def __repr__(self) -> str:
        return str(self)


def _readable(annotation: object) -> object:
    """An annotation as short text; a missing one stays missing."""
    if annotation is inspect.Parameter.empty:
        return annotation
    return _Unquoted(re.sub(r"\b(?:os|typing|collections\.abc|pd)\.", "", str(annotation)))
