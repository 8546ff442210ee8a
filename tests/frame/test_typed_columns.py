"""Typed columns: the right type for every kind, and no value that loses its column."""

from datetime import UTC, datetime

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmframe.frame.typed_columns import builder
from llmframe.task.fields import FieldSpec, Kind

TEXT_DTYPE = pd.Series(["text"]).dtype
DTYPES = {
    Kind.INTEGER: "Int64",
    Kind.FLOAT: "Float64",
    Kind.BOOLEAN: "boolean",
    Kind.TEXT: TEXT_DTYPE,
    Kind.DATE: "datetime64[us]",
    Kind.OBJECT: "object",
    Kind.VECTOR: "object",
}


def column(kind, values, labels=None):
    cells = builder(FieldSpec("x", kind=kind, labels=labels, nullable=True))(values)
    return pd.Series(cells, dtype=cells.dtype)


@pytest.mark.parametrize(("kind", "dtype"), DTYPES.items())
@pytest.mark.parametrize("values", [[], [None, None]], ids=["empty", "all missing"])
def test_the_type_does_not_depend_on_the_values(kind, dtype, values):
    got = column(kind, values)
    assert got.dtype == dtype
    assert got.isna().all()
    assert len(got) == len(values)


@pytest.mark.parametrize("values", [[], [None], ["b"]])
@pytest.mark.parametrize("labels", [("b", "a"), ("退款", "x y", "")])
def test_a_closed_choice_keeps_its_labels_in_their_order(labels, values):
    got = column(Kind.CHOICE, values, labels)
    assert list(got.cat.categories) == list(labels)
    assert not got.cat.ordered


def test_choices_of_ints_have_int_categories():
    got = column(Kind.CHOICE, [3, 1, None, True, "3", 2], (1, 2, 3))
    assert got.cat.categories.dtype == "int64"
    assert got.tolist()[:2] == [3, 1]
    assert got.isna().tolist() == [False, False, True, True, True, False]


@pytest.mark.parametrize("wrong", ["z", 1, True, ["a"], {"a": 1}, 1.5])
def test_a_label_outside_the_set_never_reaches_the_column(wrong):
    got = column(Kind.CHOICE, ["a", wrong, "b"], ("a", "b"))
    assert got.isna().tolist() == [False, True, False]
    assert list(got.cat.categories) == ["a", "b"]


@pytest.mark.parametrize(
    ("kind", "values", "cells"),
    [
        (Kind.INTEGER, [1, 2.0, -(2**63), 2**63 - 1], [1, 2, -(2**63), 2**63 - 1]),
        (Kind.INTEGER, [1, 2**63, 1.5, "3", [], 1e300, float("nan")], [1] + [None] * 6),
        (Kind.FLOAT, [1, 2.5, True, "x", 10**400, {}], [1.0, 2.5, 1.0, None, None, None]),
        (Kind.BOOLEAN, [True, False, 1, "true", None], [True, False, None, None, None]),
        (Kind.TEXT, ["", "退 😀", "nan", None], ["", "退 😀", "nan", None]),
        (Kind.TEXT, [3, {"a": 1}], ["3", '{"a": 1}']),
        (Kind.TEXT, ["a\ud83d", "ok"], ["a\ufffd", "ok"]),
        (Kind.OBJECT, [["a"], {"b": [1]}, None, [], "x"], [["a"], {"b": [1]}, None, [], "x"]),
        (Kind.OBJECT, [["a\ud83d"], {"k\ud83d": 1}], [["a\ufffd"], {"k\ufffd": 1}]),
        (Kind.OBJECT, [[1, 2], [3, 4]], [[1, 2], [3, 4]]),
    ],
)  # fmt: skip
def test_values_become_cells_and_a_bad_one_costs_only_its_own(kind, values, cells):
    got = column(kind, values)
    assert got.dtype == DTYPES[kind]
    assert [None if c is not None and np.ndim(c) == 0 and pd.isna(c) else c for c in got] == cells


@pytest.mark.parametrize(
    ("value", "cell"),
    [
        ("2024-01-02", "2024-01-02T00:00:00.000000"),
        ("2024-01-02T03:04:05.678901", "2024-01-02T03:04:05.678901"),
        ("2024-01-02 03:04", "2024-01-02T03:04:00.000000"),
        ("2024-01-02T03:04:05Z", "2024-01-02T03:04:05.000000"),
        ("2024-01-02t03:04:05z", "2024-01-02T03:04:05.000000"),
        ("2024-01-02T03:04:05+08:00", "2024-01-01T19:04:05.000000"),
        ("0001-01-01", "0001-01-01T00:00:00.000000"),
        ("9999-12-31T23:59:59", "9999-12-31T23:59:59.000000"),
        ("0001-01-01T00:00:00+05:00", "0000-12-31T19:00:00.000000"),
        ("9999-12-31T23:00:00-05:00", "10000-01-01T04:00:00.000000"),
        ("soon", "NaT"),
        ("2024-02-30", "NaT"),
        (20240102, "NaT"),
        (None, "NaT"),
    ],
)
def test_dates_hold_every_year_and_offsets_become_utc(value, cell):
    got = column(Kind.DATE, ["2024-05-06", value])
    assert got.dtype == "datetime64[us]"
    assert np.datetime_as_string(got.to_numpy()).tolist() == ["2024-05-06T00:00:00.000000", cell]
    assert len(repr(got)) > 0


@given(st.lists(st.datetimes(timezones=st.none() | st.timezones())))
def test_any_moment_is_kept_to_the_microsecond(moments):
    got = column(Kind.DATE, [moment.isoformat() for moment in moments]).to_numpy()
    epochs = [datetime(1970, 1, 1, tzinfo=UTC if moment.tzinfo else None) for moment in moments]
    whole = [int((m - e).total_seconds()) for m, e in zip(moments, epochs, strict=True)]
    assert (np.abs(got.astype("int64") // 10**6 - np.array(whole, dtype="int64")) <= 1).all()


def test_rows_that_share_an_answer_do_not_share_its_list():
    shared = {"tags": ["a"]}
    got = column(Kind.OBJECT, [shared, shared])
    got[0]["tags"].append("b")
    assert got.tolist() == [{"tags": ["a", "b"]}, {"tags": ["a"]}]
    assert shared == {"tags": ["a"]}


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters(codec=None)),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(st.characters(codec=None)), inner),
    max_leaves=5,
)


@pytest.mark.parametrize("kind", list(Kind))
@given(values=st.lists(json_values))
def test_no_values_at_all_lose_a_column(kind, values):
    got = column(kind, values, ("a", "b") if kind is Kind.CHOICE else None)
    assert len(got) == len(values)
    assert got[[value is None for value in values]].isna().all()
    assert kind is Kind.CHOICE or got.dtype == DTYPES[kind]


@pytest.mark.filterwarnings("ignore:The 'future.infer_string' option")
def test_the_text_type_follows_the_persons_setting():
    with pd.option_context("future.infer_string", False):
        assert column(Kind.TEXT, ["a", None]).dtype == object
