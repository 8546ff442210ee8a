"""Functions of the person's beside a run: in a thread, or in processes by ``workers="process"``."""

from __future__ import annotations

import asyncio
import itertools
import os
import threading
from pathlib import Path

import pandas as pd
import psutil
import pytest
from pydantic import BaseModel, field_validator

import llmframe as lf
from llmframe.errors import IncompleteWarning, PlanError
from tests.kits.scripts import Program
from tests.kits.until import until

FIELDS = {"summary": str}
IN_PROCESSES = {"workers": "process"}


@pytest.fixture(autouse=True)
def no_process_is_left():
    before = {child.pid for child in psutil.Process().children(recursive=True)}
    yield
    until(lambda: {c.pid for c in psutil.Process().children(recursive=True)} <= before)


def texts(n):
    return [f"record {i}" for i in range(n)]


def by_whom():
    """A redact= that says where it ran; nested, so that it is copied and nothing is imported."""
    return lambda text: f"{text} by {os.getpid()}"


def where_it_ran(server):
    return {int(call.row.rpartition(" ")[2]) for call in server.ledger.calls}


# -- redact= -------------------------------------------------------------------------------------


def test_redact_runs_in_other_processes_for_a_stream(configured):
    results = [*lf.tag_stream(texts(60), FIELDS, redact=by_whom(), workers="process", ordered=True)]
    assert [result.record for result in results] == texts(60)
    assert {result.status for result in results} == {"ok"}
    assert os.getpid() not in where_it_ran(configured)


def test_redact_runs_in_other_processes_for_a_frame(configured):
    df = pd.DataFrame({"text": texts(60)})
    out = df.llm.tag("text", FIELDS, redact=by_whom(), workers="process")
    assert set(out["llm_status"]) == {"ok"}
    assert os.getpid() not in where_it_ran(configured)


def test_threads_are_the_default(configured):
    [*lf.tag_stream(texts(5), FIELDS, redact=by_whom())]
    assert where_it_ran(configured) == {os.getpid()}


def test_answers_and_keys_are_the_same_wherever_it_runs(configured):
    def redact(text):
        return text.replace("record", "[name]") if "3" not in text else None

    df = pd.DataFrame({"text": [*texts(40), " "]})
    in_thread = df.llm.tag("text", FIELDS, redact=redact)
    sent = len(configured.ledger)
    in_processes = df.llm.tag("text", FIELDS, redact=redact, workers="process")
    pd.testing.assert_frame_equal(in_thread, in_processes)
    assert len(configured.ledger) == sent  # all from the checkpoint


def test_a_process_that_dies_fails_its_record_only(configured):
    def redact(text):
        return os._exit(1) if text == "record 7" else text

    results = [*lf.tag_stream(texts(30), FIELDS, redact=redact, workers="process")]
    [failed] = [result for result in results if result.status == "failed"]
    assert failed.record == "record 7"
    assert failed.error == "redact: the process died in redact=; nothing was sent"
    assert len(results) == 30


def test_leaving_a_stream_ends_a_process_that_hangs(configured):
    def redact(text):
        if text == "record 5":
            Path("hangs").touch()
            threading.Event().wait()
        return text

    endless = (f"record {i}" for i in itertools.count())
    results = lf.tag_stream(endless, FIELDS, redact=redact, workers="process", buffer=8)
    reading = threading.Thread(target=lambda: [*results])
    reading.start()
    until(Path("hangs").exists)
    results.close()
    reading.join()
    assert results.run.status == "stopped"


@pytest.mark.parametrize("what", ["redact", "fields"])
def test_what_cannot_be_copied_is_said_before_anything_is_sent(configured, what):
    lock = threading.Lock()

    class Answer(BaseModel):
        summary: str

        @field_validator("summary")
        @classmethod
        def locked(cls, value):
            with lock:
                return value

    fields = Answer if what == "fields" else FIELDS
    redact = (lambda text: text if lock else "") if what == "redact" else None
    with pytest.raises(PlanError, match=f"copies {what}"):
        lf.tag_stream(texts(5), fields, redact=redact, workers="process")
    assert len(configured.ledger) == 0


def test_a_number_of_workers_is_answered_by_the_option_that_was_meant(configured):
    with pytest.raises(PlanError, match="concurrency=8"):
        lf.tag_stream(texts(5), FIELDS, workers=8)


# -- validators ------------------------------------------------------------------------------------


def model(change):
    class Answer(BaseModel):
        summary: str

        @field_validator("summary")
        @classmethod
        def changed(cls, value):
            return change(value)

    return Answer


def test_validators_run_in_other_processes(configured):
    fields = model(lambda value: str(os.getpid()))
    results = [*lf.tag_stream(texts(20), fields, workers="process")]
    pids = {result.values["summary"] for result in results}
    assert str(os.getpid()) not in pids
    assert all(pid.isdecimal() for pid in pids)


def test_validators_run_in_a_thread_and_never_two_at_the_same_time(configured):
    configured.update(latency=0.01)
    inside, most, where = [0], [0], set()

    def change(value):
        inside[0] += 1
        most[0] = max(most[0], inside[0])
        where.add(threading.current_thread().name)
        for _ in range(2000):  # long enough for another thread to come in
            pass
        inside[0] -= 1
        return value

    results = [*lf.tag_stream(texts(60), model(change))]
    assert {result.status for result in results} == {"ok"}
    assert most == [1]
    assert where == {"llmframe-call"}


@pytest.mark.parametrize("options", [{}, IN_PROCESSES], ids=["thread", "process"])
def test_what_a_validator_refuses_is_asked_again_and_fails(configured, options):
    def change(value):
        raise ValueError("never good")

    [result] = lf.tag_stream(["a record"], model(change), **options)
    assert result.error.startswith("output: summary=")
    assert "never good" in result.error
    assert len(configured.ledger) == 3  # the format was doubted first


def test_a_validator_that_kills_its_process_fails_its_record_only(configured):
    fields = model(lambda value: os._exit(1) if value.endswith(" 0") else value)
    configured.update(answer=lambda row, _: {"summary": row})
    results = [*lf.tag_stream(texts(20), fields, workers="process")]
    [failed] = [result for result in results if result.status == "failed"]
    assert failed.record == "record 0"
    assert failed.error == "output: the reply could not be read: the process died"


def test_a_validator_that_blocks_holds_up_no_other_request(configured):
    """A lookup in a database, say: requests leave and come back meanwhile."""
    goes_on = threading.Event()

    def change(value):
        assert goes_on.wait(60)
        return value

    results = lf.tag_stream(texts(30), model(change), concurrency=5)
    reading = threading.Thread(target=lambda: [*results])
    reading.start()
    until(lambda: len(configured.ledger) == 5)
    assert results.run.status == "running"
    goes_on.set()
    reading.join()
    assert results.run.report.ok == 30


def test_a_reply_that_is_being_read_is_kept_when_the_run_is_cancelled(configured):
    begun, goes_on = threading.Event(), threading.Event()

    def change(value):
        begun.set()
        assert goes_on.wait(60)
        return value

    run = lf.start(pd.DataFrame({"text": ["a record"]}), "text", model(change))
    assert begun.wait(60)
    run.stop()
    run.stop()  # what is in flight is abandoned, but this reply has been paid
    goes_on.set()
    assert run.result()["llm_status"].tolist() == ["ok"]


@pytest.mark.filterwarnings("ignore::llmframe.errors.IncompleteWarning")
def test_a_validator_that_hangs_does_not_hold_up_a_second_stop(configured, monkeypatch):
    monkeypatch.setattr("llmframe.engine.asking.validating.GRACE", 0.05)
    begun, goes_on = threading.Event(), threading.Event()

    def change(value):
        begun.set()
        goes_on.wait(60)
        return value

    run = lf.start(pd.DataFrame({"text": ["a record"]}), "text", model(change))
    assert begun.wait(60)
    run.stop()
    run.stop()
    assert run.wait(30)
    goes_on.set()
    with pytest.warns(IncompleteWarning):
        assert run.result()["llm_status"].tolist() == ["pending"]
    assert run.report.tokens_in > 0  # what it took is known all the same


# -- scripts -------------------------------------------------------------------------------------

SCRIPT = """
def redact(text):
    return f"{text} {os.getpid()}"

results = [*lf.tag_stream([f"r {i}" for i in range(20)], FIELDS, redact=redact, workers="process")]
tell(ok=sum(result.status == "ok" for result in results), pid=os.getpid())
"""

HANGS = """
def redact(text):
    open("begun", "w").close()
    threading.Event().wait()

results = lf.tag_stream(["a text"], FIELDS, redact=redact, workers="process")
threading.Thread(target=lambda: [*results], daemon=True).start()
while not os.path.exists("begun"):
    time.sleep(0.01)
tell(begun=True)
"""


def test_a_script_needs_no_guard_around_it(server):
    with Program(server, SCRIPT) as program:
        report = program.report()
        assert program.end() == ""
    assert report["ok"] == 20
    assert report["pid"] not in where_it_ran(server)


def test_a_script_ends_while_a_function_hangs_in_a_process(server):
    with Program(server, HANGS) as program:
        assert program.report() == {"begun": True}
        assert program.end() == ""


def test_it_works_from_a_coroutine(configured):
    async def main():
        async with lf.tag_stream(texts(20), FIELDS, redact=by_whom(), workers="process") as results:
            return [result async for result in results]

    assert {result.status for result in asyncio.run(main())} == {"ok"}
    assert os.getpid() not in where_it_ran(configured)
