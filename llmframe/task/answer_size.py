"""How long the answers to some fields are, as far as the fields say it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, NamedTuple

from llmframe.task.definition import Kind

if TYPE_CHECKING:
    from collections.abc import Sequence

    from llmframe.task.fields import FieldSpec


class Size(NamedTuple):
    """UTF-8 bytes of an answer: a short, a usual and a long one."""

    short: float
    usual: float
    long: float


_AROUND = 5  # bytes of quotes, colon, comma and blank around a field's name and value
_BRACES = 2
_SIZES = {
    Kind.INTEGER: Size(1, 2, 8),
    Kind.FLOAT: Size(1, 4, 20),
    Kind.BOOLEAN: Size(4, 5, 5),
    Kind.DATE: Size(12, 12, 12),
    Kind.OBJECT: Size(2, 80, 1500),
}
_TEXT = Size(2, 80, 800)


def answer_size(specs: Sequence[FieldSpec]) -> Size:
    """The size of a whole answer, without the thoughts of a model that thinks."""
    values = [*map(_value_size, specs)]
    names = _BRACES + sum(len(spec.name.encode()) + _AROUND for spec in specs)
    return Size(*(names + sum(sizes) for sizes in zip(*values, strict=True)))


def _value_size(spec: FieldSpec) -> Size:
    if not spec.labels:
        return _SIZES.get(spec.kind, _TEXT)
    labels = [len(json.dumps(label, ensure_ascii=False).encode()) for label in spec.labels]
    return Size(min(labels), sum(labels) / len(labels), max(labels))
