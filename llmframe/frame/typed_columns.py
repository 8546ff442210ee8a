"""Typed columns from JSON values: one bad value costs its own cell, never the column."""

from __future__ import annotations

import base64
from datetime import date, datetime
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import pandas as pd

from llmframe.frame.cells import cell_text, column_cells, is_missing
from llmframe.task.choices import INT64_MAX, INT64_MIN
from llmframe.task.fields import FieldSpec, Kind
from llmframe.text import clean_text, is_whole

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from pandas.api.extensions import ExtensionArray

    from llmframe.task.value_type import ValueType

    Array = np.ndarray[Any, Any] | ExtensionArray
    Build = Callable[[Sequence[Any]], Array]

_LABELS = (str, int)  # and no bool, which equals 0 or 1
DATE_DTYPE = "datetime64[us]"  # holds the years 1 to 9999, on every pandas


def builder(spec: FieldSpec) -> Build:
    """The function that builds a field's column from its values (None where a row has none).

    Closed choices become an unordered categorical in their order, INTEGER ``Int64``,
    FLOAT ``Float64``, BOOLEAN ``boolean``, TEXT pandas' own text type, DATE
    ``datetime64[us]`` (a time with an offset becomes UTC), OBJECT copies of lists and dicts,
    VECTOR arrays of float32.
    """
    if spec.kind is Kind.CHOICE:
        return choices(spec.labels or ())
    return _BUILDERS[spec.kind]


def choices(labels: Sequence[str] | Sequence[int]) -> Build:
    """A builder of unordered categoricals with these categories."""
    dtype = pd.CategoricalDtype(
        [clean_text(label) if isinstance(label, str) else label for label in labels]
    )
    # codes, not labels: pandas would take True for a label 1
    code_of = {label: code for code, label in enumerate(labels)}

    def build(values: Sequence[Any]) -> Array:
        codes = [code_of.get(value, -1) if type(value) in _LABELS else -1 for value in values]
        return pd.Categorical.from_codes(np.array(codes, dtype=np.int64), dtype=dtype)

    return build


def as_written(cells: pd.Series[Any], written: ValueType | None) -> pd.Series[Any] | None:
    """A written column in the storage that it was written in; None if another value is in it.

    written: what it holds, a ``Kind``'s value or a ``ValueType``, None if that is not known.
    """
    if written == Kind.VECTOR:
        return _as_vectors(cells)
    values = [None if is_missing(cell) else _plain(cell) for cell in column_cells(cells)]
    held = [value for value in values if value is not None]
    kind = next((kind for kind in Kind if kind.value == written), Kind.OBJECT)
    if written is None or not all(isinstance(value, _HELD[kind]) for value in held):
        return None
    if kind is Kind.CHOICE:
        made = pd.Series(pd.Categorical(values), index=cells.index)
    else:
        made = pd.Series(_BUILDERS[kind](values), index=cells.index)
    return made if made.isna().sum() == len(values) - len(held) else None


def _as_vectors(cells: pd.Series[Any]) -> pd.Series[Any] | None:
    """Lists, or arrays of other numbers, as arrays of float32; None if another value is there."""
    rows = [None if is_missing(cell) else vector_cell(cell) for cell in column_cells(cells)]
    if sum(row is None for row in rows) > cells.isna().sum():
        return None
    made = np.empty(len(rows), dtype=object)
    made[:] = rows
    return pd.Series(made, index=cells.index)


def _plain(cell: Any) -> Any:
    """A cell without NumPy's and pandas' own types, as a reply would have it."""
    if isinstance(cell, np.datetime64):
        cell = pd.Timestamp(cell)
    if isinstance(cell, np.generic):
        cell = cell.item()
    if isinstance(cell, date):
        return cell.isoformat()
    return cell.tolist() if isinstance(cell, np.ndarray) else cell


def integers(values: Sequence[Any]) -> Array:
    """``Int64``; missing where a value is not a whole number of 64 bits."""
    cells: list[int | None] = []
    for value in values:
        whole = int(value) if isinstance(value, float) and value.is_integer() else value
        fits = isinstance(whole, int) and INT64_MIN <= whole <= INT64_MAX
        cells.append(int(whole) if fits else None)
    return pd.array(cells, dtype="Int64")


def floats(values: Sequence[Any]) -> Array:
    """``Float64``; missing where a value is not a number."""
    cells: list[float | None] = []
    for value in values:
        try:
            cells.append(float(value) if isinstance(value, (int, float)) else None)
        except OverflowError:  # an int beyond any float
            cells.append(None)
    return pd.array(cells, dtype="Float64")


def booleans(values: Sequence[Any]) -> Array:
    """``boolean``; missing where a value is not a truth value."""
    cells = [value if isinstance(value, bool) else None for value in values]
    return pd.array(cells, dtype="boolean")


def texts(values: Sequence[Any]) -> Array:
    """Pandas' own text type: ``str`` on pandas 3, ``object`` before it or where it is set off."""
    cells = [
        value  # the common case, with few calls per cell
        if value is None or (type(value) is str and (value.isascii() or is_whole(value)))
        else clean_text(cell_text(value))
        for value in values
    ]
    dtype = pd.Series(["text"]).dtype
    return cast("Array", pd.Series(cells, dtype=dtype).array)


def dates(values: Sequence[Any]) -> Array:
    """``datetime64[us]`` from ISO text; missing where a value is not a date."""
    return np.array([_date(value) for value in values], dtype=DATE_DTYPE)


def objects(values: Sequence[Any]) -> Array:
    """Lists and dicts, each cell its own copy: equal rows share an answer, not its list."""
    cells = np.empty(len(values), dtype=object)  # np.array makes a table of lists of equal length
    for position, value in enumerate(values):
        cells[position] = _copied(value)
    return cells


def vectors(values: Sequence[Any]) -> Array:
    """Arrays of float32 from base64 of them, each cell its own; None where there is none.

    Vectors of one length are the rows of one table, which np.stack copies at once.
    """
    cells = np.empty(len(values), dtype=object)
    held = {at: _floats_in(value) for at, value in enumerate(values) if isinstance(value, str)}
    rows = [row for row in held.values() if row is not None]
    if len({len(row) for row in rows}) == 1:
        rows = [*np.stack(rows)]
    else:
        rows = [row.copy() for row in rows]  # what base64 gave cannot be written to
    for at, row in zip((at for at, row in held.items() if row is not None), rows, strict=True):
        cells[at] = row
    return cells


def _floats_in(text: str) -> np.ndarray[Any, Any] | None:
    """The numbers in base64 of float32; None where the text is none."""
    try:
        return np.frombuffer(base64.b64decode(text, validate=True), "<f4").astype("f4", copy=False)
    except ValueError:
        return None


def vector_cell(cell: Any) -> np.ndarray[Any, Any] | None:
    """A cell as one row of float32, from any array or list of numbers; None where it is none."""
    try:
        array = np.asarray(cell, dtype=np.float32)
    except (TypeError, ValueError):
        return None
    return array if array.ndim == 1 else None


def _date(value: Any) -> datetime | np.datetime64 | None:
    if not isinstance(value, str):
        return None
    try:
        moment = datetime.fromisoformat(value.upper())  # a small z is valid too
    except ValueError:
        return None
    offset = moment.utcoffset()
    if offset is None:
        return moment
    naive = moment.replace(tzinfo=None)
    # in NumPy, because the moment in UTC may lie beyond the years that datetime holds
    return np.datetime64(naive, "us") - np.timedelta64(offset)


def _copied(value: Any) -> Any:
    if isinstance(value, str):
        return clean_text(value)
    if isinstance(value, list):
        return [_copied(item) for item in value]
    if isinstance(value, dict):
        return {clean_text(name): _copied(item) for name, item in value.items()}
    return value


_HELD: dict[Kind, Any] = {
    Kind.CHOICE: _LABELS,
    Kind.INTEGER: (int, float),
    Kind.FLOAT: (int, float),
    Kind.BOOLEAN: bool,
    Kind.TEXT: str,
    Kind.DATE: str,
    Kind.OBJECT: object,
}
_BUILDERS: dict[Kind, Build] = {
    Kind.INTEGER: integers,
    Kind.FLOAT: floats,
    Kind.BOOLEAN: booleans,
    Kind.TEXT: texts,
    Kind.DATE: dates,
    Kind.OBJECT: objects,
    Kind.VECTOR: vectors,
}
