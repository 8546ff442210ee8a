"""Interrupts at random moments in real kernels: ``python -m tests.benchmarks.interrupts``."""

from __future__ import annotations

import argparse
import os
import random
import statistics
import sys
import tempfile
import time
from dataclasses import dataclass, field

from llmframe import testing
from tests.kits.kernels import Kernel
from tests.kits.scripts import BEGIN

MOMENTS = (0.05, 1.2)  # seconds from a cell's beginning to its interrupt
ROWS_A_TURN = 160  # more than are answered from one interrupt to the next
AFTER = 1.0  # seconds after an interrupt from which no request may leave
TAG = 'out = frame({n}).llm.tag("text", FIELDS, runner="{runner}")'
VERSION = "import ipykernel; print(ipykernel.__version__)"


@dataclass
class Figures:
    """What so many interrupts, one after the other, did to a kernel.

    clean: cells that ended as KeyboardInterrupt, printed nothing, and after which the next cell
    worked. late: requests later than AFTER. seconds: from each interrupt to the cell's reply.
    lost: answered rows that the last, undisturbed cell did not have. twice: rows paid twice.
    """

    version: str
    times: int
    clean: int = 0
    late: int = 0
    lost: int = 0
    twice: int = 0
    seconds: list[float] = field(default_factory=list)
    last: str = ""

    def line(self, runner: str) -> str:
        """One line of the table."""
        return (
            f"{self.version:9} {runner:7} {self.clean:3} of {self.times:<3} "
            f"{statistics.median(self.seconds):7.2f} {max(self.seconds):6.2f} {self.late:6} "
            f"{self.lost:6} {self.twice:12} {self.last:>10}"
        )


def measure(which: str, runner: str, times: int, seed: int = 7) -> Figures:
    """Interrupt a kernel so many times, each at a random moment of the same cell."""
    chance, n = random.Random(f"{seed}/{which}/{runner}"), ROWS_A_TURN * (times + 2)
    code = TAG.format(n=n, runner=runner)
    with (
        tempfile.TemporaryDirectory() as place,
        testing.serve(latency=0.1) as server,
        Kernel(which, {"LOOPBACK": server.url}, place) as kernel,
    ):
        figures = Figures(kernel.ask(VERSION).strip(), times)
        kernel.run(BEGIN.replace("progress=False, ", "") + "import llmframe.calls.plan, openai")
        for _ in range(times):
            interrupt_once(kernel, server, code, chance.uniform(*MOMENTS), figures)
        calls = server.ledger.calls
        answered = {call.row for call in calls if call.billed}
        server.update(latency=0.0)
        done = kernel.run(code + '; assert set(out["llm_status"]) == {"ok"}')
        figures.last = done.status
        again = server.ledger.calls[len(calls) :]
        figures.lost = len(answered & {call.row for call in again})
        figures.twice = len(server.ledger.billed_twice())
    return figures


def interrupt_once(kernel, server, code: str, wait: float, figures: Figures) -> None:
    """Run the cell, interrupt it after so many seconds, and see what it does then."""
    sent = kernel.send(code)
    kernel.listen(wait)
    at = kernel.interrupt()
    pressed = time.monotonic()  # the signal has left by now; it had not at the time before
    cell = kernel.finish(sent)
    figures.seconds.append(cell.replied - at)
    works = kernel.run("print('works')").printed == "works\n"
    figures.clean += cell.error == "KeyboardInterrupt" and not cell.streams and works
    time.sleep(max(0.0, pressed + AFTER + 0.2 - time.monotonic()))
    figures.late += len(server.ledger.since(pressed + AFTER))


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--times", type=int, default=50, help="interrupts per kernel and runner")
    times = parser.parse_args().times
    print(f"Python {sys.version.split()[0]}, {os.cpu_count()} cores; seconds from the interrupt")
    print(f"to the cell's reply; late: requests more than {AFTER:g} s after it; the cell once more")
    print("ipykernel runner  clean       median    max   late   lost bought twice  next cell")
    for which in ("7", "6"):
        for runner in ("thread", "nest"):
            print(measure(which, runner, times).line(runner), flush=True)


if __name__ == "__main__":
    main()
