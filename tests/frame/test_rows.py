"""Rows become texts by position; every mistake of the caller is a PlanError before a call."""

import decimal

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmframe.errors import PlanError
from llmframe.frame.rows import SLICE, plan_rows
from llmframe.frame.selection import snapshot

TEXTS = ["refund please", None, " \n", "退款 😀", "last"]
RENDERED = ["refund please", None, None, "退款 😀", "last"]


def texts_of(df, given_input, **options):
    plan = plan_rows(df, given_input, **options)
    return plan.texts(0, plan.n)


# --- which cells


@pytest.mark.parametrize(
    "dtype", [object, "str", "string", "string[python]", "string[pyarrow]", "category"]
)
def test_text_is_the_same_from_every_text_type(dtype):
    df = pd.DataFrame({"text": pd.Series(TEXTS, dtype=object).astype(dtype)})
    if dtype == "str":  # pandas 2 makes a word of a missing cell here
        df = pd.DataFrame({"text": TEXTS})
    assert texts_of(df, "text") == RENDERED


@pytest.mark.parametrize(
    ("values", "dtype", "texts"),
    [
        ([1, 2], "int64", ["1", "2"]),
        ([1, None], "Int64", ["1", None]),
        ([1, None], "float64", ["1.0", None]),
        ([0.1, None], "float32", ["0.1", None]),
        ([True, None], "boolean", ["True", None]),
        ([True, False], "bool", ["True", "False"]),
        ([1, 1], "category", ["1", "1"]),
        (["2024-01-02", None], "datetime64[ns]", ["2024-01-02T00:00:00", None]),
        (["2024-01-02", None], "datetime64[ns, UTC]", ["2024-01-02T00:00:00+00:00", None]),
        (["2024-01", None], "period[M]", ["2024-01", None]),
        ([[1, "a"], {"b": None}], object, ['[1, "a"]', '{"b": null}']),
        ([decimal.Decimal("1.10"), pd.NA], object, ["1.10", None]),
        ([[], "x"], object, ["[]", "x"]),
    ],
)
def test_cells_of_every_type_have_their_text(values, dtype, texts):
    assert texts_of(pd.DataFrame({"c": pd.Series(values, dtype=dtype)}), "c") == texts


def test_arrow_columns_have_their_text():
    pa = pytest.importorskip("pyarrow")
    table = pa.table({
        "s": ["a", None], "n": pa.array([1, None], pa.int8()), "l": [["x", None], None],
        "d": pa.array([19000, None], pa.date32()), "m": [{"k": 1}, None],
    })  # fmt: skip
    df = table.to_pandas(types_mapper=pd.ArrowDtype)
    assert texts_of(df, ["s", "n", "l", "d", "m"]) == [
        '{"s": "a", "n": 1, "l": ["x", null], "d": "2022-01-08", "m": {"k": 1}}',
        None,
    ]


def test_half_a_character_is_cleaned():
    df = pd.DataFrame({"text": pd.Series(["a\ud83d"], dtype=object)})
    assert texts_of(df, "text") == ["a\ufffd"]
    assert texts_of(df, "\ud83d{text}") == ["\ufffda\ufffd"]
    assert texts_of(df, ["text"]) == ['{"text": "a\ufffd"}']


# --- which input


def test_an_exact_name_wins_over_a_template():
    df = pd.DataFrame({"{a}": ["exact"], "a": ["x"]})
    assert texts_of(df, "{a}") == ["exact"]


@pytest.mark.parametrize("name", [0, 1.5, ("a", 1), None, True, pd.Timestamp("2024-01-01")])
def test_a_column_may_have_any_hashable_name(name):
    df = pd.DataFrame([["x", "y"]])
    df.columns = pd.Index([name, "other"], dtype=object, tupleize_cols=False)
    plan = plan_rows(df, name)
    assert plan.texts(0, 1) == ["x"]
    assert plan.columns == (name,)


def test_a_column_without_a_name_is_found():
    df = pd.DataFrame([["x", "y"]], columns=["a", float("nan")])
    assert texts_of(df, float("nan")) == ["y"]
    with pytest.raises(PlanError, match="no column nan"):
        plan_rows(df[["a"]], float("nan"))


def test_a_template_names_whole_columns_in_any_order_and_often():
    df = pd.DataFrame({"first name": ["Li"], "a.b": [3], "标题": ["退款"]})
    plan = plan_rows(df, "{{{a.b}}} {标题} of {first name} ({a.b})")
    assert plan.texts(0, 1) == ["{3} 退款 of Li (3)"]
    assert plan.columns == ("a.b", "标题", "first name")


def test_missing_is_empty_in_a_template_and_null_in_a_list():
    df = pd.DataFrame({"a": ["x", None], "b": [np.nan, 2.0]})
    assert texts_of(df, "{a}|{b}") == ["x|", "|2.0"]
    assert texts_of(df, ["a", "b"]) == ['{"a": "x", "b": null}', '{"a": null, "b": 2.0}']


@pytest.mark.parametrize("given_input", ["about {a} and {b}", ["a", "b"]])
def test_a_row_is_skipped_only_when_every_named_cell_is_blank(given_input):
    df = pd.DataFrame({"a": ["", "x", None], "b": [None, " ", "\t"]})
    assert [text is None for text in texts_of(df, given_input)] == [True, False, True]


def test_a_template_reaches_a_column_with_a_number_for_its_name():
    assert texts_of(pd.DataFrame([["x", "y"]]), "{1}{0}") == ["yx"]


def test_a_template_evaluates_nothing():
    df = pd.DataFrame({"x": ["{y}"], "y": ["secret"]})
    assert texts_of(df, "{x}") == ["{y}"]
    with pytest.raises(PlanError, match=r"no column 'x\.__class__'"):
        plan_rows(df, "{x.__class__}")


def test_a_list_keeps_its_order_and_its_letters():
    df = pd.DataFrame({"b": ["退款"], 7: [True]})
    assert texts_of(df, [7, "b"]) == ['{"7": true, "b": "退款"}']


def test_columns_with_levels_are_found_by_tuple_by_padded_and_by_first_name():
    df = pd.DataFrame([["x", "y"]], columns=pd.MultiIndex.from_tuples([("a", ""), ("b", "c")]))
    assert texts_of(df, ("b", "c")) == ["y"]
    assert texts_of(df, "a") == ["x"]
    assert texts_of(df, "{a}!") == ["x!"]
    assert texts_of(df, ["a", ("b", "c")]) == ['{"a": "x", "(\'b\', \'c\')": "y"}']
    assert plan_rows(df, "a").columns == (("a", ""),)


# --- mistakes

FRAME = pd.DataFrame({"text": ["x"], "title": ["y"], 3: [1]})


@pytest.mark.parametrize(
    ("given_input", "message"),
    [
        ("Text", "no column 'Text'; did you mean 'text'"),
        ("texts", "did you mean 'text'.* The frame has: 'text', 'title', 3."),
        ("zzz", "no column 'zzz'. The frame has"),
        ("{txt} {title}", "no column 'txt'; did you mean 'text'"),
        ("{}", "no column ''"),
        ("{text", "nothing closes this '{' at character 1"),
        ("{{text}}", "names no column"),
        ([], "list of columns is empty"),
        (["text", "text"], "'text' is in the list more than once"),
        (["text", "nope"], "no column 'nope'"),
        ([["text"]], "a list names no column"),
        (("text", "title"), "give a list, not a tuple"),
        (("text", "nope"), "no column \\('text', 'nope'\\)\\. "),
        ({"text": 1}, "a dict names no column; give a column's name, a template"),
        (FRAME["text"], "a Series names no column"),
        (4, "no column 4"),
        (None, "no column None"),
    ],
)
def test_a_wrong_input_is_refused_with_the_right_forms(given_input, message):
    with pytest.raises(PlanError, match=message):
        plan_rows(FRAME, given_input)


def test_many_columns_are_not_all_told():
    df = pd.DataFrame([range(3000)], columns=[f"c{i}" for i in range(3000)])
    with pytest.raises(PlanError, match="'c19' and 2980 more") as caught:
        plan_rows(df, "d")
    assert len(str(caught.value)) < 500


def test_a_frame_without_columns_says_so():
    with pytest.raises(PlanError, match="The frame has no columns"):
        plan_rows(pd.DataFrame(), "text")


@pytest.mark.parametrize("given_input", ["t", "{t}", ["t"]])
def test_a_name_that_two_columns_bear_is_refused(given_input):
    df = pd.DataFrame([["a", "b"]], columns=["t", "t"])
    with pytest.raises(PlanError, match="2 columns are named 't'"):
        plan_rows(df, given_input)


def test_a_template_name_that_two_columns_read_as_is_refused():
    df = pd.DataFrame([["a", "b"]], columns=pd.Index([1, 1.0], dtype=object))
    with pytest.raises(PlanError, match="columns are named 1"):
        plan_rows(df, "{1}")


def test_something_else_than_a_frame_is_refused():
    with pytest.raises(PlanError, match="a pandas DataFrame is needed, this is a list"):
        plan_rows([{"text": "x"}], "text")


@pytest.mark.parametrize("cell", [b"caf\xe9", bytearray(b"x"), memoryview(b"x")])
def test_bytes_are_found_before_anything_is_sent_and_the_cure_told(cell):
    df = pd.DataFrame({"text": pd.Series(["x", None, cell], dtype=object)})
    with pytest.raises(PlanError, match=r"column 'text' holds \w+ at row 2.*str\.decode"):
        plan_rows(df, "{text}")


def test_bytes_are_found_in_categories_and_in_arrow():
    pa = pytest.importorskip("pyarrow")
    for dtype in ("category", pd.ArrowDtype(pa.binary())):
        df = pd.DataFrame({"text": pd.Series([None, b"x"], dtype=object).astype(dtype)})
        with pytest.raises(PlanError, match="holds bytes at row 1"):
            plan_rows(df, "text")


def test_a_category_that_no_row_uses_does_no_harm():
    df = pd.DataFrame({"text": pd.Categorical(["x"], categories=["x", b"y"])})
    assert texts_of(df, "text") == ["x"]


def test_objects_without_a_text_of_their_own_are_refused():
    df = pd.DataFrame({"text": pd.Series(["x", object()], dtype=object)})
    with pytest.raises(PlanError, match="holds object at row 1, which has no text of its own"):
        plan_rows(df, "text")


# --- by position


def test_planning_renders_nothing():
    class Cell:
        def __str__(self):
            raise AssertionError("rendered while planning")

    df = pd.DataFrame({"text": [Cell(), Cell()]})
    assert plan_rows(df, "text").n == 2
    assert plan_rows(df, ["text"]).n == 2


@given(st.lists(st.none() | st.text(max_size=3), max_size=30), st.data())
def test_slices_and_single_texts_agree_whatever_the_order(cells, data):
    df = pd.DataFrame({"t": pd.Series(cells, dtype=object)}, index=[0] * len(cells))
    plan = plan_rows(df, "t")
    everything = plan.texts(0, plan.n)
    assert plan.n == len(cells) == len(everything)
    start = data.draw(st.integers(0, plan.n))
    assert plan.texts(start, plan.n + 5) == everything[start:]
    order = data.draw(st.permutations(range(plan.n)))
    assert [plan.text(position) for position in order] == [everything[p] for p in order]


def test_single_texts_are_read_over_slice_borders():
    n = 2 * SLICE + 1
    plan = plan_rows(pd.DataFrame({"t": [f"t{i}" for i in range(n)]}), "t")
    assert [plan.text(i) for i in range(n)] == [f"t{i}" for i in range(n)]
    assert plan.text(0) == "t0"


@pytest.mark.parametrize("position", [-1, 1, 600])
def test_a_row_that_is_not_there_is_an_index_error(position):
    with pytest.raises(IndexError, match="the frame has 1 rows"):
        plan_rows(FRAME, "text").text(position)


def test_an_empty_frame_has_no_texts():
    plan = plan_rows(FRAME.iloc[:0], "{text}", id="title")
    assert (plan.n, plan.texts(0, 10), plan.ids(0, 10)) == (0, [], [])


@pytest.mark.parametrize("dtype", [object, "string[python]", "category", "string[pyarrow]"])
def test_later_changes_of_the_frame_are_not_seen(dtype):
    df = pd.DataFrame({"t": pd.Series(["a", "b"], dtype=dtype)})
    plan = plan_rows(df, "t")
    df.loc[0, "t"] = "b"
    df["t"] = "c"
    assert plan.texts(0, 2) == ["a", "b"]


def test_a_snapshot_is_not_changed_by_what_happens_to_the_frame():
    df = pd.DataFrame({"t": ["a", "b"]})
    held = snapshot(df)
    df.loc[0, "t"] = "b"
    df["new"] = 1
    assert held.to_dict("list") == {"t": ["a", "b"]}


# --- ids


def test_without_an_id_column_there_are_no_ids():
    plan = plan_rows(FRAME, "text")
    assert plan.ids(0, 1) is None
    assert plan.reserved == ("text",)
    with pytest.raises(PlanError, match="give id="):
        plan.check_unique_ids()


@pytest.mark.parametrize(
    ("cells", "ids"),
    [
        (["a", 1, np.int64(2)], ["a", 1, 2]),
        ([1.0, np.nan, 2.5], [1, None, "2.5"]),
        ([True, np.bool_(False)], ["True", "False"]),
        ([pd.Timestamp("2024-01-02"), None], ["2024-01-02T00:00:00", None]),
        (["a\ud83d"], ["a\ufffd"]),
        ([(1, "x")], ['[1, "x"]']),
    ],
    ids=repr,
)
def test_ids_are_text_or_ints(cells, ids):
    df = pd.DataFrame({"t": "x", "key": pd.Series(cells, dtype=object)})
    plan = plan_rows(df, "t", id="key")
    got = plan.ids(0, len(cells))
    assert got == ids
    assert {type(value) for value in got} <= {str, int, type(None)}


def test_the_id_column_is_reserved_too():
    assert plan_rows(FRAME, "text", id="title").reserved == ("text", "title")


@pytest.mark.parametrize(
    ("column", "message"),
    [
        ("titel", "id: no column 'titel'; did you mean 'title'"),
        (["title"], "id: a list names no column; give a column's name$"),
        ("{title}", "id: no column '{title}'"),
    ],
)
def test_a_wrong_id_column_is_refused(column, message):
    with pytest.raises(PlanError, match=message):
        plan_rows(FRAME, "text", id=column)


def test_a_duplicated_id_column_is_refused():
    df = pd.DataFrame([["a", 1, 2]], columns=["t", "key", "key"])
    with pytest.raises(PlanError, match="id: 2 columns are named 'key'"):
        plan_rows(df, "t", id="key")


def test_bytes_for_ids_are_refused():
    with pytest.raises(PlanError, match="column 'key' holds bytes at row 0"):
        plan_rows(pd.DataFrame({"t": ["x"], "key": [b"1"]}), "t", id="key")


@pytest.mark.parametrize(
    ("cells", "message"),
    [
        ([1, 2, "1"], "1 rows repeat an earlier row's id, the first is '1' at row 2"),
        ([1, None, None], "2 of 3 rows have no id"),
    ],
)
def test_ids_that_must_be_unique_are_checked_as_text(cells, message):
    df = pd.DataFrame({"t": "x", "key": pd.Series(cells, dtype=object)})
    with pytest.raises(PlanError, match=message):
        plan_rows(df, "t", id="key").check_unique_ids()


def test_unique_ids_pass():
    df = pd.DataFrame({"t": ["x", "x"], "key": [1, 2]})
    plan_rows(df, "t", id="key").check_unique_ids()
