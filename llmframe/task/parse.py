"""A reply's text -> the fields' values, or OutputError; never a guess."""

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
from llmframe.task.mend import Path, at, mend, off_list
from llmframe.task.text import excerpt
from llmframe.text import clean_text, cut

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from pydantic import BaseModel

ERRORS_TOLD = 3
MESSAGE = 200  # characters of a validator's own message

_THOUGHTS = re.compile(r"\s*<think>.*?</think>", re.DOTALL)
_OBJECT_START = re.compile(r"\{\s*[\"'}]")  # other braces are prose


def parse_reply(content: str | None, fields: FieldSet) -> dict[str, Any]:
    """Field name -> JSON value, in the order asked; dates as ISO text, nested models as dicts.

    content: the reply's text. Raises OutputError, naming field and reason, and nothing else.
    """
    values = None if fields.careful else _read_at_once(content, fields)
    return _read_again(content, fields) if values is None else values


def _read_at_once(content: str | None, fields: FieldSet) -> dict[str, Any] | None:
    """The fast way, for the reply that is just what was asked for; None for any other."""
    try:
        if _names_twice(content, fields.names):
            return None
        return _values(_validated(content, fields), fields)
    except KeyboardInterrupt:
        raise
    except BaseException:  # noqa: BLE001 - whatever it was, the second reading mends or tells it
        return None


def _names_twice(content: Any, names: tuple[str, ...]) -> bool:
    """Whether any field may be named twice: a validator would take the last one in silence."""
    return any(content.count(quoted) > 1 for quoted in _quoted(names))


@lru_cache(maxsize=64)
def _quoted(names: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(json.dumps(name, ensure_ascii=False) for name in names)


def _validated(content: Any, fields: FieldSet) -> BaseModel:
    return fields.model.model_validate_json(content, strict=True)


def _read_again(content: str | None, fields: FieldSet) -> dict[str, Any]:
    """The slow way: find the object, mend it, validate it, and say what is wrong with it."""
    try:
        mended = mend(_find_object(content), fields.schema, fields.schema.get("$defs", {}))
        text = clean_text(json.dumps(mended, ensure_ascii=False))
        return _values(_validated(text, fields), fields)
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
    """The object, if no name has two values."""
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


def _values(reply: BaseModel, fields: FieldSet) -> dict[str, Any]:
    held = reply.__dict__
    return {
        spec.name: _value(held[attribute], spec)
        for spec, attribute in zip(fields.specs, fields.attributes, strict=True)
    }


def _value(value: Any, spec: FieldSpec) -> Any:
    if value is None:
        if spec.nullable:
            return None
        raise _wrong(value, spec, "a value")
    return _READERS[spec.kind](value, spec)


def _choice(value: Any, spec: FieldSpec) -> str | int:
    plain = value.value if isinstance(value, Enum) else value
    if isinstance(plain, bool) or plain not in (spec.labels or ()):
        raise off_list((spec.name,), plain, spec.labels or ())
    return plain  # type: ignore[no-any-return]


def _integer(value: Any, spec: FieldSpec) -> int:
    if type(value) is int and INT64_MIN <= value <= INT64_MAX:
        return value
    raise _wrong(value, spec, "a whole number of at most 64 bits")


def _float(value: Any, spec: FieldSpec) -> float:
    if type(value) is float and isfinite(value):
        return value
    raise _wrong(value, spec, "a finite number")


def _boolean(value: Any, spec: FieldSpec) -> bool:
    if type(value) is bool:
        return value
    raise _wrong(value, spec, "true or false")


def _text(value: Any, spec: FieldSpec) -> str:
    plain = value if type(value) is str else to_jsonable_python(value)
    if type(plain) is str:
        return plain
    raise _wrong(value, spec, "text")


def _date(value: Any, spec: FieldSpec) -> str:
    if isinstance(value, date):
        return value.isoformat()
    raise _wrong(value, spec, "a date")


def _object(value: Any, spec: FieldSpec) -> Any:
    plain = to_jsonable_python(value)
    _check_numbers(plain, spec)
    return plain


def _check_numbers(value: Any, spec: FieldSpec) -> None:
    if isinstance(value, dict):
        for part in value.values():
            _check_numbers(part, spec)
    elif isinstance(value, list):
        for part in value:
            _check_numbers(part, spec)
    elif isinstance(value, int):
        if not INT64_MIN <= value <= INT64_MAX:
            raise _wrong(value, spec, "a whole number of at most 64 bits")
    elif isinstance(value, float) and not -inf < value < inf:
        raise _wrong(value, spec, "a finite number")


_READERS: Mapping[Kind, Callable[[Any, FieldSpec], Any]] = {
    Kind.CHOICE: _choice,
    Kind.INTEGER: _integer,
    Kind.FLOAT: _float,
    Kind.BOOLEAN: _boolean,
    Kind.TEXT: _text,
    Kind.DATE: _date,
    Kind.OBJECT: _object,
}


# What is wrong, in words


def _wrong(value: object, spec: FieldSpec, wanted: str) -> OutputError:
    return OutputError(f"{spec.name}={excerpt(value)} is not {wanted}", field=spec.name)


def _explained(error: ValidationError, fields: FieldSet) -> OutputError:
    faults = error.errors(include_url=False)
    told = [_fault(fault, fields) for fault in faults[:ERRORS_TOLD]]
    if len(faults) > ERRORS_TOLD:
        told.append(f"and {len(faults) - ERRORS_TOLD} more")
    name = next(iter(faults[0]["loc"]), None)
    return OutputError("; ".join(told), field=name if name in fields.names else None)


def _fault(fault: Any, fields: FieldSet) -> str:
    path: Path = fault["loc"]
    if fault["type"] in ("literal_error", "enum"):
        labels = next((s.labels for s in fields.specs if path == (s.name,)), None)
        if labels is not None:
            return str(off_list(path, fault["input"], labels))
        expected = cut(str(fault["ctx"]["expected"]), 300)
        return f"{at(path)}={excerpt(fault['input'])} is not one of {expected}"
    message = cut(fault["msg"], MESSAGE)
    return f"{at(path)}={excerpt(fault['input'])}: {message}" if path else f"{at(path)}: {message}"
