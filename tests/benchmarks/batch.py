"""Batch mode at full size: ``python -m tests.benchmarks.batch [--rows 120000] [--check]``.

Programs of their own tag against the test server in another process; they are killed with
SIGKILL while they upload, create, poll and download. The server's ledger says what was sent, and
which batches there were. Every line shows a figure and what it must be; with --check the exit
status is 1 when one is missed.
"""

from __future__ import annotations

import argparse
import itertools
import tempfile
import time
from collections import defaultdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from llmframe import testing
from tests.kits.batch_lives import STEPS, WAYS, begin_on, kill_while, sent_twice
from tests.kits.battery import statuses
from tests.kits.children import Nursery

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from llmframe.testing import Call, Server

    Figure = tuple[str, object, object]  # what, seen, wanted

LIMIT = 50_000  # requests of one batch
PATIENCE = 1800  # seconds that one program may take
LONG = "Read the record with care, and think of the customer. " * 48  # makes a request of 3.7 kB


class Bench:
    """Runs programs against one server after the other.

    rows: of the frame. limit: requests of one batch, as the programs know it.
    """

    def __init__(self, nursery: Nursery, folder: Path, rows: int) -> None:
        self.rows = rows
        self._nursery = nursery
        self._folder = folder
        self._numbers = itertools.count()

    def programs(self, server: Server, **options: Any) -> Callable[[], Any]:
        """What starts a program on a checkpoint of its own."""
        path = self._folder / f"{next(self._numbers)}.jsonl"
        return begin_on(
            self._nursery, server, path, self.rows, patience=PATIENCE, id="number", **options
        )


def batches(server: Server) -> int:
    """How many were created."""
    return len(server.ledger.batches)


def by_row(server: Server) -> dict[str, list[Call]]:
    """The calls of each row, in order."""
    found = defaultdict(list)
    for call in server.ledger.calls:
        found[call.row].append(call)
    return found


def plain(bench: Bench) -> Iterator[Figure]:
    """One program, nothing goes wrong: by the limit of requests."""
    with testing.serve(process=True) as server:
        out = bench.programs(server)().end()
        yield "batches of 50,000 requests", batches(server), -(-bench.rows // LIMIT)
        yield "rows answered", statuses(out["frame"]), {"ok": bench.rows}
        yield "rows sent twice", sent_twice(server), 0


def large(bench: Bench) -> Iterator[Figure]:
    """Requests so long that the limit of bytes counts."""
    with testing.serve(process=True, batches={"max_bytes": 100_000_000}) as server:
        out = bench.programs(server, instructions=LONG)().end()
        size = sum(file["bytes"] for file in server.ledger.files)
        wanted = -(-bench.rows // LIMIT) + 2
        yield f"batches of 100 MB ({size / 1e6:,.0f} MB in all)", batches(server), wanted
        yield "largest file", max(f["bytes"] for f in server.ledger.files) <= 100_000_000, True
        yield "rows answered", statuses(out["frame"]), {"ok": bench.rows}
        yield "rows sent twice", sent_twice(server), 0


def killed(bench: Bench) -> Iterator[Figure]:
    """Killed in every step, five times in each: before it, after it, and at random in it."""
    with testing.serve(process=True) as server:
        begin = bench.programs(server)
        for what in STEPS:
            kills = sum(kill_while(what, way, server, begin, rules={}) for way in WAYS)
            yield f"killed while {what}", kills, len(WAYS)
        out = begin().end()
        yield "  rows answered", statuses(out["frame"]), {"ok": bench.rows}
        yield "  rows sent twice", sent_twice(server), 0
        yield "  batches", batches(server), -(-bench.rows // LIMIT)


def troubled(bench: Bench) -> Iterator[Figure]:
    """2 % of the rows with errors, a batch that expires, and one whose file is found invalid."""
    rules = {"outcomes": ["completed", "expired", "failed"]}
    named = {"ok": bench.rows - 1, "failed": 1}  # the row whose line the provider calls invalid
    with testing.serve(process=True, faults={"500": 0.02}, batches=rules) as server:
        out = bench.programs(server)().end()
        calls = by_row(server)
        again = sum(len(each) - 1 for each in calls.values())
        errors = sum(call.fault is not None for each in calls.values() for call in each)
        right = all(call.fault for each in calls.values() for call in each[:-1])
        yield (
            "2 % errors, one expired, one invalid: rows answered",
            statuses(out["frame"]),
            named,
        )
        yield "  rows sent again", again, errors
        yield "  only rows without an answer were sent again", right, True


def fallback(bench: Bench) -> Iterator[Figure]:
    """The same, and what is left is sent live."""
    rules = {"outcomes": ["completed", "completed", "failed"]}
    named = {"ok": bench.rows - 1, "failed": 1}
    with testing.serve(process=True, faults={"500": 0.02}, batches=rules) as server:
        out = bench.programs(server, batch_fallback="live")().end()
        calls = by_row(server)
        live = {row for row, each in calls.items() if any(not call.batch for call in each)}
        owed = {row for row, each in calls.items() if each[0].fault or not each[0].batch}
        yield "batch_fallback=live: rows answered", statuses(out["frame"]), named
        yield "  rows sent live are those without an answer", live == owed, True
        yield (
            "  batches, one for the invalid one's rows",
            batches(server),
            -(-bench.rows // LIMIT) + 1,
        )


SCENES = {each.__name__: each for each in (plain, large, killed, troubled, fallback)}


def main() -> int:
    """Print the table."""
    asked = argparse.ArgumentParser(description=__doc__)
    asked.add_argument("--rows", type=int, default=120_000)
    asked.add_argument("--only", choices=SCENES, action="append")
    asked.add_argument("--check", action="store_true")
    given = asked.parse_args()
    missed = 0
    with tempfile.TemporaryDirectory() as place, Nursery(Path(place)) as nursery:
        bench = Bench(nursery, Path(place), given.rows)
        for name in given.only or SCENES:
            began = time.perf_counter()
            for what, seen, wanted in SCENES[name](bench):
                missed += seen != wanted
                mark = "" if seen == wanted else f"  <- wanted {wanted}"
                print(f"{what:<58}{seen!s:>16}{mark}", flush=True)
            print(f"  ({name}: {time.perf_counter() - began:.0f} s)", flush=True)
    return int(given.check and missed > 0)


if __name__ == "__main__":
    raise SystemExit(main())
