"""What resume.py measures, each in a process of its own; the working directory has the checkpoint.

python -m tests.benchmarks.resuming whole,steps 100000 plain
"""

from __future__ import annotations

import asyncio
import gc
import json
import os
import resource
import signal
import sys
import threading
import time
from itertools import cycle
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pandas as pd

import llmframe as lf
from llmframe.calls.plan import plan
from llmframe.engine import execution
from llmframe.engine.events import Events
from llmframe.engine.rows.answers import Answers
from llmframe.engine.rows.halt import Halt
from llmframe.engine.rows.planner import Planner
from llmframe.engine.rows.work import Work
from llmframe.engine.wire.reply import Reply
from llmframe.journal import TaskInfo, open_checkpoint
from llmframe.options.layers import settle
from llmframe.results import ResultStore, Usage
from llmframe.runs.run import session_of
from llmframe.testing import serve
from tests.benchmarks.shapes import FIELDS, MODEL, SHAPES, Shape, write

if TYPE_CHECKING:
    from collections.abc import Callable

CONCURRENCY = 50


def prepare(shape: Shape, rows: int) -> dict[str, float]:
    """Write the checkpoint."""
    paths = write(shape, rows, Path.cwd())
    return {"bytes": sum(path.stat().st_size for path in paths) / rows}


def compare(shape: Shape, rows: int) -> dict[str, float]:
    """CPU seconds of a whole call, for each shape whose checkpoint is finished."""
    told, here = {}, Path.cwd()
    for name, each in SHAPES.items():
        if each.done == 1:
            folder = here / name
            folder.mkdir()
            os.chdir(folder)
            write(each, rows, folder)
            told[name] = whole(each, rows)["cpu"]
    return told


def cpu(work: Callable[[], Any]) -> tuple[float, Any]:
    """Seconds of this process's CPU, and what came of it."""
    gc.collect()
    begin = time.process_time()
    made = work()
    return time.process_time() - begin, made


def steps(shape: Shape, rows: int) -> dict[str, float]:
    """CPU seconds of the parts, and of the floors beside them."""
    here = Path.cwd()
    df = shape.frame(rows)
    job = plan(df, "text", shape.fields, settle({**shape.call(here), "checkpoint": False})).job
    task = TaskInfo(job.keys.digest, {})
    where = shape.call(here)["checkpoint"]
    indexed, checkpoint = cpu(lambda: open_checkpoint(where, task, ids=shape.ids))
    checkpoint.close()
    keyed, _ = cpu(lambda: asyncio.run(_plan_all(job)))
    floor_json, contents = cpu(lambda: [json.loads(line) for line in _all_lines(here)])
    values = [content["v"] for content in contents if "v" in content]
    floor_columns, _ = cpu(lambda: _columns(values))
    return {
        "index": indexed,
        "key": keyed,
        "floor_json": floor_json,
        "floor_columns": floor_columns,
    }


async def _plan_all(job: Any) -> None:
    """Render and key every row, as a run does over an empty checkpoint."""
    parts = SimpleNamespace(
        job=job,
        store=ResultStore(job.rows.n),
        events=Events(),
        halt=Halt(),
        processes={},
    )
    settler = SimpleNamespace(fail_unsent=lambda position, result: None)
    work = Work(time.monotonic, lambda: 1)
    await Planner(parts, work=work, answers=Answers(), settler=settler).run(lambda: None)


def _all_lines(here: Path) -> list[bytes]:
    return [line for path in here.glob("**/*.jsonl") for line in path.read_bytes().splitlines()]


def _columns(values: list[dict[str, Any]]) -> pd.DataFrame:
    """The same columns as plain pandas makes them."""
    types = {
        name: pd.CategoricalDtype(labels) for name, labels in FIELDS.items() if labels is not str
    }
    return pd.DataFrame(
        {name: pd.Series([each[name] for each in values], dtype=types.get(name)) for name in FIELDS}
    )


def whole(shape: Shape, rows: int) -> dict[str, float]:
    """The whole call: CPU and wall seconds, the loop's longest turn, bytes a row over the frame.

    again: CPU of the same call on its own result, whose columns are hashed first.
    """
    df = _ready(shape, rows)
    options = shape.call(Path.cwd())
    before = resident()
    began = time.perf_counter()
    used, out = cpu(lambda: lf.tag(df, "text", shape.fields, **options))
    wall, most = time.perf_counter() - began, peak() - before
    assert (out["llm_status"] == "ok").all()
    assert lf.last_run().report.requests == 0
    again, _ = cpu(lambda: lf.tag(out, "text", shape.fields, **options))
    return {"cpu": used, "wall": wall, "bytes": most / rows, "again": again}


def views(shape: Shape, rows: int) -> dict[str, float]:
    """While a run reads its checkpoint: turns of its loop, and what looking at it costs."""
    df, turns = _ready(shape, rows), []
    run = lf.start(df, "text", shape.fields, **shape.call(Path.cwd()))
    loop = session_of(run).loop
    assert loop is not None
    beating = asyncio.run_coroutine_threadsafe(_beat(turns), loop)
    run.wait()
    beating.cancel()
    _ = run.errors  # the first look imports its view, whatever the rows
    errors, _ = cpu(lambda: run.errors)
    partial, _ = cpu(run.partial)
    turns.sort()
    return {
        "errors": errors,
        "partial": partial,
        "turn": turns[int(0.99 * len(turns))],
        "longest": turns[-1],
    }


async def _beat(turns: list[float]) -> None:
    """Note the CPU seconds of each turn of the loop."""
    while True:
        begin = time.thread_time()
        await asyncio.sleep(0)
        turns.append(time.thread_time() - begin)


def stop(shape: Shape, rows: int) -> dict[str, float]:
    """Seconds from Stop to the end of a run that reads its checkpoint; and from an interrupt."""
    df = _ready(shape, rows)
    run = lf.start(df, "text", shape.fields, **shape.call(Path.cwd()))
    _wait_for(lambda: run.report.reused > 0)
    began = time.perf_counter()
    run.stop()
    run.wait()
    stopped = time.perf_counter() - began
    pending = run.report.pending
    interrupts: list[float] = []

    def interrupt() -> None:
        _wait_for(lambda: lf.last_run() is not run and lf.last_run().report.reused > 0)
        interrupts.append(time.perf_counter())
        os.kill(os.getpid(), signal.SIGINT)

    threading.Thread(target=interrupt, daemon=True).start()
    try:
        lf.tag(df, "text", shape.fields, **shape.call(Path.cwd()))
    except KeyboardInterrupt:
        interrupted = time.perf_counter() - interrupts[0]
    return {"stop": stopped, "pending": pending, "interrupt": interrupted}


def first(shape: Shape, rows: int) -> dict[str, float]:
    """Seconds from a call to the arrival of its first request at a server."""
    df = _ready(shape, rows)
    with serve(process=True, latency=0.2) as server:
        options = {**shape.call(Path.cwd()), "base_url": server.url}
        lf.tag(pd.DataFrame({"text": ["warm"]}), "text", FIELDS, **{**options, "checkpoint": False})
        began = time.monotonic()
        run = lf.start(df, "text", shape.fields, **options)
        _wait_for(lambda: len(server.ledger) > 1)
        run.stop()
        run.wait()
        return {"first": server.ledger.calls[1].at - began}


def live(shape: Shape, rows: int) -> dict[str, float]:
    """Rows that are all asked, of a backend that answers at once: tasks, memory, CPU, the stop."""

    async def instant(*_: object, **__: object) -> Instant:
        return Instant(shape)

    df = _ready(shape, rows)
    execution.open_backend = instant  # type: ignore[assignment]
    options = {**shape.call(Path.cwd()), "checkpoint": False, "concurrency": CONCURRENCY}
    tasks: list[int] = []
    before = resident()
    began = time.process_time()
    run = lf.start(df, "text", shape.fields, **options)
    while not run.wait(0.05):
        tasks.append(len(asyncio.all_tasks(session_of(run).loop)))
    used = time.process_time() - began
    assert (run.result()["llm_status"] == "ok").all()
    most = peak() - before
    run = lf.start(df, "text", shape.fields, **options)
    _wait_for(lambda: run.report.ok > 0)
    began = time.perf_counter()
    run.stop()
    run.wait()
    return {
        "cpu": used,
        "tasks": max(tasks),
        "bytes": most / rows,
        "stop": time.perf_counter() - began,
    }


class Instant:
    """A backend that answers in no time."""

    def __init__(self, shape: Shape) -> None:
        answers = (json.dumps(shape.values(i), ensure_ascii=False) for i in range(1000))
        self._replies = cycle([Reply(each, "stop", None, Usage(290, 40), {}) for each in answers])

    async def send(self, body: object) -> Reply:
        await asyncio.sleep(0)
        return next(self._replies)

    async def close(self) -> None:
        """There is nothing to close."""


def _ready(shape: Shape, rows: int) -> pd.DataFrame:
    """The frame, everything loaded that a call loads, and no memory remembered."""
    lf.tag(pd.DataFrame({"text": [""]}), "text", FIELDS, **MODEL, checkpoint=False)
    df = shape.frame(rows)
    gc.collect()
    Path("/proc/self/clear_refs").write_text("5")  # the peak is that of from here on
    return df


def _wait_for(happened: Callable[[], bool]) -> None:
    while not happened():
        time.sleep(0.005)


def resident() -> int:
    """Bytes of memory that the process has now."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()


def peak() -> int:
    """The most bytes it had since it was told to forget."""
    lines = Path("/proc/self/status").read_text().splitlines()
    [line] = [line for line in lines if line.startswith("VmHWM")]
    return int(line.split()[1]) * 1024


MEASURES: dict[str, Callable[[Shape, int], dict[str, float]]] = {
    "write": prepare, "compare": compare, "steps": steps, "whole": whole, "views": views,
    "stop": stop, "first": first, "live": live,
}  # fmt: skip


def main() -> None:
    """Measure, and print one line of JSON."""
    names, rows, shape = sys.argv[1:]
    told: dict[str, float] = {}
    for name in names.split(","):
        told |= MEASURES[name](SHAPES[shape], int(rows))
    print(json.dumps(told))


if __name__ == "__main__":
    main()
