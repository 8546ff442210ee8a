"""A frame goes into a parquet file with its types, and comes out of it as it was."""

from __future__ import annotations

import datetime as dt
import json

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

import llmframe as lf
from tests.kits.export import FIELDS, FULL, ROWS, TEXT_DTYPE, schema_of, tagged, written

KINDS = {
    "intent": "category", "level": "category", "stars": "Int64", "share": "Float64",
    "urgent": "boolean", "summary": str(TEXT_DTYPE), "day": "datetime64[us]",
}  # fmt: skip


# -- the way there and back ----------------------------------------------------------------


@pytest.mark.parametrize("answers", ROWS.values(), ids=ROWS)
def test_every_kind_of_field_comes_back_as_it_was(tmp_path, answers):
    out = tagged(answers)
    back = lf.read_parquet(written(out, tmp_path))
    pd.testing.assert_frame_equal(back, out)
    assert back.attrs == out.attrs


@pytest.mark.parametrize("answers", [ROWS["answered"], ROWS["all missing"]])
def test_pandas_alone_brings_back_the_typed_columns(tmp_path, answers):
    out = tagged(answers)
    back = pd.read_parquet(written(out, tmp_path))
    typed = [name for name in KINDS if name != "level"]
    assert {name: str(back[name].dtype) for name in typed} == {name: KINDS[name] for name in typed}
    pd.testing.assert_frame_equal(back[typed], out[typed])
    assert back["intent"].cat.categories.tolist() == FIELDS["intent"]
    assert back["llm_status"].dtype == out["llm_status"].dtype
    assert back.attrs == out.attrs


def test_pandas_alone_reads_a_choice_of_numbers_as_whole_numbers(tmp_path):
    back = pd.read_parquet(written(tagged(), tmp_path))
    assert back["level"].tolist() == [1, pd.NA, pd.NA]
    assert str(back["level"].dtype) == "Int64"


texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=5)
int64 = st.integers(-(2**63), 2**63 - 1)
answers = st.fixed_dictionaries(
    {
        "intent": st.none() | st.sampled_from(FIELDS["intent"]),
        "level": st.none() | st.sampled_from(FIELDS["level"]),
        "stars": st.none() | int64,
        "share": st.none() | st.floats(allow_nan=False),
        "urgent": st.none() | st.booleans(),
        "summary": st.none() | texts,
        "day": st.none() | st.dates().map(dt.date.isoformat),
        "topics": st.none() | st.lists(st.sampled_from(["price", "quality"]), max_size=3),
        "numbers": st.none() | st.lists(int64, max_size=3),
        "order": st.none()
        | st.fixed_dictionaries(
            {
                "number": st.none() | texts,
                "items": st.lists(
                    st.fixed_dictionaries({"name": texts, "count": st.none() | int64}), max_size=2
                ),
                "weight": st.floats(allow_nan=False, allow_infinity=False),
            }
        ),
        "either": st.none() | st.lists(int64 | texts, max_size=3),
        "tree": st.none()
        | st.recursive(
            st.fixed_dictionaries({"name": texts, "parts": st.just([])}),
            lambda inner: st.fixed_dictionaries({"name": texts, "parts": st.lists(inner)}),
            max_leaves=3,
        ),
    }
)


@given(st.lists(st.none() | answers, max_size=4))
def test_any_answers_come_back_as_they_were(tmp_path_factory, rows):
    out = tagged(rows)
    path = out.llm.to_parquet(tmp_path_factory.getbasetemp() / "any.parquet")
    pd.testing.assert_frame_equal(lf.read_parquet(path), out)


INDEXES = {
    "a range": pd.RangeIndex(4, 10, 2, name="r"),
    "duplicates": pd.Index([7, 7, 8]),
    "text": pd.Index(["b", "a", ""], name="key"),
    "levels": pd.MultiIndex.from_tuples([("a", 1), ("a", 1), ("b", 2)], names=["x", None]),
    "times": pd.date_range("2024", periods=3, tz="Europe/Berlin"),
    "categories": pd.CategoricalIndex(["a", "b", "a"]),
    "intervals": pd.interval_range(0, 3),
    "named like a column": pd.Index([1, 2, 3], name="text"),
}


@pytest.mark.parametrize("index", INDEXES.values(), ids=INDEXES)
def test_any_index_comes_back(tmp_path, index):
    out = tagged(index=index)
    back = lf.read_parquet(written(out, tmp_path))
    pd.testing.assert_frame_equal(back, out, check_freq=False)


def test_the_index_is_left_out_or_kept_as_asked(tmp_path):
    out = tagged(index=pd.Index(["x", "y", "z"]))
    left_out = lf.read_parquet(written(out, tmp_path, index=False))
    pd.testing.assert_frame_equal(left_out, out.reset_index(drop=True))
    written(tagged(), tmp_path, index=True)
    assert "__index_level_0__" in pq.read_schema(tmp_path / "out.parquet").names


def test_a_frame_that_was_read_back_can_be_written_and_tagged_again(tmp_path):
    out = tagged()
    back = pd.read_parquet(written(out, tmp_path))  # lists are arrays now
    pd.testing.assert_frame_equal(
        lf.read_parquet(written(back.drop(columns="level"), tmp_path)), out.drop(columns="level")
    )


# -- the fields say the types ----------------------------------------------------------------


def test_every_part_of_a_table_has_the_same_columns_and_parts_join(tmp_path):
    paths = [
        tagged(rows).llm.to_parquet(tmp_path / f"part{at}.parquet")
        for at, rows in enumerate(ROWS.values())
    ]
    assert [schema_of(path) for path in paths[1:]] == [schema_of(paths[0])] * 2
    assert pq.read_table(tmp_path).num_rows == 6


def test_the_types_are_those_of_the_fields(tmp_path):
    schema = schema_of(written(tagged(ROWS["all missing"]), tmp_path))
    text = pa.large_string()
    item = pa.struct([("name", text), ("count", pa.int64())])
    order = [("number", text), ("items", pa.list_(item)), ("weight", pa.float64())]
    assert [schema.field(name).type for name in ("numbers", "order", "either", "stars")] == [
        pa.list_(pa.int64()), pa.struct(order), text, pa.int64(),
    ]  # fmt: skip


def test_attrs_carry_the_types_in_small_json_and_survive_a_selection(tmp_path):
    out = tagged()[["text", "order"]]
    noted = out.attrs["llmframe"]["columns"]["order"]["type"]
    assert noted == {
        "number": "text", "items": [{"name": "text", "count": "integer"}], "weight": "float",
    }  # fmt: skip
    assert pa.types.is_struct(schema_of(written(out, tmp_path)).field("order").type)


def test_a_column_of_objects_that_the_person_changed_is_written_as_text_with_a_warning(tmp_path):
    out = tagged()
    out["order"] = [{"another": 1}, {"number": "7"}, None]
    with pytest.warns(UserWarning, match="'order': parquet has no one type"):
        path = written(out, tmp_path)
    assert lf.read_parquet(path)["order"].tolist()[0] == '{"another": 1}'


UNFIT = {
    "text for a number": {"number": "7", "items": [{"name": "a", "count": "1"}], "weight": 1.0},
    "a number for text": {"number": 7, "items": [], "weight": 1.0},
    "truth for a number": {"number": "7", "items": [], "weight": True},
    "a dict for a list": {"number": "7", "items": {}, "weight": 1.0},
    "a huge number": {"number": "7", "items": [{"name": "a", "count": 2**63}], "weight": 1.0},
}


@pytest.mark.parametrize("cell", UNFIT.values(), ids=UNFIT)
def test_no_value_is_bent_to_fit_its_field(tmp_path, cell):
    out = tagged([FULL], fields={"order": FIELDS["order"]})
    out["order"] = pd.Series([cell], index=out.index)
    with pytest.warns(UserWarning, match="'order': parquet has no one type"):
        path = written(out, tmp_path)
    assert json.loads(pd.read_parquet(path)["order"].iloc[0]) == cell


def test_booleans_and_numbers_stay_distinct_in_lists(tmp_path):
    out = tagged([{"a": [True, False]}, None], fields={"a": list[bool]})
    pd.testing.assert_frame_equal(lf.read_parquet(written(out, tmp_path)), out)
    out["a"] = pd.Series([[1, 0], None], index=out.index)
    assert pq.read_table(written(out, tmp_path))["a"].to_pylist() == [[1, 0], None]


def test_a_key_that_is_left_out_is_missing(tmp_path):
    out = tagged([FULL], fields={"order": FIELDS["order"]})
    out["order"] = pd.Series([{"number": "7"}], index=out.index)
    back = lf.read_parquet(written(out, tmp_path))
    assert back["order"].tolist() == [{"number": "7", "items": None, "weight": None}]


@pytest.mark.parametrize(
    "noted", [None, 3, "tuple", [], ["text", "text"], {}, {"number": "tuple"}, {"a": ["text"]}]
)
def test_useless_attrs_are_no_hindrance(tmp_path, noted):
    out = tagged()
    out.attrs["llmframe"]["columns"]["order"]["type"] = noted
    with pytest.warns(UserWarning, match="'order': parquet has no one type"):
        path = written(out, tmp_path)
    assert json.loads(pd.read_parquet(path)["order"].iloc[0]) == FULL["order"]


def test_a_frame_whose_attrs_are_lost_is_written_by_its_dtypes(tmp_path):
    out = tagged()
    out.attrs = {}
    with pytest.warns(UserWarning, match="'order', 'either', 'tree': parquet has no one type"):
        back = pd.read_parquet(written(out, tmp_path))
    assert {name: str(back[name].dtype) for name in KINDS if name != "level"} == {
        name: dtype for name, dtype in KINDS.items() if name != "level"
    }
    assert [cell.tolist() for cell in back["topics"][:2]] == [["quality", "price"], []]
