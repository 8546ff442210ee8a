"""Appends to one file: a line is one write, and is on the disk a moment later.

A row's write costs microseconds and is never held up by the disk: one daemon thread per file
calls fsync, at most SYNC_DELAY after a write and one at a time.
"""

from __future__ import annotations

import contextlib
import errno
import threading
import time
from typing import TYPE_CHECKING

from llmframe.engine.journal.files import APPEND, FileOps, sync_folder
from llmframe.engine.journal.lock import take_lock

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

SYNC_DELAY = 0.05  # seconds from a write to the start of its fsync; more writes join meanwhile
CLOSE_TIMEOUT = 10.0  # seconds that close waits for the last fsync of a hanging disk


class Writer:
    """The one writer of a file; used by any number of threads.

    locked: False where the folder knows no locks.
    on_error: called with the OSError when an fsync fails, in the writer's own thread.
    Opening raises OSError, or LockHeldError if another process writes the file.
    """

    def __init__(self, path: Path, ops: FileOps, on_error: Callable[[OSError], None]) -> None:
        self._path = path
        self._ops = ops
        self._on_error = on_error
        lock = take_lock(path, ops)
        self.locked = lock.sure
        self._open = [lock.fd]
        self._torn = False  # the file ends within a line
        self._changed = threading.Condition()
        self._written = 0  # writes so far
        self._synced = 0  # of them, those an fsync was tried for
        self._dirty = False  # something was written since the last fsync began
        self._due = 0.0  # when the next fsync shall begin
        self._ended = ""  # why nothing more can be written
        self._failed = False
        self._thread = threading.Thread(target=self._run, name="llmframe-fsync", daemon=True)
        try:
            self._fd = self._create()
            self._is_named = ops.is_at(self._fd, path)  # some mounted drives number files anew
            self._thread.start()
        except BaseException:
            self._release()
            raise

    def _create(self) -> int:
        """Open for appending; a new file's name is on the disk before anything relies on it."""
        is_new = not self._path.exists()
        fd = self._ops.open(self._path, APPEND)
        self._open.append(fd)
        if is_new:
            sync_folder(self._path.parent, self._ops)
        return fd

    def begin_with_newline(self) -> None:
        """Say that the file's last line has no newline yet."""
        self._torn = True

    def write(self, line: bytes) -> int:
        """Append a line (with its newline); its offset. Raises OSError."""
        with self._changed:
            if self._ended:
                raise OSError(errno.EBADF, self._ended)
            # one write: whoever else appends to this file must not come in between
            left = memoryview(b"\n" + line if self._torn else line)
            self._torn = True
            while left:
                if not (count := self._ops.write(self._fd, left)):
                    raise OSError(errno.EIO, "the system wrote nothing")
                left = left[count:]
            self._torn = False
            self._written += 1
            if not self._dirty:
                self._dirty = True
                self._due = time.monotonic() + SYNC_DELAY
                self._changed.notify_all()
            return self._ops.end_of_write(self._fd) - len(line)

    def flush(self, timeout: float | None = None) -> bool:
        """Wait until all that was written is on the disk; False if it is not, or not in time."""
        with self._changed:
            wanted = self._written
            self._due = 0.0
            self._changed.notify_all()
            self._changed.wait_for(lambda: self._synced >= wanted, timeout)
            return self._synced >= wanted and not self._failed

    def close(self) -> None:
        """Bring all to the disk, give the lock back."""
        with self._changed:
            if self._ended:
                return
            self._ended = "it is closed"
            self._changed.notify_all()
        self._thread.join(CLOSE_TIMEOUT)

    def leave_to_parent(self) -> None:
        """In a forked child: the lock and the file are the parent's, and its thread is not here."""
        self._changed = threading.Condition()
        self._ended = "it belongs to the process that this one was forked from"
        self._synced = self._written
        self._release()

    def _run(self) -> None:
        while self._wait_for_work():
            self._sync()
        self._release()

    def _wait_for_work(self) -> bool:
        """Wait until an fsync is due; False at the end."""
        with self._changed:
            self._changed.wait_for(lambda: self._ended or self._dirty)
            while not self._ended and (left := self._due - time.monotonic()) > 0:
                self._changed.wait(left)
            return self._dirty

    def _sync(self) -> None:
        with self._changed:
            upto = self._written
            self._dirty = False
        error = self._try_sync()
        with self._changed:
            self._synced = upto
            self._failed = self._failed or error is not None
            self._changed.notify_all()
        if error is not None:
            self._on_error(error)

    def _try_sync(self) -> OSError | None:
        try:
            self._ops.fsync(self._fd)
            if self._is_named and not self._ops.is_at(self._fd, self._path):
                raise FileNotFoundError(errno.ENOENT, "it was deleted or replaced meanwhile")
        except OSError as exc:
            return exc
        return None

    def _release(self) -> None:
        while self._open:
            # all is on the disk, and the system gives the fd back even if it reports an error
            with contextlib.suppress(OSError):
                self._ops.close(self._open.pop())
