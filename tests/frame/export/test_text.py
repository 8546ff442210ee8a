"""CSV that people can open and JSON lines that programs can read, from any frame."""

from __future__ import annotations

import bz2
import csv
import datetime as dt
import gzip
import io
import json
import lzma
from decimal import Decimal

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmframe.errors import PlanError
from tests.kits.export import FORMULAS, FULL, ROWS, tagged

MARK = "\ufeff"


def csv_rows(path, encoding="utf-8-sig", sep=","):
    with path.open(encoding=encoding, newline="") as handle:
        return list(csv.reader(handle, delimiter=sep))


def cells_of(df, tmp_path, **options):
    """The first column's cells in a CSV file, without the header."""
    path = df.llm.to_csv(tmp_path / "out.csv", index=False, **options)
    return [row[0] for row in csv_rows(path)[1:]]


def objects_of(df, tmp_path, **options):
    text = df.llm.to_jsonl(tmp_path / "out.jsonl", **options).read_text(encoding="utf-8")
    return [json.loads(line, parse_constant=pytest.fail) for line in text.splitlines()]


# -- csv ------------------------------------------------------------------------------------


def test_nested_cells_are_json_and_missing_ones_are_empty(tmp_path):
    header, full, _, skipped = csv_rows(tagged().llm.to_csv(tmp_path / "out.csv"))
    cells = dict(zip(header, full, strict=True))
    for name in ("topics", "numbers", "order", "either", "tree"):
        assert json.loads(cells[name]) == FULL[name]
    assert [cells[name] for name in ("intent", "level", "stars", "share", "urgent", "day")] == [
        "other", "1", "5", "0.5", "True", "2024-02-29",
    ]  # fmt: skip
    assert dict(zip(header, skipped, strict=True))["summary"] == ""


@pytest.mark.parametrize("answers", ROWS.values(), ids=ROWS)
def test_every_row_is_written_under_the_same_header(tmp_path, answers):
    rows = csv_rows(tagged(answers).llm.to_csv(tmp_path / "out.csv"))
    assert rows[0] == tagged().columns.tolist()
    assert len(rows) == len(answers) + 1


def test_excel_sees_by_its_mark_that_the_file_is_utf_8(tmp_path):
    data = tagged().llm.to_csv(tmp_path / "out.csv").read_bytes()
    assert data.startswith(MARK.encode())
    assert data.count(MARK.encode()) == 1
    assert "\u9000\u6b3e".encode() in data
    assert pd.read_csv(tmp_path / "out.csv").columns[0] == "text"


def test_another_encoding_is_written_or_refused_with_the_character(tmp_path):
    df = pd.DataFrame({"a": ["\u9000\u6b3e"]})
    path = df.llm.to_csv(tmp_path / "out.csv", encoding="gb18030")
    assert csv_rows(path, "gb18030") == [["a"], ["\u9000\u6b3e"]]
    with pytest.raises(PlanError, match="'latin-1' has no '\u9000\u6b3e'; use utf-8-sig"):
        df.llm.to_csv(path, encoding="latin-1")
    with pytest.raises(PlanError, match="encoding='utf-99' is none"):
        df.llm.to_csv(path, encoding="utf-99")
    assert csv_rows(path, "gb18030") == [["a"], ["\u9000\u6b3e"]]


def test_pandas_own_options_format_numbers_and_dates(tmp_path):
    df = pd.DataFrame({"x": [1.25, None], "d": pd.to_datetime(["2024-01-02 03:04", None])})
    options = {"sep": ";", "decimal": ",", "na_rep": "-", "float_format": "%.1f"}
    path = df.llm.to_csv(tmp_path / "out.csv", **options, date_format="%d.%m.%Y")
    assert csv_rows(path, sep=";") == [["x", "d"], ["1,2", "02.01.2024"], ["-", "-"]]


@pytest.mark.parametrize("sep", ["", "||", None])
def test_a_separator_is_one_character(tmp_path, sep):
    with pytest.raises(PlanError, match=r"sep=.* takes one character"):
        tagged().llm.to_csv(tmp_path / "out.csv", sep=sep)


@pytest.mark.parametrize(
    ("suffix", "unpack"),
    [(".gz", gzip.decompress), (".bz2", bz2.decompress), (".xz", lzma.decompress)],
)
@pytest.mark.parametrize("call", ["to_csv", "to_jsonl"])
def test_the_suffix_decides_how_the_file_is_packed(tmp_path, suffix, unpack, call):
    plain = getattr(tagged().llm, call)(tmp_path / "out.txt")
    packed = getattr(tagged().llm, call)(tmp_path / f"out.txt{suffix}")
    assert unpack(packed.read_bytes()) == plain.read_bytes()
    with pytest.raises(PlanError, match=r"\.zip is not written; end the name in \.gz"):
        getattr(tagged().llm, call)(tmp_path / "out.zip")


# -- formulas ---------------------------------------------------------------------------------


@pytest.mark.parametrize("payload", FORMULAS)
@pytest.mark.parametrize("kind", ["str", "object", "string", "category"])
def test_a_formula_is_neutral_in_every_kind_of_text(tmp_path, payload, kind):
    df = pd.DataFrame({"a": pd.Series([payload, "plain"], dtype=object).astype(kind)})
    assert cells_of(df, tmp_path) == ["'" + payload, "plain"]
    assert cells_of(df, tmp_path, excel_safe=False) == [payload, "plain"]


@pytest.mark.parametrize(
    "payload",
    ["\0=1", "\uff0b1", "\uff0d1", "\uff20A1", " =1", "\n=1", "\ufeff=1", "\u00a0+1", "\u200b-1"],
)
def test_what_hides_a_formula_is_neutral_too(tmp_path, payload):
    assert cells_of(pd.DataFrame({"a": [payload]}), tmp_path) == ["'" + payload]


def test_headers_and_the_index_are_made_neutral(tmp_path):
    df = pd.DataFrame({"=a": [1]}, index=pd.Index(["+x"], name="@key"))
    assert csv_rows(df.llm.to_csv(tmp_path / "out.csv")) == [["'@key", "'=a"], ["'+x", "1"]]
    plain = df.llm.to_csv(tmp_path / "out.csv", excel_safe=False)
    assert csv_rows(plain) == [["@key", "=a"], ["+x", "1"]]


def test_numbers_are_untouched(tmp_path):
    columns = {
        "int": [-1, 2], "float": [-1.5, np.inf], "Int64": pd.array([-1, None], dtype="Int64"),
        "category": pd.Categorical([-1, 2]), "objects": [-1, Decimal("-2.5")],
        "span": pd.to_timedelta([-1, 1], unit="D"), "day": pd.to_datetime(["2024-01-02"] * 2),
    }  # fmt: skip
    rows = csv_rows(pd.DataFrame(columns).llm.to_csv(tmp_path / "out.csv"))
    assert rows[1:] == [
        ["-1", "-1.5", "-1", "-1", "-1", "-1 days", "2024-01-02"],
        ["2", "inf", "", "2", "-2.5", "1 days", "2024-01-02"],
    ]


@given(st.lists(st.text(st.characters(exclude_categories=["Cs"]))))
def test_any_text_can_be_read_back(tmp_path_factory, cells):
    """Also a lone carriage return, which most readers take for the end of a row."""
    df = pd.DataFrame({"a": pd.Series(cells, dtype=object), "b": 1})
    path = tmp_path_factory.getbasetemp() / "any.csv"
    df.llm.to_csv(path, excel_safe=False)
    data = io.StringIO(path.read_bytes().decode("utf-8-sig"), newline="")
    assert [row[0] for row in csv.reader(data)][1:] == cells
    guarded = csv_rows(df.llm.to_csv(path))[1:]
    assert all(row[0] in (cell, "'" + cell) for row, cell in zip(guarded, cells, strict=True))
    assert not any(row[0].startswith(tuple("=+-@\t\r\0")) for row in guarded)


# -- the index and the names -------------------------------------------------------------------


@pytest.mark.parametrize(
    ("index", "header"),
    [
        (pd.RangeIndex(2), []),
        (pd.Index([0, 1]), []),
        (pd.Index([1, 0]), ["index"]),
        (pd.Index([5, 5]), ["index"]),
        (pd.Index([0, 1], name="key"), ["key"]),
        (pd.MultiIndex.from_tuples([("a", 1), ("a", 1)], names=["x", None]), ["x", "level_1"]),
    ],
)
def test_the_index_is_written_unless_it_only_counts(tmp_path, index, header):
    df = pd.DataFrame({"a": [1, 2]}, index=index)
    assert csv_rows(df.llm.to_csv(tmp_path / "out.csv"))[0] == [*header, "a"]
    assert list(objects_of(df, tmp_path)[0]) == [*header, "a"]
    assert list(objects_of(df, tmp_path, index=False)[0]) == ["a"]
    assert len(objects_of(df, tmp_path, index=True)[0]) > 1


def test_columns_of_several_levels_are_one_name_and_of_any_type(tmp_path):
    columns = pd.MultiIndex.from_tuples([("a", "x"), ("intent", ""), ("b", 1)])
    df = pd.DataFrame([[1, 2, 3]], columns=columns)
    assert csv_rows(df.llm.to_csv(tmp_path / "out.csv"))[0] == ["a.x", "intent", "b.1"]
    assert objects_of(df, tmp_path) == [{"a.x": 1, "intent": 2, "b.1": 3}]


def test_columns_of_one_name_are_written_to_csv_and_refused_in_json(tmp_path):
    df = pd.DataFrame([[1, 2]], columns=["a", "a"])
    assert csv_rows(df.llm.to_csv(tmp_path / "out.csv")) == [["a", "a"], ["1", "2"]]
    with pytest.raises(PlanError, match="several columns are named 'a'"):
        df.llm.to_jsonl(tmp_path / "out.jsonl")


# -- json lines ------------------------------------------------------------------------------


def test_a_row_is_one_object_of_plain_values(tmp_path):
    full, bare, skipped = objects_of(tagged(), tmp_path)
    assert {name: full[name] for name in FULL} == FULL
    assert bare["day"] is None
    assert set(skipped.values()) == {"record 2", "skipped", None, 0}


def test_text_is_not_escaped_and_missing_is_null(tmp_path):
    df = pd.DataFrame({"a": ["\u9000\u6b3e", None, np.nan], "x": [0.1, np.nan, np.inf]})
    lines = df.llm.to_jsonl(tmp_path / "out.jsonl").read_text(encoding="utf-8").splitlines()
    assert lines == [
        '{"a": "\u9000\u6b3e", "x": 0.1}', '{"a": null, "x": null}', '{"a": null, "x": "inf"}',
    ]  # fmt: skip


def test_dates_are_iso_and_whole_days_are_days(tmp_path):
    moments = pd.to_datetime(["2024-01-02 03:04:05", None])
    df = pd.DataFrame(
        {
            "day": np.array(["0001-01-02", "NaT"], dtype="datetime64[us]"),
            "moment": moments,
            "zone": moments.tz_localize("Asia/Shanghai"),
            "object": [dt.date(2024, 1, 2), None],
        }
    )
    assert objects_of(df, tmp_path)[0] == {
        "day": "0001-01-02",
        "moment": "2024-01-02T03:04:05",
        "zone": "2024-01-02T03:04:05+08:00",
        "object": "2024-01-02",
    }


@pytest.mark.parametrize("n", [0, 9_999, 10_000, 10_001])
def test_frames_of_any_length_are_written_whole(tmp_path, n):
    df = pd.DataFrame({"a": range(n)})
    assert [row["a"] for row in objects_of(df, tmp_path)] == list(range(n))
    assert len(csv_rows(df.llm.to_csv(tmp_path / "out.csv"))) == n + 1


def test_half_a_character_is_replaced_everywhere(tmp_path):
    cells = pd.Series(["b\ud83d", ["c\ud83d"]], dtype=object)
    df = cells.to_frame().set_axis(pd.Index(["a\ud83d"], dtype=object), axis=1)
    assert objects_of(df, tmp_path) == [{"a\ufffd": "b\ufffd"}, {"a\ufffd": ["c\ufffd"]}]
    assert csv_rows(df.llm.to_csv(tmp_path / "out.csv"))[1] == ["b\ufffd"]
