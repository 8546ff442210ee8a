"""A reply's text -> the fields' values, or OutputError; it never guesses."""

from __future__ import annotations

import json
import re
from datetime import date
from enum import Enum
from functools import lru_cache
from math import inf, isfinite
from typing import TYPE_CHECKING, Any, NoReturn

from pydantic import ValidationError
from pydantic_core import to_jsonable_python

from llmframe.errors import OutputError
from llmframe.task.choices import INT64_MAX, INT64_MIN
from llmframe.task.fields import FieldSet, FieldSpec, Kind
from llmframe.task.repair import Path, not_a_label, path_text, repair
from llmframe.task.text import excerpt
from llmframe.text import clean_text, cut

if TYPE_CHECKING:
    from pydantic import BaseModel

ERRORS_SHOWN = 3
MESSAGE = 200  # characters of a validator's own message

_THOUGHTS = re.compile(r"\s*<think>.*?</think>", re.DOTALL)
_OBJECT_START = re.compile(r"\{\s*[\"'}]")  # other braces are prose


def parse_reply(content: str | None, fields: FieldSet) -> dict[str, Any]:
    """Field name -> JSON value, in the fields' order; dates as ISO text, nested models as dicts.

    content: the reply's text. Raises OutputError, naming field and reason, and nothing else.
    """
    values = None if fields.careful else _parse_exact(content, fields)
    return _parse_repaired(content, fields) if values is None else values


def _parse_exact(content: Any, fields: FieldSet) -> dict[str, Any] | None:
    """The fast way, for a reply in exactly the form that was asked for; None for any other."""
    try:
        # pydantic would silently take the last one of two values
        if any(content.count(name) > 1 for name in _quoted(fields.names)):
            return None
        return _values(fields.model.model_validate_json(content, strict=True), fields)
    except KeyboardInterrupt:
        raise
    except BaseException:  # noqa: BLE001 - whatever it was, the slow way repairs or reports it
        return None


@lru_cache(maxsize=64)
def _quoted(names: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(json.dumps(name, ensure_ascii=False) for name in names)


def _parse_repaired(content: str | None, fields: FieldSet) -> dict[str, Any]:
    """The slow way: find the object, repair it, validate it, and report what is wrong."""
    try:
        repaired = repair(_find_object(content), fields.schema, fields.schema.get("$defs", {}))
        text = clean_text(json.dumps(repaired, ensure_ascii=False))
        return _values(fields.model.model_validate_json(text, strict=True), fields)
    except (OutputError, KeyboardInterrupt):
        raise
    except ValidationError as exc:
        raise _explained(exc, fields) from exc
    except BaseException as exc:  # a validator's own fault: one bad row must never end the run
        raise OutputError(f"the reply could not be read: {excerpt(exc)}") from exc


# Finding the one JSON object


def _find_object(content: str | None) -> dict[str, Any]:
    if content is None or not content.strip("\ufeff \t\r\n\x0b\x0c"):
        raise OutputError("the reply was blank")
    thoughts = _THOUGHTS.match(content)
    text = content[thoughts.end() :] if thoughts else content
    found = []
    start = _OBJECT_START.search(text)
    while start:
        value, end = _decoded(text, start.start())
        found.append(value)
        start = _OBJECT_START.search(text, end)
    if not found:
        raise OutputError(f"the reply holds no JSON object: {excerpt(text.strip())}")
    if len(found) > 1:
        raise OutputError(f"the reply holds {len(found)} JSON objects instead of one")
    return found[0]


def _decoded(text: str, start: int) -> tuple[dict[str, Any], int]:
    try:
        return _DECODER.raw_decode(text, start)
    except json.JSONDecodeError as exc:
        near = excerpt(text[exc.pos : exc.pos + 40]) if exc.pos < len(text) else "its end"
        raise OutputError(
            f"the reply is broken JSON: {exc.msg.removesuffix(' at')} at {near}"
        ) from exc
    except RecursionError as exc:
        raise OutputError("the reply is nested too deeply") from exc
    except ValueError as exc:  # an int of thousands of digits
        raise OutputError(f"the reply holds a number that is too long: {exc}") from exc


def _refuse_constant(word: str) -> NoReturn:
    raise OutputError(f"the reply holds {word}, which is no JSON number")


def _finite(digits: str) -> float:
    number = float(digits)
    if not isfinite(number):
        raise OutputError(f"the reply holds a number that is too large: {excerpt(digits)}")
    return number


def _object_of(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """The object, unless a name has two different values."""
    found: dict[str, Any] = {}
    for name, value in pairs:
        if name in found and found[name] != value:
            raise OutputError(
                f"the reply says {excerpt(name)} twice: {excerpt(found[name])} and {excerpt(value)}"
            )
        found[name] = value
    return found


_DECODER = json.JSONDecoder(
    object_pairs_hook=_object_of, parse_constant=_refuse_constant, parse_float=_finite, strict=False
)


# From a validated reply to JSON values

# once, because every look-up of an Enum's member costs as much as a check of a value
_CHOICE, _DATE, _OBJECT, _TEXT = Kind.CHOICE, Kind.DATE, Kind.OBJECT, Kind.TEXT
_TYPES = {Kind.INTEGER: int, Kind.FLOAT: float, Kind.BOOLEAN: bool, Kind.TEXT: str}
_INT64, _FINITE = "a whole number of at most 64 bits", "a finite number"
_WANTED = {
    Kind.INTEGER: _INT64,
    Kind.FLOAT: _FINITE,
    Kind.BOOLEAN: "true or false",
    Kind.TEXT: "text",
    Kind.DATE: "a date",
}


def _values(reply: BaseModel, fields: FieldSet) -> dict[str, Any]:
    held = reply.__dict__
    return {
        spec.name: _value(held[attribute], spec)
        for spec, attribute in zip(fields.specs, fields.attributes, strict=True)
    }


def _value(value: Any, spec: FieldSpec) -> Any:
    """A validated value as JSON; OutputError for one that its column could not hold."""
    kind = spec.kind
    if kind is _TEXT and type(value) is str:
        return value
    if value is None:
        if spec.nullable:
            return None
        raise _wrong(value, spec, "a value")
    if kind is _CHOICE:
        plain = value.value if isinstance(value, Enum) else value
        if isinstance(plain, bool) or plain not in (spec.labels or ()):
            raise not_a_label((spec.name,), plain, spec.labels or ())
        return plain
    if kind is _DATE and isinstance(value, date):
        return value.isoformat()
    if kind is _TEXT or kind is _OBJECT:
        value = to_jsonable_python(value)  # a model, or a type that pydantic makes of text: Path
    if kind is not _OBJECT and type(value) is not _TYPES.get(kind):
        raise _wrong(value, spec, _WANTED[kind])
    _check_numbers(value, spec)
    return value


def _check_numbers(value: Any, spec: FieldSpec) -> None:
    """OutputError for a number, at any depth, that Int64 and Float64 do not hold."""
    if isinstance(value, (dict, list)):  # a tuple: a union would be made anew at every call
        for part in value.values() if isinstance(value, dict) else value:
            _check_numbers(part, spec)
    elif isinstance(value, int):
        if not INT64_MIN <= value <= INT64_MAX:
            raise _wrong(value, spec, _INT64)
    elif isinstance(value, float) and not -inf < value < inf:
        raise _wrong(value, spec, _FINITE)


# What is wrong, in words


def _wrong(value: object, spec: FieldSpec, wanted: str) -> OutputError:
    return OutputError(f"{spec.name}={excerpt(value)} is not {wanted}", field=spec.name)


def _explained(error: ValidationError, fields: FieldSet) -> OutputError:
    faults = error.errors(include_url=False)
    texts = [_fault_text(fault, fields) for fault in faults[:ERRORS_SHOWN]]
    if len(faults) > ERRORS_SHOWN:
        texts.append(f"and {len(faults) - ERRORS_SHOWN} more")
    name = next(iter(faults[0]["loc"]), None)
    return OutputError("; ".join(texts), field=name if name in fields.names else None)


def _fault_text(fault: Any, fields: FieldSet) -> str:
    path: Path = fault["loc"]
    where, shown = path_text(path), excerpt(fault["input"])
    if fault["type"] in ("literal_error", "enum"):
        labels = next((s.labels for s in fields.specs if path == (s.name,)), None)
        if labels is not None:
            return str(not_a_label(path, fault["input"], labels))
        return f"{where}={shown} is not one of {cut(str(fault['ctx']['expected']), 300)}"
    message = cut(fault["msg"], MESSAGE)
    return f"{where}={shown}: {message}" if path else f"{where}: {message}"
