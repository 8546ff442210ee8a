"""One writing process per file: real processes, kills, forks, and systems without locks."""

from __future__ import annotations

import errno
import os
import random
import signal
import subprocess
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

from llmframe.errors import CheckpointError, PlanError
from llmframe.journal import open_checkpoint
from llmframe.journal.shared import leave_to_parent, open_stores
from tests.kits.journal import ROOT, TASK, QuickOps, answer, key, opened, write_answers

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = [
    pytest.mark.usefixtures("folder"),
    pytest.mark.skipif(sys.platform == "win32", reason="signals and forks"),
]

BEGIN = """
import os, sys
from pathlib import Path
from tests.kits.journal import TASK, FAILED, answer, key, opened
from llmframe.journal import open_checkpoint
from llmframe.errors import CheckpointError
folder, where = Path(sys.argv[1]), sys.argv[2]
checkpoint = open_checkpoint(where if where != "True" else True, TASK, folder=folder)
"""
HOLD = """
checkpoint.append(key(0), answer(0))
print(checkpoint.path, flush=True)
sys.stdin.read()
"""
WRITE = """
print(checkpoint.answers, flush=True)
n = checkpoint.answers
while True:
    checkpoint.append(key(n), answer(n))
    os.write(1, b"%d\\n" % n)
    n += 1
"""


@contextmanager
def process(script: str, folder: Path, where: Path | bool = True) -> Iterator[subprocess.Popen]:
    paths = os.pathsep.join([str(ROOT), str(ROOT / "tests")])
    child = subprocess.Popen(
        [sys.executable, "-c", BEGIN + script, folder, str(where)],
        env={**os.environ, "PYTHONPATH": paths},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        yield child
    finally:
        child.kill()
        child.communicate()


def test_while_another_process_writes_the_default_file_a_sibling_is_written(
    folder: Path,
) -> None:
    with process(HOLD, folder) as other:
        held = other.stdout.readline().strip()
        with opened(True, folder) as checkpoint:
            assert checkpoint.path.name == f"{TASK.digest.hex()}.{os.getpid()}.jsonl"
            assert checkpoint.get(key(0)) == answer(0)
            checkpoint.append(key(1), answer(1))
            assert checkpoint.notes == [
                f"{held} is being written by process {other.pid}; this run writes "
                f"{checkpoint.path.name} beside it and reads both. What the other writes from now "
                "on is not seen: rows that both ask are paid twice, and each counts its own cost. "
                "If both fill the same rows, stop one and run it again once the other is done."
            ]
    with opened(True, folder) as checkpoint:
        assert str(checkpoint.path) == held
        assert [checkpoint.get(key(n)) for n in range(2)] == [answer(0), answer(1)]


def test_an_own_path_that_another_process_writes_is_refused_with_its_pid(folder: Path) -> None:
    own = folder.parent / "mine.jsonl"
    with process(HOLD, folder, own) as other:
        other.stdout.readline()
        with pytest.raises(CheckpointError, match=rf"process {other.pid}\b.*checkpoint=False"):
            open_checkpoint(own, TASK, folder=folder)
        with opened(own, folder, read_only=True) as reader:
            assert reader.get(key(0)) == answer(0)
    with opened(own, folder) as checkpoint:
        assert checkpoint.get(key(0)) == answer(0)


def test_no_lock_file_is_left_when_nobody_holds_it(folder: Path) -> None:
    with opened(True, folder) as checkpoint:
        lock = checkpoint.path.with_name(checkpoint.path.name + ".lock")
        assert lock.read_text() == f"{os.getpid()}\n"
    assert not lock.exists()


def test_another_handle_of_the_same_process_does_not_drop_the_lock(folder: Path) -> None:
    with opened(True, folder) as first:
        with opened(True, folder), first.path.open():
            pass
        with process(HOLD, folder) as other:
            assert ".jsonl" in (written := other.stdout.readline())
            assert str(first.path) != written.strip()


def kill_and_resume(folder: Path, rounds: int) -> None:
    chance, kept = random.Random(7), 0
    for kills in range(1, rounds + 1):
        with process(WRITE, folder) as writer:
            assert int(writer.stdout.readline()) == kept
            for _ in range(chance.randrange(1, 400)):
                kept = int(writer.stdout.readline()) + 1
            writer.send_signal(signal.SIGKILL)
            rest = writer.communicate()[0].splitlines()
        numbers = [int(line) for line in rest if line]
        with opened(True, folder, read_only=True) as checkpoint:
            assert checkpoint.damaged < kills  # Linux may cut a killed write at a page's end
            assert checkpoint.answers >= max([kept, *(n + 1 for n in numbers)])
            kept = checkpoint.answers
            assert all(checkpoint.get(key(n)) == answer(n) for n in range(kept))


def test_killed_while_writing_nothing_acknowledged_is_lost(folder: Path) -> None:
    kill_and_resume(folder, rounds=2)


@pytest.mark.slow
def test_killed_thirty_times_nothing_acknowledged_is_lost(folder: Path) -> None:
    kill_and_resume(folder, rounds=30)


FORK = """
checkpoint.append(key(0), answer(0))
if (pid := os.fork()) == 0:
    try:
        checkpoint.append(key(1), answer(1))
    except CheckpointError as error:
        print(error, flush=True)
    print(checkpoint.get(key(0)) == answer(0), checkpoint.flush(), flush=True)
    checkpoint.close()
    with opened(True, folder) as own:
        own.append(key(2), answer(2))
        print(own.path.name, own.get(key(0)) == answer(0), flush=True)
    os._exit(0)
os.waitpid(pid, 0)
checkpoint.append(key(3), answer(3))
checkpoint.close()
print(pid)
"""


def test_a_forked_child_does_not_think_it_holds_the_lock(folder: Path) -> None:
    with process("import warnings; warnings.simplefilter('ignore')" + FORK, folder) as parent:
        refused, reading, own, pid = parent.communicate()[0].splitlines()
    assert "it belongs to the process that this one was forked from" in refused
    assert reading == "True True"
    assert own == f"{TASK.digest.hex()}.{pid}.jsonl True"
    with opened(True, folder) as checkpoint:
        assert [checkpoint.get(key(n)) for n in range(4)] == [answer(0), None, answer(2), answer(3)]


def test_told_that_it_was_forked_a_process_reads_on_but_writes_nothing(folder: Path) -> None:
    own = write_answers(folder.parent / "mine.jsonl", folder, range(1))
    with opened(True, folder) as checkpoint, opened(own, folder, read_only=True) as reader:
        checkpoint.append(key(0), answer(0))
        assert checkpoint.flush(30)
        leave_to_parent()
        assert open_stores() == []
        assert checkpoint.get(key(0)) == reader.get(key(0)) == answer(0)
        with pytest.raises(CheckpointError, match="forked"):
            checkpoint.append(key(1), answer(1))
        assert checkpoint.flush(30)


LIMIT = """
import resource, signal
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
_, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
resource.setrlimit(resource.RLIMIT_FSIZE, (3000, hard))
n = 0
try:
    while True:
        checkpoint.append(key(n), answer(n))
        n += 1
except CheckpointError as error:
    print(n, error, flush=True)
resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))
checkpoint.append(key(999), answer(999))
checkpoint.close()
"""


def test_a_file_that_may_not_grow_keeps_all_that_was_accepted(folder: Path) -> None:
    with process(LIMIT, folder) as writer:
        output = writer.communicate()[0]
        assert writer.returncode == 0
    count = int(output.split()[0])
    assert "File too large" in output
    assert f"{count} answers are in it" in output
    with opened(True, folder) as checkpoint:
        assert all(checkpoint.get(key(n)) == answer(n) for n in [*range(count), 999])
        assert checkpoint.damaged == 1


class NoLocks(QuickOps):
    def lock(self, fd: int) -> bool:
        raise OSError(errno.ENOLCK, "No locks available")


def test_a_folder_without_locks_is_used_and_told(folder: Path) -> None:
    for where in (True, folder.parent / "mine.jsonl"):
        with opened(where, folder, ops=NoLocks()) as checkpoint:
            checkpoint.append(key(1), answer(1))
            assert "has no file locks" in checkpoint.notes[0]


class AllHeld(QuickOps):
    def lock(self, fd: int) -> bool:
        return False


def test_when_every_name_is_held_the_cache_is_taken_or_the_error_says_so(folder: Path) -> None:
    with pytest.raises(PlanError, match="all files of the task are held, the first by another"):
        open_checkpoint(True, TASK, folder=folder, ops=AllHeld())


def test_a_second_name_is_taken_when_the_sibling_is_held_too(folder: Path) -> None:
    class TwoHeld(QuickOps):
        asked = 0

        def lock(self, fd: int) -> bool:
            self.asked += 1
            return self.asked > 2

    with opened(True, folder, ops=TwoHeld()) as checkpoint:
        assert checkpoint.path.name == f"{TASK.digest.hex()}.{os.getpid()}-2.jsonl"
        checkpoint.append(key(1), answer(1))
    with opened(True, folder) as checkpoint:
        assert checkpoint.get(key(1)) == answer(1)


@pytest.mark.parametrize("number", ["EPERM", "EACCES", "EIO", "ESTALE", "ENOTTY", "EINVAL"])
@pytest.mark.parametrize("own", [False, True])
def test_a_drive_that_refuses_locks_in_any_way_is_used_and_told(
    folder: Path, number: str, own: bool
) -> None:
    class Refusing(QuickOps):
        def lock(self, fd: int) -> bool:
            raise OSError(getattr(errno, number), "refused")

    where = folder.parent / "mine.jsonl" if own else True
    for _ in range(2):  # the second time a number stands in the lock file
        with opened(where, folder, ops=Refusing()) as checkpoint:
            checkpoint.append(key(1), answer(1))
            assert "has no file locks" in checkpoint.notes[0]
    assert len([*checkpoint.path.parent.glob("*.jsonl")]) == 1


@pytest.mark.skipif(sys.platform == "win32", reason="no process has number 1 there")
def test_a_lock_that_is_refused_as_forbidden_is_held_where_its_holder_lives(folder: Path) -> None:
    class Forbidding(QuickOps):
        def lock(self, fd: int) -> bool:
            raise PermissionError(errno.EACCES, "Permission denied")

    path = folder.parent / "mine.jsonl"
    path.with_name("mine.jsonl.lock").write_text("1\n")
    with pytest.raises(CheckpointError, match="written by process 1"):
        open_checkpoint(path, TASK, folder=folder, ops=Forbidding())
