"""A parquet file as the frame that was written: also what pandas alone does not bring back."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pandas as pd

from llmframe.errors import PlanError
from llmframe.frame import typed_columns
from llmframe.frame.cells import is_missing
from llmframe.frame.column_lookup import ColumnLookup
from llmframe.frame.export.metadata import METADATA_KEY
from llmframe.frame.export.target import existing_path, needed
from llmframe.task.fields import Kind
from llmframe.task.value_type import JSON

if TYPE_CHECKING:
    import os

    Cells = pd.Series[Any]


def read_parquet(path: str | os.PathLike[str]) -> pd.DataFrame:
    """See api.read_parquet."""
    file = existing_path(path)
    arrow = needed("read_parquet", "pyarrow", "pyarrow>=16")
    parquet = needed("read_parquet", "pyarrow.parquet", "pyarrow>=16")
    try:
        df = pd.read_parquet(file)
        told = _told(parquet.read_schema(file))
        nested = any(isinstance(about.get("type"), list | dict) for about in told.values())
        whole = parquet.ParquetFile(file).read() if nested else None
    except (arrow.ArrowException, OSError) as exc:
        raise PlanError(f"{file} is no parquet file that can be read ({exc})") from exc
    text_name = ColumnLookup(df).text_name
    for at, column in enumerate(df.columns):
        about = told.get(text_name(column), {})
        cells = _restored(df.iloc[:, at], about, whole, str(column))
        if cells is not None:
            df.isetitem(at, cells)
    return df


def _told(schema: Any) -> dict[str, dict[str, Any]]:
    """Column name -> what our metadata tell of it."""
    text = (schema.metadata or {}).get(METADATA_KEY)
    try:
        columns = json.loads(text)["columns"] if text else {}
    except (ValueError, KeyError, TypeError):  # another program has been at it
        return {}
    return {name: about for name, about in columns.items() if isinstance(about, dict)}


def _restored(cells: Cells, about: dict[str, Any], whole: Any, name: str) -> Any:
    """The cells as they were written; None where pandas has brought them back already."""
    kind = about.get("type")
    if kind == Kind.CHOICE and isinstance(about.get("categories"), list):
        return _choices(cells, about["categories"], ordered=about.get("ordered") is True)
    if kind == JSON:
        return _from_json(cells)
    if isinstance(kind, list | dict) and not pd.api.types.is_string_dtype(cells.dropna()):
        return typed_columns.objects(whole.column(name).to_pylist())
    return None


def _choices(cells: Cells, labels: list[Any], *, ordered: bool) -> Any:
    """A category of these labels: numbers are none in parquet, and an empty file has no labels."""
    made: Any = typed_columns.choices(labels)(cells.tolist())
    if cells.isna().sum() < made.isna().sum():  # a label that is not among them: leave all
        return None
    return made.as_ordered() if ordered else made


def _from_json(cells: Cells) -> Any:
    try:
        return typed_columns.objects(
            [None if is_missing(c) else json.loads(c) for c in cells.tolist()]
        )
    except (TypeError, ValueError):  # somebody has put other text there
        return None
