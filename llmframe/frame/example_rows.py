"""Rows that were shown to the model with their right answers: known by what they ask about.

``attrs["llmframe"]["examples"]`` has an entry for each task: ``inputs``, the names of the columns
that it asks about, and ``rows``, hashes of their cells. No score may count such a row.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from llmframe.frame.column_lookup import ColumnLookup
from llmframe.frame.existing import hashes_of_rows, noted

if TYPE_CHECKING:
    from collections.abc import Collection, Hashable, Iterable, Iterator, Mapping

    import numpy.typing as npt
    import pandas as pd


def note_of(rows: pd.DataFrame, columns: Iterable[Hashable], *, task: str) -> dict[str, Any]:
    """The entry of a call. rows: those that are its examples. columns: the input's."""
    names: list[Hashable] = list(rows.columns)
    at, text_name = [names.index(column) for column in columns], ColumnLookup(rows).text_name
    inputs = [text_name(names[each]) for each in at]
    return {"task": task, "inputs": inputs, "rows": [*dict.fromkeys(hashes_of_rows(rows, at))]}


def with_earlier(
    info: Mapping[str, Any], df: pd.DataFrame, *, tasks: Collection[str] | None
) -> Mapping[str, Any]:
    """What attrs say about a call, its examples joined with those of earlier ones.

    tasks: those of which df keeps answers; None where it may keep some of any.
    """
    earlier = [one for one in _noted(df) if tasks is None or one["task"] in tasks]
    joined: dict[tuple[Any, ...], dict[str, Any]] = {}
    for one in (*earlier, *info.get("examples", ())):
        entry = joined.setdefault((one["task"], *one["inputs"]), {**one, "rows": []})
        entry["rows"] = [*dict.fromkeys([*entry["rows"], *one["rows"]])]
    return {**info, "examples": [*joined.values()]} if joined else info


def example_rows(df: pd.DataFrame) -> npt.NDArray[np.bool_]:
    """Which rows of a tagged frame are examples of a call whose answers it holds.

    False where the frame has lost the columns that were asked about.
    """
    found = np.zeros(len(df), dtype=bool)
    text_name = ColumnLookup(df).text_name
    at = {text_name(column): position for position, column in enumerate(df.columns)}
    for one in _noted(df):
        if all(name in at for name in one["inputs"]):
            # by content: rows may have been sorted or filtered since
            hashes = hashes_of_rows(df, [at[name] for name in one["inputs"]])
            found |= np.isin(hashes, one["rows"])
    return found


def _noted(df: pd.DataFrame) -> Iterator[dict[str, Any]]:
    """The entries in a frame's attrs, which anybody may have edited."""
    entries = noted(df).get("examples")
    for one in entries if isinstance(entries, list) else ():
        if isinstance(one, dict) and isinstance(one.get("task"), str):
            lists = [one.get("inputs"), one.get("rows")]
            if all(isinstance(each, list) and all(map(_is_text, each)) for each in lists):
                yield one


def _is_text(value: object) -> bool:
    return isinstance(value, str)
