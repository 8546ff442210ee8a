"""What llmframe wrote into a frame, as ``attrs["llmframe"]`` tells it: small, JSON, no secrets."""

from __future__ import annotations

import json
from dataclasses import dataclass
from enum import Enum
from functools import cached_property
from hashlib import blake2b
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from llmframe.frame.cells import json_value

if TYPE_CHECKING:
    from collections.abc import Callable, Container, Hashable, Iterable, Mapping

    import numpy.typing as npt

    from llmframe.task.value_type import ValueType

    Hashes = npt.NDArray[np.uint64]  # one a row

ATTRS_KEY = "llmframe"
HALF = 16  # hex digits of each half of a content hash
SLICE = 50_000  # rows hashed at once
_encode = json.JSONEncoder(sort_keys=True, default=json_value).encode


@dataclass(frozen=True, slots=True)
class WrittenColumn:
    """A column that an earlier call wrote.

    hash: of its content when it was written. task: the hash of the task that it answers.
    type: what it holds, a ``Kind``'s word or a ``ValueType``; None where attrs do not say.
    rows: how many it had when it was written, None where attrs do not say.
    of: the written column that it goes with, as a probability goes with its answer.
    """

    hash: str
    task: str
    type: ValueType | None = None
    rows: int | None = None
    of: str | None = None


def written_columns(df: pd.DataFrame) -> dict[str, WrittenColumn]:
    """Column name -> what attrs tell of it; attrs that are not ours count as none."""
    note = df.attrs.get(ATTRS_KEY)
    columns = note.get("columns") if isinstance(note, dict) else None
    if not isinstance(columns, dict):
        return {}
    return {name: _read(told) for name, told in columns.items() if isinstance(told, dict)}


def _read(told: Mapping[str, Any]) -> WrittenColumn:
    rows, of = told.get("rows"), told.get("of")
    return WrittenColumn(
        str(told.get("hash")),
        str(told.get("task")),
        told.get("type"),
        rows if isinstance(rows, int) else None,
        of if isinstance(of, str) else None,
    )


def note(
    written: Mapping[str, WrittenColumn], *, task: str, info: Mapping[str, Any]
) -> dict[str, Any]:
    """What ``attrs["llmframe"]`` tells of a frame.

    written: all its columns that llmframe wrote, by this call or before. info: the rest.
    """
    columns = {name: _entry(one) for name, one in written.items()}
    return {**json_value(info), "task": task, "columns": columns}


def _entry(one: WrittenColumn) -> dict[str, Any]:
    more = {"type": one.type, "rows": one.rows, "of": one.of}
    told = {name: value for name, value in more.items() if value is not None}
    return {"hash": one.hash, "task": one.task, **told}


class State(Enum):
    """What stands in a frame under the name of a column that a call would write.

    TWICE: several columns bear the name. CHANGED: not the cells that an earlier call wrote.
    MOVED: not as many rows as it wrote, so nothing tells whether a cell was changed.
    """

    ABSENT, FOREIGN, TWICE, UNCHANGED, CHANGED, MOVED = range(6)


class ExistingColumns:
    """What earlier calls wrote into a frame, beside what is there now.

    inputs: the columns that are asked about.
    """

    def __init__(self, df: pd.DataFrame, inputs: tuple[Hashable, ...]) -> None:
        self.written = written_columns(df)
        self.rows = len(df)
        self.inputs = inputs
        self._df = df

    def column(self, name: str) -> Hashable:
        """The name as the frame has it."""
        return in_frame(self._df, name)

    def state(self, name: str) -> State:
        """What stands under the name of an output."""
        column = self.column(name)
        places = [at for at, found in enumerate(self._df.columns) if found == column]
        if not places:
            return State.ABSENT
        if name not in self.written:
            return State.FOREIGN
        if len(places) > 1:
            return State.TWICE
        told = self.written[name]
        if told.rows != self.rows:
            return State.MOVED if self.rows else State.UNCHANGED
        same = _is_unchanged(self._df.iloc[:, places[0]], lambda: self._labels, told.hash)
        return State.UNCHANGED if same else State.CHANGED

    def is_of_another_task(self, name: str, task: str) -> bool:
        """Whether the column is there and answers another task than this."""
        there = self.column(name) in set(self._df.columns)
        return there and name in self.written and self.written[name].task != task

    @cached_property
    def _labels(self) -> Hashes:
        return row_labels(self._df, self.inputs)


def in_frame(df: pd.DataFrame, name: str) -> Hashable:
    """The name of a written column as the frame has it: padded where columns have levels."""
    levels = df.columns.nlevels
    return name if levels == 1 else (name, *[""] * (levels - 1))


def row_labels(df: pd.DataFrame, inputs: Container[Hashable] = ()) -> Hashes:
    """Hashes by which a frame's rows are known wherever they are moved: of their index labels.

    inputs: the columns that are asked about. Where labels repeat, rows are told apart by them
    too, else two answers could change places unseen.
    """
    labels = np.zeros(len(df), np.uint64)
    for level in range(df.index.nlevels):
        labels = _joined(labels, pd.Series(df.index.get_level_values(level)))
    if not pd.Index(labels).is_unique:  # faster than to ask an index of text
        for at in [at for at, name in enumerate(df.columns) if name in inputs]:
            labels = _joined(labels, df.iloc[:, at])
    return labels


def _joined(labels: Hashes, cells: pd.Series[Any]) -> Hashes:
    return _scattered(labels + _row_hashes(cells))


def content_hash(cells: pd.Series[Any], labels: Hashes | None) -> str:
    """A hash of a column's cells, whatever its name, the same in every process.

    labels: of its rows. The first half is of the cells in their order, the second of the pairs
    of label and cell in any order; without labels, of the cells in any order.
    """
    hashes = _row_hashes(cells)
    return _in_order(hashes) + _in_any_order(hashes, labels)


def _is_unchanged(cells: pd.Series[Any], labels: Callable[[], Hashes], told: str) -> bool:
    """Whether the cells are those of this content hash, in their order or with their labels.

    labels: of the rows, asked only where the order has changed.
    """
    hashes = _row_hashes(cells)
    if _in_order(hashes) == told[:HALF]:
        return True
    return told[HALF:] in (_in_any_order(hashes, labels()), _in_any_order(hashes, None))


def _in_order(hashes: Hashes) -> str:
    return blake2b(hashes.tobytes(), digest_size=HALF // 2).hexdigest()


def _in_any_order(hashes: Hashes, labels: Hashes | None) -> str:
    pairs = _scattered(hashes if labels is None else hashes + labels)
    return f"{int(pairs.sum()):0{HALF}x}"


def _scattered(hashes: Hashes) -> Hashes:
    """Each number scattered over all 64 bits, so that sums of them tell sets apart.

    The finalizer of splitmix64 (Steele, Lea, Flood 2014).
    """
    hashes = (hashes ^ (hashes >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    hashes = (hashes ^ (hashes >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return hashes ^ (hashes >> np.uint64(31))


def _row_hashes(cells: pd.Series[Any]) -> Hashes:
    if pd.api.types.is_object_dtype(cells.dtype) and not _holds_text(cells):
        return _of_json(cells)
    try:
        return _of_typed(cells)
    except Exception:  # noqa: BLE001 - a lone surrogate, any type's own code: hashed after paying
        return _of_json(cells)


def _of_typed(cells: pd.Series[Any]) -> Hashes:
    parts = []
    for start in range(0, max(len(cells), 1), SLICE):  # pandas makes objects of a text's cells
        part = cells.iloc[start : start + SLICE]
        hashes = pd.util.hash_pandas_object(part, index=False, categorize=False)
        parts.append(hashes.to_numpy())
    return np.concatenate(parts)


def _of_json(cells: Iterable[Any]) -> Hashes:
    lines = np.array([_json_line(cell) for cell in cells], dtype=object)
    return pd.util.hash_array(lines, categorize=False)


def _holds_text(cells: pd.Series[Any]) -> bool:
    return pd.api.types.infer_dtype(cells, skipna=True) in ("string", "empty")


def _json_line(cell: Any) -> str:
    try:
        return _encode(cell)  # plain values, as a model answers them, need no walk
    except (TypeError, ValueError, RecursionError):  # odd keys, or a list that holds itself
        return _encode(json_value(cell))
