"""A parquet file as the frame that was written, also where pandas alone does not restore it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pandas as pd

from llmframe.errors import PlanError
from llmframe.frame.cells import is_missing
from llmframe.frame.column_lookup import ColumnLookup
from llmframe.frame.export.metadata import METADATA_KEY
from llmframe.frame.export.target import existing_path, needed
from llmframe.frame.typed_columns import choices, objects
from llmframe.task.fields import Kind
from llmframe.task.value_type import JSON

if TYPE_CHECKING:
    import os

    Cells = pd.Series[Any]


def read_parquet(path: str | os.PathLike[str]) -> pd.DataFrame:
    """See calls.files.read_parquet."""
    file = existing_path(path)
    arrow = needed("read_parquet", "pyarrow", "pyarrow>=16")
    parquet = needed("read_parquet", "pyarrow.parquet", "pyarrow>=16")
    try:
        df = pd.read_parquet(file)
        columns = _recorded(parquet.read_schema(file))
        nested = any(isinstance(about.get("type"), list | dict) for about in columns.values())
        # pandas reads lists as NumPy arrays, also inside dicts; Arrow gives plain lists
        table = parquet.ParquetFile(file).read() if nested else None
    except (arrow.ArrowException, OSError) as exc:
        raise PlanError(f"{file} is no parquet file that can be read ({exc})") from exc
    text_name = ColumnLookup(df).text_name
    for at, column in enumerate(df.columns):
        about = columns.get(text_name(column), {})
        cells = _restored(df.iloc[:, at], about, table, str(column))
        if cells is not None:
            df.isetitem(at, cells)
    return df


def _recorded(schema: Any) -> dict[str, dict[str, Any]]:
    """Column name -> its entry in our metadata."""
    text = (schema.metadata or {}).get(METADATA_KEY)
    try:
        columns = json.loads(text)["columns"] if text else {}
    except (ValueError, KeyError, TypeError):  # another program has rewritten it
        return {}
    return {name: about for name, about in columns.items() if isinstance(about, dict)}


def _restored(cells: Cells, about: dict[str, Any], table: Any, name: str) -> Any:
    """The cells as they were written; None where pandas has restored them already."""
    kind, labels = about.get("type"), about.get("categories")
    if kind == Kind.CHOICE and isinstance(labels, list):
        # numbers are no category in parquet, and in a file without rows nothing has labels
        made: Any = choices(labels)(cells.tolist())
        if cells.isna().sum() < made.isna().sum():  # a cell is none of the labels: leave all
            return None
        return made.as_ordered() if about.get("ordered") is True else made
    if kind == JSON:
        try:
            return objects([None if is_missing(c) else json.loads(c) for c in cells.tolist()])
        except (TypeError, ValueError):  # the user has put other text there
            return None
    if isinstance(kind, list | dict) and not pd.api.types.is_string_dtype(cells.dropna()):
        return objects(table.column(name).to_pylist())
    return None
