"""Files written before the redesign (data/before_redesign) mean today what they meant then."""

from __future__ import annotations

import json
import runpy
import shutil
from pathlib import Path

import pandas as pd
import pytest

import llmframe as lf

FOLDER = Path(__file__).parent / "data" / "before_redesign"
MADE = runpy.run_path(str(FOLDER / "make.py"))
FIELDS, TASK, OTHER = MADE["FIELDS"], MADE["TASK"], MADE["OTHER"]
options, cells = MADE["options"], MADE["cells"]
READ = json.loads((FOLDER / "read.json").read_text("utf-8"))

# columns that came later: the files know nothing of them
NEW = ["llm_tokens_cached"]

with_pandas_3 = pytest.mark.skipif(
    int(pd.__version__.partition(".")[0]) < 3,
    reason="the columns were hashed by pandas 3, which gives texts another dtype",
)


@pytest.fixture
def checkpoint(tmp_path):
    return Path(shutil.copy(FOLDER / "checkpoint.jsonl", tmp_path / "mine.jsonl"))


@pytest.fixture
def stored():
    return lf.read_parquet(FOLDER / "tagged.parquet")


def test_a_checkpoint_resumes_without_a_request(server, checkpoint, stored):
    before = checkpoint.read_bytes()
    out = lf.tag(MADE["frame"](), "text", FIELDS, **options(server.url, checkpoint), **TASK)
    assert not server.ledger
    assert checkpoint.read_bytes() == before
    assert out["llm_tokens_cached"].dropna().eq(0).all()
    out = out.drop(columns=NEW)
    assert cells(out) == cells(stored)
    pd.testing.assert_frame_equal(out, stored)
    assert out.attrs["llmframe"]["task"] == stored.attrs["llmframe"]["task"] == READ["task"]


@with_pandas_3
def test_the_columns_of_a_resumed_frame_are_recorded_as_before(server, checkpoint, stored):
    out = lf.tag(MADE["frame"](), "text", FIELDS, **options(server.url, checkpoint), **TASK)
    columns = {k: v for k, v in out.attrs["llmframe"]["columns"].items() if k not in NEW}
    # extend= notes the prompts of an answer beside what was noted before
    assert [name for name in columns if columns[name].pop("prompts", None)] == list(FIELDS)
    assert columns == stored.attrs["llmframe"]["columns"]


def test_only_the_row_that_failed_is_asked_again(server, checkpoint):
    before = checkpoint.read_bytes()
    out = lf.tag(MADE["frame"](), "text", FIELDS, **options(server.url, checkpoint), **OTHER)
    assert len(server.ledger) == 1
    assert checkpoint.read_bytes().startswith(before)
    assert out["llm_status"].tolist() == ["ok"] * 4 + ["skipped", "ok"]


@pytest.mark.parametrize(("task", "name"), [(READ["task"], "TASK"), (None, "OTHER")])
def test_a_checkpoint_is_read_as_it_was(checkpoint, task, name):
    answers = lf.read_checkpoint(checkpoint, task)
    assert answers.pop("tokens_cached").eq(0).all()
    assert cells(answers) == READ[name]


@with_pandas_3
def test_columns_of_a_frame_from_parquet_are_known_and_replaced(server, stored, tmp_path):
    checkpoint = tmp_path / "new.jsonl"
    known = stored.attrs["llmframe"]["columns"]
    assert set(known) == set(stored.columns) - {"number", "text"}
    out = lf.tag(stored, "text", FIELDS, **options(server.url, checkpoint), **TASK)
    assert sorted(out.columns) == sorted([*stored.columns, *NEW])
    assert set(server.ledger.rows()) == set(MADE["TEXTS"]) - {""}
    assert out["summary"].equals(stored["summary"])
    assert out["llm_seconds"].notna().sum() == 5
