"""A file is replaced whole or not at all, whatever happens while it is written."""

from __future__ import annotations

import errno
import os
import secrets
import sys
import time
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from llmframe.errors import LLMFrameError
from llmframe.system.files import SYSTEM, sync_folder

if TYPE_CHECKING:
    from collections.abc import Iterator

SUFFIX = ".llmframe-tmp"
STALE = 60.0  # seconds without a write, after which an unlocked temporary file is a dead one's
ATTEMPTS = 20  # to replace a file that another program holds open (Windows)
PAUSE = 0.1  # seconds between them

_NEW = (
    os.O_WRONLY
    | os.O_CREAT
    | os.O_EXCL
    | getattr(os, "O_CLOEXEC", 0)
    | getattr(os, "O_BINARY", 0)
    | getattr(os, "O_NOINHERIT", 0)
)
_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}


@contextmanager
def replacing(path: Path) -> Iterator[BinaryIO]:
    """A new file that replaces path when the block has ended without an error.

    Raises LLMFrameError, and leaves path as it was, if the operating system refuses.
    """
    target = path.resolve()  # a symbolic link stays one
    had = target.exists()
    try:
        with _temporary(target) as handle:
            yield handle
    except OSError as exc:
        raise LLMFrameError(_refused(exc, path, had=had)) from exc
    try:
        sync_folder(target.parent, SYSTEM)
    except OSError as exc:
        raise LLMFrameError(
            f"{path} is written and in its place, but the disk does not confirm it "
            f"({exc.strerror or exc}). Look at the disk, and export again"
        ) from exc


@contextmanager
def _temporary(target: Path) -> Iterator[BinaryIO]:
    """A file next to target, which replaces it once all of it is on the disk."""
    _remove_dead(target.parent)
    name = f".{target.name[:40]}.{os.getpid()}-{secrets.token_hex(4)}{SUFFIX}"
    temporary = target.with_name(name)
    fd = os.open(temporary, _NEW, 0o666)  # the umask has its say, as usual
    try:
        with os.fdopen(fd, "wb") as handle:
            if sys.platform != "win32":
                # the system unlocks it when the process dies, and so _remove_dead knows it
                with suppress(OSError):  # a file system without locks: its leftovers stay
                    SYSTEM.lock(fd)
            yield handle
            handle.flush()
            if target.exists() and hasattr(os, "fchmod"):  # who may read it stays
                with suppress(PermissionError):
                    os.fchmod(fd, target.stat().st_mode & 0o777)
            os.fsync(fd)
            if sys.platform == "win32":  # pragma: no cover - no open file is renamed there
                handle.close()
            _replace(temporary, target)
    except BaseException:
        with suppress(OSError):  # the first error is the one to raise
            temporary.unlink(missing_ok=True)
        raise


def _replace(temporary: Path, target: Path) -> None:
    for _ in range(ATTEMPTS - 1):
        with suppress(PermissionError):
            temporary.replace(target)
            return
        time.sleep(PAUSE)
    temporary.replace(target)


def _remove_dead(folder: Path) -> None:
    """Remove what killed exports have left in the folder."""
    if sys.platform == "win32":  # pragma: no cover - a lock there is no proof of life
        return
    for leftover in folder.glob(f".*{SUFFIX}"):
        with suppress(OSError):
            if time.time() - leftover.stat().st_mtime > STALE:
                fd = os.open(leftover, os.O_RDWR | getattr(os, "O_NOFOLLOW", 0))
                try:
                    if SYSTEM.lock(fd):  # else the process that writes it is alive
                        leftover.unlink()
                finally:
                    os.close(fd)


def _refused(exc: OSError, path: Path, *, had: bool) -> str:
    """What happened, what is safe, what to do now."""
    reason = exc.strerror or str(exc)
    if exc.errno in _FULL:
        what, cure = f"there is no room for {path} ({reason})", "Make room"
    elif isinstance(exc, PermissionError):
        what = f"{path} cannot be replaced: another program, such as Excel, may have it open"
        cure = "Close it there"
    else:
        what, cure = f"{path} could not be written: {reason}", "Look at the disk"
    safe = "The file that was there is whole, and so" if had else "The frame"
    safe = f"{safe} is the frame" if had else f"{safe} is unharmed and no half file is left"
    return f"{what}. {safe}. {cure} or give another path, and export again"
