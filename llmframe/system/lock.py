"""One writing process per journal file, kept by a lock that dies with its process.

The lock is on ``<file>.lock`` next to the journal, which is never replaced or deleted, and not on
the journal itself: on POSIX, closing any handle of a file may drop its locks.
"""

from __future__ import annotations

import errno
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

from llmframe.system.files import UPDATE, FileOps

if TYPE_CHECKING:
    from pathlib import Path

_NO_LOCKS_HERE = {errno.EINVAL, errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP, errno.ENOTSUP}


class LockHeldError(Exception):
    """Another process writes this file. pid: its number, None if it is unknown."""

    def __init__(self, path: Path, pid: int | None) -> None:
        super().__init__(f"{path} is held by process {pid}")
        self.path = path
        self.pid = pid

    @property
    def holder(self) -> str:
        """The other process in words."""
        return "another process" if self.pid is None else f"process {self.pid}"


@dataclass(frozen=True, slots=True)
class FileLock:
    """A lock that this process holds.

    sure: False where the folder knows no locks, as some mounted drives do.
    """

    fd: int
    sure: bool


def take_lock(path: Path, ops: FileOps) -> FileLock:
    """Lock the journal at path, without waiting.

    Raises LockHeldError if another process has it, OSError if the lock file cannot be made.
    """
    fd = ops.open(path.with_name(path.name + ".lock"), UPDATE)
    try:
        sure = _lock(path, fd, ops)
        ops.truncate(fd)
        ops.write(fd, b"%d\n" % os.getpid())
    except BaseException:
        ops.close(fd)
        raise
    return FileLock(fd, sure)


def _lock(path: Path, fd: int, ops: FileOps) -> bool:
    """Whether the file is locked now; False where the folder knows no locks."""
    try:
        free = ops.lock(fd)
    except OSError as exc:
        if exc.errno in _NO_LOCKS_HERE:
            return False
        raise
    if not free:
        digits = ops.read_at(fd, 20, 0).strip()  # its holder has written its number
        raise LockHeldError(path, int(digits) if digits.isdigit() else None)
    return True
