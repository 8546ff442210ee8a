"""Repair of a reply where what is meant is certain, guided by the strict schema."""

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


def mend(value: Any, node: Node, defs: dict[str, Node], path: Path = ()) -> Any:
    """The value as the schema's node wants it, wherever there is one way to read it.

    What cannot be mended is left for the model to refuse; raises OutputError only for what
    the model would let through: a missing property, a bool as an int label, digits as a date.
    """
    node = _resolved(node, defs)
    if value is None:
        return None
    if "enum" in node:
        return _mend_label(value, node["enum"], path)
    if isinstance(value, dict) and "properties" in node:
        return _mend_object(value, node, defs, path)
    if isinstance(value, list) and "items" in node:
        return [mend(part, node["items"], defs, (*path, i)) for i, part in enumerate(value)]
    return _mend_scalar(value, node, path)


def at(path: Path) -> str:
    """A path as a person writes it: tags[2], address.city."""
    told = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in path)
    return told.removeprefix(".") or "the reply"


def off_list(path: Path, value: object, labels: tuple[Any, ...]) -> OutputError:
    """The error for a value that is none of the labels."""
    text = f"{at(path)}={excerpt(value)} is not one of {listing(labels)}"
    return OutputError(text, field=first(path))


def first(path: Path) -> str | None:
    """The field a path begins with, None for the whole reply."""
    return str(path[0]) if path else None


def _resolved(node: Node, defs: dict[str, Node]) -> Node:
    """The node itself, through a reference and through "or null"."""
    while True:
        if "$ref" in node:
            node = defs[node["$ref"].removeprefix("#/$defs/")]
        elif len(others := [n for n in node.get("anyOf", ()) if n != {"type": "null"}]) == 1:
            node = others[0]
        else:
            return node


def _mend_object(value: Node, node: Node, defs: dict[str, Node], path: Path) -> Node:
    properties: Node = node["properties"]
    keys = _keys_found(tuple(value), tuple(properties))
    missing = tuple(name for name in properties if name not in keys)
    if missing:
        where = f" in {at(path)}" if path else ""
        text = f"the reply has no {listing(missing)}{where}"
        raise OutputError(text, field=first((*path, missing[0])))
    return {
        name: mend(value[keys[name]], part, defs, (*path, name))
        for name, part in properties.items()
    }


def _keys_found(given: tuple[str, ...], wanted: tuple[str, ...]) -> dict[str, str]:
    """Wanted name -> given key: equal, else alike where both sides have only one such."""
    found = {name: name for name in wanted if name in given}
    by_fold = _unique_folds(tuple(key for key in given if key not in found))
    for folded, name in _unique_folds(wanted).items():
        if name not in found and folded in by_fold:
            found[name] = by_fold[folded]
    return found


@lru_cache(maxsize=256)
def _unique_folds(names: tuple[Any, ...]) -> dict[str, Any]:
    """Folded form -> the one name that has it; forms that several share are left out."""
    folds: dict[str, list[Any]] = {}
    for name in names:
        folds.setdefault(fold(str(name)), []).append(name)
    return {folded: alike[0] for folded, alike in folds.items() if len(alike) == 1}


def _mend_label(value: Any, labels: list[Any], path: Path) -> Any:
    choice = tuple(label for label in labels if label is not None)
    if isinstance(value, bool):
        raise off_list(path, value, choice)
    if isinstance(value, str) and value not in choice:
        return _unique_folds(choice).get(fold(value), value)
    if isinstance(value, float) and value.is_integer():
        return int(value)
    return value


def _mend_scalar(value: Any, node: Node, path: Path) -> Any:
    types = json_types(node)
    if isinstance(value, float) and "integer" in types and value.is_integer():
        return int(value)
    if not isinstance(value, str):
        return value
    if "string" in types:
        return _mend_text(value, node.get("format"), path)
    return _mend_spelled(value.strip(), types, value)


def _mend_text(value: str, form: str | None, path: Path) -> str:
    if form == "date":
        return value.strip()
    if form == "date-time":
        if not _MOMENT.match(value.strip()):  # pydantic would read digits as a timestamp
            text = f"{at(path)}={excerpt(value)} is not a date and time in ISO 8601"
            raise OutputError(text, field=first(path))
        return value.strip()
    return value


def _mend_spelled(text: str, types: tuple[str, ...], value: str) -> Any:
    """A number or a truth value that was put in quotes."""
    if "integer" in types and _INTEGER.fullmatch(text):
        return int(text)
    if "number" in types and _NUMBER.fullmatch(text):
        return float(text)
    if "boolean" in types and text.casefold() in ("true", "false"):
        return text.casefold() == "true"
    return value
