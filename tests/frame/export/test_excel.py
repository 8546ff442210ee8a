"""Workbooks that Excel opens without a repair, in which text is text and dates are dates."""

from __future__ import annotations

import datetime as dt
import json
import sys
from decimal import Decimal

import numpy as np
import openpyxl
import pandas as pd
import pytest

import llmframe as lf
from llmframe.errors import PlanError
from llmframe.frame.export import excel
from tests.kits.export import FORMULAS, FULL, ROWS, tagged


def sheet_of(df, tmp_path, **options):
    path = df.llm.to_excel(tmp_path / "out.xlsx", **options)
    return openpyxl.load_workbook(path).active


def column_of(cells, tmp_path):
    """The cells as openpyxl reads them back: kind and value."""
    sheet = sheet_of(pd.DataFrame({"a": pd.Series(cells)}), tmp_path)
    return [(row[0].data_type, row[0].value) for row in sheet.iter_rows(min_row=2)]


@pytest.mark.parametrize("answers", ROWS.values(), ids=ROWS)
def test_every_kind_of_field_is_written(tmp_path, answers):
    out = tagged(answers)
    sheet = sheet_of(out, tmp_path)
    assert [cell.value for cell in sheet[1]] == out.columns.tolist()
    assert sheet.max_row == len(answers) + 1


def test_cells_have_the_types_that_excel_knows(tmp_path):
    sheet = sheet_of(tagged(), tmp_path)
    cells = dict(zip([cell.value for cell in sheet[1]], sheet[2], strict=True))
    assert {
        name: cells[name].value for name in ("intent", "level", "stars", "share", "urgent")
    } == {name: FULL[name] for name in ("intent", "level", "stars", "share", "urgent")}
    assert cells["day"].value == dt.datetime(2024, 2, 29)
    assert cells["day"].number_format == "yyyy-mm-dd"
    assert json.loads(cells["order"].value) == FULL["order"]
    assert [cell.value for cell in sheet[4]][1:13] == [None] * 12


def test_the_sheet_is_ready_to_be_read_and_filtered(tmp_path):
    sheet = sheet_of(tagged(), tmp_path, sheet_name="\u9000\u6b3e")
    assert sheet.title == "\u9000\u6b3e"
    assert sheet.freeze_panes == "A2"
    assert sheet.auto_filter.ref == "A1:V4"
    assert sheet["A1"].font.bold
    assert 8 <= sheet.column_dimensions["A"].width <= 60


@pytest.mark.parametrize("payload", FORMULAS)
def test_a_formula_is_text_in_cells_headers_and_the_index(tmp_path, payload):
    df = pd.DataFrame({payload: [payload]}, index=pd.Index([payload], name="key"))
    sheet = sheet_of(df, tmp_path)
    held = payload.replace("\r", "\n")  # a cell's own line end
    cells = [sheet["B1"], sheet["A2"], sheet["B2"]]
    assert [(cell.data_type, cell.value) for cell in cells] == [("s", held)] * 3
    assert all(cell.quotePrefix for cell in cells if "\r" not in payload)


@pytest.mark.parametrize(
    "text",
    ["#N/A", "#REF!", "TRUE", "007", "1e5", "\ufeffx", "<r>a & b</r>", "<r><t>x</t></r>", "</t>"],
)
def test_text_that_looks_like_something_else_is_text(tmp_path, text):
    assert column_of([text], tmp_path) == [("s", text)]


def test_characters_that_excel_cannot_hold_are_left_out(tmp_path):
    cells = pd.Series(["a\0b\x1bc\ufffed\ud83de\tf\r\ng"], dtype=object)
    assert column_of(cells, tmp_path) == [("s", "abcd\ufffde\tf\ng")]


def test_texts_that_are_too_long_are_cut_and_counted_in_one_warning(tmp_path):
    fits, long, wide = "x" * 32_767, "y" * 40_000, "\U0001f600" * 20_000
    with pytest.warns(UserWarning, match=r"2 text\(s\) were longer than the 32,767") as caught:
        cells = column_of([fits, long, wide], tmp_path)
    assert len(caught) == 1
    assert cells == [("s", fits), ("s", long[:32_767]), ("s", wide[: 32_767 // 2])]


def test_a_frame_without_columns_is_an_empty_sheet(tmp_path):
    assert sheet_of(pd.DataFrame(index=range(2)), tmp_path).max_row <= 3


def test_numbers_keep_their_digits(tmp_path):
    cells = [-1, np.float32(1.5), 999_999_999_999_999, 1_234_567_890_123_456]
    cells += [np.inf, np.nan, Decimal("2.5")]
    assert column_of(pd.Series(cells, dtype=object), tmp_path) == [
        ("n", -1), ("n", 1.5), ("n", 999_999_999_999_999), ("s", "1234567890123456"),
        ("s", "inf"), ("n", None), ("n", 2.5),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("cell", "expected"),
    [
        (pd.Timestamp("2024-01-02 03:04:05"), dt.datetime(2024, 1, 2, 3, 4, 5)),
        (pd.Timestamp("2024-01-02 03:04:05", tz="Asia/Shanghai"), "2024-01-02T03:04:05+08:00"),
        (pd.Timestamp("1899-12-31 01:00:00"), "1899-12-31T01:00:00"),
        (pd.Timestamp("1899-12-31"), "1899-12-31"),
        (pd.Timestamp("9999-12-31").as_unit("us"), dt.datetime(9999, 12, 31)),
        (pd.Timestamp("2024-01-02 03:04:05.123456789"), dt.datetime(2024, 1, 2, 3, 4, 5, 123000)),
        (dt.date(2024, 1, 2), dt.datetime(2024, 1, 2)),
        (pd.Timedelta("-1 day"), "-1 days +00:00:00"),
    ],
)
def test_moments_are_dates_where_excel_has_them(tmp_path, cell, expected):
    assert [value for _, value in column_of([cell], tmp_path)] == [expected]


def test_pandas_reads_it_back(tmp_path):
    df = pd.DataFrame({"a": ["x", "y"], "n": [1, None], "d": pd.to_datetime(["2024-01-02"] * 2)})
    back = pd.read_excel(df.llm.to_excel(tmp_path / "out.xlsx"))
    pd.testing.assert_frame_equal(back, df, check_dtype=False)


def test_the_workbook_records_what_made_it(tmp_path):
    about = lf.read_metadata(tagged().llm.to_excel(tmp_path / "out.xlsx"))
    assert (about["model"], about["checkpoint"], about["rows"]) == ("test-model", "abc.jsonl", 3)
    openpyxl.Workbook().save(tmp_path / "foreign.xlsx")
    (tmp_path / "not.xlsx").write_bytes(b"text")
    for name, message in {
        "foreign.xlsx": "has no metadata of llmframe",
        "not.xlsx": "no xlsx",
    }.items():
        with pytest.raises(PlanError, match=message):
            lf.read_metadata(tmp_path / name)


def test_columns_of_one_name_and_of_several_levels_are_written(tmp_path):
    df = pd.DataFrame([[1, 2]], columns=pd.MultiIndex.from_tuples([("a", "x"), ("a", "x")]))
    assert [cell.value for cell in sheet_of(df, tmp_path)[1]] == ["a.x", "a.x"]


@pytest.mark.parametrize("name", ["", "a" * 32, "a/b", "a:b", "[a]", None])
def test_a_name_that_excel_does_not_take_is_refused(tmp_path, name):
    with pytest.raises(PlanError, match=r"sheet_name=.* is not valid"):
        tagged().llm.to_excel(tmp_path / "out.xlsx", sheet_name=name)


def test_a_path_of_another_kind_is_refused(tmp_path):
    with pytest.raises(PlanError, match=r"'out\.csv' does not end in \.xlsx"):
        tagged().llm.to_excel(tmp_path / "out.csv")


def test_more_rows_than_a_sheet_has_are_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(excel, "MAX_ROWS", 3)
    with pytest.raises(PlanError, match=r"holds 2 rows .* this frame has 3 .*to_parquet"):
        tagged().llm.to_excel(tmp_path / "out.xlsx")
    assert list(tmp_path.iterdir()) == []


def test_without_openpyxl_the_error_has_the_command_that_installs_it(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "openpyxl", None)
    with pytest.raises(PlanError, match=r'openpyxl.*%pip install "openpyxl>=3\.1"'):
        tagged().llm.to_excel(tmp_path / "out.xlsx")
