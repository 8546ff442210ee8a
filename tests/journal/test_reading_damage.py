"""lf.read_checkpoint where lines are damaged, forged or far too long."""

from __future__ import annotations

import gc
import os
import tracemalloc
from pathlib import Path
from typing import Any
from zlib import crc32

import pytest

import llmframe as lf
from llmframe.errors import OutputError, PlanError
from llmframe.journal import TaskInfo, lines
from llmframe.journal.index import CHUNK
from llmframe.journal.lines import LONGEST
from llmframe.journal.reading import Answers, Reader
from llmframe.system.files import FileOps
from tests.kits.journal import QuickOps, answer, key, opened, write_answers
from tests.kits.reading import COLUMNS, VALUES, ok, task

pytestmark = pytest.mark.usefixtures("folder")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "rows.jsonl"


def test_damaged_lines_are_skipped_and_counted_in_one_warning(folder: Path) -> None:
    path = folder.parent / "rows.jsonl"
    with opened(path, folder, task()) as checkpoint:
        for n in range(4):
            checkpoint.append(key(n), ok(VALUES | {"count": n}))
    content = path.read_bytes()
    content = content.replace(b'"count":1', b'"count":9').replace(b'"count":2', b'"count":8')
    path.write_bytes(b"\xef\xbb\xbf" + content.replace(b"\n", b"\r\n") + b'{"k":"just being wri')
    with pytest.warns(UserWarning, match=r"Damaged lines in .*: 2, skipped") as caught:
        found = lf.read_checkpoint(path)
    assert len(caught) == 1
    assert caught[0].filename == __file__
    assert found["count"].tolist() == [0, 3]


def test_a_whole_line_without_its_newline_counts(folder: Path) -> None:
    path = write_answers(folder.parent / "rows.jsonl", folder, range(2))
    path.write_bytes(path.read_bytes()[:-1])
    assert lf.read_checkpoint(path)["n"].tolist() == [0, 1]


def forged(number: int, body: dict[str, Any]) -> bytes:
    return lines.encode(key(number), task().short, body)


def sealed(line: bytes) -> bytes:
    """Anything as long as a line's head, with its right checksum."""
    return b"%b%08x%b\n" % (line[:45], crc32(line[53:], crc32(line[:45])), line[53:])


USED = {"usage": {"in": 1, "out": 1}, "n": 1}


@pytest.mark.parametrize(
    "line",
    [
        forged(1, {"v": "text", **USED}),
        forged(1, {"v": {}, "usage": {"in": "1", "out": 1}, "n": 1}),
        forged(1, {"v": {}, "usage": {"in": 1, "out": 1}, "n": "1"}),
        forged(1, {"e": {"kind": 5}, **USED}),
        forged(1, {"e": "timeout", **USED}),
        forged(1, {"v": {}, **USED, "k": key(2).hex()}),
        sealed(b'{"k":"' + b"z" * 32 + b'","c":"00000000","task":"000000000000","v":{}}'),
        sealed(b'{"k":"' + b"a" * 32 + b'","c":"00000000","task":"000000000000","v":{'),
    ],
)
def test_a_forged_line_with_a_right_checksum_is_skipped(folder: Path, line: bytes) -> None:
    path = folder.parent / "rows.jsonl"
    with opened(path, folder, task()) as checkpoint:
        checkpoint.append(key(0), ok())
    with path.open("ab") as file:
        file.write(line)
    with pytest.warns(UserWarning, match=": 1, skipped"):
        assert len(lf.read_checkpoint(path)) == 1


def test_forged_times_and_ids_are_missing(folder: Path) -> None:
    path = folder.parent / "rows.jsonl"
    with opened(path, folder, task()) as checkpoint:
        checkpoint.append(key(0), ok())
    with path.open("ab") as file:
        for n, time in enumerate([10**30, -1, "now", True, None], 1):
            file.write(forged(n, {"v": VALUES, **USED, "t": time, "id": [n]}))
    found = lf.read_checkpoint(path)
    assert found["time"].isna().tolist() == [False, *[True] * 5]
    assert found["id"].isna().all()


@pytest.mark.parametrize(
    "fields",
    [
        None,
        {"fields": 5},
        {"fields": [{"name": "x"}]},
        {"fields": [{"name": "x", "kind": "magic"}]},
        {"fields": [{"name": 5, "kind": "text"}]},
        {"fields": [["x"]]},
        {"fields": [{"name": "x", "kind": "choice", "labels": ["a", "a"]}]},
        {"fields": [{"name": "x", "kind": "choice", "labels": [[]]}]},
    ],
)
def test_values_of_unknown_fields_come_as_they_are(path: Path, folder: Path, fields: Any) -> None:
    info = TaskInfo(bytes(16), {"model": "m", "fields": fields})
    with opened(path, folder, info) as checkpoint:
        checkpoint.append(key(1), ok({"x": "a"}))
        checkpoint.append(key(2), ok({"y": [1]}))
    found = lf.read_checkpoint(path)
    assert list(found.columns) == ["id", "x", "y", *COLUMNS]
    assert found["x"].tolist() == ["a", None] or found["x"].isna().tolist() == [False, True]
    assert found["y"].iloc[1] == [1]


def test_rows_of_a_task_whose_own_line_is_lost_are_read(folder: Path) -> None:
    path = write_answers(folder.parent / "rows.jsonl", folder, range(2))
    path.write_bytes(path.read_bytes().split(b"\n", 1)[1])
    found = lf.read_checkpoint(path, task="000102030405")
    assert found["intent"].tolist() == ["refund", "退款"]
    assert found["model"].isna().all()
    with pytest.raises(PlanError, match="000102030405: unknown, 2 lines"):
        lf.read_checkpoint(path, task="ff")


def test_forged_settings_of_a_task_are_ignored(folder: Path) -> None:
    path = folder.parent / "rows.jsonl"
    short = TaskInfo(bytes(16), {}).short
    path.write_bytes(
        lines.encode(bytes(16), short, {"settings": [], "t": 5})
        + lines.encode(key(1), short, {"v": {"x": 1}, **USED})
    )
    assert lf.read_checkpoint(path)["x"].tolist() == [1]


def sparse(path: Path, size: int, then: bytes) -> None:
    """A line of NULs that takes no room, and what comes behind it."""
    with path.open("ab") as file:
        os.truncate(file.fileno(), path.stat().st_size + size)
    with path.open("ab") as file:
        file.write(then)


@pytest.mark.parametrize("ended", [True, False])
def test_a_line_far_longer_than_ours_is_damage_and_not_kept(folder: Path, ended: bool) -> None:
    path = write_answers(folder.parent / "rows.jsonl", folder, range(2))
    sparse(path, 2 * LONGEST, b"\n" if ended else b"")
    tracemalloc.start()
    for n in range(2, 4):
        write_answers(path, folder, range(n, n + 1))
    with opened(path, folder, ops=QuickOps()) as checkpoint:
        assert [checkpoint.get(key(n)) for n in range(4)] == [answer(n) for n in range(4)]
        assert checkpoint.damaged == 1
    with pytest.warns(UserWarning, match=": 1, skipped"):
        assert lf.read_checkpoint(path)["n"].tolist() == [0, 1, 2, 3]
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < LONGEST + 40 * CHUNK


def test_an_answer_that_could_not_be_read_again_is_not_written(path: Path, folder: Path) -> None:
    with opened(path, folder, task()) as checkpoint:
        with pytest.raises(OutputError, match="it takes 64 MB"):
            checkpoint.append(key(1), ok({"x": "x" * LONGEST}))
        checkpoint.append(key(1), ok())
        assert checkpoint.get(key(1)) == ok()


class Counted(FileOps):
    """Knows which files are open."""

    def __init__(self) -> None:
        self.open_files: set[int] = set()

    def open(self, path: Path, flags: int) -> int:
        fd = super().open(path, flags)
        self.open_files.add(fd)
        return fd

    def close(self, fd: int) -> None:
        super().close(fd)
        self.open_files.discard(fd)


def test_reading_stops_in_the_middle_without_leaving_files_open(folder: Path, monkeypatch) -> None:
    path = write_answers(folder.parent / "rows.jsonl", folder, range(2))
    ops = Counted()
    reader = Reader([path], ops)
    (task,) = reader.tasks()

    def interrupt(answers: Answers, line: bytes) -> bool:
        assert ops.open_files
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(Answers, "add", interrupt)
        with pytest.raises(KeyboardInterrupt):
            reader.answers(task)
    gc.collect()  # the traceback held the reading
    assert ops.open_files == set()
    assert reader.tasks()[0].lines == 2
