"""What the panel costs in a real kernel, and what a busy cell does to a background run.

``python -m tests.benchmarks.panel``: for ipykernel 7 and 6, the share of a core that drawing
takes at 500 rows/s, the largest message to the page, and the rows a second of a background run
while another cell computes, as a share of those before it.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from typing import Any

from llmframe import testing
from tests.kits.kernels import Kernel
from tests.kits.scripts import BEGIN

LATENCY, IN_FLIGHT = 0.1, 50  # 500 rows/s
KIB = 1000  # bytes of a kB, as the promise counts them

SPY = """
import asyncio, os, threading
from pathlib import Path
from llmframe.notebook.views.panel import PanelView
from llmframe.engine.events import RequestSent, RowsDone
from llmframe.results import RowResult
from llmframe.notebook.latest_rows import LatestRows
drawing = [0.0]
def spend(method, spent):
    def spy(self, *args):
        began = time.thread_time()
        try:
            return method(self, *args)
        finally:
            spent[0] += time.thread_time() - began
    return spy
PanelView.refresh = spend(PanelView.refresh, drawing)
def watching(rows):
    # of one row, two events; timing each would cost more than it does
    latest = LatestRows(None, str)
    events = RequestSent(False), RowsDone((0,), RowResult("ok", {}), "request")
    began = time.thread_time()
    for _ in range(rows):
        for event in events:
            latest(event)
    return time.thread_time() - began
def publishing():
    # the kernel's own thread that writes messages to the socket
    thread = get_ipython().kernel.iopub_thread.thread
    return int(Path(f"/proc/self/task/{thread.native_id}/schedstat").read_text().split()[0]) / 1e9
"""
START = """
published = publishing()
run = frame({n}).llm.start("text", dict(FIELDS, summary=str),
                           concurrency={limit}, progress={progress})
"""
END = """
run.wait()
report = run.report
tell(seconds=report.seconds, rows=report.ok / report.seconds, drawing=drawing[0],
     watching=watching(report.ok), publishing=publishing() - published)
"""
BUSY = """
def rows_a_second(work):
    rows, began = run.report.ok, time.monotonic()
    work()
    return (run.report.ok - rows) / (time.monotonic() - began)
def compute():
    end = time.monotonic() + 5
    while time.monotonic() < end:
        sum(range(1000))
time.sleep(2)
calm = rows_a_second(lambda: time.sleep(5))
busy = rows_a_second(compute)
run.stop()
tell(calm=calm, busy=busy)
"""


class Listening(Kernel):
    """A kernel that notes the size of every message to the page, in bytes of JSON."""

    largest = 0
    messages = 0

    def _publish(self, message: dict[str, Any]) -> None:
        size = len(json.dumps(message["content"], ensure_ascii=False).encode())
        self.largest, self.messages = max(self.largest, size), self.messages + 1
        super()._publish(message)


def measure(which: str, rows: int) -> list[str]:
    """The figures of one kernel, a line each."""
    with (
        tempfile.TemporaryDirectory() as place,
        testing.serve(latency=LATENCY) as server,
        Listening(which, {"LOOPBACK": server.url}, place) as kernel,
    ):
        kernel.run(BEGIN.replace("progress=False, ", ""))
        kernel.ask(SPY)
        quiet = _run(kernel, rows, progress=False, name="quiet")
        shown = _run(kernel, rows, progress="widget", name="shown")
        kernel.run(START.format(n=20 * rows, limit=IN_FLIGHT, progress='"widget"'))
        busy = json.loads(kernel.finish(kernel.send(BUSY), 120).printed)
        parts = {
            "drawing": shown["drawing"],
            "watching rows": shown["watching"],
            "sending": shown["publishing"] - quiet["publishing"],
        }
        share = 100 * sum(parts.values()) / shown["seconds"]
        told = ", ".join(f"{name} {100 * s / shown['seconds']:.2f} %" for name, s in parts.items())
        return [
            f"ipykernel {which}: the panel took {share:.2f} % of a core at "
            f"{shown['rows']:.0f} rows/s ({told})",
            f"  largest message {kernel.largest / KIB:.1f} kB of {kernel.messages}",
            f"  beside a cell that computes for 5 s: {busy['busy']:.0f} rows/s of "
            f"{busy['calm']:.0f} before it, {busy['busy'] / busy['calm']:.0%}",
        ]


def _run(kernel: Kernel, rows: int, *, progress: object, name: str) -> dict[str, float]:
    kernel.ask("drawing[0] = 0.0")
    begun = START.format(n=f'{rows}, "{name}"', limit=IN_FLIGHT, progress=repr(progress))
    kernel.run(begun)
    told: dict[str, float] = json.loads(kernel.finish(kernel.send(END), 120).printed)
    kernel.listen(0.5)
    return told


def main() -> None:
    """Print the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=10_000, help="of each run that is measured")
    rows = parser.parse_args().rows
    for which in ("7", "6"):
        print("\n".join(measure(which, rows)), flush=True)


if __name__ == "__main__":
    main()
