"""Columns that llmframe did not write, and any names, in a parquet file."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import llmframe as lf
from llmframe.errors import PlanError
from tests.kits.export import schema_of, tagged, written

# -- the person's own columns ----------------------------------------------------------------

PLAIN = {
    "text": (["a", None], pa.large_string()),
    "all missing": ([None, None], pa.large_string()),
    "whole numbers": ([1, None], pa.int64()),
    "numbers": ([1, 1.5], pa.float64()),
    "truth": ([True, None], pa.bool_()),
    "decimals": ([Decimal("1.5"), None], pa.decimal128(2, 1)),
    "days": ([dt.date(2024, 1, 2), None], pa.date32()),
    "times": ([dt.time(1, 2), None], pa.time64("us")),
    "bytes": ([b"x", None], pa.binary()),
    "lists": ([[1, 2], None], pa.list_(pa.int64())),
    "lists of text": ([["a", None], []], pa.list_(pa.string())),
    "empty lists": ([[], None], pa.list_(pa.large_string())),
    "arrays": ([np.array([0.5]), None], pa.list_(pa.float64())),
    "half a character": (["a\ud83d", None], pa.large_string()),
}


@pytest.mark.parametrize(("cells", "kind"), PLAIN.values(), ids=PLAIN)
def test_objects_of_one_kind_keep_it(tmp_path, cells, kind):
    path = written(pd.DataFrame({"x": pd.Series(cells, dtype=object)}), tmp_path)
    assert schema_of(path).field("x").type == kind


MIXED = {
    "an object, a text and an error": (
        [{"a": 1}, "text", ValueError("boom")], ['{"a": 1}', "text", "boom"],
    ),
    "dicts of several forms": ([{"a": 1}, {"b": [None]}], ['{"a": 1}', '{"b": [null]}']),
    "empty dicts": ([{}, {}], ["{}", "{}"]),
    "truth and numbers": ([True, 1], ["True", "1"]),
    "lists of several kinds": ([["a", 1], [2]], ['["a", 1]', "[2]"]),
    "huge numbers": ([2**70, 1], [str(2**70), "1"]),
    "zones": (
        [dt.datetime(2024, 1, 1), dt.datetime(2024, 1, 1, tzinfo=dt.UTC)],
        ["2024-01-01T00:00:00", "2024-01-01T00:00:00+00:00"],
    ),
    "tables": ([np.ones((1, 2)), np.ones((2, 1))], ["[[1.0, 1.0]]", "[[1.0], [1.0]]"]),
}  # fmt: skip


@pytest.mark.parametrize(("cells", "expected"), MIXED.values(), ids=MIXED)
def test_objects_of_several_kinds_become_text_and_there_is_one_warning(tmp_path, cells, expected):
    df = pd.DataFrame({"x": pd.Series(cells, dtype=object), "y": pd.Series(cells, dtype=object)})
    with pytest.warns(UserWarning, match="text, lists and dicts as JSON") as caught:
        path = df.llm.to_parquet(tmp_path / "out.parquet")  # here, for the line the warning names
    assert len(caught) == 1
    assert "'x', 'y': parquet has no one type" in str(caught[0].message)
    assert caught[0].filename == __file__
    assert pd.read_parquet(path)["x"].tolist() == expected


DTYPES = {
    "periods": pd.Series(pd.period_range("2024", periods=2, freq="M")),
    "intervals": pd.Series(pd.interval_range(0, 2)),
    "zones": pd.Series(pd.date_range("2024", periods=2, tz="Europe/Berlin")),
    "spans": pd.Series(pd.to_timedelta([1, None], unit="s")),
    "small numbers": pd.Series([1, None], dtype="Int8"),
    "half floats": pd.Series([1, 2], dtype="float16"),
    "unsigned": pd.Series([2**63, 1], dtype="uint64"),
    "NA text": pd.Series(["a", None], dtype="string"),
    "an order": pd.Series(pd.Categorical(["b", None], ["b", "a"], ordered=True)),
}


@pytest.mark.parametrize("cells", DTYPES.values(), ids=DTYPES)
def test_every_dtype_of_pandas_comes_back(tmp_path, cells):
    df = pd.DataFrame({"x": cells})
    pd.testing.assert_frame_equal(pd.read_parquet(written(df, tmp_path)), df)


@pytest.mark.parametrize(
    ("cells", "expected"),
    [
        (pd.Series(pd.Categorical([1.5, None])), [1.5, None]),
        (pd.Series(pd.arrays.SparseArray([0, 1])), [0, 1]),
        (pd.Series(pd.cut([1, 3], 2)), ["(0.998, 2.0]", "(2.0, 3.0]"]),
        (pd.Series([["a"], None], dtype=pd.ArrowDtype(pa.list_(pa.string()))), [["a"], None]),
    ],
)
def test_what_parquet_has_no_dtype_for_keeps_its_values(tmp_path, cells, expected):
    path = written(pd.DataFrame({"x": cells}), tmp_path)
    pd.read_parquet(path)  # pandas can read it
    assert pq.read_table(path)["x"].to_pylist() == expected


def test_labels_that_differ_in_half_a_character_stay_two_cells(tmp_path):
    labels = pd.Index(["a\ud83d", "a\ud83e"], dtype=object)
    df = pd.DataFrame({"x": pd.Categorical.from_codes([1, 0], labels)})
    assert pd.read_parquet(written(df, tmp_path))["x"].tolist() == ["a\ufffd"] * 2


# -- names ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        ([0, 1], [0, 1]),
        (["a", 1], ["a", "1"]),
        ([None, "a"], ["None", "a"]),
        ([("a", "x"), ("b", "")], [("a", "x"), ("b", "")]),
        ([("a", 1), ("b", 2)], [("a", 1), ("b", 2)]),
        (["\u9000\u6b3e \u201c", "a.b"], ["\u9000\u6b3e \u201c", "a.b"]),
    ],
)
def test_any_names_of_columns_are_written(tmp_path, names, expected):
    levels = isinstance(names[0], tuple)
    columns = pd.MultiIndex.from_tuples(names) if levels else pd.Index(names, dtype=object)
    back = pd.read_parquet(written(pd.DataFrame([[1, 2]], columns=columns), tmp_path))
    assert back.columns.tolist() == expected


@pytest.mark.parametrize("names", [["a", "a"], [1, "1"]])
def test_columns_of_one_name_are_refused_and_nothing_is_written(tmp_path, names):
    df = pd.DataFrame([[1, 2]], columns=pd.Index(names, dtype=object))
    with pytest.raises(PlanError, match=r"several columns are named .[a1]., .* rename them"):
        written(df, tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_columns_of_several_levels_are_typed_by_their_fields(tmp_path):
    plain = tagged()
    out = plain.copy()
    out.columns = pd.MultiIndex.from_tuples([(name, "") for name in plain.columns])
    back = lf.read_parquet(written(out, tmp_path))
    pd.testing.assert_frame_equal(back, out)
