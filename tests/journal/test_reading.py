"""lf.read_checkpoint: a dead run's answers without the frame."""

from __future__ import annotations

import datetime
from pathlib import Path
from typing import Any
from unittest import mock

import pandas as pd
import pytest

import llmframe as lf
from llmframe.errors import CheckpointError, PlanError
from llmframe.results import Failure, RowResult
from llmframe.system.files import SYSTEM
from llmframe.task.fields import resolve_fields
from tests.kits.journal import FAILED, key, opened, write_answers
from tests.kits.reading import COLUMNS, VALUES, ok, task

pytestmark = pytest.mark.usefixtures("folder")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "rows.jsonl"


def test_answers_are_typed_as_the_run_would_have_typed_them(path: Path, folder: Path) -> None:
    with opened(path, folder, task()) as checkpoint:
        checkpoint.append(key(1), ok(), id=1)
        checkpoint.append(key(2), FAILED, id=2)
    found = lf.read_checkpoint(path)
    assert list(found.columns) == ["id", *VALUES, *COLUMNS]
    assert {name: str(dtype) for name, dtype in found.dtypes.items()} == {
        "id": "Int64", "intent": "category", "level": "category", "count": "Int64",
        "share": "Float64", "urgent": "boolean", "note": str(pd.Series(["text"]).dtype),
        "due": "datetime64[us]", "tags": "object", "status": "category",
        "error": str(pd.Series(["text"]).dtype), "model": str(pd.Series(["text"]).dtype),
        "tokens_in": "Int64", "tokens_cached": "Int64", "tokens_out": "Int64", "cost": "Float64",
        "time": "datetime64[s, UTC]",
    }  # fmt: skip
    assert list(found["intent"].cat.categories) == ["refund", "delivery", "other"]
    assert list(found["level"].cat.categories) == [1, 2, 3]
    first = found.iloc[0].to_dict()
    assert {name: first[name] for name in VALUES} == VALUES | {"due": pd.Timestamp("2026-01-02")}
    assert (first["status"], first["model"]) == ("ok", "deepseek-chat")
    assert (first["tokens_in"], first["tokens_out"], first["cost"]) == (12, 3, 0.25)
    assert abs(first["time"] - pd.Timestamp.now("UTC")) < pd.Timedelta("1h")
    assert found.loc[1, ["status", "error"]].tolist() == ["failed", "server"]
    assert found.loc[1, [*VALUES, "cost"]].isna().all()


def test_a_failure_counts_unless_an_answer_came_before_or_after(path: Path, folder: Path) -> None:
    with opened(path, folder, task()) as checkpoint:
        checkpoint.append(key(1), FAILED, id=1)
        checkpoint.append(key(1), ok(), id=1)
        checkpoint.append(key(2), ok(), id=2)
        checkpoint.append(key(2), FAILED, id=2)
        checkpoint.append(key(3), RowResult("failed", error=Failure("timeout", "60 s")), id=3)
        checkpoint.append(key(3), FAILED, id=3)
    found = lf.read_checkpoint(path)
    assert found["id"].tolist() == [1, 2, 3]
    assert found["status"].tolist() == ["ok", "ok", "failed"]
    assert found["error"].isna().tolist() == [True, True, False]
    assert found["error"].iloc[2] == "server"


def test_the_newest_answer_of_a_key_counts(path: Path, folder: Path) -> None:
    with opened(path, folder, task()) as checkpoint:
        checkpoint.append(key(1), ok())
        checkpoint.append(key(1), ok(VALUES | {"intent": "other"}))
    assert lf.read_checkpoint(path)["intent"].tolist() == ["other"]


def test_rows_that_share_an_answer_each_appear_by_their_id(path: Path, folder: Path) -> None:
    with opened(path, folder, task()) as checkpoint:
        checkpoint.append(key(1), ok(), id="a")
        checkpoint.append_id(key(1), "b")
        checkpoint.append(key(2), ok(VALUES | {"note": "other"}), id="c")
        checkpoint.append_id(key(3), "answered in another file")
    found = lf.read_checkpoint(path)
    assert found["id"].tolist() == ["a", "b", "c"]
    assert found["note"].tolist() == ["客户", "客户", "other"]


def test_a_row_whose_text_changed_shows_its_newest_answer_once(path: Path, folder: Path) -> None:
    with opened(path, folder, task()) as checkpoint:
        checkpoint.append(key(1), ok(), id=7)
        checkpoint.append(key(2), ok(VALUES | {"note": "new"}), id="7")
    with pytest.warns(UserWarning, match="not shown: 1; their ids have a newer one"):
        found = lf.read_checkpoint(path)
    assert found["note"].tolist() == ["new"]


def test_without_ids_there_is_a_row_for_each_key(path: Path, folder: Path) -> None:
    with opened(path, folder, task()) as checkpoint:
        for n in range(3):
            checkpoint.append(key(n), ok(VALUES | {"count": n}))
    found = lf.read_checkpoint(path)
    assert found["id"].isna().all()
    assert found["count"].tolist() == [0, 1, 2]


def test_the_task_that_was_written_to_last_is_read(path: Path, folder: Path) -> None:
    for number, model in [(1, "old"), (2, "new"), (1, "old")]:
        with opened(path, folder, task(number, model)) as checkpoint:
            checkpoint.append(key(number), ok())
    assert lf.read_checkpoint(path)["model"].tolist() == ["old"]
    assert lf.read_checkpoint(path, task="02")["model"].tolist() == ["new"]
    assert lf.read_checkpoint(path, task=("02" * 16).upper())["model"].tolist() == ["new"]


@pytest.mark.parametrize(
    ("wanted", "message"),
    [
        ("0a", "no task begins with '0a'"),
        ("", "no task begins with ''"),
        ("0", "more than one task begins with '0'"),
    ],
)
def test_an_unknown_task_is_an_error_that_lists_those_there_are(
    path, folder, wanted, message
) -> None:
    for number, model in [(1, "old"), (2, "new")]:
        with opened(path, folder, task(number, model)) as checkpoint:
            checkpoint.append(key(number), ok())
    today = datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%d")
    with pytest.raises(PlanError) as caught:
        lf.read_checkpoint(path, task=wanted)
    assert message in str(caught.value)
    assert f"\n  020202020202: new, {today}" in str(caught.value)
    assert str(caught.value).index("0202") < str(caught.value).index("010101")


def test_a_run_that_answered_nothing_yet_gives_an_empty_frame(path: Path) -> None:
    path.write_bytes(b"")
    assert list(lf.read_checkpoint(path).columns) == ["id", *COLUMNS]
    assert len(lf.read_checkpoint(path)) == 0
    with pytest.raises(PlanError, match="newest first: none"):
        lf.read_checkpoint(path, task="ab")


def test_a_field_that_is_called_like_a_column_of_ours_keeps_its_name(path, folder) -> None:
    fields = resolve_fields({"status": ["open", "closed"], "id": int, "note": str})
    with opened(path, folder, task(fields=fields)) as checkpoint:
        checkpoint.append(key(1), ok({"status": "open", "id": 3, "note": "x"}), id="a")
    found = lf.read_checkpoint(path)
    shown = ["llm_id", "status", "id", "note", "llm_status"]
    assert list(found.columns) == [*shown, *COLUMNS[1:]]
    assert found.loc[0, shown].tolist() == ["a", "open", 3, "x", "ok"]


def test_reading_makes_and_locks_nothing_while_a_run_writes(path: Path, folder: Path) -> None:
    with opened(path, folder, task()) as checkpoint:
        checkpoint.append(key(1), ok())
        before = sorted(path.parent.iterdir())
        assert len(lf.read_checkpoint(path)) == 1
        checkpoint.append(key(2), ok())
        assert len(lf.read_checkpoint(path)) == 2
        assert sorted(path.parent.iterdir()) == before
    before = {file: file.read_bytes() for file in path.parent.iterdir() if file.is_file()}
    path.parent.chmod(0o500)
    assert len(lf.read_checkpoint(path)) == 2
    path.parent.chmod(0o700)
    assert {f: f.read_bytes() for f in path.parent.iterdir() if f.is_file()} == before


def test_a_folder_is_read_as_one_its_newest_file_last(tmp_path: Path, folder: Path) -> None:
    first = write_answers(True, folder, range(2))
    first.rename(folder / f"{first.stem}.123.jsonl")
    write_answers(True, folder, range(1, 3))
    (folder / "mine.txt").write_text("not read")
    assert sorted(lf.read_checkpoint(".llmframe")["n"]) == [0, 1, 2]
    assert sorted(lf.read_checkpoint(folder)["n"]) == [0, 1, 2]
    write_answers(folder / "rows.JSONL", folder, range(4, 5))
    (folder / "old.db").write_bytes(b"SQLite format 3\0")
    assert sorted(lf.read_checkpoint(folder)["n"]) == [0, 1, 2, 4]


@pytest.mark.parametrize("path", [None, 1, "", b"", ["a"]])
def test_what_is_no_path_is_refused(path: Any) -> None:
    with pytest.raises(PlanError, match="path="):
        lf.read_checkpoint(path)


def test_a_name_that_no_file_can_have_and_a_task_that_is_no_text_are_refused() -> None:
    with pytest.raises(PlanError, match="name too long"):
        lf.read_checkpoint("x" * 300)
    with pytest.raises(PlanError, match="task=1 is not valid"):
        lf.read_checkpoint(".", task=1)


def test_where_there_is_no_checkpoint_those_here_are_named(tmp_path: Path, folder: Path) -> None:
    with pytest.raises(PlanError, match=r"there is no checkpoint .*lost.jsonl$"):
        lf.read_checkpoint("lost.jsonl")
    with pytest.raises(PlanError, match=r"holds no checkpoint$"):
        lf.read_checkpoint(tmp_path)
    path = write_answers(True, folder, range(2))
    with pytest.raises(PlanError, match=rf"; here are: .llmframe/{path.name}"):
        lf.read_checkpoint("lost.jsonl")


@pytest.mark.parametrize("content", ['{"id": 1, "intent": "x"}\n', "id,text\n1,hello\n"])
def test_a_file_of_something_else_is_an_error(tmp_path: Path, content: str) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_text(content)
    with pytest.raises(PlanError, match=r"is no checkpoint: .*pandas.read_json"):
        lf.read_checkpoint(path)


def test_a_file_that_cannot_be_read_is_an_error(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    path.touch()
    with (
        mock.patch.object(SYSTEM, "open", side_effect=PermissionError(13, "Permission denied")),
        pytest.raises(CheckpointError, match=r"cannot read .*Permission denied"),
    ):
        lf.read_checkpoint(path)
