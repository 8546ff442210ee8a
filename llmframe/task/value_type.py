"""The type of a field's values as small JSON, so that no reader has to infer it from cells."""

from __future__ import annotations

import json
from typing import TypeAlias, Union

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
    branches = [branch for branch in node.get("anyOf", ()) if branch != {"type": "null"}]
    if len(branches) == 1:
        return _read(branches[0])
    # recursive references have no type at all
    kinds = [kind for kind in json_types(node) if kind != "null"]
    if branches or len(kinds) != 1:
        raise LookupError
    if kinds == ["array"]:
        return [_read(node["items"])]
    if kinds == ["object"]:
        return {name: _read(part) for name, part in node["properties"].items()}
    return _LEAVES[kinds[0]]
