"""Appends to one file: a line is one write, and is on the disk a moment later."""

from __future__ import annotations

import contextlib
import errno
from typing import TYPE_CHECKING

from llmframe.journal.syncer import Syncer
from llmframe.system.files import APPEND, FileOps, sync_folder, write_all
from llmframe.system.lock import take_lock

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


class Writer:
    """The one writer of a file; used by any number of threads.

    locked: False where the folder knows no locks.
    on_error: called with the OSError when an fsync fails, in a thread.
    Opening raises OSError, or LockHeldError if another process writes the file.
    """

    def __init__(self, path: Path, ops: FileOps, on_error: Callable[[OSError], None]) -> None:
        self._path = path
        self._ops = ops
        lock = take_lock(path, ops)
        self.locked = lock.sure
        self._open = [lock.fd]
        self._torn = False  # the file ends within a line
        self._syncer = Syncer(self._sync, on_error, self._release)
        try:
            self._fd = self._create()
            self._is_named = ops.is_at(self._fd, path)  # some mounted drives number files anew
            self._syncer.start()
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
        with self._syncer.lock:
            self._syncer.check()
            # one write: whoever else appends to this file must not come in between
            whole = b"\n" + line if self._torn else line
            self._torn = True
            write_all(self._fd, whole, self._ops)
            self._torn = False
            self._syncer.note()
            return self._ops.end_of_write(self._fd) - len(line)

    def flush(self, timeout: float | None = None) -> bool:
        """Wait until all that was written is on the disk; False if it is not, or not in time."""
        return self._syncer.flush(timeout)

    def close(self) -> None:
        """Bring all to the disk, give the lock back."""
        self._syncer.close()

    def leave_to_parent(self) -> None:
        """In a forked child: the lock and the file are the parent's."""
        self._syncer.leave_to_parent()
        self._release()

    def _sync(self) -> None:
        self._ops.fsync(self._fd)
        if self._is_named and not self._ops.is_at(self._fd, self._path):
            raise FileNotFoundError(errno.ENOENT, "it was deleted or replaced meanwhile")

    def _release(self) -> None:
        while self._open:
            # all is on the disk, and the system gives the fd back even if it reports an error
            with contextlib.suppress(OSError):
                self._ops.close(self._open.pop())
