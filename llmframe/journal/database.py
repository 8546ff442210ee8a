"""Database: answers in one SQLite file, which many processes may write at the same time.

It holds the very lines of a journal, checksum and all, so that a spoilt page gives no wrong
answer. Each line is a commit of its own, written to SQLite's log (WAL) before append returns.
Processes see each other's answers at once, and the engine looks again before it sends a row:
nothing is lost, and only rows in flight in two processes at the same time are paid twice.
"""

from __future__ import annotations

import contextlib
import errno
import sqlite3
import threading
from typing import TYPE_CHECKING, Any

from llmframe.journal import lines
from llmframe.journal.sqlite_file import (
    beside,
    connect,
    connect_reading,
    has_wal,
    look_at,
    open_for_writing,
    os_error,
)
from llmframe.journal.syncer import Syncer
from llmframe.system.files import SYNC, FileOps

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from llmframe.results import RowResult

SUFFIXES = frozenset({".db", ".sqlite", ".sqlite3"})
LONGEST_LOG = 64 << 20  # bytes of SQLite's log before it is taken into the database
_NO_FILE = -1
_BATCH = 1000  # lines read at once: a long read would keep the log from being emptied
_INSERT = "INSERT INTO lines (key, sort, id, line) VALUES (?, ?, CAST(? AS TEXT), CAST(? AS TEXT))"
_ANSWERS = "SELECT n, line FROM lines WHERE key = ? AND sort = 'v' ORDER BY n DESC"
_IDS = "SELECT line FROM lines WHERE key = ? AND sort IN ('v', 'e', 'i') AND id = CAST(? AS TEXT)"
_NEXT = "SELECT n, line FROM lines WHERE n > ? ORDER BY n LIMIT ?"
_TASKS = "SELECT key FROM lines WHERE sort = 's' GROUP BY key ORDER BY min(n)"
_left_to_parent: set[str] = set()


def is_database(path: Path) -> bool:
    """Whether a checkpoint's name asks for a database."""
    return path.suffix.lower() in SUFFIXES


class Database:
    """A SQLite file that is read and, if asked, written; a Store. Opening raises OSError."""

    def __init__(self, path: Path, ops: FileOps, *, write: bool) -> None:
        if str(path) in _left_to_parent:
            raise OSError(
                errno.EBUSY,
                "the process that this one was forked from had it open, which SQLite cannot "
                'bear; start processes with multiprocessing\'s "spawn"',
            )
        self.path = path
        self.users = 0
        self.listeners: list[Callable[[OSError], None]] = []
        self.tasks: dict[bytes, None] = {}
        self.foreign = 0
        self.notes: list[str] = []
        self._ops = ops
        self._answers = 0
        self._damaged: set[int] = set()  # their numbers
        self._changing = threading.RLock()
        self._connection: sqlite3.Connection | None = None
        self._keeper: sqlite3.Connection | None = None  # takes the log into the database
        self._log = _NO_FILE  # the log, to bring it to the disk
        self._syncer: Syncer | None = None
        self._ended: tuple[int, str] | None = None
        if write:
            self.start_writing()
        self._identity = ops.identity(path)
        if self._identity is None:
            raise FileNotFoundError(errno.ENOENT, "there is no such file")
        self._is_named = ops.identity(path) == self._identity  # some drives number files anew

    @property
    def answers(self) -> int:
        """Keys with an answer; what was known last where the file fails."""
        with contextlib.suppress(OSError):
            (found,) = self._query("SELECT count(DISTINCT key) FROM lines WHERE sort = 'v'")
            self._answers = found[0]
        return self._answers

    @property
    def damaged(self) -> int:
        """Damaged lines that were met so far."""
        return len(self._damaged)

    def is_current(self) -> bool:
        """Whether the file is still the one at its path; once it is not, this store has ended."""
        current = not self._is_named or self._ops.identity(self.path) == self._identity
        if not current:  # what SQLite keeps beside the file would be the next one's too
            self._end(errno.ENOENT, "it was deleted or replaced meanwhile")
        return current

    def is_strange(self) -> bool:
        """Whether the file is no database, or another program's. Raises OSError."""
        return look_at(self.path) == "other"

    def start_writing(self) -> None:
        """Become one of the file's writers. Raises OSError."""
        with self._changing:
            if self._syncer is not None:
                return
            connection = open_for_writing(self.path, self._ops)
            self._close_files()  # what was read with
            self._connection = connection
            try:
                self._prepare()
                syncer = Syncer(self._sync, self._tell, self._release)
                syncer.start()
            except BaseException:
                self._close_files()
                raise
            self._syncer = syncer

    def read_on(self) -> None:
        """Nothing to do: every question is asked anew."""

    def get(self, key: bytes) -> RowResult | None:
        """The newest whole answer to key, of any process; None without one. Raises OSError."""
        found = self._newest(key)
        return None if found is None else found[1]

    def content(self, key: bytes) -> dict[str, Any] | None:
        """The line of that answer as it was written. Raises OSError."""
        found = self._newest(key)
        return None if found is None else found[0]

    def _newest(self, key: bytes) -> tuple[dict[str, Any] | None, RowResult] | None:
        for number, line in self._query(_ANSWERS, key):
            content = lines.read(line)
            result = lines.to_result(content, key)
            if result is not None:
                return content, result
            self._damaged.add(number)
        return None

    def append(self, line: bytes, key: bytes, row_id: str | None) -> None:
        """Commit one line. Raises OSError."""
        sort = line[lines.SORT].decode()
        shown = None if row_id is None else row_id.encode(errors="surrogatepass")
        self._write(_INSERT, key, sort, shown, line[:-1])

    def append_task(self, line: bytes, digest: bytes) -> None:
        """Commit a task's line, unless the file has it. Raises OSError."""
        if digest not in self.tasks:
            self.append(line, digest, None)
            self.tasks[digest] = None

    def has_id(self, key: bytes, row_id: str) -> bool:
        """Whether a whole line says that the row of this id has this key. Raises OSError."""
        found = self._query(_IDS, key, row_id.encode(errors="surrogatepass"))
        return any(lines.intact(line) for (line,) in found)

    def load_ids(self) -> None:
        """Nothing to do: has_id takes some microseconds."""

    def all_lines(self) -> Iterator[bytes]:
        """Every line, in the order written. Raises OSError."""
        last = 0
        while batch := self._query(_NEXT, last, _BATCH):
            yield from (line for _, line in batch)
            last = batch[-1][0]

    def flush(self, timeout: float | None = None) -> bool:
        """Wait until all lines are on the disk; False if they are not, or not in time."""
        return self._syncer is None or self._syncer.flush(timeout)

    def close(self) -> None:
        """Bring all to the disk and give everything back."""
        if self._syncer is None:
            self._release()
        else:
            self._syncer.close()

    def leave_to_parent(self) -> None:
        """In a forked child, where SQLite's locks are not: the file cannot be used any more."""
        self._changing = threading.RLock()
        _left_to_parent.add(str(self.path))
        self._ended = (errno.EBADF, "it belongs to the process that this one was forked from")
        if self._syncer is not None:
            self._syncer.leave_to_parent()

    def _release(self) -> None:
        self._end(errno.EBADF, "it is closed")

    def _end(self, error: int, reason: str) -> None:
        with self._changing:
            self._ended = self._ended or (error, reason)
            self._close_files()

    def _close_files(self) -> None:
        """The last process to do so takes the log into the database."""
        log, self._log = self._log, _NO_FILE
        with contextlib.suppress(OSError):  # nothing was written through it
            self._ops.close(log)
        for connection in (self._keeper, self._connection):
            if connection is not None:
                with contextlib.suppress(sqlite3.Error):
                    connection.close()
        self._keeper = self._connection = None

    def _prepare(self) -> None:
        """What is known of a database that has just been opened for writing."""
        assert self._connection is not None
        self.tasks = dict.fromkeys(key for (key,) in self._query(_TASKS))
        self._answers = self.answers
        if has_wal(self._connection):
            self._log = self._ops.open(beside(self.path, "-wal"), SYNC)
        else:
            self.notes = [
                f"SQLite can keep no log in {self.path.parent}, so each row waits for the disk: "
                f"put {self.path.name} on a local disk, or use a .jsonl file."
            ]

    def _query(self, sql: str, *values: object) -> list[Any]:
        with self._changing:
            self._check_open()
            if self._connection is None:
                self._connection = connect_reading(self.path)
            return _run(self._connection, sql, values)

    def _write(self, sql: str, *values: object) -> None:
        with self._changing:
            self._check_open()
            assert self._syncer is not None
            assert self._connection is not None
            with self._syncer.lock:
                self._syncer.check()
                _run(self._connection, sql, values)
                self._syncer.note()

    def _check_open(self) -> None:
        if self._ended is not None:
            raise OSError(*self._ended)

    def _sync(self) -> None:
        """In the syncer's thread."""
        if self._log != _NO_FILE:
            self._ops.fsync(self._log)
        self.is_current()
        self._check_open()
        if self._log != _NO_FILE and self._ops.size(self._log) > LONGEST_LOG:
            self._empty_log()

    def _empty_log(self) -> None:
        """Take the log into the database: most of it beside the rows, the rest while they wait.

        Where another process reads or writes just then, the next sync tries again.
        """
        if self._keeper is None:
            self._keeper = connect(self.path, "rw", wait=0)
        _run(self._keeper, "PRAGMA wal_checkpoint(PASSIVE)")
        with self._changing:
            ((busy, _, _),) = _run(self._keeper, "PRAGMA wal_checkpoint(TRUNCATE)")
            if not busy:  # the first commit after it waits for the disk: not a row's
                _run(self._keeper, "PRAGMA user_version=1")

    def _tell(self, error: OSError) -> None:
        for listener in tuple(self.listeners):
            listener(error)


def _run(connection: sqlite3.Connection, sql: str, values: tuple[object, ...] = ()) -> list[Any]:
    try:
        return connection.execute(sql, values).fetchall()
    except sqlite3.Error as exc:
        raise os_error(exc) from exc
