"""An estimate against the run that follows it: ``python -m tests.benchmarks.estimate``.

Five tasks on the loopback server: short texts, long ones, Chinese ones, three fields, and a long
prompt in the provider's cache. Each is estimated before anything was sent, and again after a
preview of 20 rows, when this process has forgotten all that it learnt, so that only the checkpoint
is left. Then the whole is tagged. Goals: after the preview tokens and cost within 10 %, minutes
within 25 %; before it the ranges hold what the whole took. In a sixth task the run finds its own
number of requests at a time, which depends on what else the machine does: its minutes must be in
their range. ``--check`` exits with 1 where a goal is missed. Takes about three minutes.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import warnings
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pandas as pd

import llmframe as lf
from llmframe import testing
from llmframe.engine.governor import forget_governors
from tests.benchmarks.limits import Seen

if TYPE_CHECKING:
    from collections.abc import Iterator

    from llmframe.report import RunReport

ROWS, PREVIEW = 500, 20
PRICES = {"in": 1.0, "out": 2.0, "cached": 0.1, "currency": "USD"}
INTENTS = ["refund", "delivery", "billing", "account", "praise", "other"]
INSTRUCTIONS = "Tag this customer-service record by its main intent. "
LATENCY = (0.7, 1.8)  # seconds, median and 99th percentile


@dataclass(frozen=True)
class Task:
    """What is asked of which texts. server, options: of the server and the call."""

    texts: list[str]
    fields: dict[str, Any] = field(default_factory=lambda: {"intent": INTENTS})
    server: dict[str, Any] = field(default_factory=dict)
    options: dict[str, Any] = field(default_factory=dict)


def tasks() -> dict[str, Task]:
    """The five tasks, and one more."""
    written = [row["text"] for row in testing.records(3 * ROWS)]
    chinese = [text for text in testing.records(4 * ROWS) if not text["text"].isascii()]
    english = [text for text in written if text.isascii()]
    three = {"intent": INTENTS, "urgency": ["low", "mid", "high"], "summary": str}
    return {
        "short": Task([f"{at}: {text[:40]}" for at, text in enumerate(english[:ROWS])]),
        "long": Task([" ".join(english[at : at + 3 + at % 40]) for at in range(ROWS)]),
        "chinese": Task([row["text"] for row in chinese[:ROWS]], options={"rpm": 3000}),
        "3 fields": Task(written[:ROWS], three),
        "cached": Task(written[:ROWS], server={"cache": True},
                       options={"instructions": INSTRUCTIONS * 60}),
        "auto": Task([f"{at}, {text}" for at, text in enumerate(english[:ROWS])],
                     options={"concurrency": "auto"}),
    }  # fmt: skip


def measure(name: str, task: Task) -> Iterator[Seen]:
    """Both estimates of a task against what it took."""
    df = pd.DataFrame({"text": task.texts})
    with testing.serve(process=True, latency=LATENCY, prices=PRICES, **task.server) as server:
        options = {
            "model": name, "base_url": server.url, "api_key": "k", "prices": PRICES,
            "progress": False, "instructions": INSTRUCTIONS, "concurrency": 20, **task.options,
        }  # fmt: skip
        before = df.llm.estimate("text", task.fields, **options)
        sampled(df, task.fields, options)
        first = lf.last_run().report
        forget_governors()
        after = df.llm.estimate("text", task.fields, **options)
        calls = len(server.ledger)
        assert calls == PREVIEW, "an estimate sends nothing"
        df.llm.tag("text", task.fields, **options)
        report = lf.last_run().report
    yield compare(f"{name}, after a preview", after, report)
    yield holds(f"{name}, before", before, first, report)


def sampled(df: pd.DataFrame, fields: dict[str, Any], options: dict[str, Any]) -> None:
    """Ask for a sample of the rows."""
    if hasattr(type(df.llm), "preview"):
        df.llm.preview("text", fields, n=PREVIEW, **options)
    else:
        df.sample(PREVIEW, random_state=0).llm.tag("text", fields, **options)


def compare(name: str, after: Any, report: RunReport) -> Seen:
    """The estimate after a preview against the run of all other rows."""
    pairs = (
        ("tokens in", after.tokens_in, report.tokens_in, 0.10),
        ("out", after.tokens_out, report.tokens_out, 0.10),
        ("cost", after.cost, report.cost, 0.10),
        ("minutes", after.minutes, report.seconds / 60, 0.25),
    )
    low, high = after.minutes_range
    off = [(word, said / took - 1, most) for word, said, took, most in pairs]
    words = ", ".join(f"{word} {by:+.1%}" for word, by, _ in off)
    goals = [(f"{word} within {most:.0%}", abs(by) <= most) for word, by, most in off]
    if name.startswith("auto"):
        goals[-1] = ("minutes in their range", low <= report.seconds / 60 <= high)
    goals.append(("as many requests", after.requests == report.requests))
    inside = after.cost_range[0] <= report.cost <= after.cost_range[1]
    goals.append(("cost in its range", inside))
    return Seen(name, f"{words}; took {report.seconds:.1f} s", tuple(goals))


def holds(name: str, before: Any, first: RunReport, report: RunReport) -> Seen:
    """The ranges before anything was sent against all that was taken."""
    whole = report.seconds / 60 * before.requests / report.requests
    pairs = (
        ("tokens in", before.tokens_in_range, first.tokens_in + report.tokens_in),
        ("out", before.tokens_out_range, first.tokens_out + report.tokens_out),
        ("cost", before.cost_range, first.cost + report.cost),
        ("minutes", before.minutes_range, whole),
    )
    words = ", ".join(
        f"{word} {low:.4g} to {high:.4g}, {took:.4g}" for word, (low, high), took in pairs
    )
    goals = tuple(
        (f"{word} in its range", low <= took <= high) for word, (low, high), took in pairs
    )
    return Seen(name, words, goals)


def main() -> int:
    made = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    made.add_argument("names", nargs="*", metavar="name", help=", ".join(tasks()))
    made.add_argument("--check", action="store_true", help="exit with 1 where a goal is missed")
    given = made.parse_args()
    warnings.simplefilter("ignore")
    missed = 0
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        for name, task in tasks().items():
            for seen in measure(name, task) if name in (given.names or [name]) else ():
                lost = [goal for goal, reached in seen.goals if not reached]
                missed += bool(lost)
                print(
                    f"{seen.name:26} {seen.line}{f'   MISSED: {lost}' if lost else ''}", flush=True
                )
        os.chdir("/")
    return int(given.check and missed > 0)


if __name__ == "__main__":
    sys.exit(main())
