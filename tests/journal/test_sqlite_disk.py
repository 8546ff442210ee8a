"""The SQLite store and the disk: what reaches it when, and what happens where it fails."""

from __future__ import annotations

import os
import sqlite3
import threading
from contextlib import closing
from pathlib import Path

import pytest

from llmframe.errors import CheckpointError, PlanError
from llmframe.journal import database, open_checkpoint
from llmframe.journal.shared import flush_all
from tests.kits.journal import TASK, FailingOps, QuickOps, answer, key, opened, write_answers
from tests.kits.sqlite import sql, worker

pytestmark = pytest.mark.usefixtures("folder")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "rows.db"


# -- the disk ----------------------------------------------------------------------


def test_flush_returns_when_all_is_on_the_disk(path: Path, folder: Path) -> None:
    synced = []

    class Watching(QuickOps):
        def fsync(self, fd: int) -> None:
            synced.append(fd)

    with opened(path, folder, ops=Watching()) as checkpoint:
        synced.clear()  # the folders
        checkpoint.append(key(1), answer(1))
        assert checkpoint.flush(timeout=30)
        assert len(synced) == 1
        checkpoint.append(key(2), answer(2))
        flush_all()
        assert len(synced) == 2


def test_a_failed_fsync_is_told(path: Path, folder: Path) -> None:
    ops = FailingOps("fsync")
    told: list[CheckpointError] = []
    with opened(path, folder, ops=ops) as checkpoint:
        checkpoint.on_error(told.append)
        ops.broken = True
        checkpoint.append(key(1), answer(1))
        assert not checkpoint.flush(30)
        assert not checkpoint.durable
        assert checkpoint.get(key(1)) == answer(1)
    assert "Input/output error. 1 answers are in it" in str(told[0])


def test_the_log_is_taken_into_the_database_beside_the_rows(path, folder, monkeypatch) -> None:
    monkeypatch.setattr(database, "LONGEST_LOG", 100_000)
    log = path.with_name(path.name + "-wal")
    with opened(path, folder) as checkpoint:
        for n in range(200):
            checkpoint.append(key(n), answer(n))
        assert log.stat().st_size > 100_000
        assert checkpoint.flush(30)
        assert log.stat().st_size < 10_000
        for n in range(200, 400):
            checkpoint.append(key(n), answer(n))
        assert checkpoint.flush(30)
        assert log.stat().st_size < 10_000
        assert all(checkpoint.get(key(n)) == answer(n) for n in range(400))


def test_a_long_reader_puts_off_the_emptying_of_the_log(path, folder, monkeypatch) -> None:
    monkeypatch.setattr(database, "LONGEST_LOG", 0)
    log = path.with_name(path.name + "-wal")
    with opened(path, folder) as checkpoint:
        checkpoint.append(key(0), answer(0))
        with closing(sqlite3.connect(path, isolation_level=None)) as reader:
            reader.execute("BEGIN")
            reader.execute("SELECT * FROM lines").fetchone()
            checkpoint.append(key(1), answer(1))
            assert checkpoint.flush(30)
            assert log.stat().st_size > 5_000
            reader.execute("COMMIT")
        checkpoint.append(key(2), answer(2))
        assert checkpoint.flush(30)
        assert log.stat().st_size < 5_000
        assert checkpoint.durable


@pytest.mark.parametrize("replaced", [False, True])
def test_a_file_deleted_or_replaced_under_a_run_is_told(path, folder, replaced: bool) -> None:
    told: list[CheckpointError] = []
    with opened(path, folder) as checkpoint:
        checkpoint.on_error(told.append)
        path.unlink()
        if replaced:
            path.write_bytes(b"")
        checkpoint.append(key(1), answer(1))
        checkpoint.flush(30)
        with pytest.raises(CheckpointError, match="deleted or replaced"):
            checkpoint.append(key(2), answer(2))
    assert "deleted or replaced" in str(told[0])


def test_after_a_deletion_a_new_run_begins_a_new_file(path: Path, folder: Path) -> None:
    with opened(path, folder) as old:
        old.append(key(1), answer(1))
        path.unlink()
        with opened(path, folder) as new:
            assert new.get(key(1)) is None
            new.append(key(2), answer(2))
        with pytest.raises(CheckpointError, match="deleted or replaced"):
            old.get(key(1))
    with opened(path, folder) as again:
        assert again.get(key(2)) == answer(2)


def test_a_drive_that_numbers_its_files_anew_is_not_taken_for_a_deletion(path, folder) -> None:
    class NewNumbers(QuickOps):
        number = 0

        def identity(self, path: Path) -> tuple[int, int] | None:
            self.number += 1
            return super().identity(path) and (0, self.number)

    with opened(path, folder, ops=NewNumbers()) as checkpoint:
        checkpoint.append(key(1), answer(1))
        assert checkpoint.flush(30)
        assert checkpoint.durable


def test_a_file_that_vanishes_while_it_is_opened_is_not_there(path: Path, folder: Path) -> None:
    class Vanished(QuickOps):
        def identity(self, path: Path) -> tuple[int, int] | None:
            return None

    with pytest.raises(PlanError, match="no such file"):
        open_checkpoint(path, TASK, folder=folder, ops=Vanished())


def test_a_closed_checkpoint_takes_and_gives_no_more_rows(path: Path, folder: Path) -> None:
    with opened(path, folder) as checkpoint:
        checkpoint.append(key(1), answer(1))
    with pytest.raises(CheckpointError, match="it is closed"):
        checkpoint.append(key(2), answer(2))
    with pytest.raises(CheckpointError, match="it is closed"):
        checkpoint.get(key(1))


def test_without_a_thread_to_spare_nothing_stays_open(path, folder, monkeypatch) -> None:
    def refuse(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", refuse)
        with pytest.raises(RuntimeError):
            open_checkpoint(path, TASK, folder=folder)
    assert [file.name for file in path.parent.glob("rows.db*")] == ["rows.db"]


# -- where SQLite can keep no log --------------------------------------------------


BREAK_OFF = """
import sqlite3
connection = sqlite3.connect(path, isolation_level=None)
connection.execute("PRAGMA cache_size=1")
connection.execute("BEGIN")
connection.execute("UPDATE lines SET line = 'x' || line")
os._exit(0)
"""


def no_log(path: Path) -> None:
    """A folder in the place of what SQLite would share between processes, as if it could not."""
    path.with_name(f"{path.name}.{os.getpid()}.probe-shm").mkdir()


def test_without_a_log_rows_wait_for_the_disk_and_the_person_is_told(path, folder) -> None:
    no_log(path)
    with opened(path, folder) as checkpoint:
        assert "can keep no log" in checkpoint.notes[0]
        checkpoint.append(key(1), answer(1))
        assert checkpoint.flush(30)
        assert not path.with_name("rows.db-wal").exists()
        assert checkpoint.durable
    with opened(path, folder) as again:
        assert again.get(key(1)) == answer(1)
        assert sql(path, "PRAGMA journal_mode") == [("delete",)]


def test_a_commit_that_was_broken_off_is_mended_by_the_next_run(path: Path, folder: Path) -> None:
    no_log(path)
    write_answers(path, folder, range(20))
    with worker(BREAK_OFF, path) as child:
        child.communicate(timeout=60)
    assert path.with_name("rows.db-journal").exists()
    with opened(path, folder) as checkpoint:
        assert all(checkpoint.get(key(n)) == answer(n) for n in range(20))
    assert not path.with_name("rows.db-journal").exists()
