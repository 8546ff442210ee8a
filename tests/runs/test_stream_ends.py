"""Streams in trouble: odd records, a slow record, a failing disk, and ends in the middle."""

from __future__ import annotations

import asyncio
import itertools
import json
import os
import threading
from collections import Counter
from pathlib import Path
from queue import Queue

import numpy as np
import pandas as pd
import pytest

import llmframe as lf
from llmframe import testing
from llmframe.errors import CheckpointError, RunAborted
from llmframe.system.files import FileOps
from tests.kits import scripts
from tests.kits.kernels import Kernel
from tests.kits.until import until, until_true

FIELDS = {"intent": ["refund", "delivery", "other"]}


def endless(name="text"):
    return ({"id": i, "text": f"{name} {i}"} for i in itertools.count())


async def endless_async():
    for record in endless():
        await asyncio.sleep(0)
        yield record


# -- odd records -----------------------------------------------------------------------------------


class Fails(dict):
    """A record whose own code fails."""

    def get(self, *_):
        raise RuntimeError("its database is gone")

    values = items = __iter__ = get


class Pretends:
    @property
    def __class__(self):
        raise LookupError("no class")


def itself():
    record = {"text": "a loop"}
    record["record"] = record
    return record


ODD = {
    "a number": (7, "failed"),
    "nothing": (None, "failed"),
    "bytes": (b"text", "failed"),
    "a list": (["text"], "failed"),
    "an exception": (ValueError("x"), "failed"),
    "its own code fails": (Fails(text="x"), "failed"),
    "an odd class": (Pretends(), "failed"),
    "not a number": ({"text": float("nan")}, "skipped"),
    "missing": ({"text": pd.NA}, "skipped"),
    "no time": ({"text": pd.NaT}, "skipped"),
    "empty": ({"text": ""}, "skipped"),
    "an empty dict": ({}, "failed"),
    "another key": ({"Text": "x"}, "failed"),
    "infinite": ({"text": float("inf")}, "ok"),
    "an array": ({"text": np.arange(3)}, "ok"),
    "an object": ({"text": object}, "ok"),
    "half a character": ({"text": "x\ud800"}, "ok"),
    "a huge number": ({"text": 10**5000}, "failed"),
    "a series": (pd.Series({"text": "x"}), "failed"),
}


@pytest.mark.parametrize("kind", ODD)
@pytest.mark.parametrize("checkpoint", [False, "kept.jsonl"])
def test_an_odd_record_comes_back_once_and_ends_nothing(configured, kind, checkpoint):
    odd, status = ODD[kind]
    source = [{"id": 1, "text": "before"}, odd, {"id": 2, "text": "after"}]
    results = [*lf.tag_stream(source, FIELDS, input="text", id="id", checkpoint=checkpoint)]
    assert sum(result.record is odd for result in results) == 1
    assert Counter(result.status for result in results) == Counter(["ok", status, "ok"])


@pytest.mark.parametrize(
    "odd", [itself(), {"a": {1, 2}}, {"a": object()}, {(1, 2): b"x"}, {"a": float("nan"), "b": 1}]
)
def test_a_whole_record_that_is_no_json_is_written_as_well_as_it_can_be(configured, odd):
    [result] = lf.tag_stream([odd], FIELDS)
    assert result.status in ("ok", "failed")
    for call in configured.ledger.calls:
        json.loads(call.row)


# -- failures --------------------------------------------------------------------------------------


def test_a_source_may_wait_for_the_result_of_a_record_that_fails(configured):
    """The first failures are not held back, as those of a frame are: nobody else may be asked."""
    configured.update(faults={"schema": 1.0})
    queue, got = Queue(), []
    queue.put({"text": "the first"})
    for result in lf.tag_stream(queue, FIELDS, input="text"):
        got.append(result)
        queue.put(None if len(got) == 5 else {"text": f"after {len(got)}"})
    assert [result.status for result in got] == ["failed"] * 5
    assert all(result.error.startswith("output: ") for result in got)


def test_a_stream_whose_first_records_all_fail_alike_ends(configured):
    configured.update(faults={"schema": 1.0})
    got = []
    with pytest.raises(RunAborted):
        got.extend(lf.tag_stream(endless(), FIELDS, input="text", buffer=4))
    assert Counter(result.status for result in got)["failed"] >= 10
    assert len(got) < 100


# -- order -----------------------------------------------------------------------------------------


def test_a_slow_record_holds_up_those_behind_it_and_no_more_than_the_buffer():
    slow = {"text 3": "429_after"}
    with testing.serve(fault_rows=slow, retry_after=0.02) as server:
        taken = [0]

        def source():
            for record in endless():
                taken[0] += 1
                yield record

        results = lf.tag_stream(
            source(), FIELDS, input="text", ordered=True, buffer=20, model="m", base_url=server.url
        )
        assert [next(results).record["id"] for _ in range(3)] == [0, 1, 2]
        until(lambda: server.ledger.rows()["text 3"] > 2)
        assert taken[0] <= 3 + 1 + 20
        server.update(fault_rows={})
        assert [next(results).record["id"] for _ in range(30)] == [*range(3, 33)]
        results.close()


# -- ends ------------------------------------------------------------------------------------------


@pytest.fixture
def near(configured):
    configured.update(latency=0.005)
    return configured


def test_an_async_source_without_an_end_ends_with_the_loop(near):
    closed = []

    async def source():
        try:
            async for record in endless_async():
                yield record
        finally:
            closed.append(True)

    async def main():
        async with lf.tag_stream(source(), FIELDS, input="text", buffer=30) as results:
            async for result in results:
                assert result.status == "ok"
                if result.record["id"] > 100:
                    break
        await until_true(lambda: closed)
        return results.run

    assert asyncio.run(main()).status in ("stopped", "finished")


def test_a_file_is_its_owners_after_the_stream_as_after_any_loop(near, tmp_path):
    path = tmp_path / "lines.txt"
    path.write_text("".join(f"line {i}\n" for i in range(50)))
    with path.open() as file:
        with lf.tag_stream(file, FIELDS, buffer=2) as results:
            next(results)
        until(lambda: "llmframe-source" not in {one.name for one in threading.enumerate()})
        assert not file.closed
        assert file.readline()


class Broken:
    def __iter__(self):
        raise ValueError("no such table")


def test_a_source_that_cannot_begin_raises_once_and_ends(near):
    results = lf.tag_stream(Broken(), FIELDS)
    with pytest.raises(ValueError, match="no such table"):
        next(results)
    assert [*results] == []


def test_a_queue_that_nobody_ends_is_left(near):
    async def main():
        queue = asyncio.Queue()
        for i in range(5):
            queue.put_nowait({"text": f"text {i}"})
        got = []
        async with lf.tag_stream(queue, FIELDS, input="text") as results:
            async for result in results:
                got.append(result)
                if len(got) == 5:
                    break
        return got, results.run

    got, run = asyncio.run(main())
    assert len(got) == 5
    assert run.status in ("stopped", "finished")


def test_a_generator_around_a_stream_that_is_closed_stops_it(near):
    def tagged():
        for result in lf.tag_stream(endless(), FIELDS, input="text", buffer=30):
            yield result.record

    around = tagged()
    assert next(around)["id"] >= 0
    around.close()
    assert lf.last_run().wait(30)


def test_an_async_generator_around_a_stream_that_is_closed_stops_it(near):
    async def tagged():
        async for result in lf.tag_stream(endless_async(), FIELDS, input="text", buffer=30):
            yield result.record

    async def main():
        around = tagged()
        assert (await anext(around))["id"] >= 0
        await around.aclose()
        await asyncio.to_thread(lf.last_run().wait, 30)

    asyncio.run(main())
    assert lf.last_run().status in ("stopped", "finished")


def test_an_error_of_the_consumer_stops_it(near):
    def read():
        with lf.tag_stream(endless(), FIELDS, input="text", buffer=30) as results:
            for _ in results:
                raise LookupError

    with pytest.raises(LookupError):
        read()
    assert lf.last_run().status in ("stopped", "finished")


def test_a_time_limit_around_a_stream_stops_it(near):
    async def read():
        async for _ in lf.tag_stream(endless(), FIELDS, input="text", buffer=30):
            pass

    with pytest.raises(TimeoutError):
        asyncio.run(asyncio.wait_for(read(), 0.2))
    assert lf.last_run().wait(30)


def test_a_stream_that_is_never_read_takes_nothing_and_can_be_closed(near):
    taken = []
    results = lf.tag_stream((taken.append(i) for i in range(5)), FIELDS)
    results.close()
    assert taken == []
    assert [*results] == []


# -- the checkpoint --------------------------------------------------------------------------------


def test_what_was_read_before_a_break_is_in_the_checkpoint_and_never_asked_again(near):
    how = {"input": "text", "id": "id", "checkpoint": True}
    for _ in range(3):
        read = []
        with lf.tag_stream(endless(), FIELDS, buffer=20, **how) as results:
            for result in results:
                read.append(result.record["id"])
                if len(read) == 40:
                    break
        kept = set(lf.read_checkpoint(results.run.report.checkpoint)["id"])
        assert set(read) <= kept
    assert max(near.ledger.rows().values()) == 1


def test_a_result_is_yielded_when_its_answer_is_on_the_disk(configured, monkeypatch):
    """Not only handed to the system: a power cut must not take what the consumer has read."""
    path, sizes = Path("kept.jsonl"), {}

    def fsync(_, fd):
        file = os.fstat(fd)
        os.fsync(fd)
        sizes[file.st_ino] = file.st_size

    monkeypatch.setattr(FileOps, "fsync", fsync)
    source = ({"id": i, "text": f"text {i}"} for i in range(200))
    for result in lf.tag_stream(source, FIELDS, input="text", id="id", checkpoint=path):
        on_disk = path.read_bytes()[: sizes[path.stat().st_ino]]
        assert b'"id":%d,' % result.record["id"] in on_disk


def test_what_did_not_reach_the_disk_is_not_given_out_as_answered(configured, monkeypatch):
    configured.update(latency=0.005)
    source = ({"id": i, "text": f"text {i}"} for i in range(2000))
    results = lf.tag_stream(source, FIELDS, input="text", id="id", checkpoint="kept.jsonl")
    got = [next(results) for _ in range(20)]

    def fsync(*_):
        raise OSError(5, "Input/output error")

    with monkeypatch.context() as broken:
        broken.setattr(FileOps, "fsync", fsync)
        with pytest.raises(CheckpointError, match="Input/output error"):
            got.extend(results)
    assert {result.status for result in got[:20]} == {"ok"}
    assert {result.status for result in got} == {"ok", "pending"}
    kept = set(lf.read_checkpoint("kept.jsonl")["id"])
    assert {result.record["id"] for result in got if result.status == "ok"} <= kept


# -- options of the provider ----------------------------------------------------------------------


def test_a_cheaper_tier_is_asked_for(configured):
    bodies = []

    def answer(_, body):
        bodies.append(body)
        return {"intent": "other"}

    configured.update(answer=answer)
    [result] = lf.tag_stream(["a text"], FIELDS, service_tier="flex")
    assert result.status == "ok"
    assert [body["service_tier"] for body in bodies] == ["flex"]


# -- programs and notebooks ------------------------------------------------------------------------

SCRIPT = """
results = lf.tag_stream((f"text {i}" for i in range(10**9)), FIELDS, buffer=20)
for number, result in enumerate(results):
    if number == 30:
        tell(status=result.status)
        END
"""
ENDS = ["break", "sys.exit()"]
CELL = """
import json, os, llmframe as lf
lf.configure(model="m", base_url=os.environ["LOOPBACK"])
got = []
async for result in lf.tag_stream((f"text {i}" for i in range(50)), ["a", "b"]):
    got.append(result.status)
print(len(got), set(got), end="")
"""


@pytest.mark.parametrize("end", ENDS)
def test_a_script_may_end_in_the_middle_of_a_stream(server, end):
    with scripts.Program(server, SCRIPT.replace("END", end)) as program:
        assert program.report() == {"status": "ok"}
        assert program.end() == ""
    sent = len(server.ledger)
    assert sent < 31 + 20 + 10  # what was read, the buffer, and what was in flight


@pytest.mark.kernel
def test_a_notebook_reads_a_stream_by_async_for(server, tmp_path):
    with Kernel("7", {"LOOPBACK": server.url}, str(tmp_path)) as kernel:
        assert kernel.ask(CELL) == "50 {'ok'}"
