"""Frames to CSV: nested cells as JSON, nothing in it that a spreadsheet would run."""

from __future__ import annotations

import csv
from numbers import Number
from typing import TYPE_CHECKING, Any, Literal

import pandas as pd

from llmframe.frame.cells import cell_text, is_missing
from llmframe.frame.export.named import named_columns
from llmframe.frame.export.neutral import neutral
from llmframe.text import clean_text

if TYPE_CHECKING:
    from collections.abc import Mapping

    from llmframe.frame.export.stream import TextFile

    Cells = pd.Series[Any]

ROWS = 10_000  # turned into text at a time


def write_csv(
    df: pd.DataFrame,
    file: TextFile,
    *,
    excel_safe: bool,
    index: bool | None,
    options: Mapping[str, Any],
) -> None:
    """The frame as CSV. options: pandas' own, which say how numbers and dates look."""
    named = named_columns(df, index=index)
    columns = [_plain(cells, excel_safe=excel_safe) for _, cells in named]
    header = [neutral(name) if excel_safe else name for name, _ in named]
    plain = pd.DataFrame(dict(enumerate(columns)), index=pd.RangeIndex(len(df)))
    split = any("\r" in text for text in header) or any(_holds_return(c) for c in columns)
    # a lone carriage return would end its line for most readers, unless quoted
    quoting: Literal[0, 2] = csv.QUOTE_NONNUMERIC if split else csv.QUOTE_MINIMAL
    buffer: Any = file  # all that pandas asks of it is write
    plain.to_csv(buffer, header=header, index=False, quoting=quoting, chunksize=ROWS, **options)


def _plain(cells: Cells, *, excel_safe: bool) -> Cells:
    """Numbers and moments as they are, for pandas to write; all else as text."""
    dtype = cells.dtype
    typed = pd.api.types.is_numeric_dtype(dtype) or pd.api.types.is_datetime64_any_dtype(dtype)
    if typed or pd.api.types.is_timedelta64_dtype(dtype):
        return cells
    texts = [_text(cell, excel_safe=excel_safe) for cell in cells.tolist()]
    return pd.Series(texts, dtype=object)


def _text(cell: Any, *, excel_safe: bool) -> Any:
    if is_missing(cell):
        return None
    if isinstance(cell, Number):
        return cell
    text = clean_text(cell_text(cell))
    return neutral(text) if excel_safe else text


def _holds_return(cells: Cells) -> bool:
    if not pd.api.types.is_object_dtype(cells.dtype):
        return False
    return any(isinstance(cell, str) and "\r" in cell for cell in cells.tolist())
