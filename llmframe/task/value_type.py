"""What a field's values hold: their type as small JSON, and the parts of nested objects."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import KW_ONLY, dataclass
from typing import TypeAlias, Union

from llmframe.task.choices import Labels
from llmframe.task.definition import Kind
from llmframe.task.schema import Node, json_types

ValueType: TypeAlias = Union[str, "list[ValueType]", "dict[str, ValueType]"]
"""``"text"``, ``"integer"``, ``"float"``, ``"boolean"``; ``[type]``: a list of such values;
``{key: type}``: an object with these keys; ``"json"``: values of no single type."""

JSON = "json"
LIMIT = 4000  # characters; a frame's attrs carry the types of all its columns

_LEAVES: dict[str, ValueType] = {
    "string": "text",
    "integer": "integer",
    "number": "float",
    "boolean": "boolean",
}


@dataclass(frozen=True, slots=True)
class Part:
    """A value inside nested objects, which can be a column of its own.

    path: the names that lead to it. kind, labels, items, value_type: as of a field.
    """

    path: tuple[str, ...]
    _: KW_ONLY
    kind: Kind
    labels: Labels | None = None
    items: Labels | None = None
    value_type: ValueType | None = None


def parts_of(node: Node) -> tuple[Part, ...]:
    """The parts of a tidy JSON schema's object, at any depth; () for any other node.

    What has no single form stays whole: a list, a union of objects, one that contains itself.
    """
    return tuple(_parts(node, ())) if "properties" in _without_null(node) else ()


def _parts(node: Node, path: tuple[str, ...]) -> Iterator[Part]:
    node = _without_null(node)
    if "properties" in node:
        for name, inner in node["properties"].items():
            yield from _parts(inner, (*path, name))
        return
    kind = _kind(node)
    yield Part(
        path,
        kind=kind,
        labels=_labels(node),
        items=_labels(_without_null(node.get("items", {}))),
        value_type=value_type(node) if kind is Kind.OBJECT else None,
    )


def _kind(node: Node) -> Kind:
    """The kind of the column of a node that is no object with names."""
    if _labels(node):
        return Kind.CHOICE
    kinds = [kind for kind in json_types(node) if kind != "null"]
    if len(kinds) != 1 or kinds[0] not in _KINDS:
        return Kind.OBJECT
    is_date = kinds == ["string"] and node.get("format") in ("date", "date-time")
    return Kind.DATE if is_date else _KINDS[kinds[0]]


def _labels(node: Node) -> Labels | None:
    return tuple(label for label in node.get("enum", ()) if label is not None) or None


def _without_null(node: Node) -> Node:
    """The only branch of "this or null"; any other node as it is."""
    branches = [branch for branch in node.get("anyOf", ()) if branch != {"type": "null"}]
    return branches[0] if len(branches) == 1 else node


_KINDS = {
    "string": Kind.TEXT,
    "integer": Kind.INTEGER,
    "number": Kind.FLOAT,
    "boolean": Kind.BOOLEAN,
}


def value_type(node: Node) -> ValueType:
    """The type of the values of a tidy JSON schema's node; every part may be null as well.

    ``"json"`` for a union, a model that contains itself, or a type of more than LIMIT characters.
    """
    try:
        found = _read(node)
    except LookupError:
        return JSON
    return JSON if len(json.dumps(found)) > LIMIT else found


def _read(node: Node) -> ValueType:
    """Raises LookupError for a node with no single type."""
    node = _without_null(node)
    # recursive references have no type at all
    kinds = [kind for kind in json_types(node) if kind != "null"]
    if "anyOf" in node or len(kinds) != 1:
        raise LookupError
    if kinds == ["array"]:
        return [_read(node["items"])]
    if kinds == ["object"]:
        return {name: _read(part) for name, part in node["properties"].items()}
    return _LEAVES[kinds[0]]
