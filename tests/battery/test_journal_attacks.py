"""The journal under attack: its nth call fails (32), its file is damaged (20).

What must hold each time: never a wrong answer, never a corrupt file, never an earlier row lost.
"""

from __future__ import annotations

import errno
import itertools
import json
import threading
import time
import warnings
from pathlib import Path

import pytest

import llmframe as lf
from llmframe import testing
from llmframe.errors import CheckpointError, PlanError
from llmframe.journal import lines
from llmframe.system.files import FileOps
from tests.kits.battery import assert_same, frame, lost, says, tag, uninterrupted, until
from tests.kits.files import kept
from tests.kits.journal import TASK, FailingOps, QuickOps, answer, key, opened, write_answers

pytestmark = [pytest.mark.battery, pytest.mark.usefixtures("folder")]

ERRORS = {"full": errno.ENOSPC, "interrupted": errno.EINTR, "stale": errno.ESTALE}


# -- 32: the nth call fails -----------------------------------------------------------


@pytest.mark.parametrize("error", ERRORS)
@pytest.mark.parametrize("operation", ["write", "fsync", "open", "lock", "read_at"])
def test_the_nth_failure_of_whatever_kind_loses_nothing_kept(tmp_path, operation, error) -> None:
    """As in the journal's own tests, with other errors, and a torn line there before."""
    for nth in range(1, 60):
        folder, path = tmp_path / f"{nth}x", tmp_path / f"{nth}.jsonl"
        write_answers(path, folder, range(3))
        before = path.read_bytes() + b'{"k":"torn'
        path.write_bytes(before)
        ops, accepted = FailingOps(operation, nth, ERRORS[error]), list(range(3))
        try:
            with opened(path, folder, ops=ops) as checkpoint:
                for n in range(3, 6):
                    try:
                        checkpoint.append(key(n), answer(n), id=n)
                        accepted.append(n)
                    except CheckpointError as raised:
                        says(raised, "answers are in it", str(path))
        except (PlanError, CheckpointError) as raised:
            says(raised, "Nothing was sent" if isinstance(raised, PlanError) else str(path))
        assert path.read_bytes().startswith(before)
        assert set(kept(path, folder, range(6))) >= set(accepted), nth
        if ops.calls < nth:
            return
    pytest.fail("the loop did not reach the last call")


def test_no_row_waits_in_an_fsync_though_the_disk_gets_every_row(tmp_path, folder) -> None:
    syncs: list[int] = []

    class WatchedDisk(FileOps):
        def fsync(self, fd: int) -> None:
            syncs.append(threading.get_ident())
            super().fsync(fd)

    with opened(tmp_path / "rows.jsonl", folder, ops=WatchedDisk()) as checkpoint:
        syncs.clear()  # of making the file
        rows = itertools.count()

        def one_more() -> bool:
            checkpoint.append(key(n := next(rows)), answer(n))
            return n >= 600 and len(syncs) >= 3

        until(one_more, pause=0.0005)  # on a slow disk more rows than these
    assert threading.get_ident() not in syncs


# -- 20: the file is damaged ----------------------------------------------------------


def test_a_flipped_byte_anywhere_costs_at_most_its_own_row(tmp_path: Path, folder: Path) -> None:
    path = write_answers(tmp_path / "rows.jsonl", folder, range(4))
    whole = path.read_bytes()
    for at in range(len(whole)):
        for change in (0x01, 0x80):
            path.write_bytes(whole[:at] + bytes([whole[at] ^ change]) + whole[at + 1 :])
            with opened(path, folder, read_only=True) as checkpoint:
                found = [checkpoint.get(key(n)) for n in range(4)]
            assert all(result in (None, answer(n)) for n, result in enumerate(found))
            assert found.count(None) <= 1


def test_a_journal_cut_at_any_byte_is_read_without_a_frame(tmp_path: Path, folder: Path) -> None:
    path = write_answers(tmp_path / "rows.jsonl", folder, range(3))
    whole = path.read_bytes()
    ends = [at for at, byte in enumerate(whole) if byte == ord("\n")]
    for cut in range(len(whole)):
        path.write_bytes(whole[:cut])
        found = lf.read_checkpoint(path)  # a torn tail is no damage: no warning
        assert len(found) == max(0, sum(cut >= end for end in ends) - 1)


def damaged(path: Path, how: str) -> int:
    """Spoil a checkpoint; how many rows may be asked again."""
    content = path.read_bytes()
    rows = content.splitlines(keepends=True)
    if how == "torn":
        path.write_bytes(content[:-40])
        return 1
    if how == "flipped":
        at = len(b"".join(rows[:6])) + 120
        path.write_bytes(content[:at] + bytes([content[at] ^ 1]) + content[at + 1 :])
        return 1
    if how == "emptied":
        path.write_bytes(b"")
        return len(rows) - 1
    changed = {
        "no last newline": content[:-1],
        "byte order mark": b"\xef\xbb\xbf" + content,
        "CRLF": content.replace(b"\n", b"\r\n"),
        "lines of others": b'{"id": 5, "intent": "refund"}\n' + content + b'{"mine": true}\n',
        "newlines lost": content.replace(b"}\n", b"}") + b"\n",
        "NULs": content + b"\0" * 5000,
    }
    path.write_bytes(changed[how])
    return 0


@pytest.mark.parametrize(
    "how",
    [
        "torn", "flipped", "emptied", "no last newline", "byte order mark", "CRLF",
        "lines of others", "newlines lost", "NULs",
    ],
)  # fmt: skip
def test_after_damage_only_the_damaged_rows_are_bought_again(tmp_path: Path, how: str) -> None:
    df = frame(12)
    with testing.serve() as server:
        tag(df, server, tmp_path)
        again = damaged(tmp_path / "run.jsonl", how)
        spoilt = (tmp_path / "run.jsonl").read_bytes()
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            out = tag(df, server, tmp_path)
        assert len(server.ledger.calls) <= 12 + again
        assert lost(out, server.ledger) == []
        assert_same(out, uninterrupted(df))
    assert (tmp_path / "run.jsonl").read_bytes().startswith(spoilt)
    if how == "flipped":
        says(caught[0].message, "damaged lines", "asked again", "whole answers: 11")


def test_lines_are_indexed_in_half_the_time_of_reading_them_as_json(
    tmp_path: Path, folder: Path
) -> None:
    path, whole, total = tmp_path / "rows.jsonl", bytearray(), 200_000
    body = lines.row(answer(1), now=1_800_000_000)
    for n in range(total):
        whole += lines.encode(key(n), TASK.short, body)
    path.write_bytes(whole)
    tenth = whole[: len(whole) // 10].splitlines()[:-1]
    del whole
    indexed, read = [], []
    for _ in range(3):  # in turn, and the least of each counts: another program only adds
        begin = time.process_time()
        with opened(path, folder, ops=QuickOps()) as checkpoint:
            indexed.append(time.process_time() - begin)
            assert checkpoint.answers == total
            assert checkpoint.damaged == 0
            assert all(checkpoint.get(key(n)) == answer(1) for n in range(0, total, 19_999))
        begin = time.process_time()
        for line in tenth:
            json.loads(line)
        read.append(10 * (time.process_time() - begin))
    assert min(indexed) <= 0.5 * min(read)
