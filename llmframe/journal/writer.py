"""Appends to one file: a line is one write, and a thread brings it to the disk a moment later."""

from __future__ import annotations

import contextlib
import errno
import threading
import time
from typing import TYPE_CHECKING

from llmframe.system.files import APPEND, FileOps, sync_folder, write_all
from llmframe.system.lock import release_lock, take_lock

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

SYNC_DELAY = 0.05  # seconds from a write to the start of its fsync; more writes join meanwhile
CLOSE_TIMEOUT = 10.0  # seconds that close waits for the last fsync of a hanging disk


class CutOffError(OSError):
    """Another program has cut off the end of the file, and with it lines of ours."""


class Writer:
    """The one writer of a file; any number of threads may use it.

    locked: False where the folder has no file locks.
    on_error: called from the saving thread with the OSError of a failed fsync.
    Opening raises OSError, RuntimeError where the system has no thread to spare, or LockHeldError
    if another process writes the file.
    """

    def __init__(self, path: Path, ops: FileOps, on_error: Callable[[OSError], None]) -> None:
        self._path = path
        self._ops = ops
        self._on_error = on_error
        # A plain lock of the interpreter's: no interrupt between two steps leaves it held.
        self._lock = threading.RLock()
        self._changed = threading.Condition(self._lock)
        self._written = 0  # writes so far
        self._synced = 0  # of them, those an fsync was tried for
        self._dirty = False  # something was written since the last fsync began
        self._due = 0.0  # when the next fsync shall begin
        self._end = 0  # the file's size as far as we know it; others only ever append
        self._ended = ""  # why nothing more can be written
        self._failed = False
        self._torn = False  # the file ends within a line
        self._file_lock = take_lock(path, ops)
        self.locked = self._file_lock.sure
        self._open: list[int] = []
        try:
            is_new = not path.exists()
            self._fd = ops.open(path, APPEND)
            self._open.append(self._fd)
            if is_new:  # its name must be on the disk before anything relies on its lines
                sync_folder(path.parent, ops)
            self._is_named = ops.is_at(self._fd, path)  # some mounted drives number files anew
            self._end = ops.size(self._fd)
            self._thread = threading.Thread(target=self._save, name="llmframe-fsync", daemon=True)
            self._thread.start()
        except BaseException:
            self._release()
            raise

    def begin_with_newline(self) -> None:
        """End the file's last line, which lacks its newline, with the next write."""
        self._torn = True

    def write(self, line: bytes) -> int:
        """Append a line (with its newline) and return its offset. Raises OSError."""
        with self._lock:
            if self._ended:
                raise OSError(errno.EBADF, self._ended)
            # One write, so that no other process's line comes in between.
            whole = b"\n" + line if self._torn else line
            # An error or an interrupt may leave half a line: assume so until the write has ended.
            self._torn = True
            write_all(self._fd, whole, self._ops)
            self._torn = False
            self._written += 1
            if not self._dirty:  # else an fsync is due already, and takes this line along
                self._dirty = True
                self._due = time.monotonic() + SYNC_DELAY
                self._changed.notify_all()
            end = self._ops.end_of_write(self._fd)
            if end < self._end + len(whole):
                raise CutOffError
            self._end = end
            return end - len(line)

    def flush(self, timeout: float | None = None) -> bool:
        """Wait until all lines are on the disk; False if they are not, or not in time."""
        with self._lock:
            wanted = self._written  # not what others write meanwhile: that might never end
            self._due = 0.0
            self._changed.notify_all()
            self._changed.wait_for(lambda: self._synced >= wanted, timeout)
            return self._synced >= wanted and not self._failed

    def close(self) -> None:
        """Bring all lines to the disk, then release the lock."""
        with self._lock:
            if self._ended:
                return
            self._ended = "it is closed"
            self._changed.notify_all()
        self._thread.join(CLOSE_TIMEOUT)

    def leave_to_parent(self) -> None:
        """In a forked child: the lock and the file belong to the parent."""
        # The saving thread is not in the child, and may have held the old lock at the fork.
        self._lock = threading.RLock()
        self._changed = threading.Condition(self._lock)
        self._ended = "it belongs to the process that this one was forked from"
        self._synced = self._written
        self._open.append(self._file_lock.fd)
        self._close_files()

    def _save(self) -> None:
        """The thread: fsync a moment after a write, one at a time, until the writer is closed."""
        while True:
            with self._lock:
                self._changed.wait_for(lambda: self._ended or self._dirty)
                # Wait on, so that the writes of a moment share one fsync.
                while not self._ended and (left := self._due - time.monotonic()) > 0:
                    self._changed.wait(left)
                if not self._dirty:
                    break
                upto, self._dirty = self._written, False
            # Without the lock: rows go on being written while the disk works.
            error = self._fsync()
            with self._lock:
                # Counted even if it failed: a flush must not wait forever for a broken disk.
                self._synced = upto
                self._failed = self._failed or error is not None
                self._changed.notify_all()
            if error is not None:
                self._on_error(error)
        self._release()  # here and not in close, which a hanging disk makes stop waiting

    def _fsync(self) -> OSError | None:
        end = self._end  # first: lines go on being written meanwhile
        try:
            self._ops.fsync(self._fd)
            if self._is_named and not self._ops.is_at(self._fd, self._path):
                # The fsync reached a file that nobody will find again.
                raise FileNotFoundError(errno.ENOENT, "it was deleted or replaced meanwhile")
            if self._ops.size(self._fd) < end:
                return CutOffError()
        except OSError as exc:
            return exc
        return None

    def _release(self) -> None:
        self._close_files()
        release_lock(self._file_lock, self._ops)  # last: it guards the other

    def _close_files(self) -> None:
        while self._open:
            # all is on the disk, and the system gives the fd back even if it reports an error
            with contextlib.suppress(OSError):
                self._ops.close(self._open.pop())
