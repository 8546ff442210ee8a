"""Damaged files: what is whole is kept, what is not is never believed."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from llmframe.journal import lines
from llmframe.journal.index import CHUNK
from tests.kits.journal import (
    FAILED,
    OTHER_TASK,
    TASK,
    QuickOps,
    answer,
    key,
    opened,
    write_answers,
)

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.usefixtures("folder")

ROWS = range(6)


@pytest.fixture
def path(folder: Path) -> Path:
    return write_answers(True, folder, ROWS)


def kept(folder: Path) -> list[int]:
    """The rows whose right answer is there; a wrong answer fails the test."""
    found = []
    with opened(True, folder, ops=QuickOps()) as checkpoint:
        for n in ROWS:
            if (result := checkpoint.get(key(n))) is not None:
                assert result == answer(n)
                found.append(n)
    return found


def test_a_file_cut_at_any_byte_keeps_all_before_the_cut_and_takes_new_rows(
    folder: Path,
) -> None:
    with opened(True, folder) as checkpoint:
        checkpoint.append(key(0), answer(0))
        checkpoint.append(key(1), FAILED)
        checkpoint.append(key(1), answer(1), id="号")
        checkpoint.append_id(key(1), "b")
    path = checkpoint.path
    whole = path.read_bytes()
    ends = {0: whole.index(b"\n", whole.index(key(0).hex().encode())), 1: whole.rindex(b',"id"')}
    ends[1] = whole.index(b"\n", whole.rindex(b'"v":'))
    for cut in range(len(whole) + 1):
        path.write_bytes(whole[:cut])
        with opened(True, folder, ops=QuickOps()) as checkpoint:
            assert checkpoint.damaged <= 1
            for n, end in ends.items():
                assert checkpoint.get(key(n)) == (answer(n) if cut >= end else None)
            checkpoint.append(key(2), answer(2))
            checkpoint.append(key(3), answer(3), id=3)
        with opened(True, folder, ops=QuickOps()) as again:
            assert again.damaged <= 1
            assert again.get(key(2)) == answer(2)
            assert again.get(key(3)) == answer(3)
            assert again.has_id(key(3), 3)
            assert again.get(key(0)) == (answer(0) if cut >= ends[0] else None)
        assert path.read_bytes().startswith(whole[:cut])


@settings(
    suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=200, deadline=None
)
@given(st.data())
def test_flipped_bytes_cost_at_most_their_own_rows_and_never_give_a_wrong_answer(
    folder: Path, data: st.DataObject
) -> None:
    path = (
        write_answers(True, folder, ROWS) if not folder.exists() else next(folder.glob("*.jsonl"))
    )
    whole = path.with_suffix(".whole")
    if not whole.exists():
        whole.write_bytes(path.read_bytes())
    content = bytearray(whole.read_bytes())
    flips = data.draw(
        st.dictionaries(st.integers(0, len(content) - 1), st.integers(1, 255), max_size=4)
    )
    for at, change in flips.items():
        content[at] ^= change
    path.write_bytes(content)
    assert len(kept(folder)) >= len(ROWS) - len(flips)


def test_a_damaged_line_is_reported_and_counted(folder: Path, path: Path) -> None:
    path.write_bytes(path.read_bytes().replace(b'"n":3}', b'"n":4}'))
    with opened(True, folder) as checkpoint:
        assert checkpoint.damaged == 1
        assert checkpoint.notes == [
            f"Damaged lines in {path}: 1, skipped, their rows are asked again; whole answers: 5."
        ]
    assert kept(folder) == [0, 1, 2, 4, 5]


def test_two_lines_that_lost_their_newline_are_both_kept(folder: Path, path: Path) -> None:
    content = path.read_bytes()
    path.write_bytes(content.replace(b"}\n", b"}J") + b"\n")
    assert kept(folder) == list(ROWS)


def test_a_line_behind_a_torn_one_is_kept(folder: Path, path: Path) -> None:
    rows = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join([*rows[:2], rows[2][:90], *rows[3:]]))
    with opened(True, folder) as checkpoint:
        assert checkpoint.damaged == 1
    assert kept(folder) == [0, 2, 3, 4, 5]


@pytest.mark.parametrize(
    "change",
    [
        lambda content: b"\xef\xbb\xbf" + content,
        lambda content: content.replace(b"\n", b"\r\n"),
        lambda content: content.replace(b"\n", b"\n\n \n"),
        lambda content: content + b"\x00" * 4096,
        lambda content: content[:-1],
    ],
    ids=["byte order mark", "CRLF", "blank lines", "NULs", "no last newline"],
)
def test_what_editors_and_crashes_add_is_no_damage(folder, path, change) -> None:
    path.write_bytes(change(path.read_bytes()))
    assert kept(folder) == list(ROWS)
    write_answers(True, folder, range(6, 7))
    with opened(True, folder) as checkpoint:
        assert checkpoint.get(key(6)) == answer(6)
        assert checkpoint.damaged == 0


def test_an_empty_file_is_an_empty_checkpoint(folder: Path, path: Path) -> None:
    path.write_bytes(b"")
    assert kept(folder) == []


def test_ids_of_damaged_lines_are_not_believed(folder: Path) -> None:
    with opened(True, folder) as checkpoint:
        checkpoint.append(key(1), answer(1), id="row-1")
        checkpoint.append(key(2), answer(2), id="row-2")
    path = checkpoint.path
    path.write_bytes(path.read_bytes().replace(b'"id":"row-1"', b'"id":"row-3"'))
    with opened(True, folder) as again:
        assert not again.has_id(key(1), "row-3")
        assert again.has_id(key(2), "row-2")


def test_an_answer_damaged_while_the_file_is_open_counts_as_none(folder: Path, path: Path) -> None:
    with opened(True, folder) as checkpoint:
        content = path.read_bytes()
        path.write_bytes(content.replace(b'"n":3}', b'"n":4}'))
        assert checkpoint.get(key(3)) is None
        assert checkpoint.get(key(3)) is None
        assert checkpoint.damaged == 1
        path.write_bytes(b"")
        assert checkpoint.get(key(4)) is None


def test_an_answer_renewed_while_its_old_line_is_found_damaged_is_kept(folder: Path) -> None:
    class Renewing(QuickOps):
        renew = False

        def read_at(self, fd: int, size: int, offset: int) -> bytes:
            if not self.renew:
                return super().read_at(fd, size, offset)
            self.renew = False
            checkpoint.append(key(1), answer(2))
            return b"garbage\n" * size

    ops = Renewing()
    with opened(True, folder, ops=ops) as checkpoint:
        checkpoint.append(key(1), answer(1))
        ops.renew = True
        assert checkpoint.get(key(1)) is None
        assert checkpoint.get(key(1)) == answer(2)


@pytest.mark.parametrize(
    "body",
    [
        {"v": "text", "usage": {"in": 1, "out": 1}, "n": 1},
        {"v": {}, "usage": {"in": 1, "out": 1}},
        {"v": {}, "usage": {"in": "1", "out": 1}, "n": 1},
        {"v": {}, "usage": {"in": 1, "out": 1, "cost": "free"}, "n": 1},
        {"v": {}, "usage": [], "n": 1},
        {"v": {}, "usage": {"in": 1, "out": 1}, "n": 1, "k": key(2).hex()},
        {"v": {}, "usage": {"in": 1, "out": 1}, "n": 1, "k": "no key"},
    ],
)
def test_a_forged_line_with_a_right_checksum_is_no_answer(folder: Path, body) -> None:
    path = write_answers(True, folder, range(1))
    with path.open("ab") as file:
        file.write(lines.encode(key(1), TASK.short, body))
    with opened(True, folder) as checkpoint:
        assert checkpoint.get(key(1)) is None
        assert checkpoint.damaged == 1


def forge(before: bytes, after: bytes) -> bytes:
    """A line with a right checksum around anything."""
    from zlib import crc32

    assert len(before) == 45
    return b"%b%08x%b" % (before, crc32(after, crc32(before)), after)


@pytest.mark.parametrize(
    "line",
    [
        forge(b'{"k":"' + b"z" * 32 + b'","c":"', b'","task":"000000000000","v":{}}'),
        forge(b'{"k":"' + b"a" * 32 + b'","c":"', b'","task":"000000000000","v":{'),
        forge(b'{"k":"' + b"a" * 32 + b'","c":"', b'","task":"000000000000","v":' + b"[" * 10**5),
        forge(b" " * 45, b"\xff" * 25 + b"v"),
    ],
    ids=["no key", "no JSON", "too deep", "no text"],
)
def test_a_wild_line_with_a_right_checksum_does_no_harm(folder: Path, line: bytes) -> None:
    path = write_answers(True, folder, range(1))
    with path.open("ab") as file:
        file.write(line + b"\n")
    with opened(True, folder) as checkpoint:
        assert checkpoint.get(bytes.fromhex("aa" * 16)) is None
        assert checkpoint.get(key(0)) == answer(0)
        assert not checkpoint.has_id(key(0), "x")
        assert checkpoint.damaged == 1


def test_a_line_that_is_no_object_is_not_read() -> None:
    line = forge(b" " * 45, b" " * 20 + b"v")
    assert lines.read(line) is None
    number = b"1" + b" " * 44
    assert lines.read(forge(number, b" " * 30)) is None


@settings(deadline=None)
@given(st.binary())
def test_reading_any_bytes_never_raises(content: bytes) -> None:
    lines.to_result(lines.read(content), key(1))
    lines.foreign(content)
    list(lines.pieces(content))


def test_a_line_longer_than_the_reading_window_is_found(folder: Path, path: Path) -> None:
    with path.open("ab") as file:
        file.write(b"x" * (2 * CHUNK + 10))
    write_answers(True, folder, range(6, 7))
    with opened(True, folder) as checkpoint:
        assert checkpoint.get(key(6)) == answer(6)
        assert checkpoint.damaged == 1
    assert kept(folder) == list(ROWS)


def test_lines_of_others_are_neither_damage_nor_answers(folder: Path) -> None:
    path = folder.parent / "mine.jsonl"
    path.write_text('{"id": 1, "intent": "refund"}\n{"id": 2}\n[1]\n"text"\n')
    with opened(path, folder) as checkpoint:
        assert checkpoint.damaged == 2
        assert any("2 lines that llmframe did not write" in note for note in checkpoint.notes)
        assert any("adopt=True" in note for note in checkpoint.notes)
    with opened(path, folder, adopt=True) as checkpoint:
        assert not any("adopt=True" in note for note in checkpoint.notes)


def test_another_prompt_gets_no_old_answer_and_changes_no_old_byte(
    folder: Path, path: Path
) -> None:
    before = path.read_bytes()
    with opened(True, folder, OTHER_TASK) as checkpoint:
        assert checkpoint.path != path
        assert checkpoint.get(key(100)) is None
        checkpoint.append(key(100), answer(1))
    assert path.read_bytes() == before
    assert json.loads(checkpoint.path.read_bytes().splitlines()[0])["settings"] == (
        OTHER_TASK.settings
    )
