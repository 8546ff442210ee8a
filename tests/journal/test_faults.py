"""The system refuses: every operation fails once, at every place, and nothing kept is lost."""

from __future__ import annotations

import errno
import os
import threading
from pathlib import Path

import pytest

from llmframe.errors import CheckpointError, PlanError
from llmframe.journal import open_checkpoint
from tests.kits.journal import (
    OPERATIONS,
    TASK,
    FailingOps,
    QuickOps,
    answer,
    key,
    opened,
    write_answers,
)

pytestmark = pytest.mark.usefixtures("folder")


def run_under_faults(where: bool | Path, folder: Path, ops: FailingOps) -> list[int]:
    """Try to keep rows 3 to 5; those that were accepted."""
    accepted = []
    try:
        checkpoint = open_checkpoint(where, TASK, folder=folder, ops=ops)
    except (PlanError, CheckpointError):
        return accepted
    assert checkpoint is not None
    for n in range(3, 6):
        try:
            checkpoint.append(key(n), answer(n), id=n)
            accepted.append(n)
            assert checkpoint.get(key(n)) in (answer(n), None)
            checkpoint.has_id(key(n), n)
        except CheckpointError:
            continue
    checkpoint.flush(30)
    checkpoint.close()
    return accepted


def open_files() -> int:
    """How many files this process has open; 0 where the system does not show it."""
    return len(list(Path("/proc/self/fd").iterdir())) if Path("/proc/self/fd").exists() else 0


@pytest.mark.parametrize("kind", ["default", "own"])
@pytest.mark.parametrize("fresh", [True, False], ids=["fresh", "resumed"])
@pytest.mark.parametrize("operation", OPERATIONS)
def test_the_nth_failure_of_any_operation_loses_nothing_kept(
    tmp_path: Path, operation: str, kind: str, fresh: bool
) -> None:
    for nth in range(1, 40):
        folder = tmp_path / f"{nth}" / ".llmframe"
        where = True if kind == "default" else tmp_path / f"{nth}" / "own" / "file.jsonl"
        before = b""
        if not fresh:
            path = write_answers(where, folder, range(3))
            before = path.read_bytes()
        open_before = open_files()
        ops = FailingOps(operation, nth)
        accepted = run_under_faults(where, folder, ops)
        assert open_files() == open_before
        if not fresh:
            assert path.read_bytes().startswith(before)
        with opened(where, folder, ops=QuickOps()) as checkpoint:
            for n in [*([] if fresh else range(3)), *accepted]:
                assert checkpoint.get(key(n)) == answer(n), (operation, nth, n)
        if ops.calls < nth:
            return
    pytest.fail("the loop did not reach the last call")


def test_a_full_disk_is_reported_and_a_row_after_it_is_whole(folder: Path) -> None:
    class FullDisk(QuickOps):
        full = False

        def write(self, fd: int, data: bytes | memoryview) -> int:
            if not self.full:
                return super().write(fd, data)
            if len(data) > 50:
                return super().write(fd, data[:50])
            raise OSError(errno.ENOSPC, "No space left on device")

    ops = FullDisk()
    with opened(True, folder, ops=ops) as checkpoint:
        checkpoint.append(key(1), answer(1))
        ops.full = True
        with pytest.raises(CheckpointError, match=r"No space left.*1 answers are in it") as caught:
            checkpoint.append(key(2), answer(2))
        assert str(checkpoint.path) in str(caught.value)
        assert not checkpoint.durable
        ops.full = False
        checkpoint.append(key(3), answer(3))
        assert checkpoint.get(key(3)) == answer(3)
        assert checkpoint.get(key(2)) is None
        with opened(True, folder) as second:
            assert second.durable
            assert second.damaged == 1
    with opened(True, folder) as again:
        assert [again.get(key(n)) for n in (1, 2, 3)] == [answer(1), None, answer(3)]
        assert again.damaged == 1


def test_a_system_that_writes_nothing_is_an_error_not_a_hang(folder: Path) -> None:
    class Nothing(QuickOps):
        def write(self, fd: int, data: bytes | memoryview) -> int:
            return super().write(fd, data) if len(data) < 20 else 0

    with (
        opened(True, folder, ops=Nothing()) as checkpoint,
        pytest.raises(CheckpointError, match="wrote nothing"),
    ):
        checkpoint.append(key(1), answer(1))


def test_a_failed_fsync_reaches_every_run_that_listens(folder: Path) -> None:
    ops = FailingOps("fsync")
    with opened(True, folder, ops=ops) as first, opened(True, folder, ops=ops) as second:
        reported: list[CheckpointError] = []
        came = threading.Event()
        first.on_error(reported.append)
        second.on_error(reported.append)
        second.on_error(lambda _: came.set())
        ops.broken = True
        first.append(key(1), answer(1))
        assert came.wait(30)
        assert not first.flush(30)
        assert not first.durable
        assert not second.durable
        assert [str(error) for error in reported] == [str(reported[0])] * 2
        assert "Input/output error" in str(reported[0])
        assert first.get(key(1)) == answer(1)


def test_a_listener_that_raises_does_not_stop_the_saving(
    folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    def closed_loop(_: CheckpointError) -> None:
        raise RuntimeError("Event loop is closed")

    ops = FailingOps("fsync")
    reported: list[CheckpointError] = []
    with opened(True, folder, ops=ops) as checkpoint:
        checkpoint.on_error(closed_loop)
        checkpoint.on_error(reported.append)
        ops.broken = True
        checkpoint.append(key(1), answer(1))
        checkpoint.flush(30)
        checkpoint.append(key(2), answer(2))
        checkpoint.flush(30)
    assert "Event loop is closed" in caplog.text
    assert len(reported) == 2


@pytest.mark.parametrize("replaced", [False, True])
def test_a_file_deleted_or_replaced_under_a_run_is_reported(folder: Path, replaced: bool) -> None:
    reported: list[CheckpointError] = []
    with opened(True, folder, ops=QuickOps()) as checkpoint:
        checkpoint.on_error(reported.append)
        checkpoint.path.unlink()
        if replaced:
            checkpoint.path.write_bytes(b"")
        checkpoint.append(key(1), answer(1))
        checkpoint.flush(30)
    assert "deleted or replaced" in str(reported[0])


@pytest.mark.parametrize("left", [0, 100])
@pytest.mark.parametrize("goes_on", [False, True])
def test_a_file_that_is_cut_off_under_a_run_is_reported(
    folder: Path, left: int, goes_on: bool
) -> None:
    reported: list[CheckpointError] = []
    with opened(True, folder, ops=QuickOps()) as checkpoint:
        checkpoint.on_error(reported.append)
        for n in range(5):
            checkpoint.append(key(n), answer(n))
        os.truncate(checkpoint.path, left)
        if goes_on:
            with pytest.raises(CheckpointError, match="was cut off by another program while"):
                checkpoint.append(key(9), answer(9))
        checkpoint.flush(30)
    if not goes_on:
        assert "was cut off by another program" in str(reported[0])
    with opened(True, folder) as checkpoint:  # what is left is good to go on with
        checkpoint.append(key(7), answer(7))
    with opened(True, folder) as checkpoint:
        assert checkpoint.get(key(7)) == answer(7)


def test_a_drive_that_numbers_its_files_anew_is_not_taken_for_a_deletion(folder: Path) -> None:
    class NewNumbers(QuickOps):
        def is_at(self, fd: int, path: Path) -> bool:
            return False

    ops = NewNumbers()
    with opened(True, folder, ops=ops) as first, opened(True, folder, ops=ops) as second:
        first.append(key(1), answer(1))
        assert second.path == first.path
        assert first.flush(30)
        assert first.durable


def test_after_a_deletion_a_new_run_begins_a_new_file(folder: Path) -> None:
    with opened(True, folder) as old:
        old.append(key(1), answer(1))
        old.path.unlink()
        with opened(True, folder) as new:
            assert new.get(key(1)) is None
            new.append(key(2), answer(2))
    with opened(True, folder) as again:
        assert again.get(key(2)) == answer(2)


def test_a_disk_that_cannot_be_read_is_an_error_and_buys_nothing(folder: Path) -> None:
    write_answers(True, folder, range(2))
    ops = FailingOps("read_at")
    with opened(True, folder, ops=ops) as checkpoint:
        ops.broken = True
        with pytest.raises(CheckpointError, match="cannot read"):
            checkpoint.get(key(1))
        with pytest.raises(CheckpointError, match="cannot read"):
            checkpoint.has_id(key(1), 1)
        with pytest.raises(CheckpointError, match="cannot read"):
            checkpoint.load_ids()


@pytest.mark.parametrize("error", [errno.EINVAL, errno.EACCES])
@pytest.mark.parametrize("operation", ["open", "fsync"])
def test_a_system_that_cannot_sync_folders_is_no_obstacle(
    folder: Path, operation: str, error: int
) -> None:
    class NoFolderSync(QuickOps):
        def open(self, path: Path, flags: int) -> int:
            if operation == "open" and path.is_dir():
                raise OSError(error, "not here")
            return super().open(path, flags)

        def fsync(self, fd: int) -> None:
            raise OSError(error, "not here")

    with opened(True, folder, ops=NoFolderSync()) as checkpoint:
        assert checkpoint.path.parent == folder


def test_without_a_thread_to_spare_nothing_stays_open(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", refuse)
        with pytest.raises(RuntimeError):
            open_checkpoint(True, TASK, folder=folder)
    write_answers(True, folder, range(1))
