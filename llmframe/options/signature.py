"""Real signatures for calls that take all options, so that Shift-Tab and help() show them."""

from __future__ import annotations

import inspect
import re
from pathlib import PurePath
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar

from llmframe.errors import PlanError
from llmframe.options.coroutines import async_function
from llmframe.options.settings import DEFAULTS, FIRST, table
from llmframe.options.short_tracebacks import short_tracebacks
from llmframe.options.synonyms import unknown_options
from llmframe.text import cut

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

_READERS = {
    ".csv": "read_csv",
    ".tsv": "read_table",
    ".xlsx": "read_excel",
    ".xls": "read_excel",
    ".parquet": "read_parquet",
    ".json": "read_json",
    ".jsonl": "read_json",
}
OPTIONS_HERE = "{options}"  # in a docstring: the table of options stands here

P = ParamSpec("P")
R = TypeVar("R")


def with_options(
    *,
    without: Iterable[str] = (),
    only: Iterable[str] = DEFAULTS,
    doc: Callable[..., object] | None = None,
) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Spell out ``**options`` in a function's signature and docstring; shorten its tracebacks.

    The docstring has the table where it says ``{options}``.

    without: options that make no sense for this call. only: those that do, where they are few.
    doc: a decorated function whose options and docstring are copied.
    """
    names = frozenset(only) - frozenset(without)

    def spell_out(function: Callable[P, R]) -> Callable[P, R]:
        signature = inspect.signature(function)
        parameters = signature.parameters.values()
        own = [
            parameter.replace(annotation=inspect.Parameter.empty)
            for parameter in parameters
            if parameter.kind is not parameter.VAR_KEYWORD
        ]
        if doc is None:
            # without types, which the table tells in words; those used first come first
            options = [
                inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=DEFAULTS[name])
                for name in dict.fromkeys((*FIRST, *DEFAULTS))
                if name in names
            ]
            text = inspect.cleandoc(function.__doc__ or "").replace(OPTIONS_HERE, table(names))
        else:
            shown = inspect.signature(doc).parameters.values()
            named = {each.name for each in own}
            options = [
                each for each in shown if each.kind is each.KEYWORD_ONLY and each.name not in named
            ]
            text = doc.__doc__ or ""
        wrapped = short_tracebacks(function, check=_check_call(function.__name__, signature))
        if inspect.iscoroutinefunction(function):
            wrapped = async_function(wrapped)
        wrapped.__doc__ = text
        spelled_out = signature.replace(
            parameters=[*own, *options], return_annotation=_readable(signature.return_annotation)
        )
        setattr(wrapped, "__signature__", spelled_out)  # noqa: B010 - typed as a plain callable
        return wrapped

    return spell_out


def _check_call(
    function: str, signature: inspect.Signature
) -> Callable[[tuple[Any, ...], Any], None]:
    """A check of a call's arguments: PlanError for unknown names, too many or too few."""
    own = signature.parameters.values()
    names = [one.name for one in own if one.kind is one.POSITIONAL_OR_KEYWORD]
    by_name = {one.name for one in own}
    needed = {one.name for one in own if one.default is one.empty}

    def check(args: tuple[Any, ...], options: Mapping[str, Any]) -> None:
        takes = ", ".join(name for name in names if name != "self")
        if names[:1] == ["df"] and args and isinstance(args[0], str):
            if reader := _reader_of(args[0]):
                column = repr(args[1]) if args[1:] and isinstance(args[1], str) else "'text'"
                raise PlanError(
                    f"{args[0]!r} is a file: df = pd.{reader}({args[0]!r}); "
                    f"df.llm.{function}({column}, fields)"
                )
            raise PlanError(
                f"the frame comes first: lf.{function}(df, {args[0]!r}, fields), or the same as "
                f"df.llm.{function}({args[0]!r}, fields)"
            )
        if len(args) > len(names):
            more = args[len(names)]
            shown = cut(repr(more), 80) if isinstance(more, str) else f"a {type(more).__name__}"
            if names in (["self", "fields"], ["series", "fields"]) and isinstance(args[1], str):
                raise PlanError("a Series needs no column name: series.llm.tag(fields)")
            raise PlanError(
                f"only {takes} are given by position, and {shown} is one more; "
                f"every option is given by its name: instructions=..., concurrency=..."
            )
        # before what is missing: labels= is what was meant for fields
        alike = {one.replace("_", ""): one for one in by_name}
        for name in options.keys() - by_name:
            if own_name := alike.get(name.lower().replace("_", "")):
                raise PlanError(f"there is no option {name!r}; write {own_name}=")
        if unknown := unknown_options(name for name in options if name not in by_name):
            raise PlanError(unknown)
        missing = [name for name in names[len(args) :] if name in needed and name not in options]
        if missing:
            raise PlanError(
                f"the call needs {takes}, and {missing[0]} is missing: "
                'df.llm.tag("text", {"intent": ["refund", "other"]}), for example'
            )

    return check


def _reader_of(text: str) -> str:
    """The name of pandas' function that reads such a file; "" for a text that names none."""
    suffixes = (suffix.lower() for suffix in PurePath(text).suffixes)
    return next((_READERS[suffix] for suffix in suffixes if suffix in _READERS), "")


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
