"""Find a frame's columns by name, and refuse those whose cells have no text."""

from __future__ import annotations

import difflib
from datetime import date, time, timedelta
from decimal import Decimal
from types import NoneType
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from llmframe.errors import PlanError
from llmframe.task.text import quoted

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterable

SHOWN = 20  # names in a message; the others are counted
SEARCHED = 2000  # names compared for the nearest ones
_BYTES = (bytes, bytearray, memoryview)
_DECODED = "bytes(c).decode('utf-8', 'replace')"
_IS_BYTES = "isinstance(c, (bytes, bytearray, memoryview))"
# cells that nobody can change in place
_FIXED = (
    *(str, bytes, int, float, complex, NoneType, type(pd.NA), np.generic),
    *(date, time, timedelta, Decimal, pd.Period, pd.Interval),
)
_FORMS = "a column's name, a template like 'From {sender}: {text}', or a list of columns"


class ColumnLookup:
    """The columns of one frame by name; a name may have several positions."""

    def __init__(self, df: pd.DataFrame) -> None:
        self._df = df
        self._names: list[Hashable] = list(df.columns)
        self._positions: dict[Hashable, list[int]] = {}
        for position, name in enumerate(self._names):
            self._positions.setdefault(name, []).append(position)
        self._kinds: dict[Hashable, set[type]] = {}

    def has(self, name: object) -> bool:
        """Whether a column has exactly this name."""
        return _is_hashable(name) and self._in_frame(name) in self._positions

    def resolve(self, name: Any, *, option: str) -> Hashable:
        """The column of this name. Raises PlanError; ``option`` is the one at fault."""
        if isinstance(name, pd.Series):
            raise PlanError(f"{option}: a Series names no column; give its name, {name.name!r}")
        if not _is_hashable(name):
            raise PlanError(
                f"{option}: a {type(name).__name__} names no column; give "
                + (_FORMS if option == "input" else "a column's name")
            )
        column = self._in_frame(name)
        count = len(self._positions.get(column, ()))
        if not count:
            raise self._unknown(name, option)
        if count > 1:
            raise PlanError(
                f"{option}: {count} columns are named {column!r}; rename them so that one is meant"
            )
        return column

    def resolve_text(self, name: str) -> Hashable:
        """The column that a template's ``{name}`` means: exactly, else by its name as text."""
        if not self.has(name):
            same = [column for column in self._positions if self.text_name(column) == name]
            if len(same) != 1:
                raise self._unknown(name, "input")
            return self.resolve(same[0], option="input")
        return self.resolve(name, option="input")

    def series(self, column: Hashable) -> pd.Series[Any]:
        """The cells of a column that was resolved."""
        return self._df.iloc[:, self.position(column)]

    def find(self, name: str) -> pd.Series[Any] | None:
        """The cells of the column of exactly this name, None if there is none.

        Raises PlanError where several columns have it.
        """
        return self.series(self.resolve(name, option="column")) if self.has(name) else None

    def position(self, column: Hashable) -> int:
        """The position of a column that was resolved."""
        return self._positions[column][0]

    def text_name(self, column: Hashable) -> str:
        """A column's name as text; of a MultiIndex column without its padding."""
        if self._df.columns.nlevels > 1 and isinstance(column, tuple):
            levels = [str(level) for level in column]
            # as pandas pads a name that has fewer levels
            while len(levels) > 1 and not levels[-1]:
                levels.pop()
            return levels[0] if len(levels) == 1 else str(column)
        return str(column)

    def check_cells(self, column: Hashable) -> None:
        """Raise PlanError if a cell has no text: bytes, objects whose text is an address."""
        series = self.series(column)
        textless = {kind for kind in self._cell_types(column) if _is_textless(kind)}
        for position, cell in enumerate(series) if textless else ():
            if type(cell) not in textless:
                continue
            found = f"column {column!r} holds {type(cell).__name__} at row {position}"
            if isinstance(cell, _BYTES):
                # the other cells may be text, or missing, or anything else
                cure = f"df[{column!r}].map(lambda c: {_DECODED} if {_IS_BYTES} else c)"
                raise PlanError(
                    f"{found}, and only text can be sent (.str.decode() blanks what is text "
                    f"already); decode it first: {cure}"
                )
            raise PlanError(f"{found}, which has no text of its own; turn it into text first")

    def is_stable(self, column: Hashable) -> bool:
        """Whether its cells have the same text whenever they are read: a list may change."""
        return all(issubclass(kind, _FIXED) for kind in self._cell_types(column))

    def _cell_types(self, column: Hashable) -> set[type]:
        if column not in self._kinds:  # it reads every cell of a column of objects
            self._kinds[column] = set(_cell_types(self.series(column)))
        return self._kinds[column]

    def _in_frame(self, name: Hashable) -> Hashable:
        """The name as the frame has it: padded to the columns' levels, the frame's own NaN."""
        if isinstance(name, float) and name != name:
            return next((column for column in self._names if column != column), name)
        levels = self._df.columns.nlevels
        if levels > 1 and name not in self._positions and not isinstance(name, tuple):
            return (name, *[""] * (levels - 1))
        return name

    def _unknown(self, name: Hashable, option: str) -> PlanError:
        by_text: dict[str, Hashable] = {}  # the first of several names that differ in case
        for column in self._names[:SEARCHED]:
            by_text.setdefault(self.text_name(column).strip().casefold(), column)
        near = difflib.get_close_matches(str(name).strip().casefold(), by_text, n=3)
        words = [self.text_name(column) for column in self._names[:SEARCHED]]
        inside = next((word for word in words if word and f" {word}" in f" {name}"), None)
        hint = f"; did you mean {' or '.join(repr(by_text[n]) for n in near)}?" if near else "."
        if isinstance(name, tuple) and all(self.has(part) for part in name):
            hint = "; for several columns give a list, not a tuple."
        if name in self._df.index.names and name is not None:
            hint = "; it names a level of the index: use df.reset_index()."
        if inside is not None and not near:
            template = str(name).replace(inside, f"{{{inside}}}")
            hint = f"; a template has its columns in braces: {template!r}."
        more = len(self._names) - SHOWN
        rest = f" and {more} more." if more > 0 else "."
        listed = f"The frame has: {quoted(self._names[:SHOWN])}{rest}"
        listed = listed if self._names else "The frame has no columns."
        return PlanError(f"{option}: no column {name!r}{hint} {listed}")


def check_frame(df: object) -> None:
    """PlanError, with the way to one, for anything that is no DataFrame of pandas."""
    if isinstance(df, pd.DataFrame):
        return
    kind, owner = type(df), type(df).__module__.partition(".")[0]
    if isinstance(df, pd.Series):
        cure = "series.llm.tag(fields) takes it, or series.to_frame('text')"
    elif isinstance(df, list | tuple | dict | np.ndarray):
        cure = "make one: pd.DataFrame(...)"
    else:
        ways = ("to_pandas", "toPandas", "_to_pandas", "compute", "df", "to_dataframe")
        way = next((way for way in ways if callable(getattr(kind, way, None))), "to_pandas")
        cure = f"turn it into one: .{way}()"
    name = kind.__name__ if owner == "builtins" else f"{kind.__name__} of {owner}"
    raise PlanError(f"a pandas DataFrame is needed, this is a {name}; {cure}")


def _is_hashable(name: object) -> bool:
    try:
        hash(name)
    except TypeError:
        return False
    return True


def _cell_types(cells: pd.Series[Any] | pd.Index[Any]) -> Iterable[type]:
    """The types that a column's cells may have; a typed column's cells are not read."""
    dtype: Any = cells.dtype
    if isinstance(dtype, pd.CategoricalDtype):
        return _cell_types(dtype.categories)
    if pd.api.types.is_object_dtype(dtype):
        return set(map(type, cells.to_numpy()))
    return (dtype.type,)


def _is_textless(kind: type) -> bool:
    if issubclass(kind, _BYTES):
        return True
    # the default text is an address, another one in every process: so would be the row's key
    return kind.__str__ is object.__str__ and kind.__repr__ is object.__repr__
