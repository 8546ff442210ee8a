"""Frames to CSV, safe to open in a spreadsheet, and to JSONL: encoded, and compressed by name."""

from __future__ import annotations

import bz2
import codecs
import csv
import lzma
import zlib
from numbers import Number
from typing import TYPE_CHECKING, Any, Literal

import pandas as pd

from llmframe.errors import PlanError
from llmframe.frame.cells import cell_text, column_cells, is_missing, json_text, json_value
from llmframe.frame.export.named import is_day, named_columns
from llmframe.frame.export.neutral import neutral
from llmframe.task.text import refuse_duplicates
from llmframe.text import clean_text

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path
    from typing import BinaryIO

    Cells = pd.Series[Any]

ROWS = 10_000  # turned into text at a time
_GZIP = 31  # zlib's wbits for gzip's own header and trailer
_PACKERS: dict[str, Callable[[], Any]] = {
    ".gz": lambda: zlib.compressobj(6, zlib.DEFLATED, _GZIP),
    ".bz2": bz2.BZ2Compressor,
    ".xz": lzma.LZMACompressor,
}
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
    named = named_columns(df, index=index)
    columns = [_csv_cells(cells, excel_safe=excel_safe) for _, cells in named]
    header = [neutral(name) if excel_safe else name for name, _ in named]
    # numbered columns: names may repeat, and the header is given beside
    plain = pd.DataFrame(dict(enumerate(columns)), index=pd.RangeIndex(len(df)))
    texts = [cells for cells in columns if pd.api.types.is_object_dtype(cells.dtype)]
    # most readers end the line at a lone carriage return, unless it is quoted
    split = any("\r" in name for name in header) or any(
        isinstance(cell, str) and "\r" in cell for cells in texts for cell in cells.tolist()
    )
    quoting: Literal[0, 2] = csv.QUOTE_NONNUMERIC if split else csv.QUOTE_MINIMAL
    buffer: Any = file  # pandas calls write only
    plain.to_csv(buffer, header=header, index=False, quoting=quoting, chunksize=ROWS, **options)


def _csv_cells(cells: Cells, *, excel_safe: bool) -> Cells:
    """Numbers and moments as they are, for pandas to write; all else as text."""
    types, dtype = pd.api.types, cells.dtype
    if (
        types.is_numeric_dtype(dtype)
        or types.is_datetime64_any_dtype(dtype)
        or types.is_timedelta64_dtype(dtype)
    ):
        return cells
    plain: list[Any] = []
    for cell in cells.tolist():
        if is_missing(cell) or isinstance(cell, Number):
            plain.append(None if is_missing(cell) else cell)
        else:
            text = clean_text(cell_text(cell))
            plain.append(neutral(text) if excel_safe else text)
    return pd.Series(plain, dtype=object)


def write_jsonl(df: pd.DataFrame, file: TextFile, *, index: bool | None) -> None:
    """The frame as one JSON object per row. PlanError where two columns have one name."""
    named = named_columns(df, index=index)
    names = [name for name, _ in named]
    refuse_duplicates(
        names,
        "several columns are named {names}, and an object has each name once; rename them, or "
        "the index, or leave it out with index=False",
    )
    days = [is_day(cells) for _, cells in named]
    for start in range(0, len(df), ROWS):  # a slice at a time bounds the memory
        columns = []
        for (_, cells), only_days in zip(named, days, strict=True):
            values = map(json_value, column_cells(cells.iloc[start : start + ROWS]))
            columns.append([value and value[:10] for value in values] if only_days else [*values])
        lines = [
            json_text({name: cells[row] for name, cells in zip(names, columns, strict=True)})
            for row in range(min(ROWS, len(df) - start))
        ]
        file.write(clean_text("\n".join(lines) + "\n"))
