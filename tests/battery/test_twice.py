"""Faults 23 and 29: the same rows asked for twice at once, in one process or in two."""

from __future__ import annotations

import asyncio
import json
import os
import threading
import warnings

import pytest

import llmframe as lf
from llmframe import testing
from tests.kits import battery as kit

pytestmark = pytest.mark.battery
ROWS = 100


@pytest.fixture
def server():
    with testing.serve(latency=0.03) as running:
        yield running


def frame():
    return kit.frame(ROWS)


def atag(server, folder, **options):
    return lf.atag(frame(), "text", kit.FIELDS, **kit.settings(server, folder, **options))


def awaited_twice(server, folder):
    async def cells():
        first = asyncio.create_task(atag(server, folder))
        await asyncio.sleep(0.1)
        return await asyncio.gather(first, atag(server, folder))

    return asyncio.run(cells())


def awaited_beside_a_background_run(server, folder):
    run = kit.start(frame(), server, folder)
    return [asyncio.run(atag(server, folder)), run.result()]


def started_twice(server, folder):
    server.update(latency=1.0)  # so that the first is under way when the second begins
    runs = [kit.start(frame(), server, folder) for _ in range(2)]
    server.update(latency=0.03)
    assert runs[0] is runs[1]
    return [run.result() for run in runs]


def blocking_beside_a_background_run(server, folder):
    server.update(latency=0.2)  # so that the first is under way when the second begins
    run = kit.start(frame(), server, folder)
    return [kit.tag(frame(), server, folder), run.result()]


def nested_beside_a_background_run(server, folder):
    run = kit.start(frame(), server, folder)
    return [kit.tag(frame(), server, folder, runner="nest"), run.result()]


def in_two_threads(server, folder):
    outs = []
    threads = [
        threading.Thread(target=lambda: outs.append(kit.tag(frame(), server, folder)))
        for _ in range(2)
    ]
    for each in threads:
        each.start()
    for each in threads:
        each.join(30)
    return outs


def after_a_stop(server, folder):
    run = kit.start(frame(), server, folder)
    kit.until(lambda: run.report.ok >= 20)
    run.stop()  # what is in flight drains while the cell runs again
    out = kit.tag(frame(), server, folder)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        run.result()
    return [out]


WAYS = [
    awaited_twice, awaited_beside_a_background_run, started_twice,
    blocking_beside_a_background_run, nested_beside_a_background_run, in_two_threads, after_a_stop,
]  # fmt: skip


@pytest.mark.parametrize("way", WAYS)
def test_a_cell_that_runs_twice_at_once_pays_once(tmp_path, server, way):
    for out in way(server, tmp_path):
        kit.check(out, frame(), server)
    assert len(server.ledger) == ROWS


@pytest.mark.parametrize("way", [started_twice, blocking_beside_a_background_run])
def test_without_a_checkpoint_the_second_call_joins_the_first(server, way):
    for out in way(server, None):
        kit.check(out, frame(), server)
    assert len(server.ledger) == ROWS


def test_a_part_that_is_looked_at_first_is_not_paid_again(tmp_path, server):
    first = frame().iloc[::7]
    run = kit.start(first, server, tmp_path)
    whole = kit.tag(frame(), server, tmp_path)
    kit.check(whole, frame(), server)
    kit.assert_same(run.result(), kit.uninterrupted(first))
    assert len(server.ledger) == ROWS


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")
def test_a_fork_in_mid_run_costs_the_parent_nothing(tmp_path, server):
    run = kit.start(frame(), server, tmp_path)
    kit.until(lambda: run.report.ok >= 20)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        child = os.fork()
        if child == 0:
            os._exit(0)
    os.waitpid(child, 0)
    kit.check(run.result(), frame(), server)
    assert len(server.ledger) == ROWS


# -- two processes ----


@pytest.fixture
def apart():
    """A server in a process of its own."""
    with testing.serve(process=True, latency=0.02) as running:
        yield running


def test_two_kernels_on_one_default_file_both_finish_and_share_what_is_there(
    nursery, tmp_path, apart
):
    here, files = {"cwd": str(tmp_path)}, tmp_path / ".llmframe"
    apart.update(latency=3.0)  # so that the first still has its file when the second begins
    first, second = (nursery.tag(ROWS, apart.url, True, **here) for _ in "ab")
    kit.until(lambda: len(list(files.glob("*.jsonl"))) == 2)
    apart.update(latency=0.02)
    results = [first.end(), second.end()]
    for each in results:
        assert kit.statuses(each["frame"]) == {"ok": ROWS}
        assert each["frame"].equals(results[0]["frame"])
    paid = len(apart.ledger)
    assert sum(each["report"].requests for each in results) == paid <= 2 * ROWS
    [warning] = [text for each in results for text in each["warnings"]]
    kit.says(warning, "is being written by process", "beside it and reads both")
    third = nursery.tag(ROWS, apart.url, True, **here).end()
    assert (third["report"].requests, third["report"].reused) == (0, ROWS)
    assert len(apart.ledger) == paid
    for path in files.glob("*.jsonl"):
        for line in path.read_text().splitlines():
            json.loads(line)


def test_a_second_kernel_takes_what_the_first_has_answered_so_far(nursery, tmp_path, apart):
    first = nursery.tag(300, apart.url, True, cwd=str(tmp_path))
    kit.until(lambda: len(kit.answered(apart.ledger)) >= 100)
    second = nursery.tag(300, apart.url, True, cwd=str(tmp_path)).end()
    assert kit.statuses(second["frame"]) == {"ok": 300}
    assert second["report"].reused >= 80  # all but those in flight
    first.end()


def test_a_second_kernel_on_ones_own_path_is_told_who_has_it_and_sends_nothing(
    nursery, tmp_path, apart
):
    path = tmp_path / "run.jsonl"
    apart.update(latency=60.0)  # so that the first still has the file when the second has begun
    first = nursery.tag(300, apart.url, path)
    kit.until(lambda: len(apart.ledger) >= 20)
    second = nursery.tag(300, apart.url, path).end()
    assert second["error"] == "CheckpointError"
    kit.says(second["message"], f"process {first.pid}", "Nothing was sent", "checkpoint=False")
    assert first.kill_when(lambda: True)
    apart.update(latency=0.02)
    assert kit.statuses(nursery.tag(300, apart.url, path).end()["frame"]) == {"ok": 300}
