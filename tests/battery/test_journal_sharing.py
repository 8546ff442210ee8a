"""One checkpoint, many questions (21), many processes (23), and its compaction under attack."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import Any

import pytest

import llmframe as lf
from llmframe import testing
from llmframe.errors import CheckpointError, PlanError
from llmframe.journal import compact
from tests.kits.battery import (
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
from tests.kits.files import child, kept
from tests.kits.journal import (
    FAILED,
    OPERATIONS,
    OTHER_TASK,
    FailingOps,
    QuickOps,
    answer,
    key,
    opened,
    write_answers,
)

pytestmark = [pytest.mark.battery, pytest.mark.usefixtures("folder")]


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
from tests.kits.battery import frame, settings, FIELDS
url, checkpoint, first, last = sys.argv[1:]
out = lf.tag(frame(40).iloc[int(first):int(last)], "text", FIELDS,
             **settings(url, None, checkpoint=checkpoint if checkpoint != "True" else True))
assert (out["llm_status"] == "ok").all()
print(lf.last_run().report.reused)
"""
HOLD = """
import sys
from pathlib import Path
from tests.kits.journal import *
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
from tests.kits.journal import OPERATIONS, QuickOps
from llmframe.journal import compact

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
import llmframe.journal, journal_kit  # loaded once for all that are killed
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
