"""One run of the engine: what it opens it closes, and it can be told things from any thread."""

from __future__ import annotations

import asyncio
import re
import threading
import time

import pytest

from llmframe import testing
from llmframe.engine import execution as executions
from llmframe.engine.asking.asking import Sampling
from llmframe.engine.execution import Execution
from llmframe.engine.job import Job
from llmframe.engine.rows.claims import in_flight
from llmframe.errors import CheckpointError
from llmframe.options.settings import Settings
from llmframe.providers.dialect import Dialect
from llmframe.providers.endpoint import Endpoint
from llmframe.results import Usage
from tests.kits.engine import KEYS, PROMPT, Texts, numbered
from tests.kits.journal import FailingOps, opened


def job(rows, url, **options):
    checkpoint = options.pop("checkpoint", None)
    return Job(
        settings=Settings(model="test-model", **options), rows=rows, keys=KEYS, prompt=PROMPT,
        sampling=Sampling(), endpoint=Endpoint(url, "k"), checkpoint=checkpoint,
    )  # fmt: skip


@pytest.fixture
def slow():
    with testing.serve(latency=0.03) as server:
        yield server


@pytest.fixture(autouse=True)
def backends(monkeypatch):
    """Every backend that was opened."""
    opened_ones = []
    open_backend = executions.open_backend

    def note(endpoint, *, connections):
        opened_ones.append(open_backend(endpoint, connections=connections))
        return opened_ones[-1]

    monkeypatch.setattr(executions, "open_backend", note)
    yield
    assert all(each._client.is_closed() for each in opened_ones)


def ended_well(execution):
    """Nothing is leased or claimed any more, and only the results are kept."""
    share = execution._share
    return (
        share.closed
        and share.on_wire == 0
        and share not in execution._governor._shares
        and in_flight.count == 0
        and execution._pipeline is execution._task is execution.job.checkpoint is None
        and share.on_hopeless is None
        and execution._store._leaders == {}
    )


async def beside(execution, *steps):
    """Run, and take steps at their moments (seconds from the start)."""
    task = asyncio.create_task(execution.run())
    for moment, step in steps:
        await asyncio.sleep(moment)
        step()
    await asyncio.wait([task])
    return task


def test_a_run_answers_every_row_and_closes_what_it_opened(slow):
    execution = Execution(job(numbered(150), slow.url, concurrency=10))
    asyncio.run(execution.run())
    report = execution.report()
    assert (report.rows, report.ok, report.done, report.pending) == (150, 150, 150, 0)
    assert (report.requests, report.retries, report.refusals) == (150, 0, 0)
    assert report.tokens_in > 0
    assert report.rows_per_second > 0
    assert report.limited_by == "concurrency 10"
    assert report.checkpoint is None
    assert ended_well(execution)


def test_a_limit_that_finds_itself_says_how_far_it_is(server):
    execution = Execution(job(numbered(2000), server.url))
    said = []

    def look():
        said.append(execution.snapshot("running").limited_by)
        execution.stop()

    asyncio.run(beside(execution, (0.2, look)))
    assert re.fullmatch(r"concurrency \d+, found so far|latency", said[0])


def test_a_snapshot_shows_the_run_as_it_is(slow):
    execution = Execution(job(Texts([None, "a", "a", "b", "c"]), slow.url, concurrency=2))
    seen = []
    before = execution.snapshot("running")
    assert (before.rows, before.done, before.in_flight, before.waiting) == (5, 0, 0, 0)

    def look():
        seen.append(execution.snapshot("running", "hello"))

    execution._governor.understood(Dialect())  # it need not wait for the first answer
    asyncio.run(beside(execution, (0.02, look)))
    (during,) = seen
    assert (during.planned, during.skipped, during.in_flight, during.limit) == (True, 1, 2, 2)
    assert (during.message, during.limited_by) == ("hello", "concurrency 2")
    after = execution.snapshot("finished")
    assert (after.ok, after.shared, after.in_flight, after.pending) == (4, 1, 0, 0)
    assert after.eta is None
    assert after.seconds == execution.report().seconds


def test_a_pause_of_the_provider_is_said():
    with testing.serve(faults={"429_after": 1.0}, retry_after=100) as server:
        execution = Execution(job(numbered(5), server.url))
        said = []

        def look():
            said.append(execution.snapshot("running").limited_by)
            execution.stop()

        asyncio.run(beside(execution, (0.2, look)))
    assert said == ["provider pause, 100 s left"]
    assert execution.report().limited_by == "provider pause"


def test_the_requests_of_other_runs_are_not_shown_as_ones_own(slow):
    async def main():
        busy = Execution(job(numbered(50, "a"), slow.url, concurrency=10))
        idle = Execution(job(numbered(1, "b"), slow.url, concurrency=10))
        task = asyncio.create_task(busy.run())
        await asyncio.sleep(0.02)
        assert idle.snapshot("running").in_flight == 0
        await idle.run()
        await task

    asyncio.run(main())


def test_a_stop_before_the_start_sends_nothing(server):
    execution = Execution(job(numbered(10), server.url))
    execution.stop()
    asyncio.run(execution.run())
    assert len(server.ledger) == 0
    assert execution.report().pending == 10
    assert ended_well(execution)


def test_a_hold_before_the_start_holds(server):
    execution = Execution(job(numbered(10), server.url))
    execution.hold(True)
    assert execution.report().limited_by == "pause by you"
    sent = []
    asyncio.run(
        beside(
            execution,
            (0.1, lambda: sent.append(len(server.ledger))),
            (0, lambda: execution.hold(False)),
        )
    )
    assert sent == [0]
    assert execution.report().ok == 10


def test_it_may_be_told_from_another_thread(slow):
    execution = Execution(job(numbered(500), slow.url, concurrency=5))
    thread = threading.Thread(target=asyncio.run, args=(execution.run(),))
    thread.start()
    time.sleep(0.1)
    execution.hold(True)
    execution.hold(False)
    execution.stop()
    thread.join(5)
    assert 0 < execution.report().ok < 500
    assert ended_well(execution)


def test_a_cancel_gives_up_what_is_in_flight(slow):
    slow.update(latency=30.0)
    execution = Execution(job(numbered(50), slow.url, concurrency=5))
    task = asyncio.run(beside(execution, (0.1, execution.cancel)))
    assert task.cancelled()
    assert execution.report().pending == 50
    assert ended_well(execution)


def test_what_is_told_after_the_end_is_no_error(server):
    execution = Execution(job(numbered(1), server.url))
    execution.cancel()
    execution = Execution(job(numbered(1), server.url))
    asyncio.run(execution.run())
    for tell in (
        execution.stop,
        lambda: execution.hold(True),
        lambda: execution.hold(False),
        execution.cancel,
    ):
        tell()
    assert execution.report().ok == 1


def test_the_hopeless_is_known_afterwards():
    with testing.serve(faults={"401": 1.0}) as server:
        execution = Execution(job(numbered(10), server.url))
        asyncio.run(execution.run())
    assert execution.halt.verdict.status == 401
    assert ended_well(execution)


def test_usage_is_summed_over_all_requests():
    with testing.serve(fault_rows={"row 1": "malformed"}) as server:
        execution = Execution(job(numbered(3), server.url))
        asyncio.run(execution.run())
    report = execution.report()
    assert (report.ok, report.failed, report.requests, report.retries) == (2, 1, 4, 1)
    summed = sum((each.usage for each in execution.results), Usage())
    assert (report.tokens_in, report.tokens_out) == (summed.tokens_in, summed.tokens_out)
    assert report.errors_by_kind == {"output": 1}


# -- the checkpoint's end ----


def test_the_checkpoint_is_on_the_disk_and_closed_at_the_end(server, tmp_path):
    with opened(tmp_path / "c.jsonl", tmp_path) as held:  # another run uses the file on
        synced = []
        with opened(tmp_path / "c.jsonl", tmp_path) as checkpoint:
            fsync = held.written._ops.fsync
            held.written._ops.fsync = lambda fd: synced.append(fd) or fsync(fd)
            try:
                execution = Execution(job(numbered(3), server.url, checkpoint=checkpoint))
                asyncio.run(execution.run())
                assert synced
            finally:
                del held.written._ops.fsync
        assert execution.halt.error is None
        assert execution.report().checkpoint == str(tmp_path / "c.jsonl")


def test_an_fsync_that_fails_at_the_very_end_is_told(server, tmp_path):
    ops = FailingOps("fsync")
    with opened(tmp_path / "c.jsonl", tmp_path, ops=ops) as checkpoint:
        ops.broken = True
        execution = Execution(job(numbered(1), server.url, checkpoint=checkpoint))
        asyncio.run(execution.run())
    assert isinstance(execution.halt.error, CheckpointError)
    assert execution.report().ok == 1


def test_a_cancel_while_a_slow_disk_fails_hides_nothing(server, tmp_path):
    slow, failing = threading.Event(), FailingOps("fsync")
    fsync = failing.fsync

    def slowly(fd):
        if failing.broken:
            slow.wait(10)
        fsync(fd)

    failing.fsync = slowly

    async def cancel():
        task = asyncio.create_task(execution.run())
        while not execution.tally.ended:  # noqa: ASYNC110 - no event tells it
            await asyncio.sleep(0.01)
        execution.cancel()
        await asyncio.sleep(0.01)
        assert not task.done()
        slow.set()
        await asyncio.wait([task])
        assert task.cancelled()

    with opened(tmp_path / "c.jsonl", tmp_path, ops=failing) as checkpoint:
        failing.broken = True
        execution = Execution(job(numbered(1), server.url, checkpoint=checkpoint))
        asyncio.run(cancel())
    assert isinstance(execution.halt.error, CheckpointError)
    assert ended_well(execution)


def test_a_checkpoint_is_closed_where_no_thread_can_be_had(server, tmp_path, monkeypatch):
    async def no_thread(function):
        raise RuntimeError("cannot schedule new futures after interpreter shutdown")

    with opened(tmp_path / "c.jsonl", tmp_path) as checkpoint:
        execution = Execution(job(numbered(1), server.url, checkpoint=checkpoint))
        monkeypatch.setattr(executions.asyncio, "to_thread", no_thread)
        asyncio.run(execution.run())
        assert not checkpoint._open


def test_what_cannot_be_opened_leaves_nothing_open(tmp_path, server, monkeypatch):
    def fail(endpoint, *, connections):
        execution.stop()  # arrives when there is nothing to stop
        raise RuntimeError("no client")

    monkeypatch.setattr(executions, "open_backend", fail)
    with opened(tmp_path / "c.jsonl", tmp_path) as checkpoint:
        execution = Execution(job(numbered(1), server.url, checkpoint=checkpoint))
        with pytest.raises(RuntimeError, match="no client"):
            asyncio.run(execution.run())
        assert not checkpoint._open
    assert execution.report().pending == 1
    assert execution.snapshot("aborted").in_flight == 0
