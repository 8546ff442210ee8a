"""The SQLite store: what a journal promises, and many processes writing one file."""

from __future__ import annotations

import errno
import os
import sqlite3
import stat
import subprocess
import sys
import threading
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from journal_kit import (
    FAILED,
    OTHER_TASK,
    ROOT,
    TASK,
    FailingOps,
    QuickOps,
    answer,
    key,
    opened,
    write_answers,
)

from llmframe.engine.journal import (
    adopt_plain,
    compact,
    database,
    lines,
    open_checkpoint,
    sqlite_file,
)
from llmframe.engine.journal.database import Database
from llmframe.engine.journal.files import SYSTEM
from llmframe.engine.journal.protocol import Store
from llmframe.engine.journal.shared import flush_all, open_stores
from llmframe.engine.journal.sqlite_file import connect, open_for_writing
from llmframe.engine.journal.store import Journal
from llmframe.engine.results import RowResult
from llmframe.errors import CheckpointError, OutputError, PlanError

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    yield tmp_path / ".llmframe"
    assert not open_stores()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "rows.db"


def sql(path: Path, statement: str, *values: object) -> list[Any]:
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        return connection.execute(statement, values).fetchall()


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


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


def test_the_default_files_are_read_too(path: Path, folder: Path) -> None:
    write_answers(True, folder, range(2))
    with opened(path, folder) as checkpoint:
        assert checkpoint.get(key(1)) == answer(1)
        assert checkpoint.answers == 2


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


# -- many processes ----------------------------------------------------------------

BEGIN = """
import os, sys
from pathlib import Path
from journal_kit import *
path = Path(sys.argv[1])
"""
BREAK_OFF = """
import sqlite3
connection = sqlite3.connect(path, isolation_level=None)
connection.execute("PRAGMA cache_size=1")
connection.execute("BEGIN")
connection.execute("UPDATE lines SET line = 'x' || line")
os._exit(0)
"""
SHARE = """
me = int(sys.argv[2])
with opened(path, path.parent / "x") as checkpoint:
    for n in range(me, 200, 4):
        checkpoint.append(key(n), answer(n), id=n)
"""
WRITE = """
with opened(path, path.parent / "x") as checkpoint:
    n = checkpoint.answers
    print(n, flush=True)
    while True:
        checkpoint.append(key(n), answer(n))
        os.write(1, b"%d\\n" % n)
        n += 1
"""


class worker:  # noqa: N801 - used as a with block
    """A process that runs a script over a database."""

    def __init__(self, script: str, *arguments: object) -> None:
        self.child = subprocess.Popen(
            [sys.executable, "-c", BEGIN + script, *map(str, arguments)],
            env={**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "tests")])},
            stdout=subprocess.PIPE,
            text=True,
        )

    def __enter__(self) -> subprocess.Popen[str]:
        return self.child

    def __exit__(self, *_: object) -> None:
        self.child.kill()
        self.child.wait()
        self.child.stdout.close()


def test_processes_that_begin_one_file_at_once_lose_nothing(path: Path, folder: Path) -> None:
    workers = [worker(SHARE, path, me) for me in range(4)]
    for each in workers:
        with each as child:
            child.communicate(timeout=100)
            assert child.returncode == 0
    with opened(path, folder) as checkpoint:
        assert all(checkpoint.get(key(n)) == answer(n) for n in range(200))
        assert all(checkpoint.has_id(key(n), n) for n in range(200))
        assert checkpoint.damaged == 0


def test_another_process_sees_an_answer_before_it_would_ask_itself(path, folder) -> None:
    with opened(path, folder) as here, worker(SHARE, path, 1) as child:
        assert here.get(key(1)) is None
        child.communicate(timeout=100)
        assert here.get(key(1)) == answer(1)
        assert here.has_id(key(1), 1)


def kill_and_resume(path: Path, folder: Path, counts: list[int]) -> None:
    kept = 0
    for count in counts:
        with worker(WRITE, path) as child:
            assert int(child.stdout.readline()) == kept
            for _ in range(count):
                kept = int(child.stdout.readline()) + 1
            child.kill()
            rest = child.communicate()[0].splitlines()
        told = [int(line) + 1 for line in rest if line]
        with opened(path, folder) as checkpoint:
            assert checkpoint.answers >= max([kept, *told])
            kept = checkpoint.answers
            assert all(checkpoint.get(key(n)) == answer(n) for n in range(kept))


def test_killed_while_writing_nothing_acknowledged_is_lost(path: Path, folder: Path) -> None:
    kill_and_resume(path, folder, [1, 37, 150])


def test_a_file_that_another_program_keeps_locked_is_told(path, folder, monkeypatch) -> None:
    with opened(path, folder) as checkpoint:
        checkpoint.written._connection.execute("PRAGMA busy_timeout=10")
        with closing(sqlite3.connect(path, isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            with pytest.raises(CheckpointError, match="another process kept it locked"):
                checkpoint.append(key(1), answer(1))
            other.execute("ROLLBACK")
        checkpoint.append(key(2), answer(2))
        assert checkpoint.get(key(1)) is None
        assert checkpoint.get(key(2)) == answer(2)


def test_a_full_disk_is_told_and_a_row_after_it_is_whole(path: Path, folder: Path) -> None:
    with opened(path, folder) as checkpoint:
        checkpoint.append(key(1), answer(1))
        pages = "PRAGMA max_page_count={}"
        checkpoint.written._connection.execute(pages.format(1))
        with pytest.raises(CheckpointError, match=r"disk is full\. 1 answers are in it"):
            checkpoint.append(key(2), RowResult("ok", {"x": "long" * 1000}))
        assert not checkpoint.durable
        checkpoint.written._connection.execute(pages.format(1 << 30))
        checkpoint.append(key(3), answer(3))
        assert [checkpoint.get(key(n)) for n in (1, 2, 3)] == [answer(1), None, answer(3)]


def test_what_was_known_last_is_told_where_the_file_fails(path: Path, folder: Path) -> None:
    with opened(path, folder) as checkpoint:
        checkpoint.append(key(1), answer(1))
        assert checkpoint.answers == 1
    assert checkpoint.written.answers == 1


FORK = """
import warnings
warnings.simplefilter("ignore")
from llmframe.errors import CheckpointError, PlanError
checkpoint = open_checkpoint(path, TASK, folder=path.parent / "x")
checkpoint.append(key(0), answer(0))
if (pid := os.fork()) == 0:
    for attempt in (lambda: checkpoint.append(key(1), answer(1)), lambda: checkpoint.get(key(0)),
                    lambda: open_checkpoint(path, TASK, folder=path.parent / "x")):
        try:
            attempt()
        except (CheckpointError, PlanError) as error:
            print(error, flush=True)
    print(checkpoint.flush(), flush=True)
    os._exit(0)
os.waitpid(pid, 0)
checkpoint.append(key(3), answer(3))
checkpoint.close()
"""


@pytest.mark.skipif(sys.platform == "win32", reason="forks")
def test_a_forked_child_uses_nothing_that_is_its_parents(path: Path, folder: Path) -> None:
    with worker(FORK, path) as parent:
        writing, reading, opening, flushed = parent.communicate(timeout=60)[0].splitlines()
    assert "it belongs to the process that this one was forked from" in writing
    assert "it belongs to the process that this one was forked from" in reading
    assert "spawn" in opening
    assert flushed == "True"
    with opened(path, folder) as checkpoint:
        assert [checkpoint.get(key(n)) for n in (0, 1, 3)] == [answer(0), None, answer(3)]


def test_told_that_it_was_forked_a_process_leaves_the_file_alone(path, folder, monkeypatch) -> None:
    monkeypatch.setattr(database, "_left_to_parent", set())
    write_answers(path, folder, range(1))
    for write in (True, False):
        store = Database(path, SYSTEM, write=write)
        store.leave_to_parent()
        with pytest.raises(OSError, match="forked"):
            store.get(key(0))
        assert store.flush(30)
        with pytest.raises(OSError, match="spawn"):
            Database(path, SYSTEM, write=False)
        database._left_to_parent.clear()
        store._release()


def test_both_kinds_of_file_keep_the_protocol(tmp_path: Path) -> None:
    asked = {name for name in [*vars(Store), *Store.__annotations__] if name[0] != "_"}
    for kind, name in [(Database, "rows.db"), (Journal, "rows.jsonl")]:
        store = kind(tmp_path / name, SYSTEM, write=True)
        assert {name for name in asked if not hasattr(store, name)} == set()
        store.close()


# -- making the file ---------------------------------------------------------------


@pytest.mark.parametrize("operation", ["open", "fsync", "identity", "close"])
def test_the_nth_failure_of_our_own_calls_loses_nothing_kept(tmp_path, folder, operation) -> None:
    for nth in range(1, 30):
        path = tmp_path / str(nth) / "rows.db"
        write_answers(path, folder, range(2))
        ops = FailingOps(operation, nth)
        try:
            with opened(path, folder, ops=ops) as checkpoint:
                checkpoint.append(key(2), answer(2))
                checkpoint.flush(30)
        except (PlanError, CheckpointError):
            pass
        with opened(path, folder, ops=QuickOps()) as checkpoint:
            assert all(checkpoint.get(key(n)) == answer(n) for n in range(2))
        if ops.calls < nth:
            return
    pytest.fail("the loop did not reach the last call")


def test_a_file_that_is_gone_cannot_be_connected_to(path: Path) -> None:
    with pytest.raises(OSError, match="unable to open"):
        connect(path, "ro")


def test_a_spoilt_index_is_refused_before_anything_is_sent(path: Path, folder: Path) -> None:
    write_answers(path, folder, range(50))
    content = bytearray(path.read_bytes())
    at = content.rindex(key(7)[:8])  # in the index: in the table it stands in a line, as hex
    content[at] ^= 1
    path.write_bytes(content)
    with pytest.raises(PlanError, match=r"database is damaged; sqlite3's .recover.*Nothing was"):
        open_checkpoint(path, TASK, folder=folder)
    assert path.read_bytes() == content


def test_a_file_that_another_process_is_just_making_is_waited_for(path: Path, folder: Path) -> None:
    path.write_bytes(b"")
    with closing(sqlite3.connect(path, isolation_level=None, check_same_thread=False)) as other:
        other.execute("BEGIN IMMEDIATE")
        other.execute("CREATE TABLE other (n)")
        timer = threading.Timer(0.2, lambda: other.execute("ROLLBACK"))
        timer.start()
        write_answers(path, folder, range(1))
        timer.join()
    with opened(path, folder) as checkpoint:
        assert checkpoint.get(key(0)) == answer(0)


def test_a_file_that_stays_locked_while_it_is_made_is_told(path, folder, monkeypatch) -> None:
    monkeypatch.setattr(sqlite_file, "BUSY", 0.05)
    path.write_bytes(b"")
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(PlanError, match=r"kept it locked.*Nothing was sent"):
            open_checkpoint(path, TASK, folder=folder)
        other.execute("ROLLBACK")


def test_a_folder_that_cannot_be_written_is_told_before_anything_is_sent(path, folder) -> None:
    ops = FailingOps("open", error=errno.EROFS)
    ops.broken = True
    with pytest.raises(PlanError, match=r"Read-only file system.*Nothing was sent"):
        open_checkpoint(path, TASK, folder=folder, ops=ops)
    assert not path.exists()
