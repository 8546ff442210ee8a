"""One cell as text and as JSON, the same whatever type of column holds it."""

import json
import uuid
from collections import OrderedDict
from datetime import UTC, date, datetime, time
from decimal import Decimal
from enum import IntEnum, StrEnum
from pathlib import PurePosixPath

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmframe.frame.cells import (
    cell_text,
    column_cells,
    is_blank,
    is_missing,
    json_text,
    json_value,
)


class Colour(StrEnum):
    RED = "red"


class Level(IntEnum):
    HIGH = 3


MISSING = [None, float("nan"), np.nan, pd.NA, pd.NaT, np.datetime64("NaT", "s"), Decimal("NaN")]
PRESENT = ["nan", "", 0, False, [], {}, (), [None], np.array([np.nan]), pd.Series([None]), object]


@pytest.mark.parametrize("cell", MISSING)
def test_every_kind_of_missing_is_missing(cell):
    assert is_missing(cell)
    assert is_blank(cell)
    assert cell_text(cell) == ""
    assert json_value(cell) is None


@pytest.mark.parametrize("cell", PRESENT, ids=repr)
def test_what_only_looks_missing_is_not(cell):
    assert not is_missing(cell)


@pytest.mark.parametrize("cell", ["", " ", "\t\r\n", "\u3000\xa0", "\u200b", "\x00"], ids=repr)
def test_what_nobody_can_see_is_blank(cell):
    assert is_blank(cell)


@pytest.mark.parametrize("cell", ["0", 0, False, [], "\u200b."], ids=repr)
def test_anything_else_is_not_blank(cell):
    assert not is_blank(cell)


@pytest.mark.parametrize(
    ("cell", "text"),
    [
        ("  as it is ", "  as it is "),
        (np.str_("numpy"), "numpy"),
        (Colour.RED, "red"),
        (3, "3"),
        (3.0, "3.0"),
        (-0.5, "-0.5"),
        (float("-inf"), "-inf"),
        (True, "True"),
        (Level.HIGH, "3"),
        (np.int8(3), "3"),
        (np.float64(3), "3.0"),
        (np.float32(0.1), "0.1"),
        (np.float32("inf"), "inf"),
        (np.bool_(False), "False"),
        (date(2024, 1, 2), "2024-01-02"),
        (time(9, 30), "09:30:00"),
        (datetime(2024, 1, 2, 3, tzinfo=UTC), "2024-01-02T03:00:00+00:00"),
        (pd.Timestamp("2024-01-02", tz="Asia/Tokyo"), "2024-01-02T00:00:00+09:00"),
        (np.datetime64("2024-01-02"), "2024-01-02"),
        (["a", 1, None, np.nan], '["a", 1, null, null]'),
        (("a", True), '["a", true]'),
        (np.array([1.5, np.nan]), "[1.5, null]"),
        (pd.Series(["x"]), '["x"]'),
        ({"退": [1], 2: {"b": pd.NA}}, '{"退": [1], "2": {"b": null}}'),
        (OrderedDict(a=1), '{"a": 1}'),
        ({"b", "a"}, '["a", "b"]'),
        (frozenset(), "[]"),
        ([b"bytes\xff"], '["bytes\ufffd"]'),
        ([np.float32(0.1), float("inf"), Decimal("1.50")], '[0.1, "inf", "1.50"]'),
        (Decimal("1.50"), "1.50"),
        (uuid.UUID(int=1), "00000000-0000-0000-0000-000000000001"),
        (PurePosixPath("a/b"), "a/b"),
        (pd.Period("2024-01"), "2024-01"),
        (pd.Timedelta("1h"), "0 days 01:00:00"),
        (np.timedelta64(1, "D"), "1 days"),
        (1 + 2j, "(1+2j)"),
    ],
)
def test_a_cell_has_one_text(cell, text):
    assert cell_text(cell) == text


@pytest.mark.parametrize("cell", [np.str_("numpy"), Colour.RED], ids=repr)
def test_a_kind_of_str_becomes_a_plain_one(cell):
    assert type(cell_text(cell)) is str


def test_a_list_that_holds_itself_has_a_text():
    cell: list[object] = [1]
    cell.append(cell)
    assert cell_text(cell) == "[1, [...]]"


plain = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)  # fmt: skip


@given(plain)
def test_json_values_are_kept_as_they_are(value):
    assert json_value(value) == value
    assert json.loads(json_text(json_value(value))) == value


@pytest.mark.parametrize("dtype", ["float32", "Float32", "float[pyarrow]", "float16", object])
def test_narrow_floats_keep_their_own_digits(dtype):
    column = pd.Series([0.1, None], dtype="float32").astype(dtype)
    if dtype is object:
        column = pd.Series([np.float32(0.1), None], dtype=object)
    assert [cell_text(cell) for cell in column_cells(column)][1] == ""
    assert cell_text(column_cells(column)[0])[:6] in ("0.1", "0.0999", "0.1000")
    if dtype != "float16":
        assert cell_text(column_cells(column)[0]) == "0.1"
