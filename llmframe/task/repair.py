"""Repair of a reply where only one reading is possible, guided by the fields' schema."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, TypeAlias

from llmframe.errors import OutputError
from llmframe.task.objects import Written, decode
from llmframe.task.scalars import (
    means_null,
    read_day,
    read_float,
    read_integer,
    read_label,
    read_truth,
    squeeze_name,
    unique_forms,
)
from llmframe.task.schema import Node, json_types
from llmframe.task.text import excerpt, fold, listing

if TYPE_CHECKING:
    from collections.abc import Iterable

Path: TypeAlias = tuple[str | int, ...]

_MOMENT = re.compile(r"\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d")
_DIGITS = re.compile(r"\s*[+-]?[0-9.]+\s*")
_WANTED = {"date-time": "a date and time in ISO 8601", "date": "a date as YYYY-MM-DD"}


def repair(value: Any, node: Node, defs: dict[str, Node], path: Path = ()) -> Any:
    """The value in the form that the schema's node asks for, wherever its meaning is certain.

    Any other value stays as it is, and the model refuses it. Raises OutputError only for what
    the model would accept: a missing property, a bool as an int label, digits as a date.
    """
    node, nullable = _resolved(node, defs)
    types = json_types(node)
    if value is None:
        return None
    if isinstance(value, str) and nullable and _is_null(value, node, types):
        return None
    if "enum" in node:
        return _repair_label(value, node["enum"], path)
    if "properties" in node:
        value = _one_of_list(_decoded(value, dict))
        return _repair_object(value, node, defs, path) if isinstance(value, dict) else value
    if "items" in node:
        return _repair_list(value, node["items"], defs, path)
    if types and "string" not in types:
        value = _one_of_list(value)
    return _repair_scalar(value, node, path)


def path_text(path: Path) -> str:
    """A path as a person writes it: tags[2], address.city."""
    parts = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in path)
    return parts.removeprefix(".") or "the reply"


def not_a_label(path: Path, value: object, labels: tuple[Any, ...]) -> OutputError:
    """The error for a value that is none of the labels."""
    text = f"{path_text(path)}={excerpt(value)} is not one of {listing(labels)}"
    return OutputError(text, field=_field(path))


def missing(names: Iterable[str], path: Path) -> OutputError:
    """The error for properties that the object at this path lacks."""
    absent = tuple(names)
    where = f" in {path_text(path)}" if path else ""
    return OutputError(f"the reply has no {listing(absent)}{where}", field=_field((*path, *absent)))


def match_names(keys: Iterable[str], names: Iterable[str]) -> dict[str, str]:
    """Name -> the key that stands for it: the same, else the only one alike on both sides."""
    given, wanted = tuple(keys), tuple(names)
    matched = {name: name for name in wanted if name in given}
    if len(matched) == len(wanted):
        return matched
    for form in (fold, squeeze_name):
        taken = set(matched.values())
        others = unique_forms(tuple(key for key in given if key not in taken), form)
        for alike, name in unique_forms(wanted, form).items():
            if name not in matched and alike in others:
                matched[name] = others[alike]
    return matched


def _field(path: Path) -> str | None:
    return str(path[0]) if path else None


def _resolved(node: Node, defs: dict[str, Node]) -> tuple[Node, bool]:
    """The node behind references and "or null", and whether it allows null."""
    nullable = False
    while True:
        branches = node.get("anyOf", ())
        others = [branch for branch in branches if branch != {"type": "null"}]
        if "$ref" in node:
            node = defs[node["$ref"].removeprefix("#/$defs/")]
        elif len(others) == 1:
            nullable = nullable or len(others) < len(branches)
            node = others[0]
        else:
            null = "null" in json_types(node) or len(others) < len(branches)
            return node, nullable or null


def _is_null(value: str, node: Node, types: tuple[str, ...]) -> bool:
    if "enum" in node and read_label(value, _labels(node["enum"]), "") in node["enum"]:
        return False  # a label "none" is a label
    return means_null(value) or (not value.strip() and "string" not in types)


def _labels(enum: list[Any]) -> tuple[Any, ...]:
    return tuple(label for label in enum if label is not None)


def _repair_object(value: Node, node: Node, defs: dict[str, Node], path: Path) -> Node:
    properties = node["properties"]
    keys = match_names(value, properties)
    repaired, absent = {}, []
    for name, part in properties.items():
        if name in keys:
            repaired[name] = repair(value[keys[name]], part, defs, (*path, name))
        elif name in node["required"]:
            # what may be null is often left out; a default is put in by the model itself
            repaired[name] = None
            if not _resolved(part, defs)[1]:
                absent.append(name)
    # an object without any of the names is another object, even if all may be left out
    if absent or not (keys or path):
        raise missing(absent or properties, path)
    return repaired


def _repair_list(value: Any, items: Node, defs: dict[str, Node], path: Path) -> Any:
    """A list; one item alone is a list of one, unless it is a text, which may hold several."""
    value = _decoded(value, list)
    enum = _resolved(items, defs)[0].get("enum")
    if isinstance(value, str):
        if enum is None:
            return value
        whole = read_label(value, _labels(enum), "") in enum
        value = [value] if whole else [part.strip() for part in re.split(r"[,;|\n、，；]", value)]
    elif isinstance(value, dict | int | float):
        value = [value]
    if not isinstance(value, list):
        return value
    return [repair(part, items, defs, (*path, i)) for i, part in enumerate(value)]


def _decoded(value: Any, kind: type) -> Any:
    """A list or object that was written as a text, decoded; any other value as it is."""
    if isinstance(value, str) and value.lstrip().startswith("[" if kind is list else "{"):
        try:
            inner = decode(value.strip())
        except OutputError:
            return value
        return inner if isinstance(inner, kind) else value
    return value


def _one_of_list(value: Any) -> Any:
    return value[0] if isinstance(value, list) and len(value) == 1 else value


def _repair_label(value: Any, enum: list[Any], path: Path) -> Any:
    labels = _labels(enum)
    name = next((part for part in reversed(path) if isinstance(part, str)), "")
    found = read_label(_one_of_list(value), labels, name)
    if isinstance(value, bool) and found not in labels:
        raise not_a_label(path, value, labels)
    if isinstance(value, bool) and isinstance(found, int):  # pydantic takes true for a label 1
        raise not_a_label(path, value, labels)
    return found


def _repair_scalar(value: Any, node: Node, path: Path) -> Any:
    types = json_types(node)
    if isinstance(value, float) and "integer" in types and value.is_integer():
        # by its digits: a float does not hold every whole number above 2**53
        whole = read_integer(value.digits) if isinstance(value, Written) else int(value)
        return value.digits if whole is None and isinstance(value, Written) else whole
    if isinstance(value, int | float) and not isinstance(value, bool):
        is_text = set(types) <= {"string", "null"} and bool(types) and "format" not in node
        digits = value.digits if isinstance(value, Written) else str(value)
        return digits if is_text else value
    return _repair_text(value, node, types, path) if isinstance(value, str) else value


def _repair_text(value: str, node: Node, types: tuple[str, ...], path: Path) -> Any:
    if "string" in types:
        return _repair_formatted(value, node.get("format"), path)
    found: Any = None  # a number or a truth value in quotes
    if "integer" in types:
        found = read_integer(value)
    elif "number" in types:
        found = read_float(value)
    elif "boolean" in types:
        found = read_truth(value)
    return value if found is None else found


def _repair_formatted(value: str, form: str | None, path: Path) -> str:
    """A text in a format; OutputError where pydantic would read its digits as a timestamp."""
    if form == "date":
        found = read_day(value)
    elif form == "date-time":
        found = value.strip() if _MOMENT.match(value.strip()) else None
    else:
        found = None if form in ("time", "duration") and _DIGITS.fullmatch(value) else value
    if found is None:
        wanted = _WANTED.get(form or "", f"a {form} in ISO 8601")
        text = f"{path_text(path)}={excerpt(value)} is not {wanted}"
        raise OutputError(text, field=_field(path))
    return found
