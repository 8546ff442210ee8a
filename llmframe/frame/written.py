"""What llmframe wrote into a frame, as ``attrs["llmframe"]`` tells it: small, JSON, no secrets."""

from __future__ import annotations

import json
from dataclasses import dataclass
from hashlib import blake2b
from typing import TYPE_CHECKING, Any

import pandas as pd

from llmframe.frame.cells import json_value

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

ATTRS_KEY = "llmframe"


@dataclass(frozen=True, slots=True)
class Written:
    """A column that an earlier call wrote.

    hash: of its content when it was written. task: the hash of the task that it answers.
    """

    hash: str
    task: str


def read_written(df: pd.DataFrame) -> dict[str, Written]:
    """Column name -> what attrs tell of it; attrs that are not ours count as none."""
    note = df.attrs.get(ATTRS_KEY)
    columns = note.get("columns") if isinstance(note, dict) else None
    if not isinstance(columns, dict):
        return {}
    return {
        name: Written(str(told.get("hash")), str(told.get("task")))
        for name, told in columns.items()
        if isinstance(told, dict)
    }


def note(written: Mapping[str, Written], *, task: str, info: Mapping[str, Any]) -> dict[str, Any]:
    """What ``attrs["llmframe"]`` tells of a frame.

    written: all its columns that llmframe wrote, by this call or before. info: the rest.
    """
    columns = {name: {"hash": one.hash, "task": one.task} for name, one in written.items()}
    return {**json_value(info), "task": task, "columns": columns}


def content_hash(cells: pd.Series[Any]) -> str:
    """A hash of a column's cells in their order, whatever its index and its name."""
    if pd.api.types.is_object_dtype(cells.dtype) and not _holds_text(cells):
        content = _json_lines(cells)
    else:
        hashes = pd.util.hash_pandas_object(cells, index=False, categorize=False)
        content = hashes.to_numpy().tobytes()
    return blake2b(content, digest_size=8).hexdigest()


def _holds_text(cells: pd.Series[Any]) -> bool:
    return pd.api.types.infer_dtype(cells, skipna=True) in ("string", "empty")


def _json_lines(cells: Iterable[Any]) -> bytes:
    encode = json.JSONEncoder(sort_keys=True).encode
    return "\n".join(encode(json_value(cell)) for cell in cells).encode()
