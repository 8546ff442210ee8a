"""One cell of a frame as text or as JSON: the same bytes on every machine and every pandas."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, time
from math import isfinite
from typing import Any

import numpy as np
import pandas as pd

from llmframe.task.text import reason, shows_nothing

_NEVER_MISSING = frozenset((str, int, bool, list, dict, tuple))
_ENCODER = json.JSONEncoder(ensure_ascii=False, allow_nan=False)
_PLAIN = frozenset((str, int, bool, type(None)))


class CellError(Exception):
    """A cell has no text: its own code fails, or Python has no value for it."""


@dataclass(frozen=True, slots=True)
class Unreadable:
    """Stands for a cell that pandas cannot return. error: why."""

    error: str


def column_cells(column: pd.Series[Any]) -> list[Any]:
    """A column's cells as Python values, narrow floats by their own digits.

    A cell that cannot be read, such as a date beyond the year 9999, is an Unreadable.
    """
    cells = _read(column)
    dtype: Any = column.dtype
    if getattr(dtype, "kind", "") != "f" or getattr(dtype, "itemsize", None) not in (2, 4):
        return cells
    narrow = np.dtype(f"f{dtype.itemsize}").type  # a float32 0.1 is 0.1, not 0.10000000149
    return [cell if is_missing(cell) else narrow(cell) for cell in cells]


def _read(column: pd.Series[Any]) -> list[Any]:
    try:
        return column.tolist()
    except Exception as exc:  # noqa: BLE001 - any array's own code
        if len(column) <= 1:
            return [Unreadable(error_words(exc))] * len(column)
        half = len(column) // 2  # to the cells at fault in few steps
        return _read(column.iloc[:half]) + _read(column.iloc[half:])


def error_words(error: Exception) -> str:
    """The error that a cell's own code raised: its type and message on one line."""
    words = reason(error)
    if isinstance(error, CellError):
        return words
    return f"{type(error).__name__}: {words}" if words else type(error).__name__


def is_missing(cell: Any) -> bool:
    """Whether a cell is None, NaN, NaT or pd.NA; a list or dict never is. Never raises."""
    try:
        return _is_missing(cell)
    except Exception:  # noqa: BLE001 - the cell's own code; cell_text reports it
        return False


def _is_missing(cell: Any) -> bool:
    kind = type(cell)
    if kind in _NEVER_MISSING:
        return False
    if kind is float:
        return bool(cell != cell)
    return bool(pd.api.types.is_scalar(cell) and pd.isna(cell))


def is_blank(cell: Any) -> bool:
    """Whether a cell is missing, or text with nothing to see in it. Never raises."""
    if type(cell) is str:
        return shows_nothing(cell)
    try:
        is_text = isinstance(cell, str)
    except Exception:  # noqa: BLE001 - a class of its own making; cell_text reports it
        return False
    return shows_nothing(str.__str__(cell)) if is_text else is_missing(cell)


def cell_text(cell: Any) -> str:
    """A cell as it stands in a prompt; "" where it is missing.

    Text as it is, numbers and bools by ``str``, dates ISO, lists and dicts JSON,
    anything else by ``str``. Not cleaned of lone surrogates. Raises CellError, and no other
    Exception, for a cell that has no text.
    """
    if type(cell) is str:
        return cell
    try:
        return _text(cell)
    except CellError:
        raise
    except Exception as exc:  # whatever the code of somebody's class raises
        raise CellError(error_words(exc)) from exc


def text_or_blank(cell: Any) -> str:
    """The same; "" as well for a cell that has no text."""
    try:
        return cell_text(cell)
    except CellError:
        return ""


def _text(cell: Any) -> str:
    if isinstance(cell, str):
        return str.__str__(cell)
    if _is_missing(cell):
        return ""
    if type(cell) in (int, float):
        return str(cell)
    plain = json_value(cell)
    if isinstance(plain, (list, dict)):
        return json_text(plain)
    return str(plain)


def json_text(plain: Any) -> str:
    """JSON text of a value that ``json_value`` returned; not ASCII-escaped.

    Raises CellError for an int of thousands of digits and for too many levels.
    """
    try:
        return _ENCODER.encode(plain)
    except (ValueError, RecursionError) as exc:
        raise CellError(error_words(exc)) from exc


def json_value(cell: Any) -> Any:
    """A cell as a plain JSON value; missing is None.

    Numbers and bools stay (infinities become text), dates become ISO text, lists, tuples,
    arrays and dicts are walked, sets become sorted lists, anything else becomes its ``str``.
    Raises CellError, and no other Exception, for a cell that has no such value.
    """
    try:
        return _walk(cell)
    except CellError:
        raise
    except RecursionError:  # a list that holds itself
        return _last_resort(cell)
    except Exception as exc:  # whatever the code of somebody's class raises
        raise CellError(error_words(exc)) from exc


def _last_resort(cell: Any) -> str:
    try:
        return str(cell)
    except Exception as exc:  # too many levels, or a class's own code
        raise CellError(error_words(exc)) from exc


def _walk(cell: Any) -> Any:
    if type(cell) in _PLAIN or isinstance(cell, (str, bool)):
        return cell
    if type(cell) is float and isfinite(cell):  # before the slower questions below
        return cell
    if _is_missing(cell):
        return None
    if isinstance(cell, Mapping):
        return {cell_text(name): _walk(value) for name, value in cell.items()}
    if isinstance(cell, (list, tuple)):
        return [_walk(value) for value in cell]
    if isinstance(cell, (set, frozenset)):  # their own order changes from process to process
        return sorted((_walk(value) for value in cell), key=str)
    return _scalar(cell)


def _scalar(cell: Any) -> Any:
    if isinstance(cell, Unreadable):
        raise CellError(cell.error)
    if isinstance(cell, int):
        return int(cell)
    if isinstance(cell, float):
        return float(cell) if np.isfinite(cell) else str(float(cell))
    if isinstance(cell, (date, time)):
        return cell.isoformat()
    if isinstance(cell, np.generic):
        if cell.dtype.kind == "f":  # by its own digits: a float32 0.1 is 0.1
            return _scalar(float(str(cell)))
        return cell.item() if cell.dtype.kind in "biu" else str(cell)
    if isinstance(cell, bytes):
        return cell.decode("utf-8", "replace")
    if hasattr(cell, "tolist"):  # arrays, Series, Index
        return _walk(cell.tolist())
    return str(cell)
