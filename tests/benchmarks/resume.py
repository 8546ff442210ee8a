"""What resuming costs: a call over a checkpoint that is finished, half finished or empty.

    python -m tests.benchmarks.resume [--rows 100000] [--shapes]

CPU seconds are those of a process of its own, beside a floor in the same process: json.loads of
the same lines, and pandas making the same columns of their values. Wall seconds mean little on a
machine that does something else. ``--shapes`` adds other frames and checkpoints. The exit
status is 1 when a bound is missed.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
CONCURRENCY = 50


def measured(names: str, rows: int, shape: str = "plain") -> dict[str, Any]:
    """Measurements (see resuming.py) in a process of their own, over a checkpoint made for them."""
    with tempfile.TemporaryDirectory() as made:
        if names != "compare":
            _process("write", rows, shape, made)  # what making it takes is not to be measured
        return _process(names, rows, shape, made)


def _process(names: str, rows: int, shape: str, folder: str) -> dict[str, Any]:
    command = [sys.executable, "-m", "tests.benchmarks.resuming", names, str(rows), shape]
    env = os.environ | {"PYTHONPATH": f"{ROOT}{os.pathsep}{os.environ.get('PYTHONPATH', '')}"}
    done = subprocess.run(command, cwd=folder, env=env, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"{names} of {rows} rows failed:\n{done.stderr[-4000:]}")
    told: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return told


class Table:
    """Figures beside their bounds and floors."""

    def __init__(self) -> None:
        self.missed = 0

    def tell(
        self,
        what: str,
        figure: float,
        unit: str = "s",
        *,
        bound: float | None = None,
        floor: float = 0,
    ) -> None:
        """One line; floor: what the ratio is taken to."""
        beside = f"  {figure / floor:5.2f} x floor" if floor else ""
        bounded = "" if bound is None else f"  (<= {bound:g}){' MISSED' * (figure > bound)}"
        print(f"  {what:<42}{figure:10.3f} {unit:<3}{bounded}{beside}", flush=True)
        self.missed += bound is not None and figure > bound


def finished(rows: int, table: Table) -> None:
    """Every row is in the checkpoint."""
    many = rows > 300_000
    print(f"{rows:,} rows, all answered")
    told = measured("whole,views,stop,steps", rows)
    json_floor, floor = told["floor_json"], told["floor_json"] + told["floor_columns"]
    table.tell("floor: json.loads of the lines, CPU", json_floor)
    table.tell("floor: pandas making the columns, CPU", told["floor_columns"])
    table.tell(
        "indexed, CPU", told["index"], bound=(3e-6 if many else 2e-6) * rows, floor=json_floor
    )
    table.tell("keyed, CPU", told["key"], bound=3e-6 * rows, floor=json_floor)
    table.tell("resumed, CPU", told["cpu"], bound=(10e-6 if many else 5e-6) * rows, floor=floor)
    table.tell("resumed, wall", told["wall"])
    table.tell("resumed over its own result, CPU", told["again"])
    table.tell("memory over the frame, a row", told["bytes"], "B", bound=1000)
    table.tell("run.partial(), CPU", told["partial"])
    table.tell("run.errors, CPU", told["errors"])
    table.tell("a turn of the loop, 99 of 100, CPU", told["turn"] * 1000, "ms", bound=5)
    table.tell("the longest turn, CPU", told["longest"] * 1000, "ms")
    table.tell("from Stop to the end, wall", told["stop"], bound=1)
    table.tell("from an interrupt to the next cell, wall", told["interrupt"], bound=1)


def unfinished(rows: int, table: Table) -> None:
    """Rows have to be asked."""
    print(f"{rows:,} rows, none or half of them answered")
    for name in ("empty", "half"):
        first = measured("first", rows, name)["first"]
        table.tell(f"first request, {name}, wall", first * 1000, "ms")
    told = measured("live", rows, "empty")
    print(f"{rows:,} rows, all asked of a backend that answers at once")
    table.tell("CPU a row", told["cpu"] / rows * 1e6, "us")
    most = CONCURRENCY + 10
    table.tell(f"tasks at once, concurrency {CONCURRENCY}", told["tasks"], "", bound=most)
    table.tell("memory over the frame, a row", told["bytes"], "B", bound=1000)
    table.tell("from Stop to the end, wall", told["stop"], bound=1)


def shapes(rows: int, table: Table) -> None:
    """Other frames and checkpoints, each beside the plain one."""
    print(f"{rows:,} rows of other shapes, resumed; the floor is the plain one")
    told = measured("compare", rows)
    for name, used in told.items():
        table.tell(f"{name}, CPU", used, bound=4 * told["plain"], floor=told["plain"])


def main() -> int:
    """Print the tables."""
    asked = argparse.ArgumentParser(description=__doc__)
    asked.add_argument("--rows", type=int, default=100_000)
    asked.add_argument("--shapes", action="store_true", help="other frames and checkpoints too")
    given = asked.parse_args()
    table = Table()
    finished(given.rows, table)
    unfinished(given.rows, table)
    if given.shapes:
        shapes(given.rows, table)
    return int(table.missed > 0)


if __name__ == "__main__":
    sys.exit(main())
