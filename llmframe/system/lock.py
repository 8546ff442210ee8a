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

# A refusal that is about the one lock, and not about all locks on this drive.
_HELD_PERHAPS = errno.EACCES


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
        # Mounted drives refuse locks in many ways; where the drive itself fails, so will the
        # first write. Emulated locks are held by whoever has written its number, if it lives.
        if exc.errno != _HELD_PERHAPS or not _is_another(_holder(fd, ops)):
            return False
        free = False
    if not free:
        raise LockHeldError(path, _holder(fd, ops))
    return True


def _holder(fd: int, ops: FileOps) -> int | None:
    """The process that has written its number into a lock file."""
    digits = ops.read_at(fd, 20, 0).strip()
    return int(digits) if digits.isdigit() else None


def _is_another(pid: int | None) -> bool:
    """Whether this is the number of another process that lives on this machine."""
    if not pid or pid == os.getpid():
        return False
    try:
        os.kill(pid, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except OSError:  # another user's
        return True
    return True
