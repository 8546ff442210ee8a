"""What the pipeline writes to the checkpoint and reads from it."""

from __future__ import annotations

import asyncio
from collections import Counter

import pytest

from llmframe.engine.governor import Governor
from llmframe.engine.rows.claims import InFlight
from llmframe.errors import CheckpointError, OutputError
from llmframe.results import RowResult, Usage
from tests.kits import virtual_time
from tests.kits.engine import (
    KEYS,
    Provider,
    Texts,
    knowing,
    numbered,
    reply,
    status_error,
    wire,
)
from tests.kits.journal import FailingOps, opened
from tests.kits.virtual_pipelines import (
    BAD,
    for_row,
    lines,
    outcome,
    run,
)


def test_every_answer_is_written_once_over_all_its_legs(checkpoint):
    provider = Provider(lambda text, attempt: reply(BAD) if attempt == 0 else reply())
    outcome(numbered(10), provider, checkpoint=checkpoint)
    assert len(lines(checkpoint)) == 10
    assert checkpoint.get(KEYS.key("row 3")).usage == Usage(20, 6)
    assert checkpoint.get(KEYS.key("row 3")).attempts == 2


def test_answered_rows_are_not_asked_again(checkpoint):
    outcome(numbered(10), Provider(), checkpoint=checkpoint)
    provider = Provider()
    done = outcome(numbered(12), provider, checkpoint=checkpoint)
    assert sorted(provider.asked) == ["row 10", "row 11"]
    assert (done.tally.reused, done.tally.ok) == (10, 12)


def test_failed_rows_are_asked_again(checkpoint):
    outcome(numbered(3), Provider(for_row("row 1", status_error(400))), checkpoint=checkpoint)
    assert len(lines(checkpoint, '"e"')) == 1
    provider = Provider()
    done = outcome(numbered(3), provider, checkpoint=checkpoint)
    assert (list(provider.asked), done.statuses) == (["row 1"], ["ok"] * 3)


def test_a_failure_is_written_without_the_providers_message(checkpoint):
    words = {"error": {"message": "the secret row", "code": "odd_code"}}
    outcome(numbered(1), Provider(lambda *_: status_error(400, words)), checkpoint=checkpoint)
    (line,) = lines(checkpoint, '"e"')
    assert "secret" not in line
    assert '"kind":"bad_request","status":400,"code":"odd_code"' in line


def test_rows_that_share_an_answer_have_their_ids_noted(checkpoint):
    rows = Texts(["a", "a", "b", "a"], ids=[1, 2, 3, 4])
    outcome(rows, Provider(), checkpoint=checkpoint)
    assert all(checkpoint.has_id(KEYS.key("a"), each) for each in (1, 2, 4))
    assert checkpoint.has_id(KEYS.key("b"), 3)
    assert len(lines(checkpoint)) == 2


def test_texts_are_kept_only_where_the_person_wants_them(checkpoint):
    outcome(numbered(1), Provider(), checkpoint=checkpoint)
    assert "row 0" not in checkpoint.path.read_text()
    outcome(Texts(["secret"]), Provider(), checkpoint=checkpoint, store_input=True)
    assert "secret" in checkpoint.path.read_text()


def test_an_answer_of_another_run_goes_into_ones_own_checkpoint_with_its_id(tmp_path):
    async def main(mine, theirs):
        governor, in_flight, provider = knowing(Governor(virtual_time.now)), InFlight(), Provider()
        shared = {"governor": governor, "in_flight": in_flight}
        first = wire(Texts(["a"], ids=["x"]), provider, checkpoint=theirs, **shared)
        second = wire(Texts(["a"], ids=["y"]), provider, checkpoint=mine, **shared)
        tasks = [asyncio.create_task(first.run()), asyncio.create_task(second.run())]
        await asyncio.gather(*tasks)
        assert len(provider.calls) == 1
        assert mine.get(KEYS.key("a")).status == "ok"
        assert mine.has_id(KEYS.key("a"), "y")
        assert not mine.has_id(KEYS.key("a"), "x")

    with opened(tmp_path / "1", tmp_path) as theirs, opened(tmp_path / "2", tmp_path) as mine:
        virtual_time.run(main(mine, theirs))


def test_an_answer_that_another_run_wrote_meanwhile_is_reused_and_its_id_noted(checkpoint):
    async def main():
        provider = Provider()
        wired = wire(Texts(["a", "b"], ids=[1, 2]), provider, checkpoint=checkpoint, cap=1)
        task = asyncio.create_task(wired.run())
        await asyncio.sleep(0.5)
        checkpoint.append(KEYS.key("b"), RowResult("ok", {"intent": "other"}, attempts=1))
        await task
        assert list(provider.asked) == ["a"]
        assert wired.parts.store.results[1].values == {"intent": "other"}
        assert checkpoint.has_id(KEYS.key("b"), 2)
        assert wired.tally.reused == 1

    run(main)


def test_a_write_error_ends_the_run_and_keeps_every_paid_answer(tmp_path):
    async def main(checkpoint, ops):
        provider = Provider()
        wired = wire(numbered(100), provider, checkpoint=checkpoint, cap=10)
        task = asyncio.create_task(wired.run())
        await asyncio.sleep(2.5)
        ops.broken = True
        await asyncio.sleep(1)
        sent = len(provider.calls)
        await task
        assert isinstance(wired.parts.halt.error, CheckpointError)
        assert len(provider.calls) == sent == 30
        assert Counter(wired.statuses) == {"ok": 30, "pending": 70}

    ops = FailingOps("write")
    with opened(tmp_path / "c.jsonl", tmp_path, ops=ops) as checkpoint:
        virtual_time.run(main(checkpoint, ops))


@pytest.mark.parametrize("where", ["planning", "ids", "claim"])
def test_a_read_error_ends_the_run_as_a_checkpoint_error(checkpoint, monkeypatch, where):
    """where: while planning; while a shared id is noted; when a row is about to be sent."""
    broken = False

    def fail(*arguments):
        if broken:
            raise CheckpointError("the disk is gone")
        return False if where == "ids" else [None for _ in arguments[0]]

    async def main():
        nonlocal broken
        provider = Provider()
        rows = Texts([f"row {i // 2}" for i in range(60)], ids=list(range(60)))
        monkeypatch.setattr(checkpoint, "has_id" if where == "ids" else "get_all", fail)
        broken = where == "planning"
        wired = wire(rows, provider, checkpoint=checkpoint, cap=5)
        task = asyncio.create_task(wired.run())
        await asyncio.sleep(0.5)
        broken = True
        await task
        assert str(wired.parts.halt.error) == "the disk is gone"
        assert len(provider.calls) == (0 if where == "planning" else 5)
        assert wired.tally.ok == 2 * len(provider.calls)
        assert wired.parts.in_flight.count == 0

    run(main)


def test_values_that_are_no_json_fail_their_row_only(checkpoint, monkeypatch):
    append = checkpoint.append

    def refuse(key, result, **more):
        if key == KEYS.key("row 1"):
            raise OutputError("the answer cannot be stored as JSON: nan")
        append(key, result, **more)

    monkeypatch.setattr(checkpoint, "append", refuse)
    done = outcome(numbered(3), Provider(), checkpoint=checkpoint)
    assert done.statuses == ["ok", "failed", "ok"]
    assert done.errors[1].startswith("output: the answer cannot be stored")


def test_a_failing_fsync_ends_the_run(tmp_path):
    """The error comes from another thread, and may come late."""
    ops = FailingOps("fsync")
    with opened(tmp_path / "c.jsonl", tmp_path, ops=ops) as checkpoint:

        async def main():
            async def send(body):
                await asyncio.sleep(0.01)
                return reply()

            wired = wire(numbered(10_000), provider := Provider(), checkpoint=checkpoint)
            provider.send = send
            ops.broken = True
            return await wired.run()

        done = asyncio.run(main())
    assert isinstance(done.parts.halt.error, CheckpointError)
    assert 0 < done.statuses.count("ok") < 10_000
    assert "failed" not in done.statuses


def test_a_checkpoint_error_after_the_loop_is_closed_is_ignored(tmp_path):
    ops = FailingOps("fsync")
    with opened(tmp_path / "c.jsonl", tmp_path, ops=ops) as checkpoint:
        outcome(numbered(1), Provider(), checkpoint=checkpoint)
        ops.broken = True
        checkpoint.append(KEYS.key("x"), RowResult("ok", {}, attempts=1))
        assert not checkpoint.flush(5)
        assert not checkpoint.durable
