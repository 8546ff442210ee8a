"""A parquet file as the frame that was written, also where pandas alone does not restore it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pandas as pd

from llmframe.errors import PlanError
from llmframe.frame.cells import is_missing
from llmframe.frame.column_lookup import ColumnLookup
from llmframe.frame.export.arrow import MISSING
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
        schema = parquet.read_schema(file)
        columns, objects = _recorded(schema, "columns"), _recorded(schema, "objects")
        nested = any(isinstance(about.get("type"), list | dict) for about in columns.values())
        # pandas makes arrays of lists and floats of ints; Arrow gives plain Python values
        needs_table = nested or any(about.get("from") == "values" for about in objects.values())
        table = parquet.ParquetFile(file).read() if needs_table else None
    except (arrow.ArrowException, OSError) as exc:
        raise PlanError(f"{file} is no parquet file that can be read ({exc})") from exc
    text_name = ColumnLookup(df).text_name
    for at, column in enumerate(df.columns):
        name = text_name(column)
        if name in objects:
            cells = _as_objects(df.iloc[:, at], objects[name], table, str(column))
        else:
            cells = _restored(df.iloc[:, at], columns.get(name, {}), table, str(column))
        if cells is not None:
            df.isetitem(at, cells)
    return df


def _recorded(schema: Any, part: str) -> dict[str, dict[str, Any]]:
    """Column name -> its entry in a part of our metadata."""
    text = (schema.metadata or {}).get(METADATA_KEY)
    try:
        columns = json.loads(text)[part] if text else {}
        return {name: about for name, about in columns.items() if isinstance(about, dict)}
    except (ValueError, KeyError, TypeError, AttributeError):  # another program's, or none
        return {}


def _as_objects(cells: Cells, about: dict[str, Any], table: Any, name: str) -> Any:
    """A column of Python objects as it was written; None where it is another one by now."""
    missing = MISSING.get(str(about.get("missing")))
    try:
        if about.get("from") == "values":
            values = table.column(name).to_pylist()
        else:
            values = [None if is_missing(cell) else json.loads(cell) for cell in cells.tolist()]
    except Exception:  # noqa: BLE001 - Arrow's own, for a value that Python does not hold
        return None
    held = objects([missing if value is None else value for value in values])
    return pd.Series(held, index=cells.index, dtype=object)  # of an array pandas would make dates


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
