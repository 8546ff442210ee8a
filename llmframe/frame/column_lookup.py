"""Finding a frame's columns by name, and refusing those whose cells have no text."""

from __future__ import annotations

import difflib
from typing import TYPE_CHECKING, Any

import pandas as pd

from llmframe.errors import PlanError

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterable

SHOWN = 20  # names in a message, the rest is counted
SEARCHED = 2000  # names compared for the nearest ones
_BYTES = (bytes, bytearray, memoryview)


class ColumnLookup:
    """The columns of one frame by their names, duplicates known."""

    def __init__(self, df: pd.DataFrame) -> None:
        self._df = df
        self._names: list[Hashable] = list(df.columns)
        self._positions: dict[Hashable, list[int]] = {}
        for position, name in enumerate(self._names):
            self._positions.setdefault(name, []).append(position)

    def has(self, name: object) -> bool:
        """Whether a column bears exactly this name."""
        return _hashable(name) and self._exact(name) in self._positions

    def resolve(self, name: Any, *, what: str) -> Hashable:
        """The column of this name. Raises PlanError; ``what`` is the option at fault."""
        if not _hashable(name):
            raise PlanError(
                f"{what}: a {type(name).__name__} names no column; give "
                + ("a column's name" if what == "id" else _FORMS)
            )
        column = self._exact(name)
        if column not in self._positions:
            raise self._unknown(name, what)
        return self._single(column, what)

    def resolve_text(self, name: str) -> Hashable:
        """The column that a template's ``{name}`` means: exactly, else by its name as text."""
        if self.has(name):
            return self.resolve(name, what="input")
        same = [column for column in self._positions if self.text_name(column) == name]
        if len(same) != 1:
            raise self._unknown(name, "input")
        return self._single(same[0], "input")

    def series(self, column: Hashable) -> pd.Series[Any]:
        """The cells of a column that was resolved."""
        return self._df.iloc[:, self._positions[column][0]]

    def text_name(self, column: Hashable) -> str:
        """A column's name as text; of a MultiIndex column without its padding."""
        if self._df.columns.nlevels > 1 and isinstance(column, tuple):
            levels = [str(level) for level in column]
            while len(levels) > 1 and not levels[-1]:
                levels.pop()
            return levels[0] if len(levels) == 1 else str(column)
        return str(column)

    def check_cells(self, column: Hashable) -> None:
        """Raise PlanError when a cell has no text: bytes, objects that only name an address."""
        series = self.series(column)
        textless = {kind for kind in _cell_types(series) if _textless(kind)}
        if not textless:
            return
        found = ((at, cell) for at, cell in enumerate(series) if type(cell) in textless)
        for position, cell in found:
            raise PlanError(_textless_message(column, position, cell))

    def _exact(self, name: Hashable) -> Hashable:
        """The name as the frame has it: padded to the columns' levels, the frame's own NaN."""
        if isinstance(name, float) and name != name:
            return next((column for column in self._names if column != column), name)
        levels = self._df.columns.nlevels
        if levels > 1 and name not in self._positions and not isinstance(name, tuple):
            return (name, *[""] * (levels - 1))
        return name

    def _single(self, column: Hashable, what: str) -> Hashable:
        count = len(self._positions[column])
        if count > 1:
            raise PlanError(
                f"{what}: {count} columns are named {column!r}; rename them so that one is meant"
            )
        return column

    def _unknown(self, name: Hashable, what: str) -> PlanError:
        near = self._nearest(name)
        hint = f"; did you mean {' or '.join(map(repr, near))}?" if near else "."
        if isinstance(name, tuple) and all(self.has(part) for part in name):
            hint = "; for several columns give a list, not a tuple."
        return PlanError(f"{what}: no column {name!r}{hint} {self._listing()}")

    def _nearest(self, name: Hashable) -> list[Hashable]:
        by_text: dict[str, Hashable] = {}
        for column in self._names[:SEARCHED]:
            by_text.setdefault(self.text_name(column).strip().casefold(), column)
        wanted = str(name).strip().casefold()
        return [by_text[text] for text in difflib.get_close_matches(wanted, by_text, n=3)]

    def _listing(self) -> str:
        if not self._names:
            return "The frame has no columns."
        more = len(self._names) - SHOWN
        shown = ", ".join(map(repr, self._names[:SHOWN]))
        return f"The frame has: {shown}" + (f" and {more} more." if more > 0 else ".")


_FORMS = "a column's name, a template like 'From {sender}: {text}', or a list of columns"


def _hashable(name: object) -> bool:
    try:
        hash(name)
    except TypeError:
        return False
    return True


def _cell_types(cells: pd.Series[Any] | pd.Index[Any]) -> Iterable[type]:
    """The types that a column's cells may have, without a look at typed columns' cells."""
    dtype: Any = cells.dtype
    if isinstance(dtype, pd.CategoricalDtype):
        return _cell_types(dtype.categories)
    if pd.api.types.is_object_dtype(dtype):
        return set(map(type, cells.to_numpy()))
    return (dtype.type,)


def _textless(kind: type) -> bool:
    if issubclass(kind, _BYTES):
        return True
    return kind.__str__ is object.__str__ and kind.__repr__ is object.__repr__


def _textless_message(column: Hashable, position: int, cell: object) -> str:
    found = f"column {column!r} holds {type(cell).__name__} at row {position}"
    if isinstance(cell, _BYTES):
        cure = f"df[{column!r}].str.decode('utf-8')"
        return f"{found}, and only text can be sent; decode it first: {cure}"
    return f"{found}, which has no text of its own; turn it into text first"
