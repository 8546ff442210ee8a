"""Frames to parquet and back: Arrow's types from the fields, pandas' own notes, and ours."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pandas as pd

from llmframe.errors import PlanError, warn
from llmframe.frame.column_lookup import ColumnLookup
from llmframe.frame.existing import written_columns
from llmframe.frame.export.arrow import Column, Columns
from llmframe.frame.export.metadata import METADATA_KEY, describe, encode
from llmframe.text import clean_text

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

_PANDAS, _ATTRS = b"pandas", b"PANDAS_ATTRS"
_UNNAMED = "__index_level_"
_LITERAL = ("string", "integer", "empty")  # labels that pandas reads back from their text


def arrow_table(df: pd.DataFrame, *, index: bool | None) -> Any:
    """The frame as an Arrow table: what llmframe wrote typed by its fields, and all metadata.

    index: as for to_parquet. Raises PlanError where two columns would bear one name. Warns
    once where cells of several kinds became text, and where attrs are no JSON.
    """
    rules = Columns()
    told = {name: one.type for name, one in written_columns(df).items()}
    text_name = ColumnLookup(df).text_name
    columns = [
        rules.column(df.iloc[:, at], told.get(text_name(name)))
        for at, name in enumerate(df.columns)
    ]
    levels = [rules.column(level) for level in _levels(df.index, index)]
    template = _template(df, columns, levels)
    _refuse_twice([str(label) for label in template.columns])
    keep = False if index is False else None
    noted = rules.pa.Schema.from_pandas(template, preserve_index=keep)
    parts = [*columns, *levels]
    _tell_turned([name for name, part in zip(noted.names, parts, strict=True) if part.turned])
    fields = [rules.pa.field(n, p.array.type) for n, p in zip(noted.names, parts, strict=True)]
    metadata = {
        _PANDAS: _notes(noted, df.index),
        METADATA_KEY: encode(describe(df)).encode(),
        **_attrs(df),
    }
    schema = rules.pa.schema(fields, metadata=metadata)
    return rules.pa.Table.from_arrays([part.array for part in parts], schema=schema)


def _levels(index: pd.Index[Any], asked: bool | None) -> list[pd.Series[Any]]:
    """The index' levels as columns; none where it is not wanted, or is a range that needs none."""
    if asked is False or (asked is None and isinstance(index, pd.RangeIndex)):
        return []
    return [pd.Series(index.get_level_values(level).array) for level in range(index.nlevels)]


def _template(
    df: pd.DataFrame, columns: Sequence[Column], levels: Sequence[Column]
) -> pd.DataFrame:
    """A frame without rows, of the names and dtypes that pandas shall find again."""
    empty = pd.DataFrame({at: _none_of(column) for at, column in enumerate(columns)})
    empty.columns = _labels(df.columns)
    if levels:
        names = [_name(name) for name in df.index.names]
        cells = [pd.Index(_none_of(level)) for level in levels]
        empty.index = (
            cells[0].rename(names[0])
            if len(cells) == 1
            else pd.MultiIndex.from_arrays(cells, names=names)
        )
    elif isinstance(df.index, pd.RangeIndex):
        empty.index.name = _name(df.index.name)
    return empty


def _none_of(column: Column) -> pd.Series[Any]:
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
    kind = pd.api.types.infer_dtype(labels, skipna=False)
    if kind in _LITERAL and kind != "string":
        return labels
    return pd.Index([clean_text(str(label)) for label in labels], name=labels.name)


def _name(name: object) -> str | None:
    return None if name is None else clean_text(str(name))


def _refuse_twice(names: Sequence[str]) -> None:
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise PlanError(
            f"several columns are named {', '.join(map(repr, twice))}, and a parquet file has each "
            "name once; rename them"
        )


def _tell_turned(names: Iterable[str]) -> None:
    shown = ["the index" if name.startswith(_UNNAMED) else repr(name) for name in names]
    if shown:
        listed = ", ".join(shown)
        warn(
            f"{listed}: parquet has no one type for these cells (several kinds in one column, or "
            "dicts without a fixed form); they are written as text, lists and dicts as JSON"
        )


def _notes(noted: Any, index: pd.Index[Any]) -> bytes:
    """What pandas reads back its own types and index from."""
    notes: bytes = noted.metadata[_PANDAS]
    if not isinstance(index, pd.RangeIndex):
        return notes
    told = json.loads(notes)
    for one in told["index_columns"]:
        if isinstance(one, dict):
            one.update(start=index.start, stop=index.stop, step=index.step)
    return json.dumps(told).encode()


def _attrs(df: pd.DataFrame) -> dict[bytes, bytes]:
    """The frame's attrs as pandas keeps them; those that are no JSON are left out, aloud."""
    kept, left = {}, []
    for name, value in df.attrs.items():
        try:
            json.dumps({name: value})
        except (TypeError, ValueError, RecursionError):
            left.append(str(name))
        else:
            kept[name] = value
    if left:
        warn(f"attrs {', '.join(map(repr, left))} are no JSON and are not in the file")
    return {_ATTRS: json.dumps(kept).encode()} if kept else {}
