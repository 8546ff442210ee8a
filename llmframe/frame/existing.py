"""The columns that earlier calls wrote, as ``attrs["llmframe"]`` records them: small JSON."""

from __future__ import annotations

import json
from dataclasses import KW_ONLY, dataclass
from enum import Enum
from functools import cached_property
from hashlib import blake2b
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from llmframe.frame.cells import column_cells, json_value
from llmframe.frame.typed_columns import as_written

if TYPE_CHECKING:
    from collections.abc import Container, Hashable, Iterable, Mapping

    import numpy.typing as npt

    from llmframe.task.value_type import ValueType

    Hashes = npt.NDArray[np.uint64]  # one per row

ATTRS_KEY = "llmframe"
HALF = 16  # hex digits of each half of a content hash
SLICE = 50_000  # rows hashed together
_encode = json.JSONEncoder(sort_keys=True, default=json_value).encode


@dataclass(frozen=True, slots=True)
class WrittenColumn:
    """A column that an earlier call wrote.

    hash: of its content when it was written. task: the hash of the task that it answers.
    type: what it holds, a ``Kind``'s value or a ``ValueType``. rows: how many it had when it
    was written. of: the written column that it belongs to, as a probability to its answer.
    These three are None where attrs do not record them.
    prompts: hashes of the prompts that its answers are to, the newest last. also: of a status,
    earlier tasks that it describes as well, because the call left some of their answers there.
    """

    hash: str
    _: KW_ONLY
    task: str
    type: ValueType | None = None
    rows: int | None = None
    of: str | None = None
    prompts: tuple[str, ...] = ()
    also: tuple[str, ...] = ()

    @property
    def tasks(self) -> set[str]:
        """All tasks that it answers or describes."""
        return {self.task, *self.also}


def noted(df: pd.DataFrame) -> dict[str, Any]:
    """What attrs record of the latest call; {} where they are lost, or are not ours."""
    entry = df.attrs.get(ATTRS_KEY)
    return entry if isinstance(entry, dict) else {}


def written_columns(df: pd.DataFrame) -> dict[str, WrittenColumn]:
    """Name -> written column, as attrs record them; {} for attrs that are not ours."""
    columns = noted(df).get("columns")
    written = {}
    for name, one in columns.items() if isinstance(columns, dict) else ():
        if isinstance(one, dict):  # attrs travel in files that anybody may have edited
            rows, of = one.get("rows"), one.get("of")
            written[name] = WrittenColumn(
                str(one.get("hash")),
                task=str(one.get("task")),
                type=one.get("type"),
                rows=rows if isinstance(rows, int) else None,
                of=of if isinstance(of, str) else None,
                prompts=_texts(one.get("prompts")),
                also=_texts(one.get("also")),
            )
    return written


def _texts(names: Any) -> tuple[str, ...]:
    return tuple(map(str, names)) if isinstance(names, list | tuple) else ()


def attrs_entry(
    written: Mapping[str, WrittenColumn], *, task: str, info: Mapping[str, Any]
) -> dict[str, Any]:
    """The value of ``attrs["llmframe"]``.

    written: all columns that llmframe wrote, in this call or before. info: the rest.
    """
    columns = {}
    for name, one in written.items():
        entry: dict[str, Any] = {"hash": one.hash, "task": one.task}
        more = {"type": one.type, "rows": one.rows, "of": one.of}
        more |= {"prompts": [*one.prompts] or None, "also": [*one.also] or None}
        # without the empty ones: attrs are copied with every step that pandas takes
        columns[name] = entry | {key: value for key, value in more.items() if value is not None}
    return {**json_value(info), "task": task, "columns": columns}


class State(Enum):
    """The column that a frame has under the name of an output.

    TWICE: several columns have the name. CHANGED: not the cells that an earlier call wrote.
    MOVED: not as many rows as it wrote, so that a changed cell cannot be ruled out.
    """

    ABSENT, FOREIGN, TWICE, UNCHANGED, CHANGED, MOVED = range(6)


class ExistingColumns:
    """A frame's columns and the record of those that earlier calls wrote.

    inputs: the columns that the prompt shows.
    """

    def __init__(self, df: pd.DataFrame, inputs: tuple[Hashable, ...]) -> None:
        self.written = written_columns(df)
        self.inputs = inputs
        self._df = df

    def column(self, name: str) -> Hashable:
        """The name as the frame has it."""
        return in_frame(self._df, name)

    def all_cells(self, name: str) -> list[pd.Series[Any]]:
        """The cells of each column that has an output's name: none, one, or several."""
        return columns_named(self._df, self.column(name))

    def cells(self, name: str) -> pd.Series[Any] | None:
        """The cells of the first column that has an output's name; None where there is none."""
        return next(iter(self.all_cells(name)), None)

    def state(self, name: str) -> State:
        """The state of the column under an output's name."""
        found, rows = self.all_cells(name), len(self._df)
        if not found:
            return State.ABSENT
        if name not in self.written:
            return State.FOREIGN
        if len(found) > 1:
            return State.TWICE
        [cells], written = found, self.written[name]
        if written.rows != rows:
            # a frame without rows has no cell that somebody could have edited
            return State.MOVED if rows else State.UNCHANGED
        if self._are_those(cells, written):
            return State.UNCHANGED
        # another dtype is no edit: convert_dtypes, another backend, a float of an int
        same = as_written(cells, written.type)
        kept = same is not None and self._are_those(same, written)
        return State.UNCHANGED if kept else State.CHANGED

    def is_empty(self, name: str, at: npt.NDArray[np.intp] | None) -> bool:
        """Whether the columns of this name have no cell in these rows; None: in any."""
        found = self.all_cells(name)
        return all(bool((one if at is None else one.iloc[at]).isna().all()) for one in found)

    def _are_those(self, cells: pd.Series[Any], written: WrittenColumn) -> bool:
        """Whether these cells were written, in whatever order the rows are now."""
        hashes = _row_hashes(cells)
        if _in_order(hashes) == written.hash[:HALF]:
            return True
        # moved rows: their labels cost more to hash than the cells, so only now
        sums = (_in_any_order(hashes, self._labels), _in_any_order(hashes, None))
        return written.hash[HALF:] in sums

    def is_of_another_task(self, name: str, tasks: set[str]) -> bool:
        """Whether the column is in the frame and answers another task than these."""
        is_written = name in self.written and self.cells(name) is not None
        return is_written and self.written[name].task not in tasks

    @cached_property
    def _labels(self) -> Hashes:
        return row_labels(self._df, self.inputs)


def in_frame(df: pd.DataFrame, name: str) -> Hashable:
    """The name of a written column as the frame has it: padded where columns have levels."""
    levels = df.columns.nlevels
    return name if levels == 1 else (name, *[""] * (levels - 1))


def columns_named(df: pd.DataFrame, column: Hashable) -> list[pd.Series[Any]]:
    """The cells of each column of this name, as the frame has it."""
    return [df.iloc[:, at] for at, found in enumerate(df.columns) if found == column]


def row_labels(df: pd.DataFrame, inputs: Container[Hashable] = ()) -> Hashes:
    """A hash per row of its index label, the same wherever the row is moved.

    inputs: the columns that the prompt shows. Where labels repeat, the inputs' cells
    count too; else two answers could change places unnoticed.
    """
    parts = [pd.Series(df.index.get_level_values(level)) for level in range(df.index.nlevels)]
    labels = np.zeros(len(df), np.uint64)
    for cells in parts:
        labels = _scattered(labels + _row_hashes(cells))
    if not pd.Index(labels).is_unique:  # faster than is_unique of a text index
        for at, name in enumerate(df.columns):
            if name in inputs:
                labels = _scattered(labels + _row_hashes(df.iloc[:, at]))
    return labels


def hashes_of_rows(df: pd.DataFrame, columns: Iterable[int]) -> list[str]:
    """A hash per row of its cells in the columns at these positions, wherever the row is moved."""
    hashes = np.zeros(len(df), np.uint64)
    for at in columns:
        hashes = _scattered(hashes + _row_hashes(df.iloc[:, at]))
    return [f"{number:0{HALF}x}" for number in hashes.tolist()]


def content_hash(cells: pd.Series[Any], labels: Hashes | None) -> str:
    """A hash of a column's cells, whatever its name, the same in every process.

    labels: of its rows. The first half is of the cells in their order, the second of the pairs
    of label and cell in any order; without labels, of the cells in any order.
    """
    hashes = _row_hashes(cells)
    return _in_order(hashes) + _in_any_order(hashes, labels)


def _in_order(hashes: Hashes) -> str:
    return blake2b(hashes.tobytes(), digest_size=HALF // 2).hexdigest()


def _in_any_order(hashes: Hashes, labels: Hashes | None) -> str:
    pairs = _scattered(hashes if labels is None else hashes + labels)
    return f"{int(pairs.sum()):0{HALF}x}"


def _scattered(hashes: Hashes) -> Hashes:
    """Each number scattered over all 64 bits, so that different sets have different sums.

    The finalizer of splitmix64 (Steele, Lea, Flood 2014).
    """
    hashes = (hashes ^ (hashes >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    hashes = (hashes ^ (hashes >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return hashes ^ (hashes >> np.uint64(31))


def _row_hashes(cells: pd.Series[Any]) -> Hashes:
    try:
        kind = pd.api.types.infer_dtype(cells, skipna=True) if cells.dtype == object else ""
        if kind in ("", "string", "empty"):
            parts = []
            for start in range(0, max(len(cells), 1), SLICE):  # pandas makes objects of texts
                part = cells.iloc[start : start + SLICE]
                hashes = pd.util.hash_pandas_object(part, index=False, categorize=False)
                parts.append(hashes.to_numpy())
            return np.concatenate(parts)
    except Exception:  # noqa: BLE001, S110 - a lone surrogate, any dtype's and any cell's own code
        pass  # the answers are paid by now: no column may stop them from being returned
    return _json_hashes(column_cells(cells))


def _json_hashes(cells: Iterable[Any]) -> Hashes:
    lines = [_json_line(cell) for cell in cells]
    return pd.util.hash_array(np.array(lines, dtype=object), categorize=False)


def _json_line(cell: Any) -> str:
    if type(cell) is np.ndarray and cell.dtype == np.float32:  # a vector: JSON takes too long
        return f"{cell.shape}{blake2b(cell.tobytes(), digest_size=HALF).hexdigest()}"
    try:
        return _encode(cell)  # plain values, as a model answers them
    except Exception:  # noqa: BLE001 - odd keys, or the code of the cell's class
        try:
            return _encode(json_value(cell))
        except Exception:  # noqa: BLE001 - a cell that has no text
            return f"<{type(cell).__name__}>"
