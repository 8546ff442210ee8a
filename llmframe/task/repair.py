"""Repair of a reply where only one reading is possible, guided by the strict schema."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Any, TypeAlias

from llmframe.errors import OutputError
from llmframe.task.schema import Node, json_types
from llmframe.task.text import excerpt, fold, listing

Path: TypeAlias = tuple[str | int, ...]

_INTEGER = re.compile(r"-?(0|[1-9][0-9]{0,18})")
_NUMBER = re.compile(r"-?(0|[1-9][0-9]{0,30})(\.[0-9]{1,30})?([eE][+-]?[0-9]{1,2})?")
_MOMENT = re.compile(r"\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d")


def repair(value: Any, node: Node, defs: dict[str, Node], path: Path = ()) -> Any:
    """The value in the form that the schema's node asks for, wherever its meaning is certain.

    Any other value stays as it is, and the model refuses it. Raises OutputError only for what
    the model would accept: a missing property, a bool as an int label, digits as a date.
    """
    while True:  # through references, and through "or null"
        if "$ref" in node:
            node = defs[node["$ref"].removeprefix("#/$defs/")]
        elif len(others := [n for n in node.get("anyOf", ()) if n != {"type": "null"}]) == 1:
            node = others[0]
        else:
            break
    if value is None:
        return None
    if "enum" in node:
        return _repair_label(value, node["enum"], path)
    if isinstance(value, dict) and "properties" in node:
        return _repair_object(value, node["properties"], defs, path)
    if isinstance(value, list) and "items" in node:
        return [repair(part, node["items"], defs, (*path, i)) for i, part in enumerate(value)]
    return _repair_scalar(value, node, path)


def path_text(path: Path) -> str:
    """A path as a person writes it: tags[2], address.city."""
    parts = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in path)
    return parts.removeprefix(".") or "the reply"


def not_a_label(path: Path, value: object, labels: tuple[Any, ...]) -> OutputError:
    """The error for a value that is none of the labels."""
    text = f"{path_text(path)}={excerpt(value)} is not one of {listing(labels)}"
    return OutputError(text, field=str(path[0]) if path else None)


def _repair_object(value: Node, properties: Node, defs: dict[str, Node], path: Path) -> Node:
    # Names match exactly, else by their folded form where both sides have only one such.
    keys = {name: name for name in properties if name in value}
    others = _unique_folds(tuple(key for key in value if key not in keys))
    for folded, name in _unique_folds(tuple(properties)).items():
        if name not in keys and folded in others:
            keys[name] = others[folded]
    missing = tuple(name for name in properties if name not in keys)
    if missing:
        where = f" in {path_text(path)}" if path else ""
        raise OutputError(
            f"the reply has no {listing(missing)}{where}", field=str((*path, missing[0])[0])
        )
    return {
        name: repair(value[keys[name]], part, defs, (*path, name))
        for name, part in properties.items()
    }


@lru_cache(maxsize=256)  # the same labels and properties for every row of a run
def _unique_folds(names: tuple[Any, ...]) -> dict[str, Any]:
    """Folded form -> the one name that has it; forms that several share are left out."""
    folds: dict[str, list[Any]] = {}
    for name in names:
        folds.setdefault(fold(str(name)), []).append(name)
    return {folded: alike[0] for folded, alike in folds.items() if len(alike) == 1}


def _repair_label(value: Any, labels: list[Any], path: Path) -> Any:
    choice = tuple(label for label in labels if label is not None)
    if isinstance(value, bool):  # pydantic takes true for a label 1
        raise not_a_label(path, value, choice)
    if isinstance(value, str) and value not in choice:
        return _unique_folds(choice).get(fold(value), value)
    if isinstance(value, float) and value.is_integer():
        return int(value)
    return value


def _repair_scalar(value: Any, node: Node, path: Path) -> Any:
    types = json_types(node)
    if isinstance(value, float) and "integer" in types and value.is_integer():
        return int(value)
    if not isinstance(value, str):
        return value
    text, form = value.strip(), node.get("format")
    if "string" in types:
        if form == "date-time" and not _MOMENT.match(text):  # pydantic reads digits as a timestamp
            raise OutputError(
                f"{path_text(path)}={excerpt(value)} is not a date and time in ISO 8601",
                field=str(path[0]) if path else None,
            )
        return text if form in ("date", "date-time") else value
    # a number or a truth value in quotes
    if "integer" in types and _INTEGER.fullmatch(text):
        return int(text)
    if "number" in types and _NUMBER.fullmatch(text):
        return float(text)
    if "boolean" in types and text.casefold() in ("true", "false"):
        return text.casefold() == "true"
    return value
