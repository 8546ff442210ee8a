"""One writing process per journal file, kept by a lock that dies with its process.

The lock is on ``<file>.lock`` next to the journal, and not on the journal itself: on POSIX,
closing any handle of a file may drop its locks. It stands beside the journal, because whoever may
write the one must meet the other, from another machine or as another user too. It is deleted by
its holder alone, while it is held; and whoever locks a file that no longer stands at its path,
because its holder deleted it a moment before, begins again. So two processes never hold what
stands there. After a kill the file stays until the next run of the same journal ends.
"""

from __future__ import annotations

import contextlib
import errno
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

from llmframe.system.files import DELETES_CLOSED_FILES, UPDATE, FileOps

if TYPE_CHECKING:
    from pathlib import Path

# A refusal that is about the one lock, and not about all locks on this drive.
_HELD_PERHAPS = errno.EACCES
# Times to begin again; a drive that numbers its files anew never shows the one that was opened.
_TRIES = 20


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

    path: of its file. sure: False where the folder knows no locks, as some mounted drives do.
    """

    fd: int
    path: Path
    sure: bool


def take_lock(path: Path, ops: FileOps) -> FileLock:
    """Lock the journal at path, without waiting.

    Raises LockHeldError if another process has it, OSError if the lock file cannot be made.
    """
    file = path.with_name(path.name + ".lock")
    for left in reversed(range(_TRIES)):
        fd = ops.open(file, UPDATE)
        try:
            sure = _lock(path, fd, ops)
            if ops.is_at(fd, file) or not left:
                ops.truncate(fd)
                ops.write(fd, b"%d\n" % os.getpid())
                return FileLock(fd, file, sure)
        except BaseException:
            ops.close(fd)
            raise
        ops.close(fd)  # its holder deleted it between the two steps above
    raise AssertionError  # the last try returns or raises


def release_lock(lock: FileLock, ops: FileOps) -> None:
    """Delete the lock's file and release the lock. A file that cannot be deleted stays."""
    is_deleted = False
    with contextlib.suppress(OSError):
        if ops.is_at(lock.fd, lock.path):  # else somebody has deleted it: another one's, if any
            ops.remove(lock.path)
            is_deleted = True
    with contextlib.suppress(OSError):  # the system gives the fd back even if it reports an error
        ops.close(lock.fd)
    if not is_deleted and DELETES_CLOSED_FILES:
        with contextlib.suppress(OSError):  # one that another process has opened stays
            ops.remove(lock.path)


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
