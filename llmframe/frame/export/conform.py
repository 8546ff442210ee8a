"""Cells brought into the shape that their field has; those of another shape are found out."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from llmframe.frame.cells import is_missing, json_text, json_value
from llmframe.task.choices import INT64_MAX, INT64_MIN
from llmframe.task.value_type import JSON
from llmframe.text import clean_text

if TYPE_CHECKING:
    from collections.abc import Callable

    from llmframe.task.value_type import ValueType


class Mismatch(Exception):  # noqa: N818 - no error: another way is taken
    """A cell is not of its field's shape."""


def conform(cell: Any, shape: ValueType) -> Any:
    """The cell as plain lists, dicts, numbers and whole texts; None where it is missing.

    Raises Mismatch where that would lose anything: a further key, a number in the place of a text.
    """
    if is_missing(cell):
        return None
    if isinstance(shape, list):
        return [conform(part, shape[0]) for part in _parts(cell)]
    if isinstance(shape, dict):
        if not isinstance(cell, Mapping) or not cell.keys() <= shape.keys():
            raise Mismatch
        return {name: conform(cell.get(name), inner) for name, inner in shape.items()}
    return _LEAVES[shape](cell)


def is_value_type(told: object) -> bool:
    """Whether it is a shape: what stands in a frame's attrs may be anybody's."""
    if isinstance(told, list):
        return len(told) == 1 and is_value_type(told[0])
    if isinstance(told, dict):
        return bool(told) and all(isinstance(n, str) and is_value_type(s) for n, s in told.items())
    return isinstance(told, str) and told in _LEAVES


def _parts(cell: Any) -> Any:
    if isinstance(cell, list | tuple):
        return cell
    if isinstance(cell, np.ndarray) and cell.ndim == 1:  # as parquet gives lists back
        return cell.tolist()
    raise Mismatch


def _text(cell: Any) -> str:
    if isinstance(cell, str):
        return clean_text(str.__str__(cell))
    raise Mismatch


def _json(cell: Any) -> str:
    """As JSON text; a text is that already, as another program reads it from the file."""
    return _text(cell) if isinstance(cell, str) else clean_text(json_text(json_value(cell)))


def _integer(cell: Any) -> int:
    if isinstance(cell, float | np.floating) and float(cell).is_integer():
        cell = int(cell)
    whole = isinstance(cell, int | np.integer) and not isinstance(cell, bool)
    if whole and INT64_MIN <= cell <= INT64_MAX:
        return int(cell)
    raise Mismatch


def _float(cell: Any) -> float:
    if isinstance(cell, float | int | np.floating | np.integer) and not isinstance(cell, bool):
        return float(cell)
    raise Mismatch


def _boolean(cell: Any) -> bool:
    if isinstance(cell, bool | np.bool_):
        return bool(cell)
    raise Mismatch


_LEAVES: dict[str, Callable[[Any], Any]] = {
    "text": _text,
    "integer": _integer,
    "float": _float,
    "boolean": _boolean,
    JSON: _json,
}
