"""Real signatures for calls that take all options, so that Shift-Tab and help() show them."""

from __future__ import annotations

import inspect
import re
from typing import TYPE_CHECKING, ParamSpec, TypeVar

from llmframe.options.settings import DEFAULTS, Options, Settings
from llmframe.options.short_tracebacks import short_tracebacks

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

P = ParamSpec("P")
R = TypeVar("R")

_TABLE = inspect.cleandoc(Settings.__doc__ or "").split("\n\n", 1)[1]


def with_options(
    *,
    without: Iterable[str] = (),
    only: Iterable[str] = DEFAULTS,
    doc: Callable[..., object] | None = None,
) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Spell out ``**options`` in a function's signature and docstring, and tell errors plainly.

    without: options that make no sense for this call. only: those that do, where they are few;
    the function's own docstring tells of them then. doc: a function that was spelled out, whose
    docstring and options are taken instead.
    """
    names = frozenset(only) - frozenset(without)
    table = _TABLE if only is DEFAULTS else ""

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
            if name in names
        ]
        if doc is not None:
            taken = inspect.signature(doc).parameters.values()
            options = [p for p in taken if p.kind is p.KEYWORD_ONLY]
        spelled_out = signature.replace(
            parameters=[*own, *options], return_annotation=_shown(signature.return_annotation)
        )
        told = short_tracebacks(function)
        setattr(told, "__signature__", spelled_out)  # noqa: B010 - typed as a plain callable
        own_doc = f"{inspect.cleandoc(function.__doc__ or '')}\n\n{table}".rstrip() + "\n"
        told.__doc__ = own_doc if doc is None else doc.__doc__
        return told

    return spell_out


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
