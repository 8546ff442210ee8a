"""What made a file, as the file itself records it: small JSON, never a key or a row's text."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import PurePath, PureWindowsPath
from typing import TYPE_CHECKING, Any

import pandas as pd

from llmframe._version import __version__
from llmframe.errors import PlanError
from llmframe.frame.column_lookup import ColumnLookup
from llmframe.frame.existing import noted, written_columns
from llmframe.frame.export.target import existing_path, needed
from llmframe.task.fields import Kind

if TYPE_CHECKING:
    import os
    from pathlib import Path

METADATA_KEY = b"llmframe"

_RECORDED = {
    "model": str,
    "endpoint": str,
    "counts": dict,
    "tokens_in": int,
    "tokens_cached": int,
    "tokens_out": int,
    "cost": int | float,
    "currency": str,
    "table": dict,
    "task": str,
}


def describe(df: pd.DataFrame) -> dict[str, Any]:
    """The metadata of a frame's file.

    Always ``llmframe`` (the version), ``created`` (UTC), ``rows`` and ``columns``: what
    llmframe wrote, by name, with ``task``, ``type`` and a closed choice's ``categories``. As
    far as the frame knows it, of its latest call: ``task``, ``model``, ``endpoint`` (host),
    ``checkpoint`` (the file's name), ``counts``, ``tokens_in``, ``tokens_cached`` (of
    them), ``tokens_out``, ``cost``, ``currency``, and ``table``: the same of all its answers.
    """
    entry = noted(df)
    call = {key: entry[key] for key, kind in _RECORDED.items() if isinstance(entry.get(key), kind)}
    path = entry.get("checkpoint")
    if isinstance(path, str):  # the file's name: a reader has no use for the folders before it
        call["checkpoint"] = (PureWindowsPath if "\\" in path else PurePath)(path).name
    lookup, dtypes, columns = ColumnLookup(df), df.dtypes.tolist(), {}
    positions = {lookup.text_name(column): at for at, column in enumerate(df.columns)}
    for name, written in written_columns(df).items():
        if name in positions:
            dtype = dtypes[positions[name]]
            one: dict[str, Any] = {"task": written.task, "type": written.type}
            if written.type == Kind.CHOICE and isinstance(dtype, pd.CategoricalDtype):
                one |= {"categories": dtype.categories.tolist(), "ordered": bool(dtype.ordered)}
            columns[name] = one
    return {
        "llmframe": __version__,
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "rows": len(df),
        **call,
        "columns": columns,
    }


def encode(about: dict[str, Any]) -> str:
    """As JSON text."""
    return json.dumps(about, ensure_ascii=False)


def read_metadata(path: str | os.PathLike[str]) -> dict[str, Any]:
    """See calls.files.read_metadata."""
    file = existing_path(path)
    # the two formats with room for metadata
    text = _of_excel(file) if file.suffix.lower() == ".xlsx" else _of_parquet(file)
    try:
        about = json.loads(text) if text else None
    except ValueError:
        about = None
    if not isinstance(about, dict):
        raise PlanError(
            f"{file} has no metadata of llmframe: it was not written by df.llm.to_parquet or "
            "df.llm.to_excel, or another program has rewritten it"
        )
    return about


def _of_parquet(file: Path) -> str:
    parquet = needed("read_metadata", "pyarrow.parquet", "pyarrow>=16")
    arrow = needed("read_metadata", "pyarrow", "pyarrow>=16")
    try:
        schema = parquet.read_schema(file)
    except (arrow.ArrowException, OSError) as exc:
        raise PlanError(
            f"{file} is no parquet file that can be read; CSV and JSONL files have no room for "
            f"metadata ({exc})"
        ) from exc
    return str((schema.metadata or {}).get(METADATA_KEY, b"").decode("utf-8", "replace"))


def _of_excel(file: Path) -> str:
    openpyxl = needed("read_metadata", "openpyxl", "openpyxl>=3.1")
    try:
        book = openpyxl.load_workbook(file, read_only=True)
    except Exception as exc:  # zipfile's, XML's and openpyxl's own errors
        raise PlanError(f"{file} is no xlsx file that can be read ({exc})") from exc
    try:
        return str(book.properties.description or "")
    finally:
        book.close()
