"""What a task is billed whose cell is run again and again under one cap: for ``money.py``.

The cap holds for all calls of the task together: the bill is that of the test server's ledger.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pandas as pd

import llmframe as lf
from llmframe import testing
from llmframe.testing import Server
from tests.benchmarks.limits import Seen
from tests.kits.children import Nursery

PRICES = {"in": 1.0, "out": 2.0}
ROWS, CONCURRENCY, MOST = 3000, 20, 0.1
FIELDS = ["refund", "delivery", "billing", "other"]
INSTRUCTIONS = "Tag this customer-service record by its main intent. " * 12


def call(url: str, folder: Path, **options: Any) -> lf.RunReport:
    """Run the cell: the same call each time, but for the options."""
    frame = pd.DataFrame({"text": [f"record {i}: where is my parcel?" for i in range(ROWS)]})
    lf.tag(
        frame, "text", FIELDS, instructions=INSTRUCTIONS, model="m", base_url=url, api_key="k",
        concurrency=CONCURRENCY, checkpoint=folder / "task.jsonl", progress=False,
        prices=PRICES, **options,
    )  # fmt: skip
    return lf.last_run().report


@contextmanager
def billed(**server: Any) -> Iterator[tuple[Server, Path]]:
    """A server and a folder for the checkpoint."""
    with (
        tempfile.TemporaryDirectory() as folder,
        testing.serve(process=True, **server) as provider,
    ):
        yield provider, Path(folder)


def seen(name: str, spent: float, most: float, *, one: float, note: str, lost: int = 0) -> Seen:
    """A line. one: what a request takes. lost: requests in flight when a process was killed."""
    in_flight = (CONCURRENCY + lost) * one
    return Seen(
        name,
        f"billed {spent:.6g} of {most:g} (in flight {in_flight:.2g} at most); {note}",
        (
            ("within what is in flight", spent <= most + in_flight),
            (">= 95 %", spent >= 0.95 * most),
        ),
    )


def ten_calls(option: str, **server: Any) -> Seen:
    """The cell run ten times under one cap; option: ``max_cost`` or ``max_tokens``."""
    with billed(**server) as (provider, folder):
        most = MOST if option == "max_cost" else 90_000
        options = {option: most, "timeout": 0.5 if server else 60.0}
        requests = [call(provider.url, folder, **options).requests for _ in range(10)]
        calls = [each for each in provider.ledger.calls if each.billed]
        tokens = sum(each.tokens_in + each.tokens_out for each in calls)
        spent = provider.ledger.cost(PRICES) if option == "max_cost" else tokens
        note = f"requests of each call: {', '.join(map(str, requests))}"
        name = f"{option}, ten calls" + (", answers too late" if server else "")
        return seen(name, spent, most, one=spent / len(calls), note=note)


def raised() -> Seen:
    """The cap is reached, and raised twice."""
    with billed() as (provider, folder):
        bills = []
        for most in (MOST / 4, MOST / 4, MOST / 2, MOST):
            call(provider.url, folder, max_cost=most)
            bills.append(provider.ledger.cost(PRICES))
        one = bills[-1] / len(provider.ledger.calls)
        note = f"after max_cost= {MOST / 4:g}, the same, {MOST / 2:g}, {MOST:g}: " + ", ".join(
            f"{bill:.4f}" for bill in bills
        )
        return seen("max_cost raised", bills[-1], MOST, one=one, note=note)


def other_processes(kills: int) -> Seen:
    """Processes one after another, so many of them killed -9 in the middle."""
    with billed(latency=0.03) as (provider, folder), Nursery(folder) as nursery:
        options: dict[str, Any] = {
            "max_cost": MOST / 4, "prices": PRICES, "concurrency": CONCURRENCY,
            "instructions": INSTRUCTIONS,
        }  # fmt: skip
        most, lost, ledger = MOST / 4, 0, provider.ledger
        for number in range(kills + 2):
            child = nursery.tag(ROWS, provider.url, folder / "task.jsonl", **options)
            enough = most * (number + 1) / (kills + 2)
            if number < kills:
                lost += CONCURRENCY * child.kill_when(lambda to=enough: ledger.cost(PRICES) >= to)
            else:
                child.wait()
        spent, calls = ledger.cost(PRICES), [each for each in ledger.calls if each.billed]
        name = f"{kills} times kill -9" if kills else "two processes"
        note = f"{len(calls)} requests, {kills + 2} processes"
        return seen(name, spent, most, one=spent / len(calls), note=note, lost=lost)


AGAIN: dict[str, Callable[[], Seen]] = {
    "ten-calls": lambda: ten_calls("max_cost"),
    "ten-calls-tokens": lambda: ten_calls("max_tokens"),
    "ten-calls-late": lambda: ten_calls("max_cost", latency=(0.05, 1.5)),
    "raised": raised,
    "two-processes": lambda: other_processes(0),
    "kills": lambda: other_processes(3),
}
