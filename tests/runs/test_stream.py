"""Streams: any source, in any order, bounded, and ended from every side."""

from __future__ import annotations

import asyncio
import itertools
import queue
import threading
from collections import Counter

import pandas as pd
import pytest

import llmframe as lf
from llmframe import testing
from llmframe.errors import PlanError, RunAborted
from llmframe.runs import stream as streams
from tests.kits.until import until

AT_ONCE = 20  # requests in flight
FIELDS = {"intent": ["refund", "delivery", "other"], "summary": str}


@pytest.fixture
def server():
    with testing.serve(latency=0.005) as running:
        yield running


def records(n, name="record"):
    for i in range(n):
        yield {"id": i, "text": f"{name} {i} wants something"}


def stream(source, server, **options):
    options = {"model": "m", "base_url": server.url, "input": "text"} | options
    return lf.tag_stream(source, FIELDS, **options)


def frame_of(n, server):
    df = pd.DataFrame(records(n))
    return lf.tag(
        df, "text", FIELDS, model="m", base_url=server.url, checkpoint=False, progress=False
    )


def assert_as_tag(results, n):
    """The answers are those that tag gives."""
    with testing.serve() as server:
        out = frame_of(n, server)
    found = {r.record["id"]: r.values for r in results}
    assert found == {
        row["id"]: {name: row[name] for name in FIELDS} for row in out.to_dict("records")
    }


# -- sources -----------------------------------------------------------------------------------


async def one_by_one(n):
    for record in records(n):
        await asyncio.sleep(0)
        yield record


def filled(made, n):
    for record in [*records(n), None]:
        made.put_nowait(record)
    return made


SYNC = {
    "generator": lambda: records(40),
    "list": lambda: [*records(40)],
    "iterator of a frame": lambda: iter(pd.DataFrame(records(40)).to_dict("records")),
    "queue": lambda: filled(queue.Queue(), 40),
    "simple queue": lambda: filled(queue.SimpleQueue(), 40),
}
ASYNC = {
    "async generator": lambda: one_by_one(40),
    "asyncio.Queue": lambda: filled(asyncio.Queue(), 40),
}


@pytest.mark.parametrize("kind", SYNC)
def test_for_reads_every_source_that_is_not_async(kind, server):
    results = [*stream(SYNC[kind](), server)]
    assert_as_tag(results, 40)


@pytest.mark.parametrize("kind", [*SYNC, *ASYNC])
def test_async_for_reads_every_source(kind, server):
    async def main():
        return [result async for result in stream({**SYNC, **ASYNC}[kind](), server)]

    assert_as_tag(asyncio.run(main()), 40)


def test_an_async_source_needs_async_for(server):
    with pytest.raises(PlanError, match="which needs its event loop"):
        next(iter(stream(one_by_one(5), server)))
    assert len(server.ledger) == 0


def test_order_is_that_of_the_records_where_it_is_asked_for():
    with testing.serve(latency=(0.01, 0.2)) as slow:
        results = [*stream(records(60), slow, ordered=True)]
        assert [r.record["id"] for r in results] == [*range(60)]
        assert len(slow.ledger) == 60


def test_texts_and_whole_dicts_are_asked_about(server):
    texts = [*stream(["one lamp", "two lamps"], server, input=None)]
    assert {r.record for r in texts} == {"one lamp", "two lamps"}
    [whole] = stream([{"b": "x", "a": 1}], server, input=None)
    assert whole.status == "ok"
    assert [call.row for call in server.ledger.calls][-1] == '{"b": "x", "a": 1}'


def test_a_template_and_a_list_name_keys(server):
    record = {"subject": "Kettle", "body": "It leaks.", "n": 3}
    [one] = stream([record], server, input="{subject}: {body} ({n})")
    [two] = stream([record], server, input=["body", "n"])
    assert one.status == two.status == "ok"
    sent = [call.row for call in server.ledger.calls]
    assert sent == ["Kettle: It leaks. (3)", '{"body": "It leaks.", "n": 3}']


# -- records -----------------------------------------------------------------------------------


def test_every_record_gets_one_result_and_a_bad_one_ends_nothing(server):
    bad = [{"text": "  "}, {"body": "x"}, 7, {"text": None}, b"bytes"]
    results = [*stream([*records(5), *bad], server)]
    assert Counter(r.status for r in results) == {"ok": 5, "skipped": 2, "failed": 3}
    errors = {repr(r.record): r.error for r in results if r.status == "failed"}
    assert "the record has no 'text'" in errors["{'body': 'x'}"]
    assert "not int" in errors["7"]
    assert all(error.startswith("input: ") for error in errors.values())


def test_equal_records_are_asked_once_and_only_one_of_them_bears_the_cost(server):
    results = [*stream([{"text": "the same"}] * 50, server)]
    assert len(results) == 50
    assert len(server.ledger) == 1
    assert sum(r.usage.tokens_in > 0 for r in results) == 1


def test_equal_records_are_known_as_long_as_the_buffer_remembers(server):
    texts = [*(f"text {i}" for i in range(10)), "text 9", "text 0"]
    results = [*stream([{"text": text} for text in texts], server, buffer=3, ordered=True)]
    assert [r.record["text"] for r in results] == texts
    asked = Counter(call.row for call in server.ledger.calls)
    assert asked["text 9"] == 1
    assert asked["text 0"] == 2


def test_a_failed_record_is_asked_again_when_it_comes_again():
    with testing.serve(fault_rows={"odd": "content_filter"}) as server:
        source = [{"text": "odd"}, {"text": "even"}, {"text": "odd"}]
        results = [*stream(source, server, buffer=1)]
        assert [r.status for r in results] == ["failed", "ok", "failed"]
        assert results[0].error.startswith("content_filter: ")
        assert len(server.ledger) == 3


# -- bounds ------------------------------------------------------------------------------------


@pytest.mark.parametrize("ordered", [False, True])
def test_the_source_waits_for_a_slow_consumer(server, ordered):
    counts = [0]

    def source():
        for i in itertools.count():
            counts[0] = i + 1
            yield {"text": f"text {i}"}

    with stream(source(), server, buffer=8, ordered=ordered) as results:
        for got, _ in zip(range(30), results, strict=False):
            assert counts[0] <= got + 1 + 8
        until(lambda: results.run.report.done >= 30)
        assert counts[0] <= 30 + 8


def test_an_async_source_waits_for_a_slow_consumer(server):
    counts = [0]

    async def source():
        for i in itertools.count():
            counts[0] = i + 1
            yield {"text": f"text {i}"}

    async def main():
        async with stream(source(), server, buffer=8) as results:
            got = 0
            async for _ in results:
                got += 1
                assert counts[0] <= got + 8
                if got == 40:
                    break

    asyncio.run(main())


@pytest.mark.parametrize("wrong", [0, -1, True, 2.5, "8", None])
def test_a_buffer_is_a_number_from_1(wrong, server):
    with pytest.raises(PlanError, match="buffer="):
        stream(records(3), server, buffer=wrong)


# -- ends --------------------------------------------------------------------------------------


def assert_stopped(server, asked):
    """Nothing was sent after it was left, but for what was leaving."""
    run = lf.last_run()
    assert run.wait(30)
    assert run.status in ("stopped", "finished")
    assert len(server.ledger) <= asked + AT_ONCE
    assert run.report.ok == len(server.ledger)  # all came back


def test_leaving_the_loop_stops_it(server, monkeypatch):
    monkeypatch.setattr(streams, "GRACE", 60.0)  # on a busy machine all come back, too
    source = ({"text": f"text {i}"} for i in itertools.count())
    for result in stream(source, server, concurrency=AT_ONCE):
        if result.record["text"] == "text 5":
            break
    assert_stopped(server, len(server.ledger))


def test_leaving_async_for_and_cancelling_stop_it(server, monkeypatch):
    monkeypatch.setattr(streams, "GRACE", 60.0)  # on a busy machine all come back, too

    async def read():
        source = ({"text": f"t {i}"} for i in itertools.count())
        async for _ in stream(source, server, concurrency=AT_ONCE):
            pass

    async def main():
        task = asyncio.create_task(read())
        await asyncio.to_thread(until, lambda: len(server.ledger) > 20)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        return len(server.ledger)

    assert_stopped(server, asyncio.run(main()))


def test_a_stop_gives_back_every_record_that_was_taken(server):
    taken = []

    def source():
        for i in itertools.count():
            taken.append(i)
            yield {"id": i, "text": f"text {i}"}

    results = stream(source(), server, buffer=50)
    got = [next(results) for _ in range(10)]
    results.run.stop()
    got += [*results]
    ids = [result.record["id"] for result in got]
    assert sorted(ids) == [*range(len(ids))]
    assert len(taken) - len(ids) in (0, 1)  # one that came after the stop
    assert {result.status for result in got} <= {"ok", "pending"}
    assert results.run.status in ("stopped", "finished")


def test_a_source_that_raises_loses_nothing_that_was_answered(server):
    def source():
        yield from records(20)
        raise ValueError("the file is broken")

    got = []
    with pytest.raises(ValueError, match="the file is broken"):
        got.extend(stream(source(), server))
    assert_as_tag(got, 20)


def test_an_async_source_that_raises_loses_nothing_that_was_answered(server):
    async def source():
        async for record in one_by_one(20):
            yield record
        raise ValueError("the socket is closed")

    got = []

    async def main():
        async for result in stream(source(), server):
            got.append(result)

    with pytest.raises(ValueError, match="the socket is closed"):
        asyncio.run(main())
    assert_as_tag(got, 20)


def test_a_generator_is_closed_where_it_was_left(server):
    closed = threading.Event()

    def source():
        try:
            for i in itertools.count():
                yield {"text": f"text {i}"}
        finally:
            closed.set()

    with stream(source(), server, buffer=5) as results:
        next(results)
    assert closed.wait(10)


@pytest.mark.parametrize("wrong", [1, "yes", None])
def test_ordered_is_true_or_false(wrong, server):
    with pytest.raises(PlanError, match="ordered="):
        stream(records(3), server, ordered=wrong)


def test_what_is_hopeless_raises_after_what_was_answered():
    with testing.serve(latency=0.005) as server:
        results = stream(records(10_000), server, buffer=40)
        got = [next(results) for _ in range(10)]
        server.update(faults={"quota": 1.0})
        with pytest.raises(RunAborted) as caught:
            got += [*results]
        assert "quota is used up" in str(caught.value)
        assert all(result.status == "ok" for result in got)
        assert [*results] == []


def test_a_blocked_source_does_not_hold_up_answers_or_the_end(server):
    comes = threading.Event()

    def source():
        yield {"text": "the first"}
        comes.wait()
        yield {"text": "the second"}

    results = stream(source(), server)
    assert next(results).record == {"text": "the first"}
    results.close()
    assert results.run.status in ("stopped", "finished")
    comes.set()


def test_a_checkpoint_keeps_answers_for_streams_and_frames(server, tmp_path):
    path = tmp_path / "kept.jsonl"
    first = [*stream(records(30), server, checkpoint=path, id="id")]
    again = [*stream(records(40), server, checkpoint=path, id="id", ordered=True)]
    assert len(server.ledger) == 40
    assert_as_tag(again, 40)
    assert {r.status for r in first} == {"ok"}
    df = pd.DataFrame(records(40))
    lf.tag(df, "text", FIELDS, model="m", base_url=server.url, checkpoint=path, progress=False)
    assert len(server.ledger) == 40
    kept = lf.read_checkpoint(path)
    assert sorted(kept["id"]) == [*range(40)]


def test_a_checkpoint_that_cannot_be_made_is_said_before_anything_is_sent(server, tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(PlanError, match="checkpoint"):
        stream(records(10), server, checkpoint=tmp_path / "file" / "kept.jsonl")
    assert len(server.ledger) == 0


@pytest.mark.parametrize(
    ("source", "why"),
    [
        (pd.DataFrame({"text": ["a"]}), "call df.llm.tag"),
        ("a text", "one str"),
        ({"text": "a"}, "one dict"),
        (7, "an iterable of dicts or texts"),
        (records, "has to be called"),
    ],
)
def test_what_is_no_stream_of_records_is_said_before_anything_is_sent(source, why, server):
    with pytest.raises(PlanError, match=why):
        stream(source, server)
    assert len(server.ledger) == 0


@pytest.mark.parametrize("option", ["prefix", "overwrite", "details", "runner", "confidence"])
def test_options_of_frames_have_no_meaning(option, server):
    with pytest.raises(PlanError, match=f"{option}= has no meaning for a stream"):
        stream(records(3), server, **{option: True})


def test_a_pause_holds_the_stream(server):
    results = stream(({"text": f"text {i}"} for i in itertools.count()), server, buffer=30)
    next(results)
    results.run.pause()
    assert results.run.status == "paused"
    results.run.resume()
    assert next(results).status == "ok"
    results.close()
