"""Frames to CSV, safe to open in a spreadsheet, and to JSONL: encoded, and compressed by name."""

from __future__ import annotations

import bz2
import codecs
import csv
import lzma
import zlib
from decimal import Decimal
from numbers import Number
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import pandas as pd

from llmframe.errors import PlanError
from llmframe.frame.cells import (
    CellError,
    Unreadable,
    cell_text,
    column_cells,
    is_missing,
    json_text,
    json_value,
)
from llmframe.frame.export.losses import Losses
from llmframe.frame.export.named import is_day, named_columns, named_table
from llmframe.frame.export.neutral import neutral
from llmframe.task.text import refuse_duplicates
from llmframe.text import clean_text

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path
    from typing import BinaryIO

ROWS = 10_000  # turned into text at a time
_GZIP = 31  # zlib's wbits for gzip's own header and trailer
_PACKERS: dict[str, Callable[[], Any]] = {
    ".gz": lambda: zlib.compressobj(6, zlib.DEFLATED, _GZIP),
    ".bz2": bz2.BZ2Compressor,
    ".xz": lzma.LZMACompressor,
}
_LONG = 4096  # bits of an int, from which on it may have more digits than Python writes
# Readers that know Unicode's line ends would cut a record there; JSON escapes the others itself.
_LINE_ENDS = {"\x85": "\\u0085", "\u2028": "\\u2028", "\u2029": "\\u2029"}
_OTHERS = (".zip", ".zst", ".7z", ".tar", ".tgz", ".rar")


def check_packing(path: Path) -> None:
    """PlanError for a suffix of a compression that is not supported."""
    if path.suffix.lower() in _OTHERS:
        raise PlanError(f"{path.suffix} is not written; end the name in {', '.join(_PACKERS)}")


def check_encoding(encoding: str) -> None:
    """PlanError for an encoding that does not exist."""
    try:
        "".encode(encoding)
    except (LookupError, TypeError) as exc:
        raise PlanError(
            f"encoding={encoding!r} is none; utf-8-sig (which Excel knows by its mark) or utf-8"
        ) from exc


class TextFile:
    """Text into a binary file; ``finish`` writes what the compression still holds back."""

    def __init__(self, handle: BinaryIO, path: Path, encoding: str) -> None:
        self._handle = handle
        self._encoder = codecs.getincrementalencoder(encoding)()
        self._encoding = encoding
        packer = _PACKERS.get(path.suffix.lower())
        self._packer = packer() if packer else None

    def write(self, text: str) -> None:
        """Append text. PlanError where the encoding has no bytes for it."""
        try:
            data = self._encoder.encode(text)
        except UnicodeEncodeError as exc:
            sign = text[exc.start : exc.end]
            raise PlanError(
                f"encoding={self._encoding!r} has no {sign!r}; use utf-8-sig, which has all"
            ) from exc
        self._handle.write(self._packer.compress(data) if self._packer else data)

    def finish(self) -> None:
        """Write the end."""
        if self._packer:
            self._handle.write(self._packer.flush())


def write_csv(
    df: pd.DataFrame,
    file: TextFile,
    *,
    excel_safe: bool,
    index: bool | None,
    options: Mapping[str, Any],
) -> None:
    """The frame as CSV. options: pandas' own, for the form of numbers and dates."""
    names, table = named_table(df, index=index)
    losses, render = Losses(), _csv_cell(excel_safe=excel_safe)
    texts = {
        at: losses.each(render, column_cells(table[at]), column=names[at])
        for at, dtype in enumerate(table.dtypes)
        if not _is_written_by_pandas(dtype) or _has_unreadable(table, at, dtype)
    }
    # in one block: a column at a time costs more than the writing where there are thousands
    block = np.empty((len(table), len(texts)), dtype=object)
    for at, cells in enumerate(texts.values()):
        block[:, at] = cells
    written = pd.DataFrame(block, columns=list(texts), dtype=object)
    parts = [part for part in (table.drop(columns=list(texts)), written) if part.shape[1]]
    plain = pd.concat(parts, axis=1)[table.columns] if parts else table
    header = [neutral(name) if excel_safe else name for name in names]
    # most readers end the line at a lone carriage return, unless it is quoted
    split = any("\r" in name for name in header) or any(
        isinstance(cell, str) and "\r" in cell for cells in texts.values() for cell in cells
    )
    quoting: Literal[0, 2] = csv.QUOTE_NONNUMERIC if split else csv.QUOTE_MINIMAL
    buffer: Any = file  # pandas calls write only
    plain.to_csv(buffer, header=header, index=False, quoting=quoting, chunksize=ROWS, **options)
    losses.warn()


def _is_written_by_pandas(dtype: Any) -> bool:
    """Whether a column holds numbers or moments; all else is written as text."""
    types = pd.api.types
    return (
        types.is_numeric_dtype(dtype)
        or types.is_datetime64_any_dtype(dtype)
        or types.is_timedelta64_dtype(dtype)
    )


def _has_unreadable(table: pd.DataFrame, at: int, dtype: Any) -> bool:
    """Whether an Arrow column holds a moment that pandas cannot read: it writes no file then."""
    if not isinstance(dtype, pd.ArrowDtype):
        return False
    return any(isinstance(cell, Unreadable) for cell in column_cells(table[at]))


def _csv_cell(*, excel_safe: bool) -> Callable[[Any], Any]:
    """The function that makes a cell a number that pandas formats, or text; None if missing."""

    def render(cell: Any) -> Any:
        if is_missing(cell) or _is_plain_number(cell):
            return None if is_missing(cell) else cell
        text = clean_text(cell_text(cell))
        return neutral(text) if excel_safe and not isinstance(cell, Number) else text

    return render


def _is_plain_number(cell: Any) -> bool:
    if type(cell) is int:
        return cell.bit_length() < _LONG
    if type(cell) is Decimal:
        return cell.is_finite()
    return type(cell) in (bool, float) or isinstance(cell, np.number | np.bool_)


def write_jsonl(df: pd.DataFrame, file: TextFile, *, index: bool | None) -> None:
    """The frame as one JSON object per row. PlanError where two columns have one name."""
    named = named_columns(df, index=index)
    names = [name for name, _ in named]
    refuse_duplicates(
        names,
        "several columns are named {names}, and an object has each name once; rename them, or "
        "the index, or leave it out with index=False",
    )
    days, losses = [is_day(cells) for _, cells in named], Losses()
    for start in range(0, len(df), ROWS):  # a slice at a time bounds the memory
        columns = []
        for (name, cells), only_days in zip(named, days, strict=True):
            part = cells if len(df) <= ROWS else cells.iloc[start : start + ROWS]
            values = losses.each(json_value, column_cells(part), column=name)
            columns.append([value and value[:10] for value in values] if only_days else values)
        lines = [
            _json_line(names, [cells[row] for cells in columns], losses)
            for row in range(min(ROWS, len(df) - start))
        ]
        text = "\n".join(lines) + "\n"
        for end, escaped in _LINE_ENDS.items():
            text = text.replace(end, escaped)
        file.write(clean_text(text))
    losses.warn()


def _json_line(names: list[str], values: list[Any], losses: Losses) -> str:
    try:
        return json_text(dict(zip(names, values, strict=True)))
    except CellError:  # an int of thousands of digits in one of them
        for at, name in enumerate(names):
            if losses.each(json_text, [values[at]], column=name) == [None]:
                values[at] = None
        return json_text(dict(zip(names, values, strict=True)))
