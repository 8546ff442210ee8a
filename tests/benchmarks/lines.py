"""Run a command and print when its lines came: what a person who waits for it sees.

``python -m tests.benchmarks.lines python3 notebooks/first_run.py``: the seconds to the first line,
the longest time without one, the whole, and the CPU time that it took.
"""

from __future__ import annotations

import itertools
import resource
import subprocess
import sys
import time
from collections.abc import Iterable


def gaps(times: Iterable[float], *, end: float) -> tuple[float, float]:
    """Seconds to the first line, and the longest without one.

    times: when each line came, in seconds since the start. end: when the command ended.
    """
    marks = [*times, end]
    between = (later - earlier for earlier, later in itertools.pairwise(marks))
    return marks[0], max(between, default=0.0)


def main() -> None:
    """Run the command, pass its output on, and print the figures."""
    began, times = time.monotonic(), []
    with subprocess.Popen(sys.argv[1:], stdout=subprocess.PIPE, text=True) as process:
        for line in process.stdout or ():
            times.append(time.monotonic() - began)
            print(line, end="", flush=True)
    end = time.monotonic() - began
    first, longest = gaps(times, end=end)
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    print(f"\nfirst line after {first:.1f} s, longest time without one {longest:.1f} s")
    print(
        f"whole {end:.0f} s, CPU {used.ru_utime + used.ru_stime:.0f} s, exit {process.returncode}"
    )


if __name__ == "__main__":
    main()
