"""A frame's columns for files that know no types: plain names, plain cells."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pandas as pd

from llmframe.errors import PlanError
from llmframe.text import clean_text

if TYPE_CHECKING:
    from collections.abc import Hashable

    Cells = pd.Series[Any]


def named_columns(df: pd.DataFrame, *, index: bool | None) -> list[tuple[str, Cells]]:
    """The columns under their names as text, those of the index first; numbered 0 to n - 1.

    index: whether the index is among them; None: unless it is just 0, 1, 2, ...
    Columns of several levels are named ``a.b``, without empty levels.
    """
    names = [_flat(name) for name in df.columns]
    columns = [(name, df.iloc[:, at].reset_index(drop=True)) for at, name in enumerate(names)]
    keep = index if index is not None else not _is_count(df.index)
    return [*_levels(df.index, names), *columns] if keep else columns


def refuse_twice(names: list[str], what: str) -> None:
    """PlanError where two columns have one name."""
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise PlanError(
            f"several columns are named {', '.join(map(repr, twice))}, and {what}; rename them, or "
            "the index, or leave it out with index=False"
        )


def is_day(cells: Cells) -> bool:
    """Whether a column of moments without a zone holds whole days only."""
    moments = cells.dropna()
    return bool((moments == moments.dt.normalize()).all())


def _flat(name: Hashable) -> str:
    parts = [name] if not isinstance(name, tuple) else [part for part in name if part != ""]
    return clean_text(".".join(map(str, parts)))


def _levels(index: pd.Index[Any], taken: list[str]) -> list[tuple[str, Cells]]:
    """The index' levels as columns, named as reset_index names them."""
    alone = index.nlevels == 1 and "index" not in taken
    return [
        (
            _flat(name) if name is not None else "index" if alone else f"level_{level}",
            pd.Series(index.get_level_values(level).array),
        )
        for level, name in enumerate(index.names)
    ]


def _is_count(index: pd.Index[Any]) -> bool:
    if index.nlevels > 1 or index.name is not None:
        return False
    return pd.api.types.is_integer_dtype(index.dtype) and index.equals(pd.RangeIndex(len(index)))
