"""Batch mode stopped, interrupted, cancelled, run twice at once, and refused by the endpoint."""

from __future__ import annotations

import math
import signal

import pytest

import llmframe as lf
from llmframe import testing
from llmframe.errors import LLMFrameError, RunAborted
from tests.kits.batch_lives import begin_on, hurry, sent_twice, settled, start_batch, tag_batch
from tests.kits.batches import client_of
from tests.kits.battery import check, frame, statuses, tag, until
from tests.kits.scripts import Program

pytestmark = [
    pytest.mark.battery,
    pytest.mark.filterwarnings("ignore::llmframe.errors.IncompleteWarning"),
]

HURRY = {"requests": 20}
HELD = {"working": math.inf}


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    hurry(20, setting=monkeypatch.setattr)


def working(server, number):
    """Wait until so many batches are at work."""
    until(lambda: [b["status"] for b in server.ledger.batches] == ["in_progress"] * number)


# -- ends ------------------------------------------------------------------------------------


def test_stop_cancels_all_batches_and_keeps_what_they_answered(tmp_path):
    df = frame(60)
    with testing.serve(batches={"working": 7200}) as server:
        run = start_batch(df, server, tmp_path)
        working(server, 3)
        server.advance(3600)
        until(lambda: len(server.ledger) >= 24)
        run.stop()
        run.wait()
        assert {b["status"] for b in server.ledger.batches} == {"cancelled"}
        answered = len(server.ledger.rows())
        assert statuses(run.partial()) == {"ok": answered, "pending": 60 - answered}
        server.update(batches={})
        check(tag_batch(df, server, tmp_path), df, server)
        assert sent_twice(server) == 0


def test_another_process_cancels_by_the_same_call(tmp_path, nursery):
    path = tmp_path / "run.jsonl"
    with testing.serve(process=True, batches=HELD) as server:
        child = begin_on(nursery, server, path, 60, hurry=HURRY)()
        until(lambda: len(server.ledger.batches) == 3)
        seen = server.ledger.steps["retrieve"]
        assert child.kill_when(lambda: server.ledger.steps["retrieve"] > seen + 9)
        seen = server.ledger.steps["retrieve"]
        run = start_batch(frame(60), server, tmp_path)
        until(lambda: server.ledger.steps["retrieve"] > seen + 9)
        run.stop()
        run.wait()
        assert {b["status"] for b in server.ledger.batches} == {"cancelled"}
        assert len(server.ledger.batches) == 3


def test_cancelled_at_the_providers_site_it_ends_like_a_stop(tmp_path):
    with testing.serve(batches=HELD) as server:
        run = start_batch(frame(40), server, tmp_path)
        working(server, 2)
        with client_of(server) as client:
            client.batches.cancel(server.ledger.batches[0]["id"])
        run.wait()
        assert statuses(run.partial()) == {"pending": 40}
        assert len(server.ledger.batches) == 2


INTERRUPTED = """
from tests.kits import batch_lives
batch_lives.hurry(20)
df = frame(60)
try:
    out = lf.tag(df, "text", FIELDS, mode="batch", checkpoint="run.jsonl")
except KeyboardInterrupt:
    tell(counts=counts(lf.last_run().partial()))
else:
    tell(counts=counts(out))
"""


def test_an_interrupt_leaves_the_batches_and_the_same_call_collects_them():
    with testing.serve(batches=HELD) as server:
        with Program(server, INTERRUPTED, warn="ignore") as program:
            working(server, 3)
            program.interrupt()
            assert program.report()["counts"] == {"pending": 60}
        assert {b["status"] for b in server.ledger.batches} == {"in_progress"}
        server.update(batches={})
        with Program(server, INTERRUPTED, warn="ignore") as program:
            assert program.report()["counts"] == {"ok": 60}
        assert (len(server.ledger.batches), sent_twice(server)) == (3, 0)


def test_terminated_like_a_closed_machine_it_goes_on():
    with testing.serve(batches=HELD) as server:
        with Program(server, INTERRUPTED, warn="ignore") as program:
            working(server, 3)
            program.process.send_signal(signal.SIGTERM)
            program.process.wait()
        server.update(batches={})
        with Program(server, INTERRUPTED, warn="ignore") as program:
            assert program.report()["counts"] == {"ok": 60}
        assert (len(server.ledger.batches), sent_twice(server)) == (3, 0)


# -- two at once -----------------------------------------------------------------------------


def test_the_same_call_twice_in_one_process_is_one_run(tmp_path):
    df = frame(60)
    with testing.serve(batches=HELD) as server:
        run = start_batch(df, server, tmp_path)
        working(server, 3)
        again = start_batch(df, server, tmp_path)
        server.update(batches={})
        assert again.result().equals(run.result())
        assert (len(server.ledger.batches), sent_twice(server)) == (3, 0)


def test_two_tasks_at_once_share_the_file_and_not_the_batches(tmp_path):
    df = frame(40)
    with testing.serve(batches={"working": 0.2}) as server:
        runs = [start_batch(df, server, tmp_path, instructions=text) for text in ("a", "b")]
        assert [statuses(run.result()) for run in runs] == [{"ok": 40}] * 2
        assert len(server.ledger.batches) == 4


TWICE = """
from tests.kits import batch_lives
batch_lives.hurry(20)
tell(ready=True)
out = lf.tag(frame(60), "text", FIELDS, mode="batch")
tell(counts=counts(out))
"""


def test_two_processes_at_once_send_no_row_twice():
    with testing.serve(batches=HELD) as server:
        with Program(server, TWICE, warn="ignore") as one:
            assert one.report()["ready"]
            working(server, 3)
            with Program(server, TWICE, warn="ignore") as other:
                assert other.report()["ready"]
                until(lambda: server.ledger.steps["retrieve"] > 60)
                server.update(batches={})
                assert one.report()["counts"] == {"ok": 60}
                assert other.report()["counts"] == {"ok": 60}
        assert (len(server.ledger.batches), sent_twice(server)) == (3, 0)


# -- endpoints ---------------------------------------------------------------------------------


def test_an_endpoint_without_batches_ends_the_run_or_all_is_asked_live(tmp_path):
    df = frame(40)
    with testing.serve(batches=None) as server:
        with pytest.raises(RunAborted, match="has no batches"):
            tag_batch(df, server, tmp_path)
        assert len(server.ledger) == 0
        with pytest.warns(UserWarning, match="live"):
            out = tag_batch(df, server, tmp_path, batch_fallback="live")
        check(out, df, server)


@pytest.mark.parametrize("step", ["upload", "create", "list", "retrieve", "download"])
def test_a_refused_key_ends_the_run_and_the_right_one_goes_on(tmp_path, step):
    df = frame(40)
    rules = {"faults": {step: "401"}}
    if step == "list":
        rules["faults"]["create"] = ["done:drop"]
    with testing.serve(batches=rules) as server:
        with pytest.raises(LLMFrameError) as caught:
            tag_batch(df, server, tmp_path)
        assert "API key" in str(caught.value) or "401" in str(caught.value)
        server.update(batches={})
        out = tag_batch(df, server, tmp_path)
        check(out, df, server)
        assert (len(server.ledger.batches), sent_twice(server)) == (2, 0)


@pytest.mark.parametrize("fault", ["quota", "402", "403"])
def test_no_money_ends_the_run(tmp_path, fault):
    with testing.serve(batches={"faults": {"create": fault}}) as server:
        with pytest.raises(RunAborted):
            tag_batch(frame(40), server, tmp_path)
        assert len(server.ledger) == 0


def test_results_that_are_gone_are_paid_for_again_and_the_run_ends(tmp_path):
    df = frame(20)
    with testing.serve(batches={"faults": {"download": ["missing"] * 8}}) as server:
        with pytest.warns(UserWarning, match="does not have the results"):
            out = tag_batch(df, server, tmp_path)
        check(out, df, server, twice=20)


def test_a_live_call_while_rows_are_in_a_batch_warns(tmp_path, nursery):
    df = frame(20)
    with testing.serve(process=True, batches=HELD) as server:
        child = begin_on(nursery, server, tmp_path / "run.jsonl", 20, hurry=HURRY)()
        assert child.kill_when(lambda: server.ledger.steps["retrieve"] > 3)
        with pytest.warns(UserWarning, match="batch"):
            check(tag(df, server, tmp_path), df, server)


# -- disks and budgets ------------------------------------------------------------------------


def test_a_full_disk_ends_the_run_and_room_lets_it_go_on(tmp_path, nursery):
    path = tmp_path / "run.jsonl"
    with testing.serve(process=True) as server:
        begin = begin_on(nursery, server, path, 60, hurry=HURRY, file_limit=9_000)
        found = begin().end()
        assert found["error"] == "CheckpointError"
        settled(server)
        out = begin_on(nursery, server, path, 60, hurry=HURRY)().end()
        assert statuses(out["frame"]) == {"ok": 60}
        assert (len(server.ledger.batches), sent_twice(server)) == (3, 0)


def test_a_budget_ends_the_run_within_it(tmp_path):
    with testing.serve() as server:
        out = tag_batch(frame(60), server, tmp_path, prices=(1e3, 1e3), max_cost=1.5)
        cost = server.ledger.cost({"in": 500.0, "out": 500.0})
        assert 0 < statuses(out)["ok"] < 60
        assert cost <= 1.5
        assert lf.last_run().report.cost == pytest.approx(cost)
