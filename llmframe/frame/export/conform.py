"""Bring cells into the form that their value type asks for, or find out that they differ."""

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
    """A cell is not of its field's value type."""


def conform(cell: Any, value_type: ValueType) -> Any:
    """The cell as plain lists, dicts, numbers and whole texts; None where it is missing.

    Raises Mismatch where that would lose anything: another key, a number in a text's place.
    """
    if is_missing(cell):
        return None
    if isinstance(value_type, list):
        if isinstance(cell, np.ndarray) and cell.ndim == 1:  # parquet's lists, read by pandas
            cell = cell.tolist()
        if not isinstance(cell, list | tuple):
            raise Mismatch
        return [conform(part, value_type[0]) for part in cell]
    if isinstance(value_type, dict):
        # a missing key becomes null, another key would be lost
        if not isinstance(cell, Mapping) or not cell.keys() <= value_type.keys():
            raise Mismatch
        return {name: conform(cell.get(name), inner) for name, inner in value_type.items()}
    return _LEAVES[value_type](cell)


def is_value_type(value: object) -> bool:
    """Whether it is a value type: anybody may have written a frame's attrs."""
    if isinstance(value, list):
        return len(value) == 1 and is_value_type(value[0])
    if isinstance(value, dict):
        return bool(value) and all(
            isinstance(name, str) and is_value_type(part) for name, part in value.items()
        )
    return isinstance(value, str) and value in _LEAVES


def _text(cell: Any) -> str:
    if isinstance(cell, str):
        return clean_text(str.__str__(cell))
    raise Mismatch


def _json(cell: Any) -> str:
    # a text is JSON already, when the file was read by a program other than ours
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
