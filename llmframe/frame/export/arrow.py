"""Columns as Arrow arrays: typed by their fields, all others by a rule that never fails."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from llmframe.frame.cells import cell_text, is_missing
from llmframe.frame.export.conform import Mismatch, conform, is_value_type
from llmframe.frame.export.target import needed
from llmframe.text import clean_text

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from llmframe.task.value_type import ValueType

    Cells = pd.Series[Any]

# What Arrow infers from Python objects without a loss, by infer_dtype's words.
_LOSSLESS = frozenset(
    {"boolean", "integer", "floating", "mixed-integer-float", "decimal", "bytes", "date"}
    | {"datetime", "datetime64", "time", "timedelta", "timedelta64"}
)
_LISTS = (list, tuple, np.ndarray)


@dataclass(frozen=True, slots=True)
class Column:
    """One column on its way into a file.

    array: Arrow's. dtype: the one that pandas shall read it as. turned: cells of several kinds
    have become text, so that the file does not give back what the frame held.
    """

    array: Any
    dtype: Any
    turned: bool = False


class Columns:
    """The rules, with pyarrow at hand."""

    def __init__(self) -> None:
        self.pa = needed("to_parquet", "pyarrow", "pyarrow>=16")
        self._refusals: tuple[type[Exception], ...] = (
            *(self.pa.ArrowException, TypeError, ValueError),
            *(OverflowError, NotImplementedError),
        )
        self._leaves: Mapping[str, Callable[[], Any]] = {
            "text": self.pa.large_string,
            "integer": self.pa.int64,
            "float": self.pa.float64,
            "boolean": self.pa.bool_,
            "json": self.pa.large_string,
        }

    def arrow_type(self, value_type: ValueType) -> Any:
        """The Arrow type of a value type."""
        if isinstance(value_type, list):
            return self.pa.list_(self.arrow_type(value_type[0]))
        if isinstance(value_type, dict):
            parts = [(name, self.arrow_type(part)) for name, part in value_type.items()]
            return self.pa.struct(parts)
        return self._leaves[value_type]()

    def column(self, cells: Cells, recorded: Any = None) -> Column:
        """A column's cells.

        recorded: their value type as attrs record it. It decides for Python objects, as far as
        they conform to it; every other dtype of pandas determines its own Arrow type.
        """
        if isinstance(cells.dtype, pd.CategoricalDtype):
            return self._category(cells)
        if not pd.api.types.is_object_dtype(cells.dtype):
            return self._typed(cells)
        if is_value_type(recorded):
            try:
                plain = [conform(cell, recorded) for cell in cells.tolist()]
                return Column(self.pa.array(plain, self.arrow_type(recorded)), cells.dtype)
            except Mismatch:  # the user has put something else there
                pass
        return self._objects(cells)

    def _typed(self, cells: Cells) -> Column:
        try:
            array = self.pa.array(cells, from_pandas=True)
        except self._refusals:  # complex numbers, sparse cells and the like
            return self._objects(cells.astype(object))
        try:
            # a dtype that pandas does not find by its name again would make the file unreadable
            known = pd.api.types.pandas_dtype(str(cells.dtype)) is not None
        except (TypeError, ValueError, NotImplementedError):
            return Column(array, np.dtype(object))
        return Column(array, cells.dtype if known else None)

    def _category(self, cells: Cells) -> Column:
        """Text stays a category. Numbers do not in parquet, and become a column of numbers."""
        labels = cells.cat.categories
        kind = pd.api.types.infer_dtype(labels, skipna=False)
        if kind in ("interval", "period"):
            cells = cells.cat.rename_categories([str(label) for label in labels])
        elif kind == "integer":
            return self._typed(cells.astype("Int64"))
        elif kind not in ("string", "empty"):
            return self._objects(cells.astype(object))
        texts = [clean_text(label) for label in cells.cat.categories]
        if len(set(texts)) < len(texts):  # two labels that differ by half a character
            return self._objects(cells.astype(object))
        dtype = pd.CategoricalDtype(texts, ordered=bool(cells.cat.ordered))
        codes = self.pa.array(cells.cat.codes.to_numpy(), mask=cells.isna().to_numpy())
        words = self.pa.array(texts, self.pa.large_string())
        array = self.pa.DictionaryArray.from_arrays(codes, words, ordered=dtype.ordered)
        return Column(array, dtype)

    def _objects(self, cells: Cells) -> Column:
        """Python objects: typed where they are of one kind, else as text."""
        kind = pd.api.types.infer_dtype(cells, skipna=True)
        optional = [None if is_missing(cell) else cell for cell in cells.tolist()]
        held = [cell for cell in optional if cell is not None]
        # of moments in several zones Arrow would make one zone's
        zones = {str(getattr(cell, "tzinfo", None)) for cell in held}
        if (kind in _LOSSLESS and len(zones) <= 1) or _are_plain_lists(held):
            # lists whose parts nobody has seen become lists of text
            empty = bool(held) and all(isinstance(c, _LISTS) and len(c) == 0 for c in held)
            guess = self.pa.list_(self.pa.large_string()) if empty else None
            try:
                return Column(self.pa.array(optional, guess), np.dtype(object))
            except self._refusals:
                pass
        texts = [None if cell is None else clean_text(cell_text(cell)) for cell in optional]
        array = self.pa.array(texts, self.pa.large_string())
        return Column(array, np.dtype(object), turned=kind not in ("string", "empty"))


def _are_plain_lists(held: list[Any]) -> bool:
    """Whether they are lists of plain values of one kind.

    From dicts Arrow would make one type with the keys of all; from numbers and texts none.
    """
    if not held or not all(isinstance(cell, _LISTS) for cell in held):
        return False
    kinds = _kinds_within(held)
    return kinds <= {int, float} or (len(kinds) == 1 and not kinds & {dict, set, frozenset})


def _kinds_within(cells: Any) -> set[type]:
    """The types of the values in lists, at any depth."""
    kinds: set[type] = set()
    for cell in cells:
        if isinstance(cell, _LISTS):
            kinds |= _kinds_within(cell)
        elif cell is not None:
            kinds.add(type(cell))
    return kinds
