"""The metadata of a parquet file, and the options of to_parquet."""

from __future__ import annotations

import datetime as dt
import json
import sys
import warnings

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import llmframe as lf
from llmframe.errors import PlanError
from tests.kits.export import FULL, INFO, tagged, written

# -- metadata --------------------------------------------------------------------------------


def test_the_file_records_what_made_it(tmp_path):
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


def test_metadata_of_another_file_are_an_error(tmp_path):
    pd.DataFrame({"a": [1]}).to_parquet(tmp_path / "foreign.parquet")
    broken = pa.table({"a": [1]}).replace_schema_metadata({"llmframe": "no JSON"})
    pq.write_table(broken, tmp_path / "broken.parquet")
    (tmp_path / "not.parquet").write_bytes(b"text")
    for name, message in {
        "foreign.parquet": "has no metadata of llmframe",
        "broken.parquet": "has no metadata of llmframe",
        "not.parquet": "no parquet file that can be read",
        "missing.parquet": "there is no file",
        "": "is a folder",
    }.items():
        with pytest.raises(PlanError, match=message):
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
def test_without_pyarrow_the_error_has_the_command_that_installs_it(tmp_path, monkeypatch, call):
    path = written(tagged(), tmp_path)
    for name in ("pyarrow", "pyarrow.parquet"):
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(PlanError, match='%pip install "pyarrow>=16"'):
        tagged().llm.to_parquet(path) if call == "to_parquet" else getattr(lf, call)(path)


def test_writing_the_same_frame_twice_warns_of_nothing(tmp_path):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        written(tagged(), tmp_path)
        written(tagged(), tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["out.parquet"]
