"""A frame goes into a parquet file with its types, and comes out of it as it was."""

from __future__ import annotations

import datetime as dt
import json
import sys
import warnings
from decimal import Decimal

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

import llmframe as lf
from llmframe.errors import PlanError
from tests.kits.export import FIELDS, FULL, INFO, ROWS, TEXT_DTYPE, tagged

KINDS = {
    "intent": "category", "level": "category", "stars": "Int64", "share": "Float64",
    "urgent": "boolean", "summary": str(TEXT_DTYPE), "day": "datetime64[us]",
}  # fmt: skip


def written(df, tmp_path, **options):
    return df.llm.to_parquet(tmp_path / "out.parquet", **options)


def schema_of(path):
    return pq.read_schema(path).remove_metadata()


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
    told = out.attrs["llmframe"]["columns"]["order"]["type"]
    assert told == {
        "number": "text", "items": [{"name": "text", "count": "integer"}], "weight": "float",
    }  # fmt: skip
    assert pa.types.is_struct(schema_of(written(out, tmp_path)).field("order").type)


def test_a_column_of_objects_that_the_person_changed_is_written_as_text_and_said(tmp_path):
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


def test_truth_and_numbers_are_told_apart_in_lists(tmp_path):
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
    "told", [None, 3, "tuple", [], ["text", "text"], {}, {"number": "tuple"}, {"a": ["text"]}]
)
def test_attrs_that_tell_nothing_of_use_are_no_hindrance(tmp_path, told):
    out = tagged()
    out.attrs["llmframe"]["columns"]["order"]["type"] = told
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
def test_objects_of_several_kinds_become_text_and_one_warning_says_so(tmp_path, cells, expected):
    df = pd.DataFrame({"x": pd.Series(cells, dtype=object), "y": pd.Series(cells, dtype=object)})
    with pytest.warns(UserWarning, match="text, lists and dicts as JSON") as told:
        path = written(df, tmp_path)
    assert len(told) == 1
    assert "'x', 'y': parquet has no one type" in str(told[0].message)
    assert told[0].filename == __file__
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


def test_labels_that_only_half_a_character_tells_apart_stay_two_cells(tmp_path):
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


# -- metadata --------------------------------------------------------------------------------


def test_the_file_tells_what_made_it(tmp_path):
    about = lf.read_metadata(written(tagged(), tmp_path))
    created = dt.datetime.fromisoformat(about["created"])
    assert dt.datetime.now(dt.UTC) - created < dt.timedelta(minutes=5)
    assert about["llmframe"] == lf.__version__
    assert {name: about[name] for name in INFO} == {**INFO, "checkpoint": "abc.jsonl"}
    assert (about["task"], about["rows"]) == ("0123456789ab", 3)
    assert about["columns"]["level"] == {
        "task": "0123456789ab", "type": "choice", "categories": [3, 1, 2], "ordered": False,
    }  # fmt: skip
    assert about["columns"]["topics"] == {"task": "0123456789ab", "type": ["text"]}
    assert "text" not in about["columns"]


def test_the_metadata_hold_no_text_of_a_row(tmp_path):
    canary = "canary in a row"
    out = tagged([{**FULL, "summary": canary}], texts=[canary])
    out["mine"] = pd.Categorical([canary])
    path = written(out, tmp_path)
    metadata = pq.read_schema(path).metadata
    assert canary not in str(metadata)
    assert canary not in json.dumps(out.attrs)


def test_a_frame_that_was_never_tagged_can_be_written_too(tmp_path):
    df = pd.DataFrame({"a": [1]})
    path = written(df, tmp_path)
    about = lf.read_metadata(path)
    assert set(about) == {"llmframe", "created", "rows", "columns"}
    assert (about["rows"], about["columns"]) == (1, {})
    pd.testing.assert_frame_equal(lf.read_parquet(path), df)


def test_metadata_of_another_file_are_an_error_that_says_so(tmp_path):
    pd.DataFrame({"a": [1]}).to_parquet(tmp_path / "foreign.parquet")
    broken = pa.table({"a": [1]}).replace_schema_metadata({"llmframe": "no JSON"})
    pq.write_table(broken, tmp_path / "broken.parquet")
    (tmp_path / "not.parquet").write_bytes(b"text")
    for name, said in {
        "foreign.parquet": "tells nothing of llmframe",
        "broken.parquet": "tells nothing of llmframe",
        "not.parquet": "no parquet file that can be read",
        "missing.parquet": "there is no file",
        "": "is a folder",
    }.items():
        with pytest.raises(PlanError, match=said):
            lf.read_metadata(tmp_path / name)


@pytest.mark.parametrize("name", ["missing.parquet", "not.parquet", ""])
def test_what_is_no_parquet_file_is_not_read(tmp_path, name):
    (tmp_path / "not.parquet").write_bytes(b"text")
    with pytest.raises(PlanError, match=r"there is no file|no parquet file|is a folder"):
        lf.read_parquet(tmp_path / name)


def rewritten(path, **changes):
    """The file as another program might have left it."""
    table = pq.read_table(path)
    for name, cells in changes.items():
        at = table.schema.get_field_index(name)
        table = table.set_column(at, name, pa.array(cells))
    pq.write_table(table, path)
    return path


def test_what_another_program_has_changed_is_read_as_it_is(tmp_path):
    path = written(tagged(), tmp_path)
    rewritten(path, level=[1, 7, None], either=["no JSON", None, None], topics=["a", None, None])
    back = lf.read_parquet(path)
    assert back["level"].tolist() == [1, 7, pd.NA]
    assert back["either"].tolist()[0] == "no JSON"
    assert back["topics"].tolist()[0] == "a"


@pytest.mark.parametrize("text", [b"", b"no JSON", b"[]", b"3", b'{"columns": {"level": 3}}'])
def test_broken_metadata_are_no_hindrance_to_reading(tmp_path, text):
    path = written(tagged(), tmp_path)
    table = pq.read_table(path)
    metadata = {**table.schema.metadata, b"llmframe": text}
    pq.write_table(table.replace_schema_metadata(metadata), path)
    pd.testing.assert_frame_equal(lf.read_parquet(path), pd.read_parquet(path))


def test_a_foreign_parquet_file_is_read_as_pandas_reads_it(tmp_path):
    df = pd.DataFrame({"intent": ["a"], "n": [1]})
    df.to_parquet(tmp_path / "foreign.parquet")
    pd.testing.assert_frame_equal(lf.read_parquet(tmp_path / "foreign.parquet"), df)


def test_attrs_that_are_no_json_are_left_out_aloud(tmp_path):
    out = tagged()
    kept = {**out.attrs, "mine": {"a": [1]}}
    out.attrs = {**kept, "client": object()}
    with pytest.warns(UserWarning, match="attrs 'client' are no JSON"):
        path = written(out, tmp_path)
    assert pd.read_parquet(path).attrs == kept


# -- options ---------------------------------------------------------------------------------


@pytest.mark.parametrize(("compression", "codec"), [("zstd", "ZSTD"), (None, "UNCOMPRESSED")])
def test_the_compression_is_the_one_asked_for(tmp_path, compression, codec):
    path = written(tagged(), tmp_path, compression=compression)
    assert pq.ParquetFile(path).metadata.row_group(0).column(0).compression == codec


def test_zstd_is_the_default_and_row_groups_can_be_asked_for(tmp_path):
    path = written(tagged(), tmp_path, row_group_size=1, compression_level=3)
    metadata = pq.ParquetFile(path).metadata
    assert metadata.row_group(0).column(0).compression == "ZSTD"
    assert metadata.num_row_groups == 3


def test_an_unknown_compression_is_refused(tmp_path):
    with pytest.raises(PlanError, match="compression='rar' is none of"):
        written(tagged(), tmp_path, compression="rar")


@pytest.mark.parametrize("call", ["to_parquet", "read_metadata", "read_parquet"])
def test_without_pyarrow_the_command_that_installs_it_is_said(tmp_path, monkeypatch, call):
    path = written(tagged(), tmp_path)
    for name in ("pyarrow", "pyarrow.parquet"):
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(PlanError, match='%pip install "pyarrow>=16"'):
        tagged().llm.to_parquet(path) if call == "to_parquet" else getattr(lf, call)(path)


def test_writing_the_same_frame_twice_says_nothing(tmp_path):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        written(tagged(), tmp_path)
        written(tagged(), tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["out.parquet"]
