"""How fast an interrupt ends a cell in real kernels: ``python -m tests.benchmarks.interrupts``."""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import tempfile

from llmframe import testing
from tests.kernels import Kernel
from tests.scripts import BEGIN, until

ROWS_BETWEEN = 30  # requests from one interrupt to the next
TAG = 'out = frame({n}).llm.tag("text", FIELDS, runner="{runner}")'
VERSION = "import ipykernel; print(ipykernel.__version__)"


def measure(which: str, runner: str, times: int) -> str:
    """One line of the table: a kernel, a runner, so many interrupts one after the other."""
    n = ROWS_BETWEEN * (times + 2)
    with (
        tempfile.TemporaryDirectory() as place,
        testing.serve(latency=0.1) as server,
        Kernel(which, {"LOOPBACK": server.url}, place) as kernel,
    ):
        version = kernel.ask(VERSION).strip()
        kernel.run(BEGIN.replace("progress=False, ", ""))
        code = TAG.format(n=n, runner=runner)
        seconds, clean, late = [], 0, 0
        for turn in range(1, times + 1):
            sent = kernel.send(code)
            until(lambda wanted=turn * ROWS_BETWEEN: len(server.ledger) >= wanted)
            at = kernel.interrupt()
            cell = kernel.finish(sent)
            seconds.append(cell.replied - at)
            late += sum(call.at < cell.replied for call in server.ledger.since(at + 1.0))
            clean += cell.error == "KeyboardInterrupt" and not cell.streams
        last = kernel.run(code + '; assert set(out["llm_status"]) == {"ok"}')
        twice = len(server.ledger) - n
    return (
        f"{version:9} {runner:7} {clean:2} of {times}  {statistics.median(seconds):6.2f} "
        f"{max(seconds):6.2f} {late:9} {last.status:>10} {twice:13}"
    )


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--times", type=int, default=12, help="interrupts per kernel and runner")
    times = parser.parse_args().times
    print(f"Python {sys.version.split()[0]}, {os.cpu_count()} cores; seconds from the interrupt")
    print("to the cell's reply; requests later than 1 s after it; the same cell once more")
    print(
        f"{'ipykernel':9} {'runner':7} {'clean':8}  median    max {'late':>9} {'next cell':>10}",
        end="",
    )
    print(f" {'bought twice':>13}")
    for which in ("7", "6"):
        for runner in ("thread", "nest"):
            print(measure(which, runner, times), flush=True)


if __name__ == "__main__":
    main()
