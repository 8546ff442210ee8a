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

    from llmframe.task.shape import Shape

ATTRS_KEY = "llmframe"
SLICE = 50_000  # rows hashed at once
_encode = json.JSONEncoder(sort_keys=True, default=json_value).encode


@dataclass(frozen=True, slots=True)
class Written:
    """A column that an earlier call wrote.

    hash: of its content when it was written. task: the hash of the task that it answers.
    type: what it holds, a ``Kind``'s word or a ``Shape``; None in a frame of an earlier version.
    """

    hash: str
    task: str
    type: Shape | None = None


def read_written(df: pd.DataFrame) -> dict[str, Written]:
    """Column name -> what attrs tell of it; attrs that are not ours count as none."""
    note = df.attrs.get(ATTRS_KEY)
    columns = note.get("columns") if isinstance(note, dict) else None
    if not isinstance(columns, dict):
        return {}
    return {
        name: Written(str(told.get("hash")), str(told.get("task")), told.get("type"))
        for name, told in columns.items()
        if isinstance(told, dict)
    }


def note(written: Mapping[str, Written], *, task: str, info: Mapping[str, Any]) -> dict[str, Any]:
    """What ``attrs["llmframe"]`` tells of a frame.

    written: all its columns that llmframe wrote, by this call or before. info: the rest.
    """
    columns = {name: _entry(one) for name, one in written.items()}
    return {**json_value(info), "task": task, "columns": columns}


def _entry(one: Written) -> dict[str, Any]:
    entry = {"hash": one.hash, "task": one.task}
    return entry if one.type is None else entry | {"type": one.type}


def content_hash(cells: pd.Series[Any]) -> str:
    """A hash of a column's cells in their order, whatever its index and its name."""
    digest = blake2b(digest_size=8)
    if pd.api.types.is_object_dtype(cells.dtype) and not _holds_text(cells):
        digest.update(_json_lines(cells))
        return digest.hexdigest()
    for start in range(0, len(cells), SLICE):  # pandas makes objects of a text column's cells
        part = cells.iloc[start : start + SLICE]
        hashes = pd.util.hash_pandas_object(part, index=False, categorize=False)
        digest.update(hashes.to_numpy().tobytes())
    return digest.hexdigest()


def _holds_text(cells: pd.Series[Any]) -> bool:
    return pd.api.types.infer_dtype(cells, skipna=True) in ("string", "empty")


def _json_lines(cells: Iterable[Any]) -> bytes:
    return "\n".join(map(_json_line, cells)).encode()


def _json_line(cell: Any) -> str:
    try:
        return _encode(cell)  # plain values, as a model answers them, need no walk
    except (TypeError, ValueError, RecursionError):  # odd keys, or a list that holds itself
        return _encode(json_value(cell))
