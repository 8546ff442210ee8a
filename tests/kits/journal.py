"""What the journal's tests share: tasks, keys, answers, and files that fail on purpose."""

from __future__ import annotations

import errno
import os
import stat
from contextlib import contextmanager
from hashlib import blake2b
from pathlib import Path
from typing import TYPE_CHECKING, Any

import llmframe.journal
from llmframe.journal import Checkpoint, TaskInfo, open_checkpoint
from llmframe.results import Failure, RowResult, Usage
from llmframe.system.files import FileOps

if TYPE_CHECKING:
    from collections.abc import Iterator

TASK = TaskInfo(bytes(range(16)), {"model": "m", "instructions": "Tag it."})
OTHER_TASK = TaskInfo(bytes(range(16, 32)), {"model": "m", "instructions": "Tag it well."})
FAILED = RowResult("failed", None, Failure("server", "500 for: my secret row"), attempts=5)
ROOT = Path(llmframe.journal.__file__).parents[2]  # so that child processes import the same


def key(n: int) -> bytes:
    return blake2b(b"%d" % n, digest_size=16).digest()


def answer(n: int) -> RowResult:
    values = {"intent": "退款" if n % 2 else "refund", "note": f'line {n}\n"quoted"', "n": n}
    return RowResult("ok", values, attempts=1, usage=Usage(10 + n, 3, 0.25))


@contextmanager
def opened(where: Any, folder: Path, task: TaskInfo = TASK, **options: Any) -> Iterator[Checkpoint]:
    checkpoint = open_checkpoint(where, task, folder=folder, **options)
    assert checkpoint is not None
    try:
        yield checkpoint
    finally:
        checkpoint.close()


def write_answers(where: Any, folder: Path, numbers: range, task: TaskInfo = TASK) -> Path:
    with opened(where, folder, task) as checkpoint:
        for n in numbers:
            checkpoint.append(key(n), answer(n))
        return checkpoint.path


def mode(path: Path) -> int:
    """Who may read and write a file."""
    return stat.S_IMODE(path.stat().st_mode)


class QuickOps(FileOps):
    """Does not wait for the disk, for tests that open hundreds of files."""

    def fsync(self, fd: int) -> None:
        pass


class ShortWrites(FileOps):
    """A system that writes a few bytes at a time."""

    def write(self, fd: int, data: bytes | memoryview) -> int:
        return os.write(fd, data[:7])


class FailingOps(QuickOps):
    """Fails the nth call (from 1) of one operation; ``broken`` fails every call."""

    def __init__(self, operation: str, nth: int = 0, error: int = errno.EIO) -> None:
        self.operation = operation
        self.nth = nth
        self.error = error
        self.calls = 0
        self.broken = False

    def fail(self) -> None:
        self.calls += 1
        if self.broken or self.calls == self.nth:
            raise OSError(self.error, os.strerror(self.error))


def _failing(name: str) -> Any:
    def call(self: FailingOps, *arguments: Any) -> Any:
        if self.operation == name:
            self.fail()
        return getattr(QuickOps, name)(self, *arguments)

    return call


OPERATIONS = [name for name in vars(FileOps) if not name.startswith("_")]
for _name in OPERATIONS:
    setattr(FailingOps, _name, _failing(_name))


def _close(self: FailingOps, fd: int) -> None:
    QuickOps.close(self, fd)  # the system gives the fd back even if it reports an error
    if self.operation == "close":
        self.fail()


FailingOps.close = _close  # type: ignore[method-assign]
