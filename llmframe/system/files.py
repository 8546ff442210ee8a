"""The journal's calls to the operating system, in one place, so that a test can fail each."""

from __future__ import annotations

import errno
import os
import stat
import sys
import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

if sys.platform == "win32":  # pragma: no cover
    import msvcrt
else:
    import fcntl

# Some systems cannot bring a folder to the disk; a disk's own failure is not among these.
_NO_FOLDER_SYNC = {
    errno.EACCES,
    errno.EBADF,
    errno.EINVAL,
    errno.EISDIR,
    errno.ENOTSUP,
    errno.EPERM,
}
# Never inherited by a program we start; never through a planted symlink; no newline translation.
_SAFE = (
    getattr(os, "O_CLOEXEC", 0)
    | getattr(os, "O_NOFOLLOW", 0)
    | getattr(os, "O_BINARY", 0)
    | getattr(os, "O_NOINHERIT", 0)
)
READ = os.O_RDONLY | _SAFE
APPEND = os.O_WRONLY | os.O_APPEND | os.O_CREAT | _SAFE
UPDATE = os.O_RDWR | os.O_CREAT | _SAFE
NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | _SAFE


DELETES_CLOSED_FILES = sys.platform == "win32"  # and no file that any process has open

# How a lock that another process holds is refused.
_HELD = (BlockingIOError, PermissionError) if sys.platform == "win32" else BlockingIOError


class FileOps:
    """The operating system's calls; raises OSError as they do."""

    def open(self, path: Path, flags: int) -> int:
        """Open; a new file is for its owner only."""
        return os.open(path, flags, 0o600)

    def mkdir(self, path: Path) -> None:
        """Make one folder, for its owner only; fine if it is there already."""
        path.mkdir(mode=0o700, exist_ok=True)

    def write(self, fd: int, data: bytes | memoryview) -> int:
        """How many bytes were written; may be fewer than given."""
        return os.write(fd, data)

    def end_of_write(self, fd: int) -> int:
        """The file offset behind the last write on an appending fd."""
        return os.lseek(fd, 0, os.SEEK_CUR)

    def read_at(self, fd: int, size: int, offset: int) -> bytes:
        """At most size bytes from offset; empty at the end of the file."""
        if sys.platform == "win32":  # pragma: no cover - it has no pread
            with _SEEKING:
                os.lseek(fd, offset, os.SEEK_SET)
                return os.read(fd, size)
        else:
            return os.pread(fd, size, offset)

    def fsync(self, fd: int) -> None:
        """All that was written reaches the disk before this returns."""
        os.fsync(fd)

    def remove(self, path: Path) -> None:
        """Delete a file (only ever a lock file)."""
        path.unlink()

    def truncate(self, fd: int) -> None:
        """Empty a file (only ever a lock file)."""
        os.ftruncate(fd, 0)

    def close(self, fd: int) -> None:
        """Close."""
        os.close(fd)

    def lock(self, fd: int) -> bool:
        """Take the file's lock without waiting; False if another process has it."""
        try:
            if sys.platform == "win32":  # pragma: no cover
                # far behind the text: a locked byte cannot be read by the others
                os.lseek(fd, 1 << 30, os.SEEK_SET)
                msvcrt.locking(fd, msvcrt.LK_NBLCK, 1)
            else:
                fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except _HELD:
            return False
        return True

    def size(self, fd: int) -> int:
        """Bytes of an open file."""
        return os.fstat(fd).st_size

    def is_at(self, fd: int, path: Path) -> bool:
        """Whether the open file is still the one that stands at path."""
        try:
            return os.path.samestat(os.fstat(fd), path.stat())
        except FileNotFoundError:
            return False


_SEEKING = threading.Lock()
SYSTEM = FileOps()


def write_all(fd: int, data: bytes, ops: FileOps) -> None:
    """Write everything, in one call where the system can. Raises OSError."""
    left = memoryview(data)
    while left:
        if not (count := ops.write(fd, left)):
            raise OSError(errno.EIO, "the system wrote nothing")
        left = left[count:]


def sync_folder(folder: Path, ops: FileOps) -> None:
    """Bring a folder's list of names to the disk, where the system can. Raises OSError."""
    try:
        fd = ops.open(folder, READ)
    except OSError as exc:
        if exc.errno in _NO_FOLDER_SYNC:
            return
        raise
    try:
        ops.fsync(fd)
    except OSError as exc:
        if exc.errno not in _NO_FOLDER_SYNC:
            raise
    finally:
        ops.close(fd)


def is_odd_file(path: Path) -> bool:
    """Whether something that is not a regular file (a folder, a pipe, a device) is at path."""
    return path.exists() and not stat.S_ISREG(path.stat().st_mode)
