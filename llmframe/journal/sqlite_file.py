"""SQLite files of ours: connecting, telling them from others, making them, their errors."""

from __future__ import annotations

import contextlib
import errno
import os
import sqlite3
import time
from typing import TYPE_CHECKING, Literal

from llmframe.system.files import NEW, FileOps, sync_folder

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    Holds = Literal["lines", "nothing", "other", "damage"]

BUSY = 10.0  # seconds that a row waits for another process's commit
_APPLICATION = 0x6C6C6D66  # says in the file's header whose it is
_PAGE = 1024  # bytes; a commit writes three pages, and rows are small
_SCHEMA = (
    (
        "TABLE",
        "lines (n INTEGER PRIMARY KEY, key BLOB NOT NULL, sort TEXT NOT NULL, id TEXT,"
        " line TEXT NOT NULL)",
    ),
    ("INDEX", "lines_by_key ON lines (key, sort, id)"),
)
_LOOKS = 5  # at a file that is just being made by another process
_ERRNO = {
    sqlite3.SQLITE_BUSY: errno.EAGAIN,
    sqlite3.SQLITE_FULL: errno.ENOSPC,
    sqlite3.SQLITE_READONLY: errno.EROFS,
    sqlite3.SQLITE_CANTOPEN: errno.EACCES,
}
_TOLD = {
    sqlite3.SQLITE_BUSY: f"another process kept it locked for {BUSY:g} s",
    sqlite3.SQLITE_CORRUPT: "the database is damaged; sqlite3's .recover may save what is in it",
    sqlite3.SQLITE_NOTADB: "it is no SQLite database",
}


def os_error(error: sqlite3.Error) -> OSError:
    """The same as the system's own error, in words for the person."""
    code = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_ERROR) & 0xFF
    return OSError(_ERRNO.get(code, errno.EIO), _TOLD.get(code, str(error)))


def beside(path: Path, what: str) -> Path:
    """A file that SQLite keeps beside its database: ``-wal``, ``-shm``, ``-journal``."""
    return path.with_name(path.name + what)


def connect(path: Path, mode: str, *, wait: float = BUSY) -> sqlite3.Connection:
    """A connection in autocommit, for any thread that waits its turn; texts come as bytes.

    mode: ``rw``, ``ro`` or ``ro&immutable=1``. wait: seconds for another's lock.
    Raises OSError, also where the path has become a link to another file.
    """
    try:
        connection = sqlite3.connect(
            f"{path.as_uri()}?mode={mode}",
            uri=True,
            timeout=wait,
            isolation_level=None,
            check_same_thread=False,
        )
        connection.text_factory = bytes
        connection.execute("PRAGMA trusted_schema=OFF")  # no function is run by what a file says
        opened = connection.execute("PRAGMA database_list").fetchone()[2]
    except sqlite3.Error as exc:
        raise os_error(exc) from exc
    if os.fsdecode(opened) != str(path):
        connection.close()
        raise OSError(errno.ELOOP, "it is a link")
    return connection


def connect_reading(path: Path) -> sqlite3.Connection:
    """A connection that writes and makes nothing, while others may write. Raises OSError."""
    path.stat()
    if any(beside(path, what).exists() for what in ("-wal", "-journal")):
        connection = connect(path, "ro")
    else:  # nobody writes it; without this SQLite would make files beside it
        connection = connect(path, "ro&immutable=1")
    with _closed_on_error(connection):
        held = _holds(connection)
        _refuse(held == "other")
    if held == "nothing":
        connection.close()
        connection = sqlite3.connect(":memory:", isolation_level=None, check_same_thread=False)
        _make(connection)
    return connection


def look_at(path: Path) -> Holds:
    """What a file holds, found without a lock or a change. Raises OSError."""
    if path.stat().st_size == 0 or beside(path, "-journal").exists():
        return "nothing"  # or it must be mended first, by who opens it for writing
    for _ in range(_LOOKS):
        connection = connect(path, "ro&immutable=1")
        try:
            return _holds(connection)
        except sqlite3.Error as exc:
            if exc.sqlite_errorcode == sqlite3.SQLITE_NOTADB:
                return "other"
        finally:
            connection.close()
        time.sleep(0.02)
    return "damage"


def open_for_writing(path: Path, ops: FileOps) -> sqlite3.Connection:
    """Open or make a database of ours; a new file is for its owner only.

    Raises OSError if it cannot be, is damaged, or is somebody else's, which is left as it was.
    """
    with contextlib.suppress(FileExistsError):
        ops.close(ops.open(path, NEW))
        sync_folder(path.parent, ops)
    _refuse(look_at(path) == "other")
    connection = connect(path, "rw")
    with _closed_on_error(connection):
        if _holds(connection) == "nothing":
            connection.execute(f"PRAGMA page_size={_PAGE}")
            if _knows_wal(path, ops):
                _switch_to_wal(connection)
            _make(connection)
        _check(connection)
        connection.execute("PRAGMA wal_autocheckpoint=0")
        if has_wal(connection):
            connection.execute("PRAGMA synchronous=NORMAL")
    return connection


def has_wal(connection: sqlite3.Connection) -> bool:
    """Whether a commit is only written to a log beside the database, and waits for no disk."""
    return bool(connection.execute("PRAGMA journal_mode").fetchone()[0] == b"wal")


def _holds(connection: sqlite3.Connection) -> Holds:
    told = connection.execute("SELECT sql FROM sqlite_master WHERE sql IS NOT NULL")
    schema = {sql.decode(errors="replace") for (sql,) in told}
    application = connection.execute("PRAGMA application_id").fetchone()[0]
    ours = {f"CREATE {kind} {rest}" for kind, rest in _SCHEMA}
    if schema == ours and application == _APPLICATION:
        return "lines"
    return "other" if schema or application else "nothing"


def _check(connection: sqlite3.Connection) -> None:
    """Raises OSError unless it is ours and whole; 0.8 s for a million rows."""
    _refuse(_holds(connection) != "lines")
    if connection.execute("PRAGMA integrity_check(1)").fetchone()[0] != b"ok":
        raise OSError(errno.EIO, _TOLD[sqlite3.SQLITE_CORRUPT])


def _refuse(is_other: bool) -> None:
    if is_other:
        raise OSError(errno.EINVAL, "it is not a database of this llmframe; it is as it was")


@contextlib.contextmanager
def _closed_on_error(connection: sqlite3.Connection) -> Iterator[None]:
    try:
        yield
    except sqlite3.Error as exc:
        connection.close()
        raise os_error(exc) from exc
    except OSError:
        connection.close()
        raise


def _switch_to_wal(connection: sqlite3.Connection) -> None:
    """While several processes make the same file only one can, and does it for all."""
    give_up = time.monotonic() + BUSY
    while True:
        try:
            connection.execute("PRAGMA journal_mode=WAL")
        except sqlite3.OperationalError as exc:
            if exc.sqlite_errorcode != sqlite3.SQLITE_BUSY or time.monotonic() > give_up:
                raise
            time.sleep(0.01)
        else:
            return


def _make(connection: sqlite3.Connection) -> None:
    """What is not there yet; a failure is undone when the connection is closed."""
    connection.execute("BEGIN IMMEDIATE")  # another process may be doing the same
    for kind, rest in _SCHEMA:
        connection.execute(f"CREATE {kind} IF NOT EXISTS {rest}")
    connection.execute(f"PRAGMA application_id={_APPLICATION}")
    connection.execute("COMMIT")


def _knows_wal(path: Path, ops: FileOps) -> bool:
    """Whether SQLite can keep a log beside its file here; on network drives it finds out late."""
    scratch = beside(path, f".{os.getpid()}.probe")
    ops.close(ops.open(scratch, NEW))
    try:
        connection = connect(scratch, "rw")
        try:
            connection.execute("PRAGMA synchronous=OFF")
            connection.execute("PRAGMA journal_mode=WAL")
            connection.execute("CREATE TABLE probe (n)")
            return has_wal(connection)
        except sqlite3.Error:
            return False
        finally:
            connection.close()
    finally:
        for what in ("", "-wal", "-shm", "-journal"):
            with contextlib.suppress(OSError):
                beside(scratch, what).unlink()
