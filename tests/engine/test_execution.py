"""One run of the engine: it closes what it opens, and any thread may steer it."""

from __future__ import annotations

import asyncio
import gc
import re
import threading
import weakref

import pytest

from llmframe import testing
from llmframe.engine import execution as executions
from llmframe.engine.execution import Execution
from llmframe.engine.governor import Governor
from llmframe.engine.rows.claims import in_flight
from llmframe.engine.rows.parts import Job
from llmframe.engine.rows.pipeline import Pipeline
from llmframe.errors import CheckpointError
from llmframe.journal.shared import open_stores
from llmframe.options.settings import Settings
from llmframe.providers.endpoint import Endpoint
from llmframe.results import Usage
from llmframe.system.files import FileOps
from tests.kits.engine import KEYS, PROMPT, Texts, numbered
from tests.kits.journal import FailingOps, opened
from tests.kits.until import turns, until, until_true


def job(rows, url, **options):
    checkpoint = options.pop("checkpoint", None)
    return Job(
        settings=Settings(model="test-model", given=frozenset(options), **options),
        rows=rows, keys=KEYS, prompt=PROMPT,
        endpoint=Endpoint(url, "k"), checkpoint=checkpoint,
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

    async def note(endpoint, *, connections):
        opened_ones.append(await open_backend(endpoint, connections=connections))
        return opened_ones[-1]

    monkeypatch.setattr(executions, "open_backend", note)
    yield
    assert all(each.client.is_closed() for each in opened_ones)


@pytest.fixture
def ended_well(monkeypatch):
    """A function: nothing is leased or claimed any more, and only the results are kept."""
    made, left = [], []
    leave = Governor.leave

    class NotedPipeline(Pipeline):
        def __init__(self, parts, *arguments, **options):
            super().__init__(parts, *arguments, **options)
            garbage = weakref.ref(self), weakref.ref(asyncio.current_task())
            made.append((parts.share, parts.store, garbage))

    def note_leave(governor, share):
        left.append(share)
        leave(governor, share)

    monkeypatch.setattr(executions, "Pipeline", NotedPipeline)
    monkeypatch.setattr(Governor, "leave", note_leave)

    def check(execution):
        gc.collect()
        ((share, store, garbage),) = made
        return (
            share.closed
            and share.on_wire == 0
            and share in left
            and in_flight.count == 0
            and [each() for each in garbage] == [None, None]
            and execution.job.checkpoint is None
            and share.on_hopeless is None
            # private: no result shows the keys that a store would hold on to
            and store._leaders == {}
        )

    return check


async def steered(execution, *steps):
    """Run, and take each step as soon as its condition holds."""
    task = asyncio.create_task(execution.run())
    for condition, step in steps:
        await until_true(condition)
        step()
    await asyncio.wait([task])
    return task


def test_a_run_answers_every_row_and_closes_what_it_opened(slow, ended_well):
    execution = Execution(job(numbered(150), slow.url, concurrency=10))
    asyncio.run(execution.run())
    report = execution.report()
    assert (report.rows, report.ok, report.done, report.pending) == (150, 150, 150, 0)
    assert (report.requests, report.retries, report.refusals) == (150, 0, 0)
    assert report.tokens_in > 0
    assert report.rows_per_second > 0
    assert report.checkpoint is None
    assert ended_well(execution)


def test_the_concurrency_given_limits_a_run_whose_answers_take_long():
    with testing.serve(latency=0.2) as server:  # long beside the work of four rows, on any machine
        execution = Execution(job(numbered(32), server.url, concurrency=4))
        asyncio.run(execution.run())
    assert execution.report().limited_by == "concurrency 4"


def test_a_limit_that_finds_itself_shows_how_far_it_is(server):
    execution = Execution(job(numbered(2000), server.url))
    shown = []

    def stop():
        shown.append(execution.snapshot("running").limited_by)
        execution.stop()

    asyncio.run(steered(execution, (lambda: execution.report().ok >= 50, stop)))
    assert re.fullmatch(r"concurrency \d+, found so far|latency", shown[0])


def test_a_snapshot_shows_the_run_as_it_is(slow):
    execution = Execution(job(Texts([None, "a", "a", "b", "c"]), slow.url, concurrency=2))
    seen = []
    asyncio.run(Execution(job(numbered(1, "first"), slow.url)).run())  # so it need not wait alone
    before = execution.snapshot("running")
    assert (before.rows, before.done, before.in_flight, before.waiting) == (5, 0, 0, 0)

    def full():
        snapshot = execution.snapshot("running", "hello")
        return snapshot.in_flight == 2 and snapshot

    async def main():
        task = asyncio.create_task(execution.run())
        seen.append(await until_true(full))
        await task

    asyncio.run(main())
    (during,) = seen
    assert (during.planned, during.skipped, during.in_flight, during.limit) == (True, 1, 2, 2)
    assert (during.message, during.limited_by) == ("hello", "concurrency 2")
    after = execution.snapshot("finished")
    assert (after.ok, after.shared, after.in_flight, after.pending) == (4, 1, 0, 0)
    assert after.eta is None
    assert after.seconds == execution.report().seconds


def test_a_pause_of_the_provider_is_shown():
    with testing.serve(faults={"429_after": 1.0}, retry_after=100) as server:
        execution = Execution(job(numbered(5), server.url))
        shown = []

        def show():
            shown.append(execution.snapshot("running").limited_by)

        def mostly_paused():
            spent = execution.report().time_went_to
            return max(spent, key=spent.get, default="") == "provider pause"

        steps = (lambda: execution.report().refusals, show), (mostly_paused, execution.stop)
        asyncio.run(steered(execution, *steps))
    (text,) = shown
    assert text.startswith("provider pause, 100 s left: Rate limit reached")
    assert execution.report().limited_by == "provider pause"


def test_a_run_does_not_show_the_requests_of_other_runs(slow):
    async def main():
        busy = Execution(job(numbered(50, "a"), slow.url, concurrency=10))
        idle = Execution(job(numbered(1, "b"), slow.url, concurrency=10))
        task = asyncio.create_task(busy.run())
        await until_true(lambda: busy.snapshot("running").in_flight)
        assert idle.snapshot("running").in_flight == 0
        await idle.run()
        await task

    asyncio.run(main())


def test_a_stop_before_the_start_sends_nothing(server, ended_well):
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

    async def main():
        task = asyncio.create_task(execution.run())
        await until_true(lambda: execution.snapshot("running").planned)
        await Execution(job(numbered(5, "other"), server.url)).run()
        assert set(server.ledger.rows()) == {f"other {i}" for i in range(5)}
        execution.hold(False)
        await task

    asyncio.run(main())
    assert execution.report().ok == 10


def test_another_thread_may_steer_it(slow, ended_well):
    execution = Execution(job(numbered(500), slow.url, concurrency=5))
    thread = threading.Thread(target=asyncio.run, args=(execution.run(),))
    thread.start()
    until(lambda: execution.report().ok)
    execution.hold(True)
    execution.hold(False)
    execution.stop()
    thread.join(30)
    assert 0 < execution.report().ok < 500
    assert ended_well(execution)


def test_a_cancel_drops_what_is_in_flight(slow, ended_well):
    slow.update(latency=30.0)
    execution = Execution(job(numbered(50), slow.url, concurrency=5))
    step = lambda: execution.snapshot("running").in_flight, execution.cancel
    assert asyncio.run(steered(execution, step)).cancelled()
    assert execution.report().pending == 50
    assert ended_well(execution)


def test_a_call_after_the_end_is_no_error(server):
    execution = Execution(job(numbered(1), server.url))
    execution.cancel()
    execution = Execution(job(numbered(1), server.url))
    asyncio.run(execution.run())
    execution.stop()
    execution.hold(True)
    execution.hold(False)
    execution.cancel()
    assert execution.report().ok == 1


def test_why_a_run_ended_early_is_known_afterwards(ended_well):
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
    synced = []

    class Noting(FileOps):
        def fsync(self, fd):
            synced.append(fd)
            super().fsync(fd)

    path = tmp_path / "c.jsonl"
    with opened(path, tmp_path, ops=Noting()):  # another run goes on using the file
        synced.clear()
        with opened(path, tmp_path) as checkpoint:
            execution = Execution(job(numbered(3), server.url, checkpoint=checkpoint))
            asyncio.run(execution.run())
            assert synced
    assert execution.halt.error is None
    assert execution.report().checkpoint == str(path)


def test_an_fsync_that_fails_at_the_very_end_is_reported(server, tmp_path):
    ops = FailingOps("fsync")
    with opened(tmp_path / "c.jsonl", tmp_path, ops=ops) as checkpoint:
        ops.broken = True
        execution = Execution(job(numbered(1), server.url, checkpoint=checkpoint))
        asyncio.run(execution.run())
    assert isinstance(execution.halt.error, CheckpointError)
    assert execution.report().ok == 1


def test_a_cancel_while_a_slow_disk_fails_hides_nothing(server, tmp_path, ended_well):
    slow, failing = threading.Event(), FailingOps("fsync")
    fsync = failing.fsync

    def slowly(fd):
        if failing.broken:
            slow.wait(10)
        fsync(fd)

    failing.fsync = slowly

    async def cancel():
        task = asyncio.create_task(execution.run())
        await until_true(lambda: execution.tally.ended)
        execution.cancel()
        await turns()
        assert not task.done()
        slow.set()
        await asyncio.wait([task])
        assert task.cancelled()

    with opened(tmp_path / "c.jsonl", tmp_path, ops=failing) as checkpoint:
        failing.broken = True
        execution = Execution(job(numbered(1), server.url, checkpoint=checkpoint))
        asyncio.run(cancel())
    assert isinstance(execution.halt.error, CheckpointError)
    del checkpoint  # it holds the callback for its errors
    assert ended_well(execution)


def test_a_checkpoint_is_closed_where_no_thread_can_be_had(server, tmp_path, monkeypatch):
    async def no_thread(function):
        raise RuntimeError("cannot schedule new futures after interpreter shutdown")

    with opened(tmp_path / "c.jsonl", tmp_path) as checkpoint:
        execution = Execution(job(numbered(1), server.url, checkpoint=checkpoint))
        monkeypatch.setattr(executions.asyncio, "to_thread", no_thread)
        asyncio.run(execution.run())
        assert open_stores() == []


def test_what_cannot_be_opened_leaves_nothing_open(tmp_path, server, monkeypatch):
    async def fail(endpoint, *, connections):
        execution.stop()  # arrives when there is nothing to stop
        raise RuntimeError("no client")

    monkeypatch.setattr(executions, "open_backend", fail)
    with opened(tmp_path / "c.jsonl", tmp_path) as checkpoint:
        execution = Execution(job(numbered(1), server.url, checkpoint=checkpoint))
        with pytest.raises(RuntimeError, match="no client"):
            asyncio.run(execution.run())
        assert open_stores() == []
    assert execution.report().pending == 1
    assert execution.snapshot("aborted").in_flight == 0
