"""What a field's values are made of, as small JSON: so that nobody has to guess it from them."""

from __future__ import annotations

import json
from typing import TypeAlias, Union

from llmframe.task.schema import Node, json_types

Shape: TypeAlias = Union[str, "list[Shape]", "dict[str, Shape]"]
"""``"text"``, ``"integer"``, ``"float"``, ``"boolean"``; a list of one shape: a list of such;
a dict of shapes: an object with these keys; ``"json"``: of no one form."""

JSON = "json"
LIMIT = 4000  # characters; a frame carries the shapes of its columns about

_LEAVES: dict[str, Shape] = {
    "string": "text",
    "integer": "integer",
    "number": "float",
    "boolean": "boolean",
}


def shape_of(node: Node) -> Shape:
    """The shape of a node of a tidy JSON schema; any part of it may be null.

    ``"json"`` for what has no one form (a union, a model that holds itself), or a huge one.
    """
    shape = _shape(node)
    return JSON if shape is None or len(json.dumps(shape)) > LIMIT else shape


def _shape(node: Node) -> Shape | None:
    if "anyOf" in node:
        others = [branch for branch in node["anyOf"] if branch != {"type": "null"}]
        return _shape(others[0]) if len(others) == 1 else None
    kinds = [kind for kind in json_types(node) if kind != "null"]
    if len(kinds) != 1:
        return None
    if kinds == ["array"]:
        inner = _shape(node["items"])
        return None if inner is None else [inner]
    if kinds == ["object"]:
        return _object(node)
    return _LEAVES.get(kinds[0])


def _object(node: Node) -> Shape | None:
    parts: dict[str, Shape] = {}
    for name, part in node["properties"].items():
        inner = _shape(part)
        if inner is None:
            return None
        parts[name] = inner
    return parts
