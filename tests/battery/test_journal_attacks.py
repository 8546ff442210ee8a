"""The journal under attack: faults 20, 21, 23, 32 and what a hostile file or name could do.

What must hold each time: never a wrong answer, never a corrupt file, never an earlier row lost.
"""

from __future__ import annotations

import errno
import json
import os
import pickle
import shutil
import sqlite3
import stat
import subprocess
import sys
import time
import warnings
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

import failing_disk
import pytest
from journal_kit import (
    FAILED,
    OPERATIONS,
    OTHER_TASK,
    ROOT,
    TASK,
    FailingOps,
    QuickOps,
    answer,
    key,
    opened,
    write_answers,
)

import llmframe as lf
from llmframe import testing
from llmframe.engine.journal import compact, lines, open_checkpoint
from llmframe.engine.journal.shared import open_stores
from llmframe.errors import CheckpointError, PlanError
from tests.battery.kit import (
    answered,
    assert_same,
    check,
    frame,
    lost,
    paid_twice,
    says,
    tag,
    uninterrupted,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

pytestmark = pytest.mark.battery

ERRORS = {"full": errno.ENOSPC, "interrupted": errno.EINTR, "stale": errno.ESTALE}
on_linux = pytest.mark.skipif(not failing_disk.AVAILABLE, reason="needs Linux and a C compiler")


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    yield tmp_path / ".llmframe"
    assert not open_stores()


def kept(path: Path, folder: Path, numbers: range) -> list[int]:
    """The rows whose right answer is there; a wrong one fails the test."""
    found = []
    with opened(path, folder, ops=QuickOps()) as checkpoint:
        for n in numbers:
            if (result := checkpoint.get(key(n))) is not None:
                assert result == answer(n)
                found.append(n)
    return found


def child(script: str, *arguments: object) -> subprocess.Popen[str]:
    """Another process, over the same tests and the same package."""
    paths = os.pathsep.join([str(ROOT), str(ROOT / "tests")])
    return subprocess.Popen(
        [sys.executable, "-W", "ignore", "-c", script, *map(str, arguments)],
        env={**os.environ, "PYTHONPATH": paths},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


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
                    except CheckpointError as told:
                        says(told, "answers are in it", str(path))
        except (PlanError, CheckpointError) as told:
            says(told, "Nothing was sent" if isinstance(told, PlanError) else str(path))
        assert path.read_bytes().startswith(before)
        assert set(kept(path, folder, range(6))) >= set(accepted), nth
        if ops.calls < nth:
            return
    pytest.fail("the loop did not reach the last call")


ON_A_FAILING_DISK = """
import os, shutil, sys
from pathlib import Path
from journal_kit import *
from llmframe.engine.journal import database, sqlite_file
from llmframe.errors import CheckpointError, PlanError
database.LONGEST_LOG = 20_000  # so that the log is taken into the database too
sqlite_file.BUSY = sqlite_file.connect.__kwdefaults__["wait"] = 0.02
home, operation, error = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])
match("rows.db"); quick()

def attack(path, nth):
    write_answers(path, home / "x", range(3))
    accepted = [0, 1, 2]
    fail(operation, nth, error)
    try:
        with opened(path, home / "x") as checkpoint:
            for n in range(3, 12):
                try:
                    checkpoint.append(key(n), answer(n), id=n)
                    accepted.append(n)
                    found = checkpoint.get(key(n))
                    assert found == answer(n), (nth, n, found)
                    checkpoint.has_id(key(n), n)
                except CheckpointError:
                    pass
                if n == 8:
                    checkpoint.flush(30)
            checkpoint.flush(30)
    except (PlanError, CheckpointError):
        pass
    return calls(), accepted

for nth in range(1, 500):
    path = home / f"{nth}" / "rows.db"
    asked, accepted = attack(path, nth)
    with opened(path, home / "x") as checkpoint:
        for n in range(12):
            found = checkpoint.get(key(n))
            assert found == answer(n) or (found is None and n not in accepted), (nth, n, found)
        assert checkpoint.damaged == 0
        checkpoint.append(key(99), answer(99))
    shutil.rmtree(path.parent)
    if asked < nth:
        print(nth - 1)
        break
"""


@on_linux
@pytest.mark.parametrize(
    ("operation", "error"),
    [
        *[(operation, errno.EIO) for operation in failing_disk.OPERATIONS],
        ("write", errno.ENOSPC),
        ("write", errno.EINTR),
        ("write", -1),  # half of it is written
        ("fsync", errno.ENOSPC),
        ("open", errno.EACCES),
        ("lock", errno.ENOLCK),
    ],
)
def test_the_nth_failure_under_a_database_loses_nothing_kept(tmp_path, operation, error) -> None:
    told = failing_disk.run(ON_A_FAILING_DISK, tmp_path, operation, error)
    assert int(told) >= {"truncate": 1, "unlink": 1}.get(operation, 3)


NO_SYNC_HERE = """
import sys, time
from pathlib import Path
from journal_kit import *
from llmframe.engine.journal import database
database.LONGEST_LOG = 50_000
path = Path(sys.argv[1])
match(path.name)
with opened(path, path.parent / "x") as checkpoint:
    forget_syncs()
    for n in range(600):
        checkpoint.append(key(n), answer(n))
        time.sleep(0.0005)
    here, elsewhere = syncs()
print(here, elsewhere)
"""


@on_linux
@pytest.mark.parametrize("name", ["rows.jsonl", "rows.db"])
def test_no_row_waits_in_an_fsync_though_the_disk_gets_every_row(tmp_path, name) -> None:
    here, elsewhere = map(int, failing_disk.run(NO_SYNC_HERE, tmp_path / name).split())
    assert here == 0
    assert elsewhere >= 3


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


def test_a_flipped_byte_in_a_database_gives_no_wrong_answer(tmp_path: Path, folder: Path) -> None:
    path = write_answers(tmp_path / "rows.db", folder, range(20))
    whole, refused = path.read_bytes(), 0
    for at in range(0, len(whole), 13):
        spoilt = whole[:at] + bytes([whole[at] ^ 0x11]) + whole[at + 1 :]
        path.write_bytes(spoilt)
        try:
            found = kept(path, folder, range(20))
        except PlanError:
            refused += 1
            assert path.read_bytes() == spoilt
        except CheckpointError:
            continue
        else:
            assert len(found) >= 19
    assert refused > 5


def test_a_journal_cut_at_any_byte_is_read_without_a_frame(tmp_path: Path, folder: Path) -> None:
    path = write_answers(tmp_path / "rows.jsonl", folder, range(3))
    whole = path.read_bytes()
    ends = [at for at, byte in enumerate(whole) if byte == ord("\n")]
    for cut in range(len(whole)):
        path.write_bytes(whole[:cut])
        found = lf.read_checkpoint(path)  # a torn tail is no damage: no warning
        assert len(found) == max(0, sum(cut >= end for end in ends) - 1)


def test_a_log_cut_at_any_byte_keeps_all_before_the_cut(tmp_path: Path, folder: Path) -> None:
    """What a power cut leaves of SQLite's log: the first rows whole, the last ones gone."""
    path, live = tmp_path / "rows.db", tmp_path / "live.db"
    with opened(live, folder, ops=QuickOps()) as checkpoint:
        for n in range(6):
            checkpoint.append(key(n), answer(n))
        whole = [live.read_bytes(), live.with_name("live.db-wal").read_bytes()]
    counts = []
    for cut in range(0, len(whole[1]) + 1, 487):
        path.write_bytes(whole[0])
        path.with_name("rows.db-wal").write_bytes(whole[1][:cut])
        found = kept(path, folder, range(6))
        assert found == list(range(len(found)))
        counts.append(len(found))
        write_answers(path, folder, range(6, 7))
        assert kept(path, folder, range(7)) == [*found, 6]
    assert counts == sorted(counts)
    assert {0, 3} < set(counts)


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
        with warnings.catch_warnings(record=True) as told:
            warnings.simplefilter("always")
            out = tag(df, server, tmp_path)
        assert len(server.ledger.calls) <= 12 + again
        assert lost(out, server.ledger) == []
        assert_same(out, uninterrupted(df))
    assert (tmp_path / "run.jsonl").read_bytes().startswith(spoilt)
    if how == "flipped":
        says(told[0].message, "damaged lines", "asked again", "whole answers: 11")


def test_a_million_lines_are_indexed_in_three_seconds(tmp_path: Path, folder: Path) -> None:
    path, keys = tmp_path / "rows.jsonl", []
    whole, total = bytearray(), 1_000_000
    body = lines.row(answer(1), now=1_800_000_000)
    for n in range(total):
        keys.append(key(n))
        whole += lines.encode(keys[-1], TASK.short, body)
    path.write_bytes(whole)
    del whole
    begin = time.process_time()
    with opened(path, folder, ops=QuickOps()) as checkpoint:
        took = time.process_time() - begin
        assert checkpoint.answers == total
        assert checkpoint.damaged == 0
        assert all(checkpoint.get(key(n)) == answer(1) for n in range(0, total, 99_999))
    assert took <= 3, f"{took:.1f} s of CPU"


# -- 21: another prompt, another model ------------------------------------------------


@pytest.mark.parametrize("name", ["run.jsonl", "run.db"])
@pytest.mark.parametrize(
    "change",
    [
        {"instructions": "Tag it well."},
        {"model": "other-model"},
        {"fields": {"intent": ["refund", "other"]}},
        {"temperature": 0.5},
    ],
    ids=lambda change: next(iter(change)),
)
def test_another_question_gets_no_old_answer_and_changes_no_old_byte(
    tmp_path: Path, name: str, change: dict[str, Any]
) -> None:
    df, path = frame(6), tmp_path / name
    with testing.serve() as server:
        tag(df, server, tmp_path, checkpoint=path)
        old = path.read_bytes()
        out = tag(df, server, tmp_path, checkpoint=path, **change)
        assert len(server.ledger.calls) == 12
        assert lf.last_run().report.reused == 0
        assert (out["llm_status"] == "ok").all()
        tag(df, server, tmp_path, checkpoint=path)
        assert len(server.ledger.calls) == 12
    if path.suffix == ".jsonl":
        assert path.read_bytes().startswith(old)
    tasks = {lf.read_checkpoint(path, task=task)["model"].iloc[0] for task in task_names(path)}
    assert tasks == {"test-model", change.get("model", "test-model")}


def task_names(path: Path) -> list[str]:
    with pytest.raises(PlanError) as told:
        lf.read_checkpoint(path, task="no such task")
    names = [line.strip().partition(":")[0] for line in str(told.value).splitlines()[1:]]
    assert len(names) == 2
    return names


def test_a_default_file_of_another_prompt_stays_byte_for_byte(tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    df = frame(6)
    with testing.serve() as server:
        tag(df, server, None, checkpoint=True)
        (old,) = (tmp_path / ".llmframe").glob("*.jsonl")
        before = old.read_bytes()
        tag(df, server, None, checkpoint=True, instructions="Another question.")
        assert len(server.ledger.calls) == 12
    assert old.read_bytes() == before
    assert len(list((tmp_path / ".llmframe").glob("*.jsonl"))) == 2


# -- 23: two processes, one file ------------------------------------------------------

RUN = """
import sys
import llmframe as lf
from tests.battery.kit import frame, settings, FIELDS
url, checkpoint, first, last = sys.argv[1:]
out = lf.tag(frame(40).iloc[int(first):int(last)], "text", FIELDS,
             **settings(url, None, checkpoint=checkpoint if checkpoint != "True" else True))
assert (out["llm_status"] == "ok").all()
print(lf.last_run().report.reused)
"""
HOLD = """
import sys
from pathlib import Path
from journal_kit import *
path = Path(sys.argv[1])
checkpoint = open_checkpoint(path, TASK, folder=path.parent / "x")
checkpoint.append(key(0), answer(0))
print("ready", flush=True)
sys.stdin.read()
"""


def test_a_second_kernel_is_refused_with_the_pid_and_sends_nothing(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    with child(HOLD, path) as other, testing.serve() as server:
        other.stdout.readline()
        before = path.read_bytes()
        with pytest.raises(CheckpointError) as told:
            tag(frame(5), server, None, checkpoint=path)
        says(told.value, f"process {other.pid}", "nothing was sent", "checkpoint=False")
        assert server.ledger.calls == []
        with pytest.raises(CheckpointError, match=f"in use by process {other.pid}"):
            lf.compact(path)
        assert len(lf.read_checkpoint(path)) == 1
        assert path.read_bytes() == before
        other.stdin.close()


def test_a_lock_heals_when_its_holder_is_killed(tmp_path: Path, folder: Path) -> None:
    path = tmp_path / "rows.jsonl"
    with child(HOLD, path) as other:
        other.stdout.readline()
        other.kill()
    assert path.with_name("rows.jsonl.lock").read_text() == f"{other.pid}\n"
    with opened(path, folder) as checkpoint:
        assert checkpoint.notes == []
        assert checkpoint.get(key(0)) == answer(0)


@pytest.mark.parametrize("name", ["rows.db", "True"])
def test_two_processes_on_one_checkpoint_end_with_every_row(tmp_path, monkeypatch, name) -> None:
    """Two halves that overlap: on a database, or on the default files beside each other."""
    monkeypatch.chdir(tmp_path)
    where = name if name == "True" else str(tmp_path / name)
    df = frame(40)
    with testing.serve() as server:
        halves = [child(RUN, server.url, where, *half) for half in [(0, 25), (15, 40)]]
        for half in halves:
            half.communicate(timeout=100)
            assert half.returncode == 0
        bought = len(server.ledger.calls)
        out = tag(df, server, None, checkpoint=where if name != "True" else True)
        assert len(server.ledger.calls) == bought  # nothing is bought a third time
        assert lost(out, server.ledger) == []
        assert paid_twice(server.ledger) <= 10  # those that both had in flight at once
        assert_same(out, uninterrupted(df))


def test_a_process_killed_beside_another_costs_at_most_what_it_had_in_flight(tmp_path) -> None:
    df, path = frame(40), tmp_path / "rows.db"
    with testing.serve(latency=0.05) as server:
        with child(RUN, server.url, path, 0, 40) as doomed:
            until_bought(server, 8)
            doomed.kill()
        early = answered(server.ledger)
        out = tag(df, server, None, checkpoint=path)
        check(out, df, server, twice=20)
        assert early


def until_bought(server: testing.Server, count: int) -> None:
    end = time.monotonic() + 30
    while len(answered(server.ledger)) < count:
        assert time.monotonic() < end
        time.sleep(0.01)


# -- compaction -----------------------------------------------------------------------


def write_history(path: Path, folder: Path) -> None:
    with opened(path, folder, ops=QuickOps()) as checkpoint:
        for n in range(6):
            checkpoint.append(key(n), FAILED, id=n)
        for n in range(5):
            checkpoint.append(key(n), answer(n), id=-n)
    write_answers(path, folder, range(6, 8), OTHER_TASK)


def is_whole(path: Path, folder: Path) -> None:
    assert kept(path, folder, range(8)) == [0, 1, 2, 3, 4, 6, 7]
    with opened(path, folder, ops=QuickOps()) as checkpoint:
        assert all(checkpoint.has_id(key(n), n) for n in range(6))
        assert all(checkpoint.has_id(key(n), -n) for n in range(5))


@pytest.mark.parametrize("operation", OPERATIONS)
def test_a_compaction_whose_nth_call_fails_leaves_a_whole_file(tmp_path, folder, operation) -> None:
    for nth in range(1, 40):
        path = tmp_path / f"{nth}" / "rows.jsonl"
        write_history(path, folder)
        ops = FailingOps(operation, nth)
        try:
            compact(path, ops)
        except CheckpointError as told:
            says(told, "cannot compact", "whole")
        is_whole(path, folder)
        assert {file.name for file in path.parent.iterdir()} <= {
            "rows.jsonl", "rows.jsonl.lock", "rows.jsonl.compact",
        }  # fmt: skip
        compact(path)
        is_whole(path, folder)
        if ops.calls < nth:
            return
    pytest.fail("the loop did not reach the last call")


KILLED = """
import os, sys
from pathlib import Path
from journal_kit import OPERATIONS, QuickOps
from llmframe.engine.journal import compact

class Killed(QuickOps):
    left = 0

def dying(name):
    def call(self, *arguments):
        Killed.left -= 1
        if not Killed.left:
            if name == "write":
                os.write(arguments[0], bytes(arguments[1])[:50])
            os._exit(9)
        return getattr(QuickOps, name)(self, *arguments)
    return call

for name in OPERATIONS:
    setattr(Killed, name, dying(name))
Killed.left = int(sys.argv[2])
compact(Path(sys.argv[1]), Killed())
"""
FORKED = """
import os, subprocess, sys
source = sys.argv[1]
import llmframe.engine.journal, journal_kit  # loaded once for all that are killed
nth = 0
while True:
    nth += 1
    sys.argv[1:] = [sys.stdin.readline().strip(), str(nth)]
    if (pid := os.fork()) == 0:
        exec(source)
        os._exit(0)
    code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    print(code, flush=True)
    if code != 9:
        break
"""


@pytest.mark.skipif(sys.platform == "win32", reason="forks")
def test_a_compaction_killed_at_any_call_leaves_a_whole_file(tmp_path: Path, folder: Path) -> None:
    with child(FORKED, KILLED) as killer:
        for nth in range(1, 99):
            path = tmp_path / f"{nth}" / "rows.jsonl"
            write_history(path, folder)
            before = path.read_bytes()
            killer.stdin.write(f"{path}\n")
            killer.stdin.flush()
            code = int(killer.stdout.readline())
            assert path.read_bytes() == before or len(path.read_bytes()) < len(before)
            is_whole(path, folder)
            compact(path)
            is_whole(path, folder)
            if code == 0:
                break
        assert nth > 10


def test_a_compacted_checkpoint_buys_nothing_again(tmp_path: Path) -> None:
    df = frame(10).assign(case=range(10))
    with testing.serve(faults={"500": 0.4}) as server:
        tag(df, server, tmp_path, id="case", max_attempts=1)
    with testing.serve() as server:
        tag(df, server, tmp_path, id="case", reuse=False)
        bought = len(server.ledger.calls)
        assert lf.compact(tmp_path / "run.jsonl") > 0
        out = tag(df, server, tmp_path, id="case")
        assert len(server.ledger.calls) == bought
        assert_same(out, uninterrupted(df))
    assert sorted(lf.read_checkpoint(tmp_path / "run.jsonl")["id"]) == list(range(10))


# -- hostile files and names ----------------------------------------------------------


class Bomb:
    """Runs a command where it is unpickled."""

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[str]]:
        return os.system, ("touch exploded",)


YAML = b"!!python/object/apply:os.system ['touch exploded']\n"
CODE = "__import__('os').system('touch exploded')"


def hostile(kind: str, path: Path) -> None:
    if kind == "pickle":
        path.write_bytes(pickle.dumps(Bomb()))
    elif kind == "yaml":
        path.write_bytes(YAML)
    elif kind == "code in JSON":
        line = {"py/object": "os.system", "py/reduce": [CODE], "id": 1, "intent": CODE}
        path.write_text(json.dumps(line) + "\n")
    elif kind == "code in our line":
        used = {"usage": {"in": 1, "out": 1}, "n": 1}
        settings = {"model": CODE, "fields": {"fields": [{"name": CODE, "kind": CODE}]}}
        path.write_bytes(
            lines.encode(TASK.digest, TASK.short, {"settings": settings})
            + lines.encode(key(1), TASK.short, {"v": {CODE: CODE}, **used, "id": CODE})
        )
    else:
        with closing(sqlite3.connect(path)) as connection:
            connection.execute("CREATE TABLE lines (n, key, sort, id, line)")
            connection.execute(
                "CREATE TRIGGER t BEFORE INSERT ON lines BEGIN"
                " SELECT load_extension('exploded'), writefile('exploded', 'x'); END"
            )
            connection.commit()


@pytest.mark.parametrize("suffix", [".jsonl", ".db"])
@pytest.mark.parametrize("kind", ["pickle", "yaml", "code in JSON", "code in our line", "triggers"])
def test_no_file_can_make_us_run_code(tmp_path, monkeypatch, kind: str, suffix: str) -> None:
    monkeypatch.chdir(tmp_path)
    path = tmp_path / f"rows{suffix}"
    hostile(kind, path)
    for use in (
        lambda: lf.read_checkpoint(path),
        lambda: open_checkpoint(path, TASK).close(),
        lambda: lf.compact(path),
    ):
        try:
            use()
        except (PlanError, CheckpointError):
            continue
    assert not list(tmp_path.rglob("exploded"))


NAMES = [
    "../outside", "..\\outside", "/tmp/outside", "C:\\outside", "a/../../outside", "~/outside",
    "outside\0.jsonl", "CON", "outside\n", "$(touch outside)", "\u202eoutside", "." * 300,
]  # fmt: skip


@pytest.mark.parametrize("name", NAMES, ids=range(12))
def test_no_name_from_outside_leads_out_of_the_folder(tmp_path, monkeypatch, name: str) -> None:
    """Files are named by a hash: what a task, a model, a field or a row says is only read."""
    home = tmp_path / "home"
    home.mkdir()
    monkeypatch.chdir(home)
    monkeypatch.setenv("HOME", str(home))
    df = frame(2).assign(case=[name, "b"])
    fields = {name.replace("\0", "-"): ["a", "b"]}
    with testing.serve() as server:
        tag(df, server, None, checkpoint=True, model=name, instructions=name, id="case",
            fields=fields, on_error="keep")  # fmt: skip
    with pytest.raises(PlanError, match="no task begins with"):
        lf.read_checkpoint(".llmframe", task=name)
    (path,) = (home / ".llmframe").glob("*.jsonl")
    assert {file.name for file in (home / ".llmframe").iterdir()} == {
        ".gitignore", path.name, path.name + ".lock",
    }  # fmt: skip
    assert len(path.stem) == 32
    assert [file.name for file in home.iterdir()] == [".llmframe"]
    assert [file.name for file in tmp_path.iterdir()] == ["home"]


@pytest.mark.parametrize("name", ["run.jsonl", "run.db"])
def test_what_a_run_keeps_is_for_its_owner_only(tmp_path, monkeypatch, name: str) -> None:
    monkeypatch.chdir(tmp_path)
    before = os.umask(0)
    seen: dict[str, int] = {}
    try:
        with testing.serve(latency=0.05) as server:
            run = lf.start(
                frame(30), "text", {"intent": ["a", "b"]}, model="m", base_url=server.url,
                api_key="sk-mode", progress=False, checkpoint=f".llmframe/{name}",
            )  # fmt: skip
            while run.status == "running":
                for file in (tmp_path / ".llmframe").iterdir():
                    seen[file.name] = modes(file)
                time.sleep(0.01)
            run.result()
        lf.compact(tmp_path / ".llmframe" / name) if name.endswith("jsonl") else None
    finally:
        os.umask(before)
    assert modes(tmp_path / ".llmframe") == 0o700
    assert (tmp_path / ".llmframe" / ".gitignore").read_text() == "*\n"
    assert set(seen.values()) == {0o600}
    extra = {f"{name}-wal", f"{name}-shm"} if name == "run.db" else {f"{name}.lock"}
    assert {name, ".gitignore"} | extra <= set(seen)
    assert all(modes(file) == 0o600 for file in (tmp_path / ".llmframe").iterdir())


def modes(file: Path) -> int:
    try:
        return stat.S_IMODE(file.stat().st_mode)
    except FileNotFoundError:  # just put away
        return 0o600


def test_the_journal_knows_no_format_that_runs_code() -> None:
    """The linter forbids pickle, eval and yaml everywhere; here they are not even named."""
    for source in Path(lines.__file__).parent.glob("*.py"):
        text = source.read_text("utf-8")
        assert not any(word in text for word in ("pickle", "eval(", "exec(", "yaml", "marshal"))


def test_a_folder_put_in_the_place_of_the_files_is_told(tmp_path: Path) -> None:
    for name in ("rows.jsonl.lock", "rows.db-wal"):
        path = tmp_path / name.split(".", 1)[0] / name
        path.mkdir(parents=True)
        asked = path.with_name(name.removesuffix(".lock").removesuffix("-wal"))
        with pytest.raises(PlanError, match="Nothing was sent"):
            open_checkpoint(asked, TASK, folder=tmp_path / "x")
        shutil.rmtree(path.parent)
