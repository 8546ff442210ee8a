"""The checkpoint as a run uses it."""

from __future__ import annotations

import json
import threading
from pathlib import Path

import pytest

from llmframe.errors import CheckpointError, OutputError
from llmframe.journal import TaskInfo, open_checkpoint
from llmframe.journal.shared import flush_all
from llmframe.results import Failure, RowResult
from tests.kits.journal import (
    FAILED,
    OTHER_TASK,
    TASK,
    QuickOps,
    ShortWrites,
    answer,
    key,
    opened,
    write_answers,
)

pytestmark = pytest.mark.usefixtures("folder")


def file_lines(path: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in path.read_text("utf-8").splitlines()]


def test_false_means_no_checkpoint() -> None:
    assert open_checkpoint(False, TASK) is None


def test_an_answer_is_there_again_after_reopening(folder: Path) -> None:
    write_answers(True, folder, range(2))
    with opened(True, folder) as checkpoint:
        assert [checkpoint.get(key(n)) for n in range(3)] == [answer(0), answer(1), None]
        assert checkpoint.answers == 2
        assert checkpoint.notes == []


def test_an_answer_can_be_read_at_once_by_a_second_run_of_the_process(folder: Path) -> None:
    with opened(True, folder) as first, opened(True, folder) as second:
        first.append(key(1), answer(1))
        assert second.get(key(1)) == answer(1)
        assert second.path == first.path


def test_the_file_stays_open_until_its_last_user_closes(folder: Path) -> None:
    with opened(True, folder) as first:
        with opened(True, folder):
            pass
        first.append(key(1), answer(1))
        first.close()
        first.close()
    with opened(True, folder) as again:
        assert again.get(key(1)) == answer(1)


def test_a_line_is_json_with_the_key_first_and_readable_text(folder: Path) -> None:
    path = write_answers(True, folder, range(1, 2))
    task, row = file_lines(path)
    assert list(task) == ["k", "c", "task", "settings", "format", "t"]
    assert task["settings"] == TASK.settings
    assert list(row) == ["k", "c", "task", "v", "usage", "n", "t"]
    assert row["k"] == key(1).hex()
    assert row["task"] == TASK.short
    assert row["usage"] == {"in": 11, "out": 3, "cost": 0.25}
    assert "退款" in path.read_text("utf-8")


def test_a_failed_row_is_kept_but_is_no_answer(folder: Path) -> None:
    with opened(True, folder) as checkpoint:
        refused = Failure("server", "my secret row", status=500, code="overloaded")
        checkpoint.append(key(1), RowResult("failed", None, refused), id="a")
        odd = Failure("server", "my secret row", code="bad code: my secret row")
        checkpoint.append(key(2), RowResult("failed", None, odd))
        checkpoint.append(key(3), FAILED)
        assert checkpoint.get(key(1)) is None
    _, first, second, third = file_lines(checkpoint.path)
    assert third["e"] == {"kind": "server"}
    assert first["e"] == {"kind": "server", "status": 500, "code": "overloaded"}
    assert second["e"] == {"kind": "server"}
    assert "secret" not in checkpoint.path.read_text()


def test_an_answer_beats_a_failure_and_a_later_answer_an_earlier_one(folder: Path) -> None:
    with opened(True, folder) as checkpoint:
        checkpoint.append(key(1), answer(1))
        checkpoint.append(key(1), FAILED)
        checkpoint.append(key(2), answer(2))
        checkpoint.append(key(2), answer(3))
    with opened(True, folder) as again:
        assert again.get(key(1)) == answer(1)
        assert again.get(key(2)) == answer(3)


def test_how_sure_an_answer_is_comes_back_with_it(folder: Path) -> None:
    sure = RowResult("ok", {"intent": "refund"}, confidence={"intent": 0.75})
    path = folder.parent / "rows.jsonl"
    with opened(path, folder) as checkpoint:
        checkpoint.append(key(1), sure, id=7)
        checkpoint.append(key(2), answer(2))
    with opened(path, folder) as again:
        assert again.get(key(1)) == sure
        assert again.get(key(2)) == answer(2)
        assert again.has_id(key(1), 7)


def test_the_row_text_is_kept_only_when_it_is_given(folder: Path) -> None:
    with opened(True, folder) as checkpoint:
        checkpoint.append(key(1), answer(1), text="my row")
    assert file_lines(checkpoint.path)[1]["text"] == "my row"


def test_each_task_of_a_file_has_one_task_line_and_earlier_bytes_stay(folder: Path) -> None:
    path = folder.parent / "mine.jsonl"
    write_answers(path, folder, range(2))
    before = path.read_bytes()
    write_answers(path, folder, range(2, 4), OTHER_TASK)
    write_answers(path, folder, range(4, 6), OTHER_TASK)
    assert path.read_bytes().startswith(before)
    assert [line["task"] for line in file_lines(path) if "settings" in line] == [
        TASK.short,
        OTHER_TASK.short,
    ]
    with opened(path, folder) as checkpoint:
        assert checkpoint.get(key(1)) == answer(1)


def test_nothing_is_written_for_a_task_without_rows(folder: Path) -> None:
    with opened(True, folder) as checkpoint:
        assert checkpoint.path.read_bytes() == b""


def test_settings_that_are_no_json_are_refused_at_once(folder: Path) -> None:
    with pytest.raises(TypeError):
        open_checkpoint(True, TaskInfo(TASK.digest, {"model": object()}), folder=folder)


def test_a_long_answer_comes_back_whole(folder: Path) -> None:
    long = RowResult("ok", {"text": "长" * 2_000_000})
    with opened(True, folder) as checkpoint:
        checkpoint.append(key(1), long)
        checkpoint.append(key(2), answer(2))
    with opened(True, folder) as again:
        assert again.get(key(1)) == long
        assert again.get(key(2)) == answer(2)


@pytest.mark.parametrize(
    "value", [object(), 10**5000, float("nan")], ids=["object", "huge int", "NaN"]
)
def test_values_that_are_no_json_fail_their_row_and_write_nothing(
    folder: Path, value: object
) -> None:
    with opened(True, folder) as checkpoint:
        with pytest.raises(OutputError, match="cannot be stored as JSON"):
            checkpoint.append(key(1), RowResult("ok", {"x": value}))
        assert checkpoint.path.read_bytes() == b""
        assert checkpoint.durable


def test_short_writes_still_make_whole_lines(folder: Path) -> None:
    with opened(True, folder, ops=ShortWrites()) as checkpoint:
        checkpoint.append(key(1), answer(1))
        checkpoint.append(key(2), answer(2))
        assert checkpoint.get(key(2)) == answer(2)
    assert len(file_lines(checkpoint.path)) == 3


def test_two_threads_append_whole_lines(folder: Path) -> None:
    with opened(True, folder, ops=QuickOps()) as checkpoint:

        def append(numbers: range) -> None:
            for n in numbers:
                checkpoint.append(key(n), answer(n))

        threads = [threading.Thread(target=append, args=(range(i, 1000, 2),)) for i in range(2)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert all(checkpoint.get(key(n)) == answer(n) for n in range(1000))
    assert len(file_lines(checkpoint.path)) == 1001


def test_flush_returns_when_all_is_on_the_disk(folder: Path) -> None:
    synced = []

    class Watching(QuickOps):
        def fsync(self, fd: int) -> None:
            synced.append(fd)

    with opened(True, folder, ops=Watching()) as checkpoint:
        before = len(synced)  # the folders
        checkpoint.append(key(1), answer(1))
        assert checkpoint.flush(timeout=30)
        assert len(synced) == before + 1
        assert checkpoint.flush(timeout=30)
        assert len(synced) == before + 1


def test_a_line_reaches_the_disk_without_being_asked(folder: Path) -> None:
    synced = threading.Event()

    class Watching(QuickOps):
        def fsync(self, fd: int) -> None:
            synced.set()

    with opened(True, folder, ops=Watching()) as checkpoint:
        synced.clear()
        checkpoint.append(key(1), answer(1))
        assert synced.wait(30)


def test_the_disk_never_holds_up_a_row_and_flush_stops_waiting_in_time(folder: Path) -> None:
    may_go_on = threading.Event()

    class HangingDisk(QuickOps):
        def fsync(self, fd: int) -> None:
            assert may_go_on.wait(30)

    may_go_on.set()
    with opened(True, folder, ops=HangingDisk()) as checkpoint:
        may_go_on.clear()
        for n in range(10):
            checkpoint.append(key(n), answer(n))
        assert not checkpoint.flush(timeout=0.01)
        may_go_on.set()
        assert checkpoint.flush(timeout=30)


def test_at_the_end_of_the_process_open_files_are_flushed(folder: Path) -> None:
    synced = []

    class Watching(QuickOps):
        def fsync(self, fd: int) -> None:
            synced.append(fd)

    with opened(True, folder, ops=Watching()) as checkpoint:
        synced.clear()
        checkpoint.append(key(1), answer(1))
        flush_all()
        assert synced


def test_a_closed_checkpoint_takes_no_more_rows(folder: Path) -> None:
    with opened(True, folder) as checkpoint:
        pass
    with pytest.raises(CheckpointError, match="closed"):
        checkpoint.append(key(1), answer(1))


def test_a_closed_checkpoint_reads_no_other_file_by_mistake(folder: Path) -> None:
    write_answers(True, folder, range(1))
    with opened(True, folder) as checkpoint:
        pass
    with pytest.raises(CheckpointError, match="cannot read"):
        checkpoint.get(key(0))


def test_reading_only_makes_nothing_and_locks_nothing(folder: Path) -> None:
    with opened(True, folder, read_only=True) as checkpoint:
        assert checkpoint.get(key(1)) is None
        assert checkpoint.path == folder / f"{TASK.digest.hex()}.jsonl"
        assert checkpoint.flush()
        with pytest.raises(CheckpointError, match="reading only"):
            checkpoint.append(key(1), answer(1))
    assert not folder.exists()
    path = write_answers(True, folder, range(1))
    with opened(path, folder.parent / "elsewhere", read_only=True) as checkpoint:
        assert checkpoint.get(key(0)) == answer(0)
        assert checkpoint.path == path


def test_a_reader_sees_what_was_added_when_it_opens_again(folder: Path) -> None:
    with opened(True, folder, read_only=True) as early:
        path = write_answers(True, folder, range(1))
        with opened(path, folder, read_only=True) as first:
            assert not first.has_id(key(1), 1)
            with opened(path, folder) as writer:
                writer.append(key(1), answer(1), id=1)
            with opened(path, folder, read_only=True) as second:
                assert second.has_id(key(1), 1)
                assert second.get(key(1)) == answer(1)
        assert early.get(key(0)) is None
