"""Frames to xlsx: one sheet, its text always text, its dates dates, ready to be filtered."""

from __future__ import annotations

import io
import math
import re
import tempfile
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from llmframe.errors import LLMFrameError, PlanError, warn
from llmframe.frame.cells import cell_text, column_cells, is_missing
from llmframe.frame.export.losses import Losses
from llmframe.frame.export.metadata import describe, encode
from llmframe.frame.export.named import is_day, named_columns
from llmframe.frame.export.neutral import neutral
from llmframe.frame.export.target import needed
from llmframe.text import clean_text

if TYPE_CHECKING:
    from typing import BinaryIO

    Cells = pd.Series[Any]

MAX_ROWS, MAX_COLUMNS = 1_048_576, 16_384
MAX_CHARACTERS = 32_767  # of one cell, as UTF-16 counts
MAX_DIGITS = 10**15  # from here on Excel replaces a number's last digits by zeros
WIDTHS = (8, 60)  # of a column, in characters
SAMPLE = 200  # rows from which a column's width is taken
_FIRST_DAY = date(1900, 3, 1)  # before it Excel's calendar is wrong, or ends
_UNPRINTABLE = re.compile("[\0-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff]")  # not allowed in XML
# Excel reads _x0041_ as the character with that number: the underscore itself is written so
_ESCAPE = re.compile("_(?=x[0-9A-Fa-f]{4}_)")
_SHEET_NAME = re.compile(r"[^\[\]:*?/\\]{1,31}")


def write_excel(df: pd.DataFrame, handle: BinaryIO, *, sheet_name: str, index: bool | None) -> None:
    """The frame as an xlsx file; warns once where texts had to be cut."""
    # XlsxWriter takes 40 % less time, but a text that begins with <r> and ends with </r> is raw
    # XML to it, which blanks the cell or ruins the file; through pandas it cannot mark a cell as
    # text either, so that "=1+1" becomes a formula once somebody edits it.
    openpyxl = needed("to_excel", "openpyxl", "openpyxl>=3.1")
    named = named_columns(df, index=index)
    check_sheet_name(sheet_name)
    if len(df) + 1 > MAX_ROWS or len(named) > MAX_COLUMNS:
        raise PlanError(
            f"an Excel sheet holds {MAX_ROWS - 1:,} rows and {MAX_COLUMNS:,} columns; this frame "
            f"has {len(df):,} and {len(named):,}. Use to_parquet or to_csv, or export it in parts"
        )
    book = openpyxl.Workbook(write_only=True)
    book.properties.creator = "llmframe"
    book.properties.description = encode(describe(df))
    sheet = _Sheet(openpyxl, book.create_sheet(sheet_name))
    finished = io.BytesIO()  # so that an OSError below is the temporary folder's, not the target's
    try:
        sheet.fill(named)
        book.save(finished)
    except OSError as exc:
        raise LLMFrameError(
            f"the temporary folder {tempfile.gettempdir()}, in which openpyxl works, cannot be "
            f"written ({exc.strerror or exc}). Nothing was exported, and a file that was there is "
            "whole. Make room there, or name another folder in TMPDIR, and export again"
        ) from exc
    handle.write(finished.getbuffer())
    sheet.losses.warn()
    if sheet.cut:
        warn(
            f"{sheet.cut:,} text(s) were longer than the {MAX_CHARACTERS:,} characters that an "
            "Excel cell holds, and were cut; parquet, CSV and JSONL keep them whole"
        )


def check_sheet_name(name: object) -> None:
    """PlanError for a name that Excel does not take."""
    if not isinstance(name, str) or not _SHEET_NAME.fullmatch(name):
        raise PlanError(
            f"sheet_name={name!r} is not valid; Excel takes 1 to 31 characters without []:*?/\\"
        )


class _Sheet:
    """One sheet, written from its first row to its last.

    cut: texts that were too long. losses: cells that could not be written.
    """

    def __init__(self, openpyxl: Any, sheet: Any) -> None:
        self._openpyxl = openpyxl
        self._sheet = sheet
        self.cut = 0
        self.losses = Losses()

    def fill(self, named: list[tuple[str, Cells]]) -> None:
        """Header and rows."""
        held = [
            self.losses.each(_day if is_day(cells) else _value, column_cells(cells), column=name)
            for name, cells in named
        ]
        letter = self._openpyxl.utils.get_column_letter
        # openpyxl writes a write-only sheet's widths and panes before its first row
        for at, ((name, _), cells) in enumerate(zip(named, held, strict=True), 1):
            shown = [str(cell)[: WIDTHS[1]] for cell in cells[:SAMPLE] if cell is not None]
            width = min(max(*map(len, (name, *shown)), 0) + 2, WIDTHS[1])
            self._sheet.column_dimensions[letter(at)].width = max(width, WIDTHS[0])
        self._sheet.freeze_panes = "A2"
        if held:
            self._sheet.auto_filter.ref = f"A1:{letter(len(held))}{len(held[0]) + 1}"
        header = [self._text_cell(self._storable(name)) for name, _ in named]
        for cell in header:
            cell.font = self._openpyxl.styles.Font(bold=True)
        self._sheet.append(header)
        for row in zip(*held, strict=True):
            self._sheet.append([*map(self._cell, row)])

    def _cell(self, value: Any) -> Any:
        if not isinstance(value, str):
            return value
        text = self._storable(value)
        # a cell object is slow to make, and most texts need none
        return self._text_cell(text) if neutral(text) != text or text[:1] == "#" else text

    def _text_cell(self, text: str) -> Any:
        """A cell that stays text whatever it contains, even after somebody has edited it."""
        cell = self._openpyxl.cell.WriteOnlyCell(self._sheet, text)
        cell.data_type = "s"
        cell.quotePrefix = neutral(text) != text
        return cell

    def _storable(self, text: str) -> str:
        """The part of a text that XML and an Excel cell can hold."""
        text = _UNPRINTABLE.sub("", clean_text(text).replace("\r\n", "\n").replace("\r", "\n"))
        if len(text) * 2 > MAX_CHARACTERS:  # else short in any encoding: no need to encode it
            data = text.encode("utf-16-le")
            self.cut += len(data) > MAX_CHARACTERS * 2
            text = data[: MAX_CHARACTERS * 2].decode("utf-16-le", "ignore")
        return _ESCAPE.sub("_x005F_", text) if "_x" in text else text  # Excel counts without


def _day(cell: Any) -> Any:
    value = _value(cell)
    return value.date() if isinstance(value, datetime) else value and value[:10]


def _value(cell: Any) -> Any:
    """A number, a truth value, a date, a time, a duration, or text; None where it is missing."""
    if is_missing(cell):
        return None
    if isinstance(cell, np.datetime64 | np.timedelta64):
        cell = pd.Timestamp(cell) if isinstance(cell, np.datetime64) else pd.Timedelta(cell)
    if isinstance(cell, np.generic):
        cell = cell.item()
    if isinstance(cell, bool | str):
        return cell
    if isinstance(cell, int):
        return cell if abs(cell) < MAX_DIGITS else str(cell)
    if isinstance(cell, float | Decimal):
        return cell if math.isfinite(cell) else str(cell)
    if isinstance(cell, time | timedelta):
        return _span(cell)
    if not isinstance(cell, date):
        return cell_text(cell)
    if isinstance(cell, pd.Timestamp):
        cell = cell.to_pydatetime(warn=False)
    day = cell.date() if isinstance(cell, datetime) else cell
    zoned = isinstance(cell, datetime) and cell.tzinfo is not None
    text = cell.isoformat()  # for every date: one without a text cannot be written either
    return text if day < _FIRST_DAY or zoned else cell  # Excel has no such date


def _span(cell: time | timedelta) -> Any:
    """A time of day or a duration, as text where Excel has none: with a zone, below zero."""
    if isinstance(cell, time):
        return cell if cell.tzinfo is None else cell.isoformat()
    if cell < timedelta(0):
        return cell_text(cell)
    return cell.to_pytimedelta() if isinstance(cell, pd.Timedelta) else cell
