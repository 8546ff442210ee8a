"""The house in figures: ``python -m tests.house``.

Each row: what is measured, the figure today, the figure wanted, and a mark where it is not met.
The docstring of the function that measures says how it counts.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from statistics import mean
from typing import NamedTuple

from .habits import long_files, private_reads, real_sleeps, run_names
from .options import places
from .sizes import biggest_room, comment_density, flat, function_lengths, lines
from .tree import Source, floors, imports, read, rings, rooms

REPOSITORY = Path(__file__).resolve().parents[2]
REACHED = frozenset(  # the rows that --check holds: add each once it is met
    {
        "import rings, types counted",
        "floors",
        "biggest room's share",
        "files flat in one folder",
        "largest function, lines",
        "names under Tab on a Run",
        "private attributes in tests",
        "test files above 400 lines",
        "real sleeps in tests",
    }
)


class Row(NamedTuple):
    """One figure. parts: what it is made of. brief: how many of them show without --list."""

    name: str
    value: str
    wanted: str
    met: bool
    parts: Sequence[str] = ()
    brief: int = 0


def figures(package: Path, tests: Path) -> Iterator[Row]:
    """Every row for a package and its tests."""
    sources = read(package)
    own = [source for source in sources if source.parts[0] != "testing"]
    yield from _shape(sources)
    yield from _sizes(own)
    yield _options(own)
    yield _listed("names under Tab on a Run", run_names(own), at_most=10)
    theirs = read(tests)
    yield _listed("private attributes in tests", private_reads(sources, theirs), at_most=10)
    yield _listed("test files above 400 lines", long_files(theirs), at_most=0)
    yield _listed("real sleeps in tests", real_sleeps(theirs), at_most=0)


def _listed(name: str, parts: Sequence[str], *, at_most: int, brief: int = 0) -> Row:
    wanted = f"<= {at_most}" if at_most else "0"
    return Row(name, f"{len(parts)}", wanted, len(parts) <= at_most, parts, brief)


def _shape(sources: list[Source]) -> Iterator[Row]:
    found = [" <-> ".join(ring) for ring in rings(imports(sources))]
    yield _listed("import rings, types counted", found, at_most=0, brief=99)
    graph = rooms(sources)
    levels = [", ".join(level) for level in floors(graph)]
    together = [f"a ring of rooms on one floor: {' <-> '.join(ring)}" for ring in rings(graph)]
    yield _listed("floors", levels, at_most=11)._replace(parts=levels + together)
    share, room = biggest_room(sources)
    yield Row("biggest room's share", f"{share:.1%} {room}", "<= 28%", share <= 0.28)
    files, folder = flat(sources)
    yield Row("files flat in one folder", f"{files} {folder}", "<= 16", files <= 16)


def _sizes(own: list[Source]) -> Iterator[Row]:
    size = lines(own)
    yield Row("lines without testing/", f"{size:,}", "<= 17,000", size <= 17_000)
    lengths = function_lengths(own)
    average = mean(length for length, _ in lengths)
    yield Row("mean function, lines", f"{average:.1f}", "8-12", 8 <= average <= 12)
    above = [f"{length} {place}" for length, place in lengths if length > 45]
    largest = "{} {}".format(*lengths[0])
    yield Row("largest function, lines", largest, "<= 45", not above, above)
    density = comment_density(own)
    yield Row("comments per 100 code lines", f"{density:.1f}", ">= 6", density >= 6)


def _options(own: list[Source]) -> Row:
    found = sorted(places(own).items(), key=lambda item: (-len(item[1]), item[0]))
    counts = [len(at) for _, at in found] or [0]
    parts = [f"{len(at)} {name}: {', '.join(sorted(at))}" for name, at in found]
    value = f"{min(counts)}-{max(counts)}, {mean(counts):.1f} on average"
    wanted = "1 (2 with the TypedDict)"
    return Row("places of one option", value, wanted, 0 < max(counts) <= 2, parts, brief=1)


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the table. Returns 1 if --check finds a figure broken that was reached, else 0."""
    parser = argparse.ArgumentParser(prog="python -m tests.house", description=__doc__)
    parser.add_argument("--list", action="store_true", help="show what each figure is made of")
    parser.add_argument(
        "--check", action="store_true", help="fail where a row of REACHED is not met"
    )
    asked = parser.parse_args(arguments)
    table = list(figures(REPOSITORY / "llmframe", REPOSITORY / "tests"))
    for row in table:
        mark = "" if row.met else "  <- not met"
        print(f"{row.name:28}  {row.value:28}  {row.wanted:24}{mark}".rstrip())
        for part in row.parts[: None if asked.list else row.brief]:
            print(f"    {part}")
    broken = [row.name for row in table if row.name in REACHED and not row.met]
    if asked.check and broken:
        print(f"broken: {', '.join(broken)}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
