"""Row ids in the checkpoint."""

from __future__ import annotations

import json
from pathlib import Path
from zlib import crc32

import numpy as np
import pytest

from llmframe.results import RowResult
from tests.kits.journal import answer, key, opened

pytestmark = pytest.mark.usefixtures("folder")


def file_lines(path: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in path.read_text("utf-8").splitlines()]


@pytest.mark.parametrize(
    ("written", "asked"),
    [("a", "a"), (7, "7"), ("7", 7), (np.int64(7), 7), (7.0, 7), (2.5, "2.5"), (True, "True")],
)
def test_ids_are_compared_as_text(folder: Path, written: object, asked: object) -> None:
    with opened(True, folder) as checkpoint:
        assert not checkpoint.has_id(key(1), asked)
        checkpoint.append(key(1), answer(1), id=written)
        assert checkpoint.has_id(key(1), asked)
        assert not checkpoint.has_id(key(2), asked)
    with opened(True, folder) as again:
        assert again.has_id(key(1), asked)


def test_rows_that_share_an_answer_each_leave_their_id(folder: Path) -> None:
    with opened(True, folder) as checkpoint:
        checkpoint.append(key(1), answer(1), id=1)
        checkpoint.append_id(key(1), 2)
        checkpoint.append(key(2), answer(2), id=None)
    assert list(file_lines(checkpoint.path)[2]) == ["k", "c", "task", "id"]
    with opened(True, folder) as again:
        assert again.has_id(key(1), 1)
        assert again.has_id(key(1), 2)
        assert not again.has_id(key(2), None)
        assert again.get(key(1)) == answer(1)


@pytest.mark.parametrize(
    "values",
    [
        {"id": 5},
        {"a": 1, "id": 5},
        {"a": {"b": 1, "id": 5}},
        {"a": ',"id":5'},
        {"a": [1], "id": "5"},
    ],
)
def test_an_id_within_the_answer_is_no_row_id(folder: Path, values: dict[str, object]) -> None:
    with opened(True, folder) as checkpoint:
        checkpoint.append(key(1), RowResult("ok", values))
        assert not checkpoint.has_id(key(1), 5)
        checkpoint.append(key(2), RowResult("ok", values), id=-6, text=',"id":7,"usage":{')
    with opened(True, folder, ids=True) as checkpoint:
        assert checkpoint.has_id(key(2), -6)
        assert not checkpoint.has_id(key(2), 5)
        assert not checkpoint.has_id(key(2), 7)


def test_ids_are_found_in_lines_that_an_editor_ended_with_crlf(folder: Path) -> None:
    with opened(True, folder) as checkpoint:
        checkpoint.append(key(1), answer(1), id="a")
        checkpoint.append_id(key(1), "b")
    path = checkpoint.path
    path.write_bytes(path.read_bytes().replace(b"\n", b"\r\n"))
    with opened(True, folder, ids=True) as again:
        assert again.has_id(key(1), "a")
        assert again.has_id(key(1), "b")


def test_a_forged_key_and_a_forged_id_are_no_ids_and_end_nothing(folder: Path) -> None:
    with opened(True, folder) as checkpoint:
        checkpoint.append(key(1), answer(1), id="a")
    path = checkpoint.path
    whole = path.read_bytes()
    line = whole.splitlines()[-1]
    no_key = line[:6] + b"z" * 32 + line[38:]
    no_id = line.replace(b'"id":"a"', b'"id":"\\x"')
    for forged in (no_key, no_id):
        checksum = b"%08x" % crc32(forged[53:], crc32(forged[:45]))
        path.write_bytes(whole + forged[:45] + checksum + forged[53:] + b"\n")
        with opened(True, folder, ids=True) as again:
            assert again.has_id(key(1), "a")
            assert not again.has_id(key(2), "a")
