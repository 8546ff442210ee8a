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

# What Arrow infers from Python objects without a loss, by pandas' word for them.
_SURE = frozenset(
    {"boolean", "integer", "floating", "mixed-integer-float", "decimal", "bytes", "date"}
    | {"datetime", "datetime64", "time", "timedelta", "timedelta64"}
)


@dataclass(frozen=True, slots=True)
class Column:
    """One column on its way into a file.

    array: Arrow's. dtype: what pandas is told to read it as. turned: cells of several kinds
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

    def arrow_type(self, shape: ValueType) -> Any:
        """The Arrow type of a shape."""
        if isinstance(shape, list):
            return self.pa.list_(self.arrow_type(shape[0]))
        if isinstance(shape, dict):
            return self.pa.struct([(name, self.arrow_type(part)) for name, part in shape.items()])
        return self._leaves[shape]()

    def column(self, cells: Cells, told: object = None) -> Column:
        """A column's cells.

        told: what attrs tell of their type. It decides for cells that are Python objects, as
        far as they are of that shape; every other dtype of pandas says itself what it holds.
        """
        if isinstance(cells.dtype, pd.CategoricalDtype):
            return self._category(cells)
        if not pd.api.types.is_object_dtype(cells.dtype):
            return self._typed(cells)
        shape = _shape(told)
        if shape is not None:
            try:
                plain = [conform(cell, shape) for cell in cells.tolist()]
                return Column(self.pa.array(plain, self.arrow_type(shape)), cells.dtype)
            except Mismatch:  # the person has put something else there
                pass
        return self._objects(cells)

    def _typed(self, cells: Cells) -> Column:
        try:
            return Column(self.pa.array(cells, from_pandas=True), _known(cells.dtype))
        except self._refusals:  # complex numbers, sparse cells and their like
            return self._objects(cells.astype(object))

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
        """Cells that are Python objects: typed where they are of one kind, else text."""
        kind = pd.api.types.infer_dtype(cells, skipna=True)
        held = [None if is_missing(cell) else cell for cell in cells.tolist()]
        array = self._inferred(held) if _is_sure(kind, held) or _are_lists(held) else None
        if array is not None:
            return Column(array, np.dtype(object))
        texts = [None if cell is None else clean_text(cell_text(cell)) for cell in held]
        array = self.pa.array(texts, self.pa.large_string())
        return Column(array, np.dtype(object), turned=kind not in ("string", "empty"))

    def _inferred(self, cells: list[Any]) -> Any:
        """As Arrow infers it, None where it will not."""
        lists = self.pa.list_(self.pa.large_string()) if _are_empty_lists(cells) else None
        try:
            return self.pa.array(cells, lists)
        except self._refusals:
            return None


def _shape(told: Any) -> ValueType | None:
    return told if is_value_type(told) else None


def _known(dtype: Any) -> Any:
    """The dtype, where pandas knows it by its name again: else it could not read the file."""
    try:
        return dtype if pd.api.types.pandas_dtype(str(dtype)) is not None else None
    except (TypeError, ValueError, NotImplementedError):
        return np.dtype(object)


def _is_sure(kind: str, cells: list[Any]) -> bool:
    """Whether Arrow infers these without a loss; times of several zones become one zone's."""
    zones = {str(getattr(cell, "tzinfo", None)) for cell in cells if cell is not None}
    return kind in _SURE and len(zones) <= 1


def _are_lists(cells: list[Any]) -> bool:
    """Whether they are lists of plain values of one kind, the missing ones aside.

    Of dicts Arrow would make one type, with each other's keys; of numbers and texts none.
    """
    lists = [cell for cell in cells if cell is not None]
    if not lists or not all(isinstance(cell, _LISTS) for cell in lists):
        return False
    kinds = _kinds_within(lists)
    return kinds <= {int, float} or (len(kinds) == 1 and not kinds & {dict, set, frozenset})


def _are_empty_lists(cells: list[Any]) -> bool:
    """Lists whose parts nobody has seen: they are taken for lists of text."""
    held = [cell for cell in cells if cell is not None]
    return bool(held) and all(isinstance(cell, _LISTS) and len(cell) == 0 for cell in held)


def _kinds_within(cells: Any) -> set[type]:
    """The types of what stands in lists, however deep."""
    kinds: set[type] = set()
    for cell in cells:
        if isinstance(cell, _LISTS):
            kinds |= _kinds_within(cell)
        elif cell is not None:
            kinds.add(type(cell))
    return kinds


_LISTS = (list, tuple, np.ndarray)
