"""Columns as Arrow arrays: typed by their fields, all others by a rule that never fails."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from llmframe.frame.cells import cell_text, column_cells, is_missing
from llmframe.frame.export.conform import Mismatch, conform, is_value_type
from llmframe.frame.export.losses import Losses
from llmframe.frame.export.target import needed
from llmframe.frame.typed_columns import vector_cell
from llmframe.task.fields import Kind
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
MISSING: dict[str, Any] = {"nan": np.nan, "NaT": pd.NaT, "<NA>": pd.NA}  # by their texts


@dataclass(frozen=True, slots=True)
class Column:
    """One column on its way into a file.

    array: Arrow's. dtype: the one that pandas shall read it as. turned: cells of several kinds
    have become text, so that the file does not give back what the frame held. restore: how
    read_parquet makes Python objects again: from Arrow's ``"values"``, or from ``"json"``; None
    where pandas does. missing: what the missing cells were, None or one of MISSING's names.
    is_geometry: geopandas' own, as well-known binary.
    """

    array: Any
    dtype: Any
    turned: bool = False
    restore: str | None = None
    missing: str | None = None
    is_geometry: bool = False


class Columns:
    """The rules, with pyarrow at hand."""

    def __init__(self) -> None:
        self.pa = needed("to_parquet", "pyarrow", "pyarrow>=16")
        self.losses = Losses()
        self._known: dict[Any, bool] = {}
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

    def column(self, cells: Cells, recorded: Any = None, *, name: str) -> Column:
        """A column's cells.

        name: for the warning of cells that have no text. recorded: their value type as attrs
        record it. It decides for Python objects, as far as they conform to it; every other dtype
        of pandas determines its own Arrow type.
        """
        if isinstance(cells.dtype, pd.CategoricalDtype):
            return self._category(cells, name)
        if not pd.api.types.is_object_dtype(cells.dtype):
            return self._typed(cells, name)
        if recorded == Kind.VECTOR:
            return self._vectors(cells, name)
        if is_value_type(recorded):
            try:
                plain = [conform(cell, recorded) for cell in cells.tolist()]
                return Column(self.pa.array(plain, self.arrow_type(recorded)), cells.dtype)
            except Mismatch:  # the user has put something else there: text, as the warning says
                return replace(self._objects(cells, name), restore=None)
        return self._objects(cells, name)

    def _vectors(self, cells: Cells, name: str) -> Column:
        """Embeddings, as one fixed-size list of float32.

        As lists of any size where a vector is missing and pyarrow cannot write that.
        """
        held = cells.tolist()
        missing = [is_missing(cell) for cell in held]
        rows = [vector_cell(cell) for cell, gone in zip(held, missing, strict=True) if not gone]
        widths = {None if row is None else len(row) for row in rows}
        if len(widths) > 1 or None in widths:  # the user has put something else there
            return self._objects(cells, name)
        width = max((len(row) for row in rows if row is not None), default=0)
        if not width:  # no vector says how long they are, and Arrow has no list of size 0
            nothing: list[Any] = [None if gone else [] for gone in missing]
            return Column(self.pa.array(nothing, self.pa.list_(self.pa.float32())), cells.dtype)
        table = np.zeros((len(missing), width), np.float32)
        table[~np.array(missing)] = np.stack([row for row in rows if row is not None])
        array = self.pa.FixedSizeListArray.from_arrays(
            self.pa.array(table.ravel()), width, mask=self.pa.array(missing, self.pa.bool_())
        )
        if any(missing) and not _writes_gaps():
            lists = [None if gone else row for row, gone in zip(table, missing, strict=True)]
            array = self.pa.array(lists, self.pa.list_(self.pa.float32()))
        return Column(array, cells.dtype)

    def _typed(self, cells: Cells, name: str) -> Column:
        try:
            array = self.pa.array(cells, from_pandas=True)
        except self._refusals:  # complex numbers, sparse cells and the like
            geometry = _well_known_binary(cells)
            if geometry is not None:
                return Column(
                    self.pa.array(geometry, self.pa.binary()), np.dtype(object), is_geometry=True
                )
            return self._objects(pd.Series(column_cells(cells), dtype=object), name)
        return Column(array, cells.dtype if self._is_known(cells.dtype) else np.dtype(object))

    def _is_known(self, dtype: Any) -> bool:
        """Whether pandas finds the dtype by its name again; else the file would be unreadable."""
        if dtype not in self._known:
            try:
                self._known[dtype] = pd.api.types.pandas_dtype(str(dtype)) is not None
            except (TypeError, ValueError, NotImplementedError):
                self._known[dtype] = False
        return self._known[dtype]

    def _category(self, cells: Cells, name: str) -> Column:
        """Text stays a category. Numbers do not in parquet, and become a column of numbers."""
        labels = cells.cat.categories
        kind = pd.api.types.infer_dtype(labels, skipna=False)
        if kind in ("interval", "period"):
            cells = cells.cat.rename_categories([str(label) for label in labels])
        elif kind == "integer":
            return self._typed(cells.astype("Int64"), name)
        elif kind not in ("string", "empty"):
            return self._objects(cells.astype(object), name)
        texts = [clean_text(label) for label in cells.cat.categories]
        if len(set(texts)) < len(texts):  # two labels that differ by half a character
            return self._objects(cells.astype(object), name)
        dtype = pd.CategoricalDtype(texts, ordered=bool(cells.cat.ordered))
        codes = self.pa.array(cells.cat.codes.to_numpy(), mask=cells.isna().to_numpy())
        words = self.pa.array(texts, self.pa.large_string())
        array = self.pa.DictionaryArray.from_arrays(codes, words, ordered=dtype.ordered)
        return Column(array, dtype)

    def _objects(self, cells: Cells, name: str) -> Column:
        """Python objects: typed where they are of one kind, else as text."""
        held = column_cells(cells)
        optional = [None if is_missing(cell) else cell for cell in held]
        kinds = {str(cell) for cell, kept in zip(held, optional, strict=True) if kept is None}
        missing = kinds.pop() if len(kinds) == 1 and kinds <= MISSING.keys() else None
        try:
            kind = pd.api.types.infer_dtype(cells, skipna=True)
            array = self._one_kind(optional, kind)
        except Exception:  # noqa: BLE001 - Arrow's refusals, and the code of the cells' classes
            kind, array = "mixed", None
        if array is not None:
            return Column(array, np.dtype(object), restore="values", missing=missing)
        texts = self.losses.each(_text, optional, column=name)
        pairs = [pair for pair in zip(optional, texts, strict=True) if pair[1] is not None]
        return Column(
            self.pa.array(texts, self.pa.large_string()),
            np.dtype(object),
            turned=kind not in ("string", "empty"),
            restore="json" if pairs and all(_is_in_json(*pair) for pair in pairs) else None,
            missing=missing,
        )

    def _one_kind(self, optional: list[Any], kind: str) -> Any:
        """The cells as Arrow infers them, None where that would lose anything."""
        held = [cell for cell in optional if cell is not None]
        # of moments in several zones Arrow would make one zone's
        zones = {str(getattr(cell, "tzinfo", None)) for cell in held}
        if not ((kind in _LOSSLESS and len(zones) <= 1) or _are_plain_lists(held)):
            return None
        # lists whose parts nobody has seen become lists of text
        empty = bool(held) and all(isinstance(c, _LISTS) and len(c) == 0 for c in held)
        return self.pa.array(optional, self.pa.list_(self.pa.large_string()) if empty else None)


def _text(cell: Any) -> str | None:
    return None if cell is None else clean_text(cell_text(cell))


def _is_in_json(cell: Any, text: str) -> bool:
    """Whether the text is JSON that gives exactly this list, dict or int back."""
    try:
        return type(cell) in (list, dict, int) and bool(json.loads(text) == cell)
    except Exception:  # noqa: BLE001 - other texts, and the code of the cells' classes
        return False


def _well_known_binary(cells: Cells) -> list[bytes | None] | None:
    """Geometries as well-known binary, None for columns of anything else."""
    if str(cells.dtype) != "geometry":
        return None
    return [None if is_missing(shape) else shape.wkb for shape in cells.tolist()]


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


@cache
def _writes_gaps() -> bool:
    """Whether this pyarrow writes a fixed-size list after a missing one; version 20 does not."""
    import pyarrow as pa
    import pyarrow.parquet

    numbers, mask = pa.array([0.0] * 6, pa.float32()), pa.array([False, True, False])
    lists = pa.FixedSizeListArray.from_arrays(numbers, 2, mask=mask)
    try:
        pyarrow.parquet.write_table(pa.table({"lists": lists}), pa.BufferOutputStream())
    except pa.ArrowNotImplementedError:
        return False
    return True
