"""Compaction: less bytes, the same answers, and never a moment without a whole file."""

from __future__ import annotations

import errno
import json
import os
import stat
from typing import TYPE_CHECKING

import pytest

import llmframe as lf
from llmframe.errors import CheckpointError, PlanError
from llmframe.journal import compact
from llmframe.journal.index import CHUNK
from llmframe.journal.shared import close_store, open_store
from llmframe.results import RowResult
from tests.kits.journal import (
    FAILED,
    OTHER_TASK,
    FailingOps,
    QuickOps,
    ShortWrites,
    answer,
    key,
    opened,
    write_answers,
)

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.usefixtures("folder")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "rows.jsonl"


def write_history(path: Path, folder: Path) -> None:
    """Rows that failed, were answered, answered anew; ids that came one by one."""
    path.write_text('{"id": 1, "intent": "mine"}\n', "utf-8")
    with opened(path, folder, ops=QuickOps()) as checkpoint:
        for n in range(4):
            checkpoint.append(key(n), FAILED, id=n)
        for n in range(3):
            checkpoint.append(key(n), answer(n), id=n if n else "first")
        checkpoint.append(key(2), answer(4), id="two")
        checkpoint.append(key(2), FAILED)
        checkpoint.append(key(3), FAILED, error_info={"kind": "timeout"})
        checkpoint.append_id(key(1), "one")
        checkpoint.append_id(key(1), "one")
    write_answers(path, folder, range(5, 7), OTHER_TASK)
    with path.open("ab") as file:
        file.write(b'not ours\n{"k":"torn\n')


def check(path: Path, folder: Path) -> None:
    with opened(path, folder, ops=QuickOps()) as checkpoint:
        found = [checkpoint.get(key(n)) for n in range(7)]
        assert found == [answer(0), answer(1), answer(4), None, None, answer(5), answer(6)]
        known = [(0, 0), (0, "first"), (1, 1), (1, "one"), (2, 2), (2, "two"), (3, 3)]
        assert all(checkpoint.has_id(key(n), row_id) for n, row_id in known)


def lines_of(path: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in path.read_text("utf-8").splitlines()]


def test_what_counts_stays_and_what_counts_no_more_goes(path: Path, folder: Path) -> None:
    write_history(path, folder)
    before = path.stat().st_size
    saved = lf.compact(path)
    assert saved == before - path.stat().st_size > 0
    check(path, folder)
    left = lines_of(path)
    assert left[0] == {"id": 1, "intent": "mine"}
    assert sum("settings" in line for line in left) == 2
    assert [line["e"] for line in left if "e" in line] == [{"kind": "timeout"}]
    assert sum("v" in line for line in left if "k" in line) == 5


def test_a_database_is_told_apart(tmp_path: Path) -> None:
    with pytest.raises(PlanError, match="is a database"):
        compact(tmp_path / "rows.db")


def test_a_full_disk_leaves_the_old_file_whole(path: Path, folder: Path) -> None:
    write_history(path, folder)
    before = path.read_bytes()
    with pytest.raises(CheckpointError, match=r"No space left on device. It is whole"):
        compact(path, FailingOps("write", 2, errno.ENOSPC))
    assert path.read_bytes() == before
    assert not path.with_name(path.name + ".compact").exists()


def test_a_second_compaction_saves_nothing(path: Path, folder: Path) -> None:
    write_history(path, folder)
    compact(path)
    before = path.read_bytes()
    assert compact(path) == 0
    assert path.read_bytes() == before


def test_a_file_whose_tail_is_whole_or_torn_keeps_what_is_whole(path: Path, folder: Path) -> None:
    write_answers(path, folder, range(3))
    whole = path.read_bytes()
    path.write_bytes(whole[:-1])
    assert compact(path) == -1  # the newline that was missing
    assert path.read_bytes() == whole
    path.write_bytes(whole + whole[:60])
    assert compact(path) == 60
    assert path.read_bytes() == whole


def test_lines_that_lost_their_newline_are_parted_again(path: Path, folder: Path) -> None:
    write_answers(path, folder, range(3))
    whole = path.read_bytes()
    path.write_bytes(b"\xef\xbb\xbf" + whole.replace(b"}\n", b"}", 2))
    compact(path)
    assert path.read_bytes() == whole


def test_a_task_written_twice_is_kept_once(path: Path, folder: Path) -> None:
    write_answers(path, folder, range(1))
    whole = path.read_bytes()
    path.write_bytes(whole + whole.splitlines(keepends=True)[0])
    compact(path)
    assert path.read_bytes() == whole


def test_a_file_longer_than_a_reading_window_is_copied_whole(path: Path, folder: Path) -> None:
    with opened(path, folder, ops=QuickOps()) as checkpoint:
        for n in range(5):
            checkpoint.append(key(n), RowResult("ok", {"x": f"{n}" * (CHUNK // 2)}))
    before = path.read_bytes()
    assert compact(path, ShortWholes()) == 0
    assert path.read_bytes() == before


class ShortWholes(ShortWrites):
    """Some bytes at a time, not seven: the file is long."""

    def write(self, fd: int, data: bytes | memoryview) -> int:
        return os.write(fd, data[:99_999])


def test_the_new_file_is_for_its_owner_only(path: Path, folder: Path) -> None:
    write_answers(path, folder, range(1))
    path.chmod(0o644)
    compact(path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_a_compaction_that_was_killed_leaves_nothing_in_the_way(path: Path, folder: Path) -> None:
    write_history(path, folder)
    path.with_name(path.name + ".compact").write_bytes(b"half a file")
    compact(path)
    check(path, folder)
    assert not path.with_name(path.name + ".compact").exists()


@pytest.mark.parametrize("read_only", [True, False])
def test_a_file_in_use_by_this_process_is_refused(path, folder, read_only) -> None:
    write_answers(path, folder, range(1))
    before = path.read_bytes()
    with (
        opened(path, folder, read_only=read_only),
        pytest.raises(CheckpointError, match=rf"in use by this process \({os.getpid()}\)"),
    ):
        compact(path)
    assert path.read_bytes() == before


def test_a_file_held_by_another_process_is_refused_with_its_pid(path: Path, folder: Path) -> None:
    write_answers(path, folder, range(1))

    class Held(QuickOps):
        def lock(self, fd: int) -> bool:
            os.pwrite(fd, b"4711\n", 0)
            return False

    with pytest.raises(CheckpointError, match=r"in use by process 4711\d*; nothing was changed"):
        compact(path, Held())


def test_a_folder_without_locks_is_refused(path: Path, folder: Path) -> None:
    write_answers(path, folder, range(1))
    with pytest.raises(CheckpointError, match="knows no file locks"):
        compact(path, FailingOps("lock", 1, errno.ENOLCK))


@pytest.mark.parametrize("content", ["", "id,text\n1,hello\n", '{"id": 1}\n'])
def test_what_is_no_checkpoint_stays_as_it_is(path: Path, content: str) -> None:
    path.write_text(content)
    with pytest.raises(PlanError, match="is no checkpoint; nothing was changed"):
        compact(path)
    assert path.read_text() == content


def test_a_file_that_is_not_there_is_told_and_nothing_is_made(path: Path) -> None:
    with pytest.raises(PlanError, match="there is no checkpoint"):
        compact(path)
    assert list(path.parent.iterdir()) == []


def test_a_run_that_begins_while_the_file_is_replaced_uses_the_new_one(path, folder) -> None:
    """The lock comes free only after the file it read is gone."""
    write_history(path, folder)

    class Compacted(QuickOps):
        def lock(self, fd: int) -> bool:
            if not self.done:
                self.done = True
                replaced = path.with_name("replaced")
                replaced.write_bytes(path.read_bytes())
                replaced.replace(path)
            return super().lock(fd)

        done = False

    ops = Compacted()
    old = open_store(path, ops, write=False)
    with opened(path, folder, ops=ops) as checkpoint:
        checkpoint.append(key(9), answer(9))
        assert checkpoint.get(key(9)) == answer(9)
        assert checkpoint.get(key(1)) == answer(1)
    with opened(path, folder) as again:
        assert again.get(key(9)) == answer(9)
    close_store(old)
