"""Random providers in virtual time: who ends late, spins, exceeds a cap or loses a row.

``python -m tests.benchmarks.providers --histories 2000`` prints the worst runs with their
seeds; ``--seed N`` runs one again; ``--check`` exits with 1 where anything is wrong.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections import Counter

from tests.kits.random_runs import GRACE, LATEST, Went, live


def summary(went: list[Went]) -> str:
    """What went wrong how often, and how late the runs ended."""
    kinds = Counter(what.split()[0] if what[0].isalpha() else what.split()[1]
                    for each in went for what in each.wrong)  # fmt: skip
    ratios = sorted(each.ratio for each in went)
    bad = sum(bool(each.wrong) for each in went)
    return (
        f"{len(went)} providers: {bad} wrong {dict(kinds)}; time over {LATEST} x the floor + "
        f"{GRACE:.0f} s: median {ratios[len(ratios) // 2]:.2f}, worst {ratios[-1]:.2f}"
    )


def main() -> int:
    """Run the histories, print the wrong and the latest."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--histories", type=int, default=2000)
    parser.add_argument("--first", type=int, default=0, help="the first seed")
    parser.add_argument("--seed", type=int, help="run this one alone")
    parser.add_argument("--worst", type=int, default=5, help="how many of the latest to print")
    parser.add_argument("--check", action="store_true")
    arguments = parser.parse_args()
    if arguments.seed is not None:
        print(live(arguments.seed))
        return 0
    begun = time.process_time()
    went = []
    for seed in range(arguments.first, arguments.first + arguments.histories):
        went.append(live(seed))
        if went[-1].wrong:
            print(went[-1], flush=True)
    wrong = [each for each in went if each.wrong]
    print("the latest:")
    for each in sorted(went, key=lambda each: -each.ratio)[: arguments.worst]:
        print(f"  {each.ratio:.2f} {each}")
    print(summary(went), f"; {time.process_time() - begun:.0f} s CPU", sep="")
    return int(arguments.check and bool(wrong))


if __name__ == "__main__":
    sys.exit(main())
