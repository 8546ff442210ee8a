"""What attrs tell of written columns holds in another process, for any cells."""

import datetime as dt
import decimal
import os
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest

from llmframe.frame.existing import (
    WrittenColumn,
    attrs_entry,
    content_hash,
    row_labels,
    written_columns,
)

CELLS = {
    "text": pd.Series(["a", None, "\u00e9"]),
    "lone surrogate": pd.Series(["a", "\ud83d", None], dtype=object),
    "lists": pd.Series([[1, 2], None, [{"b": 1, "a": [None]}]], dtype=object),
    "sets": pd.Series([{"b", "a"}, {"c"}, set()], dtype=object),
    "odd": pd.Series([(1, 2), decimal.Decimal("1.5"), dt.date(2024, 1, 2)], dtype=object),
    "choices": pd.Series(["x", "y", "x"], dtype="category"),
    "wild choices": pd.Series(pd.Categorical.from_codes([0, 1, 0], [(1, 2), 3])),
    "numbers": pd.Series([0.0, np.nan, -1.5]),
    "nullable": pd.Series([1, None, 3], dtype="Int64"),
    "bools": pd.Series([True, None, False], dtype="boolean"),
    "times": pd.Series(pd.date_range("2024", periods=3, tz="Europe/Berlin")),
    "spans": pd.Series(pd.to_timedelta([1, 2, 3], unit="h")),
    "periods": pd.Series(pd.period_range("2024", periods=3, freq="M")),
    "intervals": pd.Series(pd.interval_range(0, 3)),
    "long doubles": pd.Series(np.array([1, 2, 3], dtype=np.longdouble)),
    "sparse": pd.Series(pd.arrays.SparseArray([0, 1, 0])),
}
INDEXES = {
    **{name: pd.Index(cells) for name, cells in CELLS.items() if name != "sets"},
    "levels": pd.MultiIndex.from_arrays([["a", None, "a"], [1, 1, 2]]),
}
HERE = """
from tests.frame.test_existing import CELLS, INDEXES, hashes
print(hashes())
"""


def hashes():
    cells = [content_hash(cells, row_labels(cells.to_frame())) for cells in CELLS.values()]
    frames = [pd.DataFrame(index=index) for index in INDEXES.values()]
    return cells + [int(row_labels(frame).sum()) for frame in frames]


@pytest.mark.parametrize("seed", ["0", "1"])
def test_hashes_are_the_same_in_another_process(seed):
    run = [sys.executable, "-c", HERE]
    path = os.pathsep.join(filter(None, sys.path))
    env = os.environ | {"PYTHONHASHSEED": seed, "PYTHONPATH": path}
    child = subprocess.run(run, capture_output=True, text=True, check=True, env=env)
    assert child.stdout.strip() == str(hashes())


@pytest.mark.parametrize("cells", CELLS.values(), ids=CELLS)
def test_a_hash_has_a_half_for_the_order_and_one_for_the_pairs(cells):
    frame = cells.to_frame()
    before = content_hash(cells, row_labels(frame))
    moved = frame.iloc[[2, 0, 1]]
    after = content_hash(moved.iloc[:, 0], row_labels(moved))
    assert len(before) == 32
    assert after[:16] != before[:16]
    assert after[16:] == before[16:]
    renumbered = content_hash(cells, row_labels(frame.set_axis([5, 6, 7])))
    assert renumbered[:16] == before[:16]
    assert renumbered[16:] != before[16:]


@pytest.mark.parametrize("index", INDEXES.values(), ids=INDEXES)
def test_rows_of_any_index_keep_their_labels_where_they_are_moved(index):
    frame = pd.DataFrame({"text": list("abc")}, index=index)
    labels = row_labels(frame, ("text",))
    assert len(set(labels)) == 3
    assert row_labels(frame.iloc[[2, 0, 1]], ("text",)).tolist() == labels[[2, 0, 1]].tolist()


def test_rows_whose_labels_repeat_are_known_by_their_input_too():
    frame = pd.DataFrame({"text": list("abc"), "n": 1}, index=[0, 0, 0])
    assert len(set(row_labels(frame))) == 1
    assert len(set(row_labels(frame, ("text",)))) == 3
    unique = frame.reset_index(drop=True)
    assert row_labels(unique).tolist() == row_labels(unique, ("text",)).tolist()


def test_levels_are_not_exchangeable():
    ab, ba = (pd.MultiIndex.from_tuples([pair]) for pair in (("a", "b"), ("b", "a")))
    assert row_labels(pd.DataFrame(index=ab)) != row_labels(pd.DataFrame(index=ba))


def test_a_note_is_read_as_it_was_written():
    written = {
        "intent": WrittenColumn("0" * 32, task="task", type="choice", rows=3),
        "intent_confidence": WrittenColumn(
            "1" * 32, task="task", type="float", rows=3, of="intent"
        ),
        "bare": WrittenColumn("2" * 32, task="task"),
    }
    frame = pd.DataFrame()
    frame.attrs["llmframe"] = attrs_entry(written, task="task", info={})
    assert written_columns(frame) == written


def test_a_note_that_somebody_wrote_by_hand_tells_what_it_can():
    frame = pd.DataFrame()
    frame.attrs["llmframe"] = {"columns": {"i": {"hash": "h", "rows": "3", "of": 4}, "j": 3}}
    assert written_columns(frame) == {"i": WrittenColumn("h", task="None")}
