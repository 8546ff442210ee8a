"""Which labels of two columns are the same."""

import enum

import numpy as np
import pandas as pd
import pytest

from llmframe.errors import PlanError
from llmframe.quality.scoring.labels import MOST, aligned, read_labels

MOODS = pd.CategoricalDtype(["low", "mid", "high"])


class Color(enum.Enum):
    RED = "red"
    BLUE = "blue"


def read(values, dtype=None):
    return read_labels("field", pd.Series(values, dtype=dtype))


def same(said, truth):
    """For each row whether both columns have the same label; None where one has none."""
    base, other = read_labels("said", pd.Series(said)), read_labels("truth", pd.Series(truth))
    codes = aligned(base, other)[1]
    return [
        None if a < 0 or b < 0 else bool(a == b) for a, b in zip(base.codes, codes, strict=True)
    ]


def test_a_categorical_keeps_its_order_and_all_its_labels():
    found = read(["high", None, "low"], MOODS)
    assert found.labels == ("low", "mid", "high")
    assert found.codes.tolist() == [2, -1, 0]


def test_other_columns_are_sorted():
    assert read(["b", "a", None, "b"]).labels == ("a", "b")
    assert read([10, 9, pd.NA, 10], "Int64").labels == (9, 10)
    assert read([True, False, None], "boolean").labels == (False, True)
    assert read([Color.RED, Color.BLUE]).labels == ("blue", "red")


@pytest.mark.parametrize(
    ("cells", "labels"), [([2, "", 1], (1, 2)), ([True, "", False], (False, True))]
)
def test_blanks_among_numbers_are_no_label(cells, labels):
    assert read_labels("gold", pd.Series(cells, dtype=object)).labels == labels


def test_blank_text_is_no_label():
    assert read(["a", "", "  ", "\u200b"]).codes.tolist() == [0, -1, -1, -1]


@pytest.mark.parametrize(
    ("said", "truth"),
    [
        (pd.Series(["low", "high", None], dtype=MOODS), ["low", "high", "high"]),
        (pd.Series([1, 2, None], dtype="Int64"), [1.0, 2.0, np.nan]),  # a CSV file with a gap
        (pd.Series([1, 2, None], dtype="Int64"), ["1", "2", "2"]),
        (pd.Categorical([1, 2, None]), np.array([1, 2, 2], dtype=np.int8)),
        (pd.Series([True, False, None], dtype="boolean"), [1, 0, 1]),
        (pd.Series([True, False, None], dtype="boolean"), ["TRUE", "false", ""]),
        (["Refund", "other", None], [" refund", "OTHER", "other"]),
        (["ｒｅｆｕｎｄ", "退款", None], ["refund", "退款", "退款"]),
        (["red", "blue", None], [Color.RED, Color.BLUE, Color.RED]),
        (["2026-11-27", "2026-11-28", None], pd.to_datetime(["2026-11-27", "2026-11-28", None])),
    ],
)
def test_the_same_label_in_another_dtype_or_spelling_is_the_same(said, truth):
    assert same(said, truth) == [True, True, None]


def test_labels_that_differ_in_case_alone_are_matched_exactly():
    assert same(["us", "US"], ["US", "US"]) == [False, True]


def test_columns_without_a_common_label_are_refused():
    base, other = read_labels("said", pd.Series(["a", "b"])), read_labels("gold", pd.Series([7]))
    with pytest.raises(PlanError, match=r"'said' and 'gold' have no label in common: 'a', 'b' ag"):
        aligned(base, other)


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ([["a"], ["b"]], "holds a list"),
        ([{"a": 1}], "holds a dict"),
        ([0.5, 0.25], "holds numbers such as"),
        (range(MOST + 1), "1,001 different values"),
    ],
)
def test_what_is_no_label_is_refused(values, words):
    with pytest.raises(PlanError, match=words):
        read(values)


def test_arrow_text_is_text():
    pytest.importorskip("pyarrow")
    assert read(["b", "a", None], "string[pyarrow]").labels == ("a", "b")
