"""Frames to JSONL: one object a row, as every other program reads it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pandas as pd

from llmframe.frame.cells import column_cells, json_text, json_value
from llmframe.frame.export.named import is_day, named_columns, refuse_twice
from llmframe.text import clean_text

if TYPE_CHECKING:
    from llmframe.frame.export.stream import TextFile

    Cells = pd.Series[Any]

ROWS = 10_000  # turned into text at a time


def write_jsonl(df: pd.DataFrame, file: TextFile, *, index: bool | None) -> None:
    """The frame as JSON lines. PlanError where two columns have one name."""
    named = named_columns(df, index=index)
    names = [name for name, _ in named]
    refuse_twice(names, "an object has each name once")
    days = [_are_days(cells) for _, cells in named]
    for start in range(0, len(df), ROWS):
        columns = [
            _plain(cells.iloc[start : start + ROWS], days=only_days)
            for (_, cells), only_days in zip(named, days, strict=True)
        ]
        rows = range(min(ROWS, len(df) - start))
        lines = [
            json_text({n: c[row] for n, c in zip(names, columns, strict=True)}) for row in rows
        ]
        file.write(clean_text("\n".join(lines) + "\n"))


def _plain(cells: Cells, *, days: bool) -> list[Any]:
    values = [json_value(cell) for cell in column_cells(cells)]
    return [value and value[:10] for value in values] if days else values


def _are_days(cells: Cells) -> bool:
    dtype = cells.dtype
    naive = pd.api.types.is_datetime64_dtype(dtype) and not isinstance(dtype, pd.DatetimeTZDtype)
    return naive and is_day(cells)
