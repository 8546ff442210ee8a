"""Frames to parquet: Arrow's types from the fields, pandas' own notes, and our metadata."""

from __future__ import annotations

import io
import json
from typing import TYPE_CHECKING, Any

import pandas as pd

from llmframe.errors import warn
from llmframe.frame.column_lookup import ColumnLookup
from llmframe.frame.existing import written_columns
from llmframe.frame.export.arrow import Column, Columns
from llmframe.frame.export.metadata import METADATA_KEY, describe, encode
from llmframe.frame.export.target import needed
from llmframe.task.text import quoted, refuse_duplicates
from llmframe.text import clean_text

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

_PANDAS, _ATTRS, _GEO = b"pandas", b"PANDAS_ATTRS", b"geo"
_UNNAMED = "__index_level_"
_LITERAL = ("integer", "empty")  # labels that pandas reads back from their text


def arrow_table(df: pd.DataFrame, *, index: bool | None) -> Any:
    """The frame as an Arrow table: its written columns typed by their fields, and all metadata.

    index: as for to_parquet. Raises PlanError where two columns would have one name. Warns
    once where cells of several kinds became text, and where attrs are no JSON.
    """
    rules = Columns()
    types = {name: one.type for name, one in written_columns(df).items()}
    names = [*map(ColumnLookup(df).text_name, df.columns)]
    columns = [
        rules.column(cells, types.get(name), name=name)
        for name, (_, cells) in zip(names, df.items(), strict=True)
    ]
    levels = []
    if index or (index is None and not isinstance(df.index, pd.RangeIndex)):
        for level in range(df.index.nlevels):
            cells = pd.Series(df.index.get_level_values(level).array)
            levels.append(rules.column(cells, name="the index"))
    template = _template(df, columns, levels)
    several = (
        "several columns are named {names}, and a parquet file has each name once; rename them"
    )
    refuse_duplicates(sorted(str(label) for label in template.columns), several)
    keep = False if index is False else None
    # pyarrow writes pandas' metadata for the template; our own arrays take its schema's place
    noted = rules.pa.Schema.from_pandas(template, preserve_index=keep)
    # the names that pyarrow gives to levels of the index may be those of others
    refuse_duplicates(noted.names, f"several columns or levels of the index {several}")
    parts = [*columns, *levels]
    rules.losses.warn()
    _warn_of_text(name for name, part in zip(noted.names, parts, strict=True) if part.turned)
    fields = [rules.pa.field(n, p.array.type) for n, p in zip(noted.names, parts, strict=True)]
    metadata = {
        _PANDAS: _pandas_notes(noted, df.index),
        METADATA_KEY: encode(describe(df) | _restored(names, columns)).encode(),
        **_attrs(df),
        **_geometries(df, columns),
    }
    schema = rules.pa.schema(fields, metadata=metadata)
    return rules.pa.Table.from_arrays([part.array for part in parts], schema=schema)


def _restored(names: Sequence[str], columns: Sequence[Column]) -> dict[str, Any]:
    """For the metadata: how read_parquet makes columns of Python objects again."""
    objects = {}
    for name, column in zip(names, columns, strict=True):
        if column.restore is not None:
            missing = {} if column.missing is None else {"missing": column.missing}
            objects[name] = {"from": column.restore, **missing}
    return {"objects": objects} if objects else {}


def _geometries(df: pd.DataFrame, columns: Sequence[Column]) -> dict[bytes, bytes]:
    """The metadata by which geopandas reads its columns back; warns of how they are read."""
    positions = [at for at, column in enumerate(columns) if column.is_geometry]
    if not positions:
        return {}
    named = f"{quoted(df.columns[positions])}: geometries are well-known binary in the file"
    parquet = needed("to_parquet", "pyarrow.parquet", "pyarrow>=16")
    file: Any = io.BytesIO()
    try:
        df.iloc[:, positions].to_parquet(file, index=False)  # a GeoDataFrame's own
        noted = {_GEO: parquet.read_schema(file).metadata[_GEO]}
    except Exception:  # noqa: BLE001 - a plain frame, or whatever geopandas refuses
        warn(f"{named}, without their coordinate system; geopandas.GeoSeries.from_wkb reads them")
        return {}
    warn(f"{named}; geopandas.read_parquet makes geometries of them again")
    return noted


def _template(
    df: pd.DataFrame, columns: Sequence[Column], levels: Sequence[Column]
) -> pd.DataFrame:
    """A frame without rows, with the names and dtypes that pandas shall read back."""
    empty = pd.DataFrame(df).iloc[:0].reset_index(drop=True)
    empty.attrs = {}  # written by _attrs, as far as they are JSON
    for at, (column, dtype) in enumerate(zip(columns, df.dtypes, strict=True)):
        if column.dtype != dtype:  # few: to make every column anew takes longer than the rest
            cells: Any = _empty(column)
            empty.isetitem(at, cells)
    # set afterwards: the labels may repeat, and are reported as duplicates later
    empty.columns = _labels(df.columns)
    if levels:
        names = [_name(name) for name in df.index.names]
        labels = [pd.Index(_empty(level)) for level in levels]
        empty.index = (
            labels[0].rename(names[0])
            if len(labels) == 1
            else pd.MultiIndex.from_arrays(labels, names=names)
        )
    elif isinstance(df.index, pd.RangeIndex):
        empty.index.name = _name(df.index.name)
    return empty


def _empty(column: Column) -> pd.Series[Any]:
    cells: pd.Series[Any] = pd.Series([], dtype=column.dtype)
    return cells


def _labels(labels: pd.Index[Any]) -> pd.Index[Any]:
    """The columns' names; as text where parquet could not give them back as they are."""
    names = [_name(name) for name in labels.names]
    if isinstance(labels, pd.MultiIndex):
        levels = [_texts(labels.get_level_values(at)) for at in range(labels.nlevels)]
        return pd.MultiIndex.from_arrays(levels, names=names)
    native = isinstance(labels, pd.DatetimeIndex)  # which pandas reads back as such
    return (labels if native else _texts(labels)).rename(names[0])


def _texts(labels: pd.Index[Any]) -> pd.Index[Any]:
    if pd.api.types.infer_dtype(labels, skipna=False) in _LITERAL:
        return labels
    return pd.Index([clean_text(str(label)) for label in labels], name=labels.name)


def _name(name: object) -> str | None:
    return None if name is None else clean_text(str(name))


def _warn_of_text(names: Iterable[str]) -> None:
    shown = ["the index" if name.startswith(_UNNAMED) else repr(name) for name in names]
    if shown:
        warn(
            f"{', '.join(shown)}: parquet has no one type for these cells (several kinds in one "
            "column, or dicts without a fixed form); they are written as text, lists and dicts "
            "as JSON"
        )


def _pandas_notes(noted: Any, index: pd.Index[Any]) -> bytes:
    """The metadata from which pandas reads back its own types and the index."""
    data: bytes = noted.metadata[_PANDAS]
    if not isinstance(index, pd.RangeIndex):
        return data
    notes = json.loads(data)
    for level in notes["index_columns"]:
        if isinstance(level, dict):  # the template has no rows, so its range is empty
            level.update(start=index.start, stop=index.stop, step=index.step)
    return json.dumps(notes).encode()


def _attrs(df: pd.DataFrame) -> dict[bytes, bytes]:
    """The frame's attrs as pandas keeps them; warns of those that are no JSON and left out."""
    kept, left = {}, []
    for name, value in df.attrs.items():
        try:
            json.dumps({name: value})
        except (TypeError, ValueError, RecursionError):
            left.append(str(name))
        else:
            kept[name] = value
    if left:
        warn(f"attrs {quoted(left)} are no JSON and are not in the file")
    return {_ATTRS: json.dumps(kept).encode()} if kept else {}
