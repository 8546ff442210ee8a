"""One checkpoint, many questions (21), many processes (23)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import llmframe as lf
from llmframe import testing
from llmframe.errors import CheckpointError, PlanError
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
    until,
)
from tests.kits.files import child
from tests.kits.journal import (
    answer,
    key,
    opened,
)

pytestmark = [pytest.mark.battery, pytest.mark.usefixtures("folder")]


# -- 21: another prompt, another model ------------------------------------------------


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
    tmp_path: Path, change: dict[str, Any]
) -> None:
    df, path = frame(6), tmp_path / "run.jsonl"
    with testing.serve() as server:
        tag(df, server, tmp_path, checkpoint=path)
        old = path.read_bytes()
        out = tag(df, server, tmp_path, checkpoint=path, **change)
        assert len(server.ledger.calls) == 12
        assert lf.last_run().report.reused == 0
        assert (out["llm_status"] == "ok").all()
        tag(df, server, tmp_path, checkpoint=path)
        assert len(server.ledger.calls) == 12
    assert path.read_bytes().startswith(old)
    tasks = {lf.read_checkpoint(path, task=task)["model"].iloc[0] for task in task_names(path)}
    assert tasks == {"test-model", change.get("model", "test-model")}


def task_names(path: Path) -> list[str]:
    with pytest.raises(PlanError) as caught:
        lf.read_checkpoint(path, task="no such task")
    names = [line.strip().partition(":")[0] for line in str(caught.value).splitlines()[1:]]
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
url, first, last = sys.argv[1:]
out = lf.tag(frame(40).iloc[int(first):int(last)], "text", FIELDS,
             **settings(url, None, checkpoint=True))
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
        with pytest.raises(CheckpointError) as caught:
            tag(frame(5), server, None, checkpoint=path)
        says(caught.value, f"process {other.pid}", "nothing was sent", "checkpoint=False")
        assert server.ledger.calls == []
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


def test_two_processes_on_one_task_end_with_every_row(tmp_path, monkeypatch) -> None:
    """Two halves that overlap, on the default files beside each other."""
    monkeypatch.chdir(tmp_path)
    df = frame(40)
    with testing.serve() as server:
        halves = [child(RUN, server.url, *half) for half in [(0, 25), (15, 40)]]
        for half in halves:
            half.communicate(timeout=100)
            assert half.returncode == 0
        bought = len(server.ledger.calls)
        out = tag(df, server, None, checkpoint=True)
        assert len(server.ledger.calls) == bought  # nothing is bought a third time
        assert lost(out, server.ledger) == []
        assert paid_twice(server.ledger) <= 10  # those that both had in flight at once
        assert_same(out, uninterrupted(df))


def test_a_process_killed_beside_another_costs_at_most_what_it_had_in_flight(
    tmp_path, monkeypatch
) -> None:
    monkeypatch.chdir(tmp_path)
    df = frame(40)
    with testing.serve(latency=0.05) as server:
        with child(RUN, server.url, 0, 40) as doomed:
            until(lambda: len(answered(server.ledger)) >= 8)
            doomed.kill()
        early = answered(server.ledger)
        out = tag(df, server, None, checkpoint=True)
        check(out, df, server, twice=20)
        assert early
