"""The lock's file: gone when nobody holds it, and never held by two, whoever deletes it when."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from llmframe.system import lock as locks
from llmframe.system.files import FileOps
from llmframe.system.lock import LockHeldError, release_lock, take_lock
from tests.kits.journal import ROOT

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="signals, and open files stay")

# Who holds the lock makes a file that must not be there, and deletes it before it lets go.
TAKING = """
import os, sys, time
from pathlib import Path
from llmframe.system.files import FileOps
from llmframe.system.lock import LockHeldError, release_lock, take_lock
path, ops, taken = Path(sys.argv[1]), FileOps(), 0
inside = path.with_name("inside")
end = time.monotonic() + float(sys.argv[2])
while time.monotonic() < end:
    try:
        lock = take_lock(path, ops)
    except LockHeldError:
        continue
    os.close(os.open(inside, os.O_CREAT | os.O_EXCL))
    taken += 1
    inside.unlink()
    release_lock(lock, ops)
print(taken)
"""
HOLDING = """
import sys
from pathlib import Path
from llmframe.system.files import FileOps
from llmframe.system.lock import take_lock
lock = take_lock(Path(sys.argv[1]), FileOps())
print("held", flush=True)
sys.stdin.read()
"""


def started(script: str, path: Path, *more: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", script, str(path), *more],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "rows.jsonl"


def test_it_is_gone_when_nobody_holds_it(path: Path) -> None:
    lock = take_lock(path, FileOps())
    assert lock.path.read_text() == f"{os.getpid()}\n"
    release_lock(lock, FileOps())
    assert list(path.parent.iterdir()) == []


def test_four_processes_that_take_and_delete_it_never_hold_it_together(path: Path) -> None:
    running = [started(TAKING, path, "3") for _ in range(4)]
    results = [process.communicate(timeout=60) for process in running]
    assert [errors for _, errors in results] == [""] * 4
    assert all(int(printed) > 0 for printed, _ in results)
    assert list(path.parent.iterdir()) == []


def test_after_a_kill_it_is_free_and_the_next_holder_deletes_it(path: Path) -> None:
    with started(HOLDING, path) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        with pytest.raises(LockHeldError, match=f"process {process.pid}"):
            take_lock(path, FileOps())
        process.send_signal(signal.SIGKILL)
        process.wait()
    release_lock(take_lock(path, FileOps()), FileOps())
    assert list(path.parent.iterdir()) == []


class Deleting(FileOps):
    """Another process deletes the file between our opening and our locking, so many times."""

    def __init__(self, path: Path, times: int) -> None:
        self.path, self.times = path, times

    def lock(self, fd: int) -> bool:
        if self.times:
            self.times -= 1
            self.path.unlink()
        return super().lock(fd)


def test_a_file_that_was_deleted_just_before_it_was_locked_is_not_held(path: Path) -> None:
    file = path.with_name("rows.jsonl.lock")
    lock = take_lock(path, Deleting(file, 3))
    assert os.path.samestat(os.fstat(lock.fd), file.stat())
    with pytest.raises(LockHeldError):
        take_lock(path, FileOps())
    release_lock(lock, FileOps())


def test_a_file_of_somebody_else_at_its_path_is_left(path: Path) -> None:
    lock = take_lock(path, FileOps())
    lock.path.unlink()
    other = take_lock(path, FileOps())
    release_lock(lock, FileOps())
    assert other.path.exists()
    release_lock(other, FileOps())


class Renumbering(FileOps):
    """A drive on which no open file is ever the one at its path."""

    def is_at(self, fd: int, path: Path) -> bool:
        return False


def test_a_drive_that_numbers_its_files_anew_is_used_and_keeps_the_file(path: Path) -> None:
    lock = take_lock(path, Renumbering())
    with pytest.raises(LockHeldError):
        take_lock(path, FileOps())
    release_lock(lock, Renumbering())
    assert lock.path.exists()


class Keeping(FileOps):
    """A folder in which nothing may be deleted while it is open, as on Windows."""

    def __init__(self) -> None:
        self.is_open = True

    def remove(self, path: Path) -> None:
        if self.is_open:
            raise PermissionError(13, "it is open")
        super().remove(path)

    def close(self, fd: int) -> None:
        self.is_open = False
        super().close(fd)


def test_where_open_files_stay_it_is_deleted_once_it_is_closed(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(locks, "DELETES_CLOSED_FILES", True)
    release_lock(take_lock(path, FileOps()), Keeping())
    assert list(path.parent.iterdir()) == []


def test_a_file_that_cannot_be_deleted_stays_and_is_no_error(path: Path) -> None:
    lock = take_lock(path, FileOps())
    release_lock(lock, Keeping())
    assert lock.path.exists()
    release_lock(take_lock(path, FileOps()), FileOps())
