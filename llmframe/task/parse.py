"""A reply's text -> the fields' values, or OutputError; it never guesses."""

from __future__ import annotations

import json
import re
from contextlib import suppress
from datetime import date
from enum import Enum
from functools import lru_cache, partial
from math import inf
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError
from pydantic_core import to_jsonable_python

from llmframe.errors import OutputError
from llmframe.task.answer import find_answer, is_tentative
from llmframe.task.choices import INT64_MAX, INT64_MIN
from llmframe.task.fields import FieldSet, FieldSpec, Kind
from llmframe.task.objects import decode, decode_object
from llmframe.task.repair import Path, match_names, not_a_label, path_text, repair
from llmframe.task.scalars import means_null
from llmframe.task.text import excerpt
from llmframe.text import clean_text, cut

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pydantic import BaseModel

Answer = tuple[dict[str, Any], str]
"""The fields' values, and the text that holds them."""

ERRORS_SHOWN = 3
MESSAGE = 200  # characters of a validator's own message
MOST_WRAPPERS = 3  # objects around an answer

_NAME = re.compile(r"\"\s*:")


def parse_reply(content: str | None, fields: FieldSet) -> dict[str, Any]:
    """Field name -> JSON value, in the fields' order; dates as ISO text, nested models as dicts.

    content: the reply's text. Raises OutputError, naming field and reason, and nothing else.
    """
    return read_answer(content, fields)[0]


def read_answer(
    content: str | None, fields: FieldSet, elsewhere: Sequence[str] = ()
) -> tuple[dict[str, Any], str]:
    """The fields' values as in parse_reply, and the text of the answer that holds them.

    elsewhere: texts beside the content, the likeliest first. Where the content is blank, the
    first that is one valid object and nothing else is the answer.
    """
    values = None if fields.careful else _parse_exact(content, fields)
    if values is not None:
        return values, content or ""
    try:
        return _find_answer(content or "", fields)
    except OutputError:
        if (content or "").strip():
            raise
        for text in elsewhere:
            with suppress(OutputError):
                return _find_answer(text, fields, alone=True)
        raise


def checked_answer(given: dict[str, Any], fields: FieldSet) -> tuple[dict[str, Any], str]:
    """An answer of the person's: its values as of a reply, and the JSON that a model should write.

    given: field name -> JSON value. Raises OutputError, as for a reply.
    """
    values = parse_reply(json.dumps(given), fields)
    written = repair(given, fields.form, fields.form.get("$defs", {}))
    # what has a default may be left out here, and not in a reply
    whole = {name: written.get(name, values[name]) for name in fields.names}
    return values, clean_text(json.dumps(whole, ensure_ascii=False))


def answer_or_error(
    fields: FieldSet, content: str | None, elsewhere: Sequence[str]
) -> Answer | OutputError:
    """The same as ``read_answer``, with the error returned: it may come from another process."""
    try:
        return read_answer(content, fields, elsewhere)
    except OutputError as error:
        return error


def _parse_exact(content: Any, fields: FieldSet) -> dict[str, Any] | None:
    """The fast way, for a reply in exactly the form that was asked for; None for any other."""
    try:
        # pydantic would silently take the last one of two values
        for name in _quoted(fields.names):  # no generator: this is done for every row
            if content.count(name) > 1:
                return None
        if "\\" in content and "\\u00" in content:  # a letter is escaped only to hide a name
            return None
        values = _values(fields.model.model_validate_json(content, strict=True), fields)
    except KeyboardInterrupt:
        raise
    except BaseException:  # noqa: BLE001 - whatever it was, the slow way repairs or reports it
        return None
    if fields.nests and len(_NAME.findall(content)) != _count_names(values):
        return None
    for day in fields.days:
        if values[day] and values[day] not in content:
            return None  # pydantic reads "0" as the first day of 1970
    return values


def _count_names(value: Any) -> int:
    """How many names the objects in a value have, at any depth."""
    if isinstance(value, dict):
        return len(value) + sum(map(_count_names, value.values()))
    return sum(map(_count_names, value)) if isinstance(value, list) else 0


@lru_cache(maxsize=64)
def _quoted(names: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(json.dumps(name, ensure_ascii=False) for name in names)


def _find_answer(
    content: str, fields: FieldSet, *, alone: bool = False
) -> tuple[dict[str, Any], str]:
    """The slow way: find the object, repair it, validate it, and report what is wrong."""
    try:
        with suppress(OutputError):  # one object and nothing else has no place to be found
            return _read_exactly(decode_object(content), fields), content
        return find_answer(content, fields.names, partial(_read_object, fields=fields), alone=alone)
    except (OutputError, KeyboardInterrupt):
        raise
    except BaseException as exc:  # a validator's own fault: one bad row must never end the run
        raise OutputError(f"the reply could not be read: {excerpt(exc)}") from exc


def _read_object(value: Any, fields: FieldSet, depth: int = 0) -> dict[str, Any]:
    """The fields' values in an object, or in the only object that it wraps."""
    try:
        return _read_exactly(value, fields)
    except OutputError:
        inner = _wrapped(value, fields.names) if depth < MOST_WRAPPERS else None
        if inner is None:
            raise
        with suppress(OutputError):
            return _read_object(inner, fields, depth + 1)
        raise


def _read_exactly(value: Any, fields: FieldSet) -> dict[str, Any]:
    try:
        repaired = repair(value, fields.form, fields.form.get("$defs", {}))
        text = clean_text(json.dumps(repaired, ensure_ascii=False))
        return _values(fields.model.model_validate_json(text, strict=True), fields)
    except (OutputError, KeyboardInterrupt):
        raise
    except ValidationError as exc:
        raise _explained(exc, fields) from exc
    except BaseException as exc:  # a validator's own fault, as above
        raise OutputError(f"the reply could not be read: {excerpt(exc)}") from exc


def _wrapped(value: Any, names: tuple[str, ...]) -> Any:
    """The one object inside, where the names of the object around it are none of the fields."""
    if not isinstance(value, dict) or match_names(value, names):
        return None
    inner = [(name, part) for name, part in value.items() if _holds_object(part)]
    if len(inner) != 1 or is_tentative(inner[0][0]):
        return None
    part = inner[0][1]
    if isinstance(part, str):
        part = decode(part.strip())
    return part[0] if isinstance(part, list) and len(part) == 1 else part


def _holds_object(part: Any) -> bool:
    if isinstance(part, list):
        return any(map(_holds_object, part))
    return isinstance(part, dict) or (isinstance(part, str) and part.lstrip()[:1] in ("{", "["))


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
        return None if spec.nullable and means_null(value) else value
    if value is None:
        if spec.nullable or spec.may_lack:
            return None
        raise _wrong(value, spec, "a value")
    if kind is _CHOICE:
        return _label(value, spec)
    if kind is _DATE and isinstance(value, date):
        return value.isoformat()
    if kind is _TEXT or kind is _OBJECT:
        value = to_jsonable_python(value)  # a model, or a type that pydantic makes of text: Path
        if spec.abstain is not None and isinstance(value, list) and spec.abstain in value:
            return None  # unsure of one label is unsure of the list
    if kind is not _OBJECT and type(value) is not _TYPES.get(kind):
        raise _wrong(value, spec, _WANTED[kind])
    _check_numbers(value, spec)
    return value


def _label(value: Any, spec: FieldSpec) -> str | int | None:
    """One of the labels; None where the model abstains."""
    plain: Any = value.value if isinstance(value, Enum) else value
    if not isinstance(plain, bool) and plain in (spec.labels or ()):
        return plain  # type: ignore[no-any-return]
    if spec.abstain is not None and plain == spec.abstain:
        return None
    raise not_a_label((spec.name,), plain, spec.answers)


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
        labels = next((s.answers for s in fields.specs if path == (s.name,)), ())
        if labels:
            return str(not_a_label(path, fault["input"], labels))
        return f"{where}={shown} is not one of {cut(str(fault['ctx']['expected']), 300)}"
    message = cut(fault["msg"], MESSAGE)
    return f"{where}={shown}: {message}" if path else f"{where}: {message}"
