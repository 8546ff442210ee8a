"""Functions that compute, in a thread and in processes: ``python -m tests.benchmarks.workers``.

The backend answers at once; ``redact=``, or a validator, computes for some milliseconds a record.
Records a second of ``workers="process"`` beside the default, in turn. The exit status is 1 when
the best ratio is below 0.8 x the cores (of two: 1.6).
"""

from __future__ import annotations

import argparse
import sys
import time

from pydantic import BaseModel, field_validator

import llmframe as lf
from llmframe.engine import execution
from llmframe.system.processes import cores
from tests.benchmarks.resuming import Instant
from tests.benchmarks.shapes import FIELDS, MODEL, SHAPES

STEPS = 40_000  # of the loop that stands for somebody's work: some 3 ms
OPTIONS = {**MODEL, "checkpoint": False, "concurrency": 50}


def compute(text: str) -> str:
    """The text, after some work in Python."""
    total = 0
    for step in range(STEPS):
        total += step
    return text if total else ""


class Checked(BaseModel):
    """An answer that is validated with some work."""

    intent: str
    urgency: str
    summary: str

    @field_validator("summary")
    @classmethod
    def checked(cls, value: str) -> str:
        """As it is."""
        return compute(value)


CALLS = {
    "redact=": {"fields": FIELDS, "redact": compute},
    "a validator": {"fields": Checked},
}


def rate(rows: int, **call: object) -> float:
    """Records a second, without the start of the processes, which is in the first half."""
    records = (f"record {i} wants something" for i in range(rows))
    results = iter(lf.tag_stream(records, **OPTIONS, **call))
    for _ in range(rows // 2):
        assert next(results).status == "ok"
    began = time.perf_counter()
    assert all(result.status == "ok" for result in results)
    return (rows - rows // 2) / (time.perf_counter() - began)


def main() -> int:
    """Print the figures."""
    asked = argparse.ArgumentParser(description=__doc__)
    asked.add_argument("--rows", type=int, default=2000)
    asked.add_argument("--rounds", type=int, default=3)
    given = asked.parse_args()

    async def instant(*_: object, **__: object) -> Instant:
        return Instant(SHAPES["plain"])

    execution.open_backend = instant  # type: ignore[assignment]
    wanted, is_good = 0.8 * cores(), True
    for name, call in CALLS.items():
        ratios = []
        for _ in range(given.rounds):
            in_thread, in_processes = (
                rate(given.rows, workers=workers, **call) for workers in ("thread", "process")
            )
            ratios.append(in_processes / in_thread)
            print(
                f"{name}: {in_thread:,.0f} records a second in a thread, {in_processes:,.0f} in "
                f"{cores()} processes: {ratios[-1]:.2f} x",
                flush=True,
            )
        is_good = is_good and max(ratios) >= wanted
    print(f"wanted: {wanted:.1f} x")
    return int(not is_good)


if __name__ == "__main__":
    sys.exit(main())
