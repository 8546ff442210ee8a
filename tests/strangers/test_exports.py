"""Exports of frames as they really come: odd cells, own columns, and what is no path."""

from __future__ import annotations

import contextlib
import datetime as dt
import json
import os
import pathlib
import time
import zipfile
from decimal import Decimal

import numpy as np
import openpyxl
import pandas as pd
import pyarrow as pa
import pyarrow.fs
import pytest

import llmframe as lf
from llmframe.errors import PlanError
from tests.kits.export import EVERY
from tests.strangers.odd_cells import WITHOUT_TEXT, column_of, typed_columns

# -- cells that have no text -------------------------------------------------------------------


@EVERY
def test_odd_cells_are_empty_and_reported_once(call, name):
    cells = ["first", *WITHOUT_TEXT.values(), "last"]
    df = pd.DataFrame({"text": column_of(cells), "n": range(len(cells))})
    with pytest.warns(UserWarning, match="text") as caught:
        getattr(df.llm, call)(name)
    [told] = [str(each.message) for each in caught if "empty in the file" in str(each.message)]
    lost = len(WITHOUT_TEXT) - (call == "to_excel")  # where the float is a number, not a text
    assert f"{lost} in 'text' (" in told


@pytest.mark.parametrize("kind", typed_columns())
@EVERY
def test_a_value_that_python_cannot_hold_costs_no_file(call, name, kind):
    df = pd.DataFrame({"text": typed_columns()[kind], "n": [1, 2, 3]})
    if call == "to_parquet":  # Arrow holds it
        back = lf.read_parquet(df.llm.to_parquet(name))
        assert pa.array(back["text"]).equals(pa.array(df["text"]))
        return
    with pytest.warns(UserWarning, match=r"1 in 'text' \(OverflowError"):
        getattr(df.llm, call)(name)


# -- what is a path ----------------------------------------------------------------------------


def open_things(folder):
    """What people give as a path, and what owns an open file."""
    yield pd.ExcelWriter(folder / "book.xlsx", engine="openpyxl")  # hamilton#946
    yield (folder / "open.xlsx").open("wb")
    yield zipfile.ZipFile(folder / "open.zip", "w")
    yield pa.OSFile(str(folder / "arrow.bin"), "wb")
    yield pyarrow.fs.LocalFileSystem().open_output_stream(str(folder / "stream.bin"))


@EVERY
def test_what_holds_a_file_open_is_no_path(tmp_path, call, name):
    things = list(open_things(tmp_path))
    before = {path: path.stat().st_size for path in tmp_path.iterdir()}
    for thing in things:
        with pytest.raises(PlanError, match=r"holds a file open.*out\.to_excel\(writer"):
            getattr(pd.DataFrame({"a": [1]}).llm, call)(thing)
    assert {path: path.stat().st_size for path in tmp_path.iterdir()} == before
    pd.DataFrame({"a": [1]}).to_excel(things[0])  # the cure of the message
    for thing in things:
        thing.close()


def test_what_holds_a_file_open_is_no_checkpoint_and_is_not_read(tmp_path):
    df = pd.DataFrame({"a": ["x"]})
    options = {"model": "m", "base_url": "http://127.0.0.1:9/v1", "api_key": "k"}
    for thing in open_things(tmp_path):
        with pytest.raises(PlanError, match="it takes True, False or a path"):
            df.llm.tag("a", ["x", "y"], checkpoint=thing, **options)
        for read in (lf.read_parquet, lf.read_metadata, lf.read_checkpoint):
            with pytest.raises(PlanError, match=r"holds a file open|names no checkpoint"):
                read(thing)
        if isinstance(thing, pd.ExcelWriter):
            df.to_excel(thing)  # openpyxl saves no book without a sheet
        thing.close()


class Named(os.PathLike):
    def __init__(self, name: str) -> None:
        self.name = name

    def __fspath__(self) -> str:
        return self.name


@EVERY
def test_names_and_everything_that_only_has_a_name_are_paths(tmp_path, monkeypatch, call, name):
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    (tmp_path / "home").mkdir()
    df = pd.DataFrame({"a": [1]})
    for path in (name, pathlib.Path(name), Named(name), np.str_(name), f"~/{name}"):
        assert getattr(df.llm, call)(path).exists()
    assert (tmp_path / "home" / name).exists()


@pytest.mark.parametrize("path", ["folder/", " ", "", "~nobody-here-9/a.csv", b"a.csv", 7, None])
def test_what_names_no_file_is_a_plan_error(path):
    with pytest.raises(PlanError, match=r"path|folder"):
        pd.DataFrame({"a": [1]}).llm.to_csv(path)


# -- a format's own escapes and types ----------------------------------------------------------

ESCAPES = ["order_x0041_b", "one_x000D_", "_x005F_", "_x00e9_ and _X0041_", "__x0041__", "a_x41_"]


def test_what_excel_would_read_as_an_escape_is_escaped(tmp_path):
    # XlsxWriter#807, exceljs#584
    path = pd.DataFrame({"text_x0041_": ESCAPES}).llm.to_excel(tmp_path / "a.xlsx")
    xml = zipfile.ZipFile(path).read("xl/worksheets/sheet1.xml").decode()
    for written in ("order_x005F_x0041_b", "text_x005F_x0041_", ">a_x41_<"):
        assert written in xml
    pytest.importorskip("python_calamine")
    assert pd.read_excel(path, engine="calamine")["text_x0041_"].tolist() == ESCAPES


def test_times_and_durations_are_excels_own(tmp_path):
    df = pd.DataFrame(
        {
            "at": [dt.time(10, 30), dt.time(9, tzinfo=dt.UTC), None],
            "span": pd.to_timedelta(["1h", "26h", None]),
            "spans": [dt.timedelta(days=2), dt.timedelta(-1), np.timedelta64(90, "s")],
            "moment": column_of([np.datetime64("2024-01-02T03:04:05", "ns"), None, None]),
        }
    )
    sheet = openpyxl.load_workbook(df.llm.to_excel(tmp_path / "a.xlsx")).active
    assert [[cell.value for cell in row] for row in sheet.iter_rows(min_row=2)] == [
        [dt.time(10, 30), dt.timedelta(hours=1), dt.timedelta(days=2),
         dt.datetime(2024, 1, 2, 3, 4, 5)],
        ["09:00:00+00:00", dt.timedelta(hours=26), "-1 days +00:00:00", None],
        [None, None, dt.timedelta(seconds=90), None],
    ]  # fmt: skip


def test_a_record_is_one_line_in_every_reader(tmp_path):
    # birdclaw#61, nodejs#62785: U+2028 and its like end a line there
    texts = ["one\u2028two\u2029", "a\x85b", "\x0b\x0c\x1c\x1d\x1e", "\r\n"]
    df = pd.DataFrame({"text": texts, "k\u2028": [{"n\u2029": ["\x85"]}] * 4})
    lines = df.llm.to_jsonl(tmp_path / "a.jsonl").read_text(encoding="utf-8").splitlines()
    assert [json.loads(line)["text"] for line in lines] == texts


# -- own columns come back as they were ----------------------------------------------------------

AS_THEY_WERE = {
    "ids of 17 digits with a gap": [9007199254740993, None, 4873214862074861313],  # pandas#56678
    "lists of ids with a gap": [[9007199254740993, None], [1], []],  # pandas#57313
    "ids beyond 64 bits": [2**70, None, 1],
    "NaN as the gap": [9007199254740993, np.nan, 1],
    "NA as the gap": [True, pd.NA, False],
    "dicts": [{"a": 1, "b": [None]}, None, {}],
    "lists of dicts": [[{"a": 1}], [], None],
    "lists of lists": [[[1], []], [], None],
    "lists of text": [["a", None], [], None],
    "truth": [True, None, False],
    "days": [dt.date(2024, 1, 2), None, dt.date(1, 1, 1)],
    "times": [dt.time(1, 2, 3, 4), None, dt.time(0)],
    "spans": [dt.timedelta(microseconds=1), None, dt.timedelta(-1)],
    "moments": [dt.datetime(2024, 1, 2, 3), None, dt.datetime(1, 1, 1)],
    "decimals": [Decimal("0.10"), None, Decimal("123.456")],
    "bytes": [b"\x00\xff", None, b""],
}


@pytest.mark.parametrize("cells", AS_THEY_WERE.values(), ids=AS_THEY_WERE)
@pytest.mark.filterwarnings("ignore:.*parquet has no one type")
def test_own_columns_of_objects_come_back_as_they_were(tmp_path, cells):
    df = pd.DataFrame({"own": column_of(cells), "own.b": column_of(cells)})
    back = lf.read_parquet(df.llm.to_parquet(tmp_path / "a.parquet"))
    for name in df.columns:
        held = back[name].tolist()
        assert back[name].dtype == object
        assert [type(cell) for cell in held] == [type(cell) for cell in cells]
        assert repr(held) == repr(cells) or held == cells


def test_names_that_the_index_would_take_are_refused(tmp_path):
    # arrow#46179: written by one version, unreadable to another
    out = pd.DataFrame({"a": range(4)})
    taken = out.assign(__index_level_0__=1).set_axis(list("abcd"))
    twice = out.set_axis(pd.MultiIndex.from_product([[1, 2], [3, 4]], names=["x", "x"]))
    for df in (taken, twice):
        with contextlib.suppress(PlanError):  # by the version of pyarrow
            lf.read_parquet(df.llm.to_parquet(tmp_path / "a.parquet"))


def test_two_thousand_columns_take_about_as_long_as_pandas(tmp_path):
    wide = pd.DataFrame(np.zeros((30, 2000))).add_prefix("c").assign(text="a")
    took = {}
    for name, call in {"ours": wide.llm.to_csv, "pandas": wide.to_csv}.items():
        spans = []
        for _ in range(5):
            began = time.process_time()
            call(tmp_path / "a.csv")
            spans.append(time.process_time() - began)
        took[name] = min(spans)
    assert took["ours"] < 3 * took["pandas"]


def test_geometry_is_read_by_geopandas(tmp_path):
    geopandas = pytest.importorskip("geopandas")
    points = geopandas.points_from_xy([0, 1], [2, 3], crs="EPSG:4326")
    df = geopandas.GeoDataFrame({"text": ["a", "b"]}, geometry=points)
    with pytest.warns(UserWarning, match=r"geopandas\.read_parquet makes geometries"):
        path = df.llm.to_parquet(tmp_path / "a.parquet")
    back = geopandas.read_parquet(path)
    assert back.geometry.tolist() == df.geometry.tolist()
    assert back.crs == df.crs
    with pytest.warns(UserWarning, match="from_wkb"):
        pd.DataFrame(df).llm.to_parquet(tmp_path / "a.parquet")
