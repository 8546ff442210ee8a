"""The SQLite store and many processes: writing at once, kills, locks, forks."""

from __future__ import annotations

import errno
import sqlite3
import sys
import threading
from contextlib import closing
from pathlib import Path

import pytest

from llmframe.errors import CheckpointError, PlanError
from llmframe.journal import database, open_checkpoint, sqlite_file
from llmframe.journal.database import Database
from llmframe.journal.protocol import Store
from llmframe.journal.sqlite_file import connect
from llmframe.journal.store import Journal
from llmframe.results import RowResult
from llmframe.system.files import SYSTEM
from tests.kits.journal import TASK, FailingOps, QuickOps, answer, key, opened, write_answers
from tests.kits.sqlite import worker

pytestmark = pytest.mark.usefixtures("folder")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "rows.db"


# -- many processes ----------------------------------------------------------------

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
