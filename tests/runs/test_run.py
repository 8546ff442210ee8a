"""A run's handle: its states, its results at any time, and how it ends."""

from __future__ import annotations

import asyncio
import threading
import warnings

import pandas as pd
import pytest

import llmframe as lf
from llmframe.errors import (
    CallError,
    IncompleteWarning,
    LLMFrameError,
    OutputError,
    PlanError,
    RowError,
    RunAborted,
)
from llmframe.journal.shared import open_stores
from llmframe.runs import session as sessions
from llmframe.runs.session import Registry
from tests.kits.left_loops import leaves_a_loop
from tests.kits.until import until, until_true

FIELDS = {"intent": ["refund", "delivery", "other"]}


def frame(n=20, name="record"):
    return pd.DataFrame({"text": [f"{name} {i}" for i in range(n)]})


def statuses(out):
    return {k: v for k, v in out["llm_status"].value_counts().items() if v}


# -- states ---------------------------------------------------------------------------------


def test_a_run_that_is_through_is_finished(start):
    run = start()
    assert run.status == "running"
    assert statuses(run.result()) == {"ok": 100}
    assert run.status == "finished"


def test_a_paused_run_sends_nothing_new_until_it_is_resumed(start, slow):
    run = start()
    until(lambda: run.report.ok >= 10)
    run.pause()
    assert run.status == "paused"
    assert not run.wait(0.5)
    sent = until(lambda: run.report.ok == len(slow.ledger) and run.report.ok)  # all came back
    assert not run.wait(0.3)
    assert len(slow.ledger) == sent < 100
    run.resume()
    assert run.status == "running"
    assert statuses(run.result()) == {"ok": 100}


def test_a_stopped_run_keeps_what_is_in_flight_and_sends_nothing_new(start, slow):
    run = start()
    until(lambda: run.report.ok >= 10)
    run.stop()
    sent = len(slow.ledger)
    assert run.status == "stopping"
    assert run.wait(5)
    assert run.status == "stopped"
    assert run.report.ok == len(slow.ledger) <= sent + 10  # those that had just left
    assert statuses(run.partial()) == {"ok": run.report.ok, "pending": run.report.pending}


def test_a_paused_run_can_be_stopped(start):
    run = start()
    until(lambda: run.report.ok >= 10)
    run.pause()
    run.stop()
    assert run.wait(5)
    assert run.status == "stopped"


def test_a_second_stop_does_not_wait_for_what_is_in_flight(start, slow):
    slow.update(fault_rows={"record": "hang"})
    run = start()
    until(lambda: len(slow.ledger) >= 10)
    run.stop()
    assert not run.wait(0.2)
    run.stop()
    assert run.wait(20)  # not the 60 s of a request that hangs
    assert run.status == "stopped"
    assert statuses(run.partial()) == {"pending": 100}


def test_stop_pause_and_resume_do_nothing_after_the_end(start):
    run = start(frame(5))
    run.wait()
    run.pause()
    run.resume()
    run.stop()
    run.stop()
    assert run.status == "finished"
    assert statuses(run.result()) == {"ok": 5}


def test_a_hopeless_run_is_aborted_and_holds_what_was_answered(start, slow):
    run = start()
    until(lambda: run.report.ok >= 10)
    slow.update(faults={"402": 1.0})
    with pytest.raises(RunAborted, match="no credit") as caught:
        run.result()
    assert run.status == "aborted"
    assert caught.value.run is run
    assert 10 <= statuses(caught.value.run.partial())["ok"] < 100


# -- waiting and reading ----------------------------------------------------------------------


def test_wait_says_whether_the_end_has_come(start):
    run = start()
    assert run.wait(0) is False
    assert run.wait(0.01) is False
    assert run.wait() is True
    assert run.wait(0) is True


def test_partial_and_report_work_while_the_run_goes_on(start):
    df = frame(100)
    run = start(df)
    until(lambda: run.report.ok >= 10)
    partial, report = run.partial(), run.report
    assert list(partial.columns) == ["text", "intent", "llm_status", "llm_error"]
    assert 10 <= statuses(partial)["ok"] <= report.ok < 100
    assert report.rows == report.ok + report.pending
    assert list(df.columns) == ["text"]


def test_the_repr_shows_the_progress(start):
    run = start(frame(1200))
    assert repr(run).startswith("<Run running: ")
    assert "of 1,200 rows done" in repr(run)


def test_errors_are_the_failed_rows_on_the_frames_index(configured):
    configured.update(fault_rows={"record 3": "refusal"})
    df = frame(6).set_index(pd.Index(list("aabbcc")))
    df.llm.tag("text", FIELDS)
    errors = lf.last_run().errors
    assert list(errors.columns) == ["text", "llm_error"]
    assert errors.index.tolist() == ["b"]
    assert errors["text"].tolist() == ["record 3"]
    assert errors["llm_error"].iloc[0].startswith("refusal: ")
    out = df.llm.tag("text", FIELDS, prefix="a_", checkpoint=False)
    assert list(lf.last_run().errors.columns) == ["text", "a_llm_error"]
    pd.testing.assert_frame_equal(lf.last_run().errors, out.llm.errors("a_"))


def test_a_run_can_be_awaited(start):
    async def cell():
        return await start(frame(30))

    assert statuses(asyncio.run(cell())) == {"ok": 30}


def test_who_awaits_a_run_may_be_cancelled_without_harm_to_it(start, caplog):
    async def cell(run):
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(_result(run), 0.1)

    async def _result(run):
        return await run

    run = start()
    asyncio.run(cell(run))
    assert run.status == "running"
    assert statuses(run.result()) == {"ok": 100}
    assert caplog.records == []


def test_the_last_run_is_the_newest(start):
    first = start()
    assert lf.last_run() is first
    second = start(frame(5))
    second.wait()
    assert lf.last_run() is second


def test_a_run_shows_nine_names_and_can_be_awaited_and_no_more(start):
    run = start(frame(5))
    names = ["errors", "partial", "pause", "report", "result", "resume", "status", "stop", "wait"]
    assert [name for name in dir(run) if not name.startswith("_")] == names
    assert statuses(run.result()) == {"ok": 5}


def test_without_a_run_there_is_no_last_one():
    with pytest.raises(LLMFrameError, match="no run yet"):
        Registry().newest()


# -- how a run ends -----------------------------------------------------------------------------


def test_a_stopped_run_warns_once_that_rows_are_pending(start):
    run = start()
    until(lambda: run.report.ok >= 10)
    run.stop()
    with pytest.warns(IncompleteWarning, match="rows are pending") as caught:
        first, second = run.result(), run.result()
    assert [warning.filename for warning in caught] == [__file__]
    pd.testing.assert_frame_equal(first, second)


def test_a_stopped_run_is_an_error_where_all_rows_are_wanted(start):
    run = start(on_incomplete="raise")
    until(lambda: run.report.ok >= 10)
    run.stop()
    with pytest.raises(IncompleteWarning, match="rows are pending") as caught:
        run.result()
    assert caught.value.run is run
    assert statuses(run.partial())["pending"] > 0


def test_a_run_through_with_failed_rows_does_not_warn(configured):
    configured.update(fault_rows={"record 3": "refusal"})
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        out = frame().llm.tag("text", FIELDS, on_incomplete="raise")
    assert statuses(out) == {"ok": 19, "failed": 1}


@pytest.mark.parametrize(
    ("fault", "kind", "name"),
    [(CallError, "content_filter", "content_filter"), (OutputError, "output", "schema")],
)
def test_on_error_raise_stops_at_the_first_row_that_fails_for_good(slow, fault, kind, name):
    slow.update(fault_rows={"record 42.": name})
    df = pd.DataFrame({"text": [f"record {i}." for i in range(200)]}, index=range(1000, 1200))
    with pytest.raises(RowError, match="row 42") as caught:
        df.llm.tag("text", FIELDS, on_error="raise")
    error = caught.value
    assert type(error) is fault
    assert (error.kind, error.position, error.index) == (kind, 42, 1042)
    assert error.run is lf.last_run()
    assert error.run.status == "aborted"
    kept = statuses(error.run.partial())
    assert kept["failed"] == 1
    assert 0 < kept["ok"] < 199
    slow.update(fault_rows={})
    assert statuses(df.llm.tag("text", FIELDS, on_error="raise")) == {"ok": 200}
    assert lf.last_run().report.reused >= kept["ok"]


def test_a_wrong_key_aborts_before_much_is_sent(configured):
    configured.update(key="the right one")
    with pytest.raises(RunAborted, match="does not accept the API key") as caught:
        frame(1000).llm.tag("text", FIELDS, api_key="sk-very-wrong-1234")
    assert "sk-very-wrong-1234" not in str(caught.value)
    assert statuses(caught.value.run.partial()) == {"pending": 1000}
    assert len(configured.ledger) <= 50


def test_a_run_awaited_on_another_loop_than_its_own_is_no_mistake(slow):
    async def cell():
        run = lf.last_run()
        return await run

    lf.start(frame(30), "text", FIELDS)
    assert statuses(asyncio.run(cell())) == {"ok": 30}


def test_a_blocking_wait_on_the_loop_of_the_run_is_refused(slow):
    async def cell():
        tag = asyncio.create_task(frame(30).llm.atag("text", FIELDS))
        await asyncio.to_thread(until, lambda: len(slow.ledger))
        run = lf.last_run()
        assert run.wait(0) is False
        with pytest.raises(PlanError, match="await run"):
            run.wait(1)
        out = await run
        assert run.wait(1) is True
        return out, await tag

    awaited, tagged = asyncio.run(cell())
    pd.testing.assert_frame_equal(awaited, tagged)


def test_an_endless_wait_on_the_loop_of_another_run_is_refused(slow):
    async def cell():
        tag = asyncio.create_task(frame(30).llm.atag("text", FIELDS))
        await asyncio.to_thread(until, lambda: len(slow.ledger))
        beside = lf.start(frame(30, "other"), "text", FIELDS)
        for endless in (beside.result, beside.wait):
            with pytest.raises(PlanError, match="another run lives"):
                endless()
        assert beside.wait(0.01) is False
        return await tag, await beside

    assert [statuses(out) for out in asyncio.run(cell())] == [{"ok": 30}] * 2


@leaves_a_loop
def test_a_wait_ends_when_the_runs_loop_is_closed_meanwhile(slow, two_loops, monkeypatch):
    monkeypatch.setattr(sessions, "PROBE", 0.01)
    slow.update(latency=5.0)
    two_loops[0].start(frame(3).llm.atag("text", FIELDS))
    until(lambda: len(slow.ledger) == 3)
    run = lf.last_run()
    waiting = threading.Thread(target=run.wait)
    waiting.start()
    two_loops[0].kill()
    waiting.join(5)
    assert not waiting.is_alive()
    assert run.status == "stopped"


@leaves_a_loop
def test_a_run_whose_loop_was_closed_is_stopped_and_gives_its_file_back(slow):
    loop = asyncio.new_event_loop()
    task = loop.create_task(frame(200).llm.atag("text", FIELDS))
    loop.run_until_complete(until_true(lambda: len(slow.ledger) > 20))
    assert not task.done()
    for each in asyncio.all_tasks(loop):
        each._log_destroy_pending = False
    loop.close()
    run = lf.last_run()
    assert run.wait(0)
    assert run.status == "stopped"
    assert 0 < statuses(run.partial())["ok"] < 200
    assert open_stores() != []  # nobody has done anything about it yet
    with pytest.warns(IncompleteWarning):
        run.result()
    assert open_stores() == []
    assert statuses(frame(200).llm.tag("text", FIELDS)) == {"ok": 200}
    assert len(slow.ledger.billed_twice()) <= 10


@leaves_a_loop
def test_a_run_on_a_loop_that_stands_still_is_not_joined(slow):
    loop = asyncio.new_event_loop()
    task = loop.create_task(frame(50).llm.atag("text", FIELDS))
    loop.run_until_complete(asyncio.wait([task], timeout=0.3))
    assert statuses(frame(50).llm.tag("text", FIELDS)) == {"ok": 50}
    assert statuses(loop.run_until_complete(task)) == {"ok": 50}
    loop.close()
    assert len(slow.ledger) <= 60
