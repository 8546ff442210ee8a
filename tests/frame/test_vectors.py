"""Columns of vectors: what people do with them next, in pandas, NumPy and files."""

from __future__ import annotations

import base64
import copy
import json
import pickle

import numpy as np
import pandas as pd
import pytest

import llmframe as lf
from llmframe.frame.typed_columns import vectors
from llmframe.testing import embedding

TEXTS = ["my parcel is late", "where is my parcel", None, "the red house"]


def packed(*numbers):
    return base64.b64encode(np.array(numbers, "<f4").tobytes()).decode()


@pytest.fixture
def out(configured):
    df = pd.DataFrame({"text": TEXTS}, index=["a", "b", "c", "d"])
    return df.llm.embed("text", model="m", dimensions=8)


def wanted():
    return np.array([embedding(text, 8) for text in TEXTS if text], dtype=np.float32)


def assert_kept(frame, column="text_embedding"):
    """The vectors are arrays of float32 with the same numbers."""
    cells = frame[column]
    held = [cell for cell in cells if not (cell is None or np.ndim(cell) == 0)]
    assert all(isinstance(cell, np.ndarray) and cell.dtype == np.float32 for cell in held)
    np.testing.assert_array_equal(np.stack(held), wanted())
    assert cells.isna().tolist() == [False, False, True, False]


# -- building the column ------------------------------------------------------------------


def test_cells_of_one_length_are_rows_of_one_table():
    cells = vectors([packed(1, 2), None, packed(3, 4)])
    assert cells[0].base is cells[2].base
    assert cells[1] is None
    cells[0][0] = 9  # and can be written to
    assert cells[2].tolist() == [3, 4]


def test_cells_of_several_lengths_and_no_vectors_lose_no_other_cell():
    cells = vectors([packed(1, 2), "?", packed(3), "", 7, None])
    assert [None if cell is None else cell.tolist() for cell in cells] == [
        [1, 2], None, [3], [], None, None,
    ]  # fmt: skip


@pytest.mark.parametrize("values", [[], [None], [None, None]])
def test_without_any_vector_the_column_is_empty(values):
    assert vectors(values).tolist() == values


# -- in pandas and NumPy --------------------------------------------------------------------


def test_stacked_it_is_a_table_of_float32(out):
    table = np.stack(out["text_embedding"].dropna())
    assert (table.dtype, table.shape) == (np.float32, (3, 8))
    np.testing.assert_array_equal(table, wanted())


@pytest.mark.parametrize(
    "step",
    [
        lambda df: pickle.loads(pickle.dumps(df)),
        lambda df: df.copy(),
        copy.deepcopy,
        lambda df: pd.concat([df.iloc[:2], df.iloc[2:]]),
        lambda df: df.sort_values("text").sort_index(),
        lambda df: df.merge(pd.DataFrame({"text": TEXTS}), on="text", how="left"),
        lambda df: df.reset_index(),
        lambda df: df.assign(more=1),
        lambda df: df.set_index("text").reset_index(),
    ],
)
def test_it_survives_what_people_do_with_frames(out, step):
    assert_kept(step(out))


def test_a_frame_whose_rows_moved_is_known_as_written(out):
    shuffled = out.iloc[[3, 0, 2, 1]]
    again = shuffled.llm.embed("text", model="m", dimensions=8)
    assert again["llm_status"].tolist() == ["ok", "ok", "skipped", "ok"]


def test_lists_of_the_same_numbers_are_no_edit(out):
    changed = out.assign(
        text_embedding=[None if cell is None else cell.tolist() for cell in out["text_embedding"]]
    )
    assert_kept(changed.llm.embed("text", model="m", dimensions=8))


# -- in files -------------------------------------------------------------------------------


def test_parquet_has_one_fixed_size_list(out, tmp_path):
    parquet = pytest.importorskip("pyarrow.parquet")
    path = out.dropna(subset=["text_embedding"]).llm.to_parquet(tmp_path / "vectors.parquet")
    field = parquet.read_schema(path).field("text_embedding")
    assert str(field.type).startswith("fixed_size_list<")
    assert field.type.list_size == 8
    assert str(field.type.value_type) == "float"


def test_parquet_with_a_missing_vector_is_written_by_every_pyarrow(out, tmp_path):
    pytest.importorskip("pyarrow")
    path = out.llm.to_parquet(tmp_path / "vectors.parquet")
    for read in (lf.read_parquet, pd.read_parquet):
        assert_kept(read(path))
    again = lf.read_parquet(path).llm.embed("text", model="m", dimensions=8)  # not refused
    assert_kept(again)


def test_pandas_own_parquet_reads_the_same_arrays(out, tmp_path):
    pytest.importorskip("pyarrow")
    out.to_parquet(tmp_path / "own.parquet")
    assert_kept(pd.read_parquet(tmp_path / "own.parquet"))


def test_a_frame_without_vectors_and_one_with_other_cells_can_be_written(out, tmp_path):
    pytest.importorskip("pyarrow")
    none = out.iloc[[2]]
    assert lf.read_parquet(none.llm.to_parquet(tmp_path / "none.parquet")).shape == none.shape
    mixed = out.copy()
    mixed["text_embedding"] = [*out["text_embedding"][:3], np.ones(3, np.float32)]
    read = lf.read_parquet(mixed.llm.to_parquet(tmp_path / "mixed.parquet"))
    assert [len(cell) for cell in read["text_embedding"].dropna()] == [8, 8, 3]


def test_json_lines_hold_lists_of_numbers(out, tmp_path):
    lines = out.llm.to_jsonl(tmp_path / "vectors.jsonl").read_text().splitlines()
    held = [json.loads(line)["text_embedding"] for line in lines]
    assert held[2] is None
    np.testing.assert_array_equal(np.array([held[0], held[1], held[3]], "f4"), wanted())


def test_csv_and_workbooks_hold_json(out, tmp_path):
    csv = pd.read_csv(out.llm.to_csv(tmp_path / "vectors.csv"), encoding="utf-8-sig")
    np.testing.assert_array_equal(
        np.array([json.loads(text) for text in csv["text_embedding"].dropna()], "f4"), wanted()
    )
    pytest.importorskip("openpyxl")
    book = pd.read_excel(out.llm.to_excel(tmp_path / "vectors.xlsx"))
    assert len(json.loads(book["text_embedding"][0])) == 8


def test_a_checkpoint_is_read_without_the_frame(out):
    [path] = (p for p in (lf.last_run().report.checkpoint,))
    held = lf.read_checkpoint(path)
    assert {tuple(cell.tolist()) for cell in held["embedding"]} == {
        tuple(row.tolist()) for row in wanted()
    }  # fmt: skip


def test_the_summary_and_the_errors_of_such_a_frame(out):
    assert "text_embedding: vectors of 8 numbers" in str(out.llm.summary())
    assert out.llm.errors().empty
