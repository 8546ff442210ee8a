"""A frame's columns for files without types: plain names, plain cells."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pandas as pd

from llmframe.text import clean_text

if TYPE_CHECKING:
    from collections.abc import Hashable

    Cells = pd.Series[Any]


def named_columns(df: pd.DataFrame, *, index: bool | None) -> list[tuple[str, Cells]]:
    """The columns under their names as text, those of the index first; numbered 0 to n - 1.

    index: whether the index is among them; None: unless it is just 0, 1, 2, ...
    Columns of several levels are named ``a.b``, without empty levels.
    """
    names, table = named_table(df, index=index)
    return [(name, cells) for name, (_, cells) in zip(names, table.items(), strict=True)]


def named_table(df: pd.DataFrame, *, index: bool | None) -> tuple[list[str], pd.DataFrame]:
    """The same as the names and one frame, whose columns are numbered: names may repeat."""
    names = [_flat(name) for name in df.columns]
    table = pd.DataFrame(df).reset_index(drop=True)  # a subclass has rules of its own
    table.columns = pd.RangeIndex(len(names))
    if index is None:
        # a counted index is what reading the file gives anyway
        plain = df.index.nlevels == 1 and df.index.name is None
        plain = plain and pd.api.types.is_integer_dtype(df.index.dtype)
        index = not (plain and df.index.equals(pd.RangeIndex(len(df))))
    if not index:
        return names, table
    levels, cells = [], {}
    for level, name in enumerate(df.index.names):  # named as reset_index names them
        alone = df.index.nlevels == 1 and "index" not in names
        unnamed = "index" if alone else f"level_{level}"
        levels.append(unnamed if name is None else _flat(name))
        cells[level] = pd.Series(df.index.get_level_values(level).array)
    table = pd.concat([pd.DataFrame(cells), table], axis=1, ignore_index=True)
    return [*levels, *names], table


def is_day(cells: Cells) -> bool:
    """Whether a column holds moments without a zone, all of them whole days."""
    if not pd.api.types.is_datetime64_dtype(cells.dtype):
        return False
    moments = cells.dropna()
    return bool((moments == moments.dt.normalize()).all())


def _flat(name: Hashable) -> str:
    parts = [name] if not isinstance(name, tuple) else [part for part in name if part != ""]
    return clean_text(".".join(map(str, parts)))
