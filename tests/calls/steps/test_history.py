"""``lf.history``: every checkpoint of the working directory, whatever its files hold."""

from __future__ import annotations

import datetime
from pathlib import Path

import pandas as pd
import pytest

import llmframe as lf

COLUMNS = ["checkpoint", "task", "prompt", "fields", "model", "rows", "failed", "cost",
           "currency", "date"]  # fmt: skip
INTENT = {"intent": ["refund", "other"]}
PRICES = {"in": 1.0, "out": 2.0, "currency": "EUR"}


def frame(n=3, word="row"):
    return pd.DataFrame({"text": [f"{word} {number}" for number in range(n)]})


def test_a_folder_without_checkpoints_gives_an_empty_table(call):
    found = lf.history()
    assert list(found.columns) == COLUMNS
    assert len(found) == 0
    assert str(found["date"].dtype) == "datetime64[s, UTC]"


def test_every_task_has_a_row_with_what_was_asked_and_what_it_cost(call):
    frame().llm.tag("text", INTENT, instructions="first", prices=PRICES, **call)
    first = lf.last_run().report
    mixed = pd.DataFrame({"text": ["row 0", "row 0", "", "bad row"]})
    mixed.llm.tag("text", {**INTENT, "urgency": int}, checkpoint="own.jsonl", **call)
    mixed.llm.tag("text", INTENT, checkpoint="own.jsonl", **call | {"model": "big"})
    found = lf.history().set_index(["checkpoint", "model"])
    name = str(Path(first.checkpoint).relative_to(Path.cwd()))
    one = found.loc[(name, "m")]
    assert (one["prompt"], one["fields"], one["rows"], one["failed"]) == ("first", "intent", 3, 0)
    assert (one["cost"], one["currency"]) == (pytest.approx(first.cost), "EUR")
    age = pd.Timestamp.now("UTC") - one["date"]
    assert age < datetime.timedelta(hours=1)
    other = found.loc[("own.jsonl", "m")]
    assert (other["prompt"], other["fields"]) == ("", "intent, urgency")
    assert (other["rows"], other["failed"]) == (1, 1)
    assert pd.isna(other["cost"])
    assert found.loc[("own.jsonl", "big"), "rows"] == 1
    assert all(lf.read_checkpoint(path).shape[0] for path in {name, "own.jsonl"})


def test_the_newest_comes_first(call):
    frame().llm.tag("text", INTENT, instructions="old", **call)
    old = Path(lf.last_run().report.checkpoint)
    frame().llm.tag("text", INTENT, instructions="new", **call)
    new = Path(lf.last_run().report.checkpoint)
    tasks = {path.stem[:12] for path in (old, new)}
    found = lf.history()
    assert {*found["task"]} == tasks
    assert found["date"].is_monotonic_decreasing


def test_torn_foreign_empty_and_strange_files_hide_nothing(call):
    frame().llm.tag("text", INTENT, **call)
    whole = Path(lf.last_run().report.checkpoint)
    lines = whole.read_bytes().splitlines(keepends=True)
    folder = whole.parent
    whole.write_bytes(b"".join(lines)[:-20])  # its last line is torn
    (folder / "empty.jsonl").touch()
    (folder / "foreign.jsonl").write_bytes(b'{"id": 1, "intent": "refund"}\n' * 3)
    (folder / "binary.jsonl").write_bytes(bytes(range(256)) * 40)
    (folder / "folder.jsonl").mkdir()
    Path("table.jsonl").write_bytes(b'{"id": 1}\n')
    Path("headless.jsonl").write_bytes(b"".join(lines[1:]))
    (folder / "headless.jsonl").write_bytes(b"".join(lines[1:]))
    with pytest.warns(UserWarning, match=r"folder\.jsonl cannot be read") as caught:
        found = lf.history()
    assert len(caught) == 1
    found = found.set_index("checkpoint")
    here = folder.relative_to(Path.cwd())
    rows = {str(here / whole.name): 2, str(here / "headless.jsonl"): 3}
    assert found["rows"].to_dict() == rows
    assert found["model"].isna().tolist().count(True) == 1


def test_lines_of_batches_are_no_rows(call):
    frame().llm.tag("text", INTENT, **call)
    path = Path(lf.last_run().report.checkpoint)
    from llmframe.journal import lines

    key = bytes.fromhex(path.stem)
    noted = lines.batch("nonce", now=2_000_000_000, keys="00" * 16)
    with path.open("ab") as file:
        file.write(lines.encode(key, path.stem[:12], noted))
    found = lf.history()
    assert found["rows"].tolist() == [3]
    assert found["date"].iloc[0] == pd.Timestamp(2_000_000_000, unit="s", tz="UTC")


def test_a_file_may_be_as_large_as_it_likes(call):
    frame().llm.tag("text", INTENT, **call)
    path = Path(lf.last_run().report.checkpoint)
    with path.open("ab") as file:
        file.truncate(path.stat().st_size + (80 << 20))  # a line that is longer than any of ours
        file.write(b"\n")
    assert lf.history()["rows"].tolist() == [3]
