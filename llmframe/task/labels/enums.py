"""How long the lists of labels in a schema are, and the schema without the long ones.

Some endpoints refuse a schema whose enums hold too many labels or characters. The instructions
list all labels in any case, and every reply is compared with them, so the schema can do without.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

    from llmframe.task.schema import Node


@dataclass(frozen=True, slots=True)
class EnumSize:
    """How much the enums of one schema hold together. characters: of all their labels."""

    labels: int = 0
    characters: int = 0

    def __add__(self, other: EnumSize) -> EnumSize:
        return EnumSize(self.labels + other.labels, self.characters + other.characters)

    def fits_in(self, other: EnumSize) -> bool:
        """Whether neither number is above the other's."""
        return self.labels <= other.labels and self.characters <= other.characters


# No endpoint is known to refuse so little: the lowest limits are about 100 labels.
SHORT = EnumSize(50, 1000)


def enum_size(schema: Node) -> EnumSize:
    """How much the enums of a schema hold together."""
    return sum(map(_size, _enums(schema)), EnumSize())


def without_long_enums(schema: Node) -> Node:
    """The schema with the shortest enums alone, as many as are SHORT together.

    Where an enum is left out, so is the description, which may explain every label: both stand in
    the instructions.
    """
    kept, total = set[int](), EnumSize()
    # the shortest first: so most fields keep the guarantee of their enum
    for node in sorted(_enums(schema), key=lambda node: _size(node).characters):
        total += _size(node)
        if total.fits_in(SHORT):
            kept.add(id(node))
    return _without(schema, kept)


def _size(node: Node) -> EnumSize:
    labels = [str(label) for label in node["enum"] if label is not None]  # null is no label
    return EnumSize(len(labels), sum(map(len, labels)))


def _enums(node: Node) -> Iterator[Node]:
    if isinstance(node.get("enum"), list):
        yield node
    for part in _parts(node):
        yield from _enums(part)


def _parts(node: Node) -> list[Node]:
    """The nodes directly below; a property may bear any name, "enum" too."""
    named = [*node.get("properties", {}).values(), *node.get("$defs", {}).values()]
    return [*named, *node.get("anyOf", ()), *([node["items"]] if "items" in node else ())]


def _without(node: Node, kept: set[int]) -> Node:
    less: dict[str, Any] = dict(node)
    if "enum" in node and id(node) not in kept:
        less = {key: value for key, value in node.items() if key not in ("enum", "description")}
    for key in ("properties", "$defs"):
        if key in less:
            less[key] = {name: _without(part, kept) for name, part in less[key].items()}
    if "anyOf" in less:
        less["anyOf"] = [_without(part, kept) for part in less["anyOf"]]
    if "items" in less:
        less["items"] = _without(less["items"], kept)
    return less
