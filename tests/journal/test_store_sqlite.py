"""The SQLite store: what a journal promises, and whose file it is."""

from __future__ import annotations

import os
import sqlite3
import threading
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from llmframe.errors import CheckpointError, OutputError, PlanError
from llmframe.journal import adopt_plain, compact, database, lines, open_checkpoint
from llmframe.journal.database import Database
from llmframe.journal.sqlite_file import connect, open_for_writing
from llmframe.results import RowResult
from llmframe.system.files import SYSTEM
from tests.kits.journal import FAILED, OTHER_TASK, TASK, answer, key, mode, opened, write_answers
from tests.kits.sqlite import sql

pytestmark = pytest.mark.usefixtures("folder")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "rows.db"


# -- as a journal ------------------------------------------------------------------


@pytest.mark.parametrize("name", ["rows.db", "rows.sqlite", "rows.sqlite3", "ROWS.DB"])
def test_the_suffix_chooses_the_database(tmp_path: Path, folder: Path, name: str) -> None:
    path = write_answers(tmp_path / name, folder, range(2))
    assert path.read_bytes().startswith(b"SQLite format 3\0")
    with opened(path, folder) as checkpoint:
        assert [checkpoint.get(key(n)) for n in range(3)] == [answer(0), answer(1), None]
        assert checkpoint.answers == 2
        assert checkpoint.notes == []


def test_an_answer_can_be_read_at_once_by_a_second_run_of_the_process(path, folder) -> None:
    with opened(path, folder) as first, opened(path, folder) as second:
        first.append(key(1), answer(1))
        assert second.get(key(1)) == answer(1)
        first.close()
        second.append(key(2), answer(2))
        assert second.get(key(2)) == answer(2)


def test_a_line_is_told_as_it_was_written(path: Path, folder: Path) -> None:
    with opened(path, folder) as checkpoint:
        checkpoint.append(key(1), answer(1), text="the row")
        assert checkpoint.written.content(key(0)) is None
        content = checkpoint.written.content(key(1))
    assert (content["v"], content["text"]) == (answer(1).values, "the row")


def test_the_default_files_are_read_too(path: Path, folder: Path) -> None:
    write_answers(True, folder, range(2))
    with opened(path, folder) as checkpoint:
        assert checkpoint.get(key(1)) == answer(1)
        assert checkpoint.get(key(2)) is None


def test_an_answer_beats_a_failure_and_a_later_answer_an_earlier_one(path, folder) -> None:
    with opened(path, folder) as checkpoint:
        checkpoint.append(key(1), answer(1))
        checkpoint.append(key(1), FAILED)
        checkpoint.append(key(2), answer(2))
        checkpoint.append(key(2), answer(3))
        checkpoint.append(key(3), FAILED)
        found = [checkpoint.get(key(n)) for n in (1, 2, 3)]
        assert found == [answer(1), answer(3), None]
        assert checkpoint.answers == 2


def test_each_line_is_that_of_a_journal(path: Path, folder: Path) -> None:
    with opened(path, folder) as checkpoint:
        checkpoint.append(key(1), answer(1), id=7, text="my row")
    written = [line.encode() for (line,) in sql(path, "SELECT line FROM lines ORDER BY n")]
    assert [line[lines.SORT] for line in written] == [lines.SETTINGS, lines.ANSWER]
    assert all(lines.intact(line) for line in written)
    task, row = (lines.read(line) for line in written)
    assert task is not None
    assert task["settings"] == TASK.settings
    assert row is not None
    assert (row["id"], row["text"]) == (7, "my row")
    assert "退款" in written[1].decode()


def test_the_row_text_is_not_in_the_file_unless_it_is_given(path: Path, folder: Path) -> None:
    with opened(path, folder) as checkpoint:
        checkpoint.append(key(1), FAILED, error_info={"kind": "server", "message": "secret"})
    assert b"secret" not in path.read_bytes()


def test_one_file_holds_many_tasks(path: Path, folder: Path) -> None:
    write_answers(path, folder, range(2))
    write_answers(path, folder, range(2, 4), OTHER_TASK)
    write_answers(path, folder, range(4, 6), OTHER_TASK)
    assert sql(path, "SELECT count(*) FROM lines WHERE sort = 's'") == [(2,)]
    with opened(path, folder) as checkpoint:
        assert checkpoint.get(key(1)) == answer(1)
        assert list(checkpoint.written.tasks) == [TASK.digest, OTHER_TASK.digest]


def test_ids_are_known_and_compared_as_text(path: Path, folder: Path) -> None:
    with opened(path, folder, ids=True) as checkpoint:
        checkpoint.append(key(1), answer(1), id=7)
        checkpoint.append_id(key(1), "号")
        checkpoint.append_id(key(1), "half \ud83d")
        for known in ("7", 7, "号", "half \ud83d"):
            assert checkpoint.has_id(key(1), known)
        assert not checkpoint.has_id(key(2), 7)
        assert not checkpoint.has_id(key(1), 8)


def test_values_that_are_no_json_fail_their_row_and_write_nothing(path, folder) -> None:
    with opened(path, folder) as checkpoint:
        with pytest.raises(OutputError, match="cannot be stored as JSON"):
            checkpoint.append(key(1), RowResult("ok", {"x": object()}))
        assert checkpoint.answers == 0


def test_half_characters_and_long_answers_come_back(path: Path, folder: Path) -> None:
    result = RowResult("ok", {"a": "\ud83d", "b": "长" * 300_000})
    with opened(path, folder) as checkpoint:
        checkpoint.append(key(1), result)
        assert checkpoint.get(key(1)) == result


def test_all_lines_come_in_their_order_however_many(path, folder, monkeypatch) -> None:
    monkeypatch.setattr(database, "_BATCH", 3)
    with opened(path, folder) as checkpoint:
        for n in range(10):
            checkpoint.append(key(n), answer(n))
        found = [line[lines.KEY].decode() for line in checkpoint.written.all_lines()]
    assert found == [TASK.digest.hex(), *(key(n).hex() for n in range(10))]


def test_reading_only_makes_nothing_and_sees_what_others_write(path: Path, folder: Path) -> None:
    with opened(path, folder, read_only=True) as checkpoint:
        assert checkpoint.get(key(1)) is None
    assert not path.exists()
    write_answers(path, folder, range(1))
    with opened(path, folder, read_only=True) as checkpoint:
        assert checkpoint.get(key(0)) == answer(0)
        assert checkpoint.flush()
        with pytest.raises(CheckpointError, match="reading only"):
            checkpoint.append(key(1), answer(1))
        assert list(path.parent.iterdir()) == [path]
    with opened(path, folder) as writer:
        writer.append(key(1), answer(1))
        other = Database(path, SYSTEM, write=False)
        assert other.get(key(1)) == answer(1)
        other.close()


def test_a_reader_becomes_a_writer(path: Path, folder: Path) -> None:
    write_answers(path, folder, range(1))
    with opened(path, folder, read_only=True) as reader:
        assert reader.get(key(0)) == answer(0)
        with opened(path, folder) as writer:
            writer.append(key(1), answer(1))
            assert reader.get(key(1)) == answer(1)


def test_an_empty_file_is_an_empty_checkpoint(path: Path, folder: Path) -> None:
    path.write_bytes(b"")
    with opened(path, folder, read_only=True) as checkpoint:
        assert checkpoint.get(key(1)) is None
        assert checkpoint.answers == 0
    write_answers(path, folder, range(1))
    with opened(path, folder) as checkpoint:
        assert checkpoint.get(key(0)) == answer(0)


def test_two_threads_append_whole_lines(path: Path, folder: Path) -> None:
    with opened(path, folder) as checkpoint:

        def append(numbers: range) -> None:
            for n in numbers:
                checkpoint.append(key(n), answer(n))

        threads = [threading.Thread(target=append, args=(range(i, 400, 2),)) for i in range(2)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert all(checkpoint.get(key(n)) == answer(n) for n in range(400))


def test_plain_files_are_not_taken_over_into_a_database(path: Path, folder: Path) -> None:
    with pytest.raises(PlanError, match=r"adopt=True.*is a database"):
        open_checkpoint(path, TASK, folder=folder, adopt=True)
    assert not path.exists()
    with opened(path, folder) as checkpoint:
        assert adopt_plain(checkpoint, {}, lambda values: values).accepted == 0


def test_a_database_is_not_compacted(path: Path, folder: Path) -> None:
    write_answers(path, folder, range(1))
    before = path.read_bytes()
    with pytest.raises(PlanError, match="is a database"):
        compact(path)
    assert path.read_bytes() == before


# -- whose file it is --------------------------------------------------------------


def test_the_files_are_for_their_owner_only(path: Path, folder: Path) -> None:
    before = os.umask(0)
    try:
        with opened(path, folder) as checkpoint:
            checkpoint.append(key(1), answer(1))
            names = {file.name for file in path.parent.glob("rows.db*")}
            assert names == {"rows.db", "rows.db-wal", "rows.db-shm"}
            assert {mode(path.parent / name) for name in names} == {0o600}
    finally:
        os.umask(before)
    assert [file.name for file in path.parent.glob("rows.db*")] == ["rows.db"]


def test_a_link_that_is_planted_in_the_last_moment_is_not_followed(path: Path, tmp_path) -> None:
    victim = tmp_path / "victim.db"
    victim.write_bytes(b"")
    path.symlink_to(victim)
    for what in (lambda: open_for_writing(path, SYSTEM), lambda: connect(path, "ro")):
        with pytest.raises(OSError, match="link"):
            what()
    assert victim.read_bytes() == b""


@pytest.mark.parametrize("beside", ["-wal", "-shm"])
def test_a_link_planted_beside_the_file_is_not_followed(path, folder, tmp_path, beside) -> None:
    write_answers(path, folder, range(1))
    victim = tmp_path / "victim"
    victim.write_text("precious")
    path.with_name(path.name + beside).symlink_to(victim)
    with pytest.raises(PlanError, match="Nothing was sent"):
        open_checkpoint(path, TASK, folder=folder)
    assert victim.read_text() == "precious"


def foreign(path: Path, *statements: str) -> None:
    with closing(sqlite3.connect(path)) as connection:
        for statement in statements:
            connection.execute(statement)
        connection.commit()


FOREIGN = {
    "another program's": ["CREATE TABLE customers (name PRIMARY KEY)"],
    "another program's, empty": ["PRAGMA application_id=1"],
    "like ours, with a trigger": [
        "PRAGMA application_id=1819045222",
        "CREATE TABLE lines (n INTEGER PRIMARY KEY, key BLOB NOT NULL, sort TEXT NOT NULL,"
        " id TEXT, line TEXT NOT NULL)",
        "CREATE INDEX lines_by_key ON lines (key, sort, id)",
        "CREATE TRIGGER t AFTER INSERT ON lines BEGIN DELETE FROM lines; END",
    ],
    "like ours, a view": ["PRAGMA application_id=1819045222", "CREATE VIEW lines AS SELECT 1"],
}


@pytest.mark.parametrize("read_only", [True, False])
@pytest.mark.parametrize("kind", [*FOREIGN, "text", "lines of ours"])
def test_a_file_that_is_not_ours_is_refused_and_left_as_it_was(
    path: Path, folder: Path, kind: str, read_only: bool
) -> None:
    if kind in FOREIGN:
        foreign(path, *FOREIGN[kind])
    elif kind == "text":
        path.write_text("id,text\n1,hello\n" * 100)
    else:
        write_answers(path.with_suffix(".jsonl"), folder, range(9)).rename(path)
    before = path.read_bytes()
    with pytest.raises(PlanError, match=r"is no checkpoint.*the file is as it was"):
        open_checkpoint(path, TASK, folder=folder, read_only=read_only)
    assert path.read_bytes() == before
    assert not list(path.parent.glob("rows.db-*"))


def test_a_file_that_became_anothers_is_refused_by_its_store(path: Path) -> None:
    foreign(path, "CREATE TABLE customers (name)")
    before = path.read_bytes()
    with pytest.raises(OSError, match="not a database of this llmframe"):
        Database(path, SYSTEM, write=True)
    reader = Database(path, SYSTEM, write=False)
    with pytest.raises(OSError, match="not a database of this llmframe"):
        reader.get(key(1))
    reader.close()
    assert path.read_bytes() == before


def test_a_database_that_somebody_made_ours_meanwhile_is_refused(path, folder) -> None:
    """A log of another program's beside an empty file: found out when it is opened."""
    with closing(sqlite3.connect(path)) as other:
        other.execute("PRAGMA journal_mode=WAL")
        other.execute("CREATE TABLE customers (name)")
        other.commit()
        with pytest.raises(PlanError, match="not a database of this llmframe"):
            open_checkpoint(path, TASK, folder=folder)
        assert other.execute("SELECT count(*) FROM customers").fetchone() == (0,)


@pytest.mark.parametrize("read_only", [True, False])
def test_a_file_cut_short_is_refused_and_left_as_it_was(path, folder, read_only) -> None:
    write_answers(path, folder, range(50))
    path.write_bytes(path.read_bytes()[:-3000])
    before = path.read_bytes()
    if read_only:
        with opened(path, folder, read_only=True) as checkpoint:
            found = [_got(checkpoint, n) for n in range(50)]
        assert all(result in (None, answer(n)) for n, result in enumerate(found))
    else:
        with pytest.raises(PlanError, match=r"database is damaged.*Nothing was sent"):
            open_checkpoint(path, TASK, folder=folder)
    assert path.read_bytes() == before


def _got(checkpoint: Any, n: int) -> RowResult | None:
    try:
        return checkpoint.get(key(n))
    except CheckpointError:
        return None


def test_a_spoilt_line_is_no_answer_and_an_older_one_counts(path: Path, folder: Path) -> None:
    with opened(path, folder) as checkpoint:
        checkpoint.append(key(1), answer(1), id="a")
        checkpoint.append(key(1), answer(3))
        checkpoint.append(key(2), answer(2), id="b")
    sql(path, "UPDATE lines SET line = replace(line, '\"n\":3}', '\"n\":4}')")
    sql(path, "UPDATE lines SET line = replace(line, '\"n\":2}', '\"n\":4}')")
    with opened(path, folder) as checkpoint:
        assert checkpoint.get(key(1)) == answer(1)
        assert checkpoint.get(key(2)) is None
        assert checkpoint.get(key(2)) is None
        assert checkpoint.damaged == 2
        assert checkpoint.has_id(key(1), "a")
        assert not checkpoint.has_id(key(2), "b")
