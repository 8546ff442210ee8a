"""Do the intervals keep their promise? ``python -m tests.benchmarks.trust``.

Worlds of 10,000 rows whose truth is known are reviewed again and again (``--times``, 1,000), at
random and by design. Printed: how often the interval holds the truth, how wide it is, how often a
threshold promises too much, and how long 100,000 rows take. The exit status is 1 when a bound is
missed.
"""

from __future__ import annotations

import argparse
import contextlib
import sys
import tempfile
import time
from collections.abc import Callable, Iterator

import numpy as np

from tests.kits.judged import frame, judge
from tests.kits.trust_grid import (
    Cell,
    accuracy_grid,
    changed_grid,
    metrics_grid,
    shares_grid,
    threshold_grid,
)

SECONDS = 0.5  # for score and for shares, of 100,000 rows


def timing(_: int) -> Iterator[Cell]:
    """Seconds of score, shares and compare on 100,000 rows, by a truth and by 200 judged rows."""
    df = frame(100_000, shop=np.arange(100_000) % 50)
    df["second"] = df["intent"].to_numpy()[::-1]
    with tempfile.TemporaryDirectory() as folder, contextlib.chdir(folder):
        calls: dict[str, Callable[[], object]] = {
            "score, by a truth": lambda: df.llm.score("intent", truth="gold"),
            "score, by a truth, 50 groups": lambda: df.llm.score("intent", truth="gold", by="shop"),
            "compare": lambda: df.llm.compare("intent", "second"),
        }
        judged: dict[str, Callable[[], object]] = {
            "score, by 200 judged rows": lambda: df.llm.score("intent"),
            "shares": lambda: df.llm.shares("intent"),
            "shares, 50 groups": lambda: df.llm.shares("intent", by="shop"),
            "threshold": lambda: df.llm.threshold("intent"),
        }
        yield from map(_timed, calls, calls.values())
        judge(df, n=200)
        yield from map(_timed, judged, judged.values())


def _timed(name: str, call: Callable[[], object]) -> Cell:
    began = time.process_time()  # one thread: as long as it takes on an idle machine
    call()
    seconds = time.process_time() - began
    return Cell(name, f"{seconds:.3f} s", seconds <= SECONDS)


GRIDS: dict[str, tuple[str, Callable[[int], Iterator[Cell]]]] = {
    "accuracy": ("how often the interval holds it / mean width", accuracy_grid),
    "shares": ("mean over labels (worst) / width of the largest, rarest", shares_grid),
    "metrics": ("how often the interval holds it", metrics_grid),
    "threshold": ("promised too much / certified / rows kept", threshold_grid),
    "changed": ("how often the interval holds the gain / mean width", changed_grid),
    "time": ("CPU seconds for 100,000 rows", timing),
}


def main() -> int:
    """Print the grids. Returns 1 if a bound is missed, else 0."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.trust", description=__doc__)
    parser.add_argument("grids", nargs="*", default=[*GRIDS], help=f"of {', '.join(GRIDS)}")
    parser.add_argument("--times", type=int, default=1_000, help="reviews in each cell")
    asked = parser.parse_args()
    missed = 0
    for name in asked.grids:
        title, cells = GRIDS[name]
        print(f"\n{name}: {title}")
        for cell in cells(asked.times):
            missed += not cell.met
            print(f"  {cell.name:44} {cell.value}{'' if cell.met else '   <- missed'}")
    return int(missed > 0)


if __name__ == "__main__":
    sys.exit(main())
