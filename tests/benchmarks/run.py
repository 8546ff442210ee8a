"""llmframe, the obvious script and raw aiohttp side by side, on one loopback server.

``python tests/benchmarks/run.py`` takes about five minutes; ``--quick`` one. The server has a
core of its own, the clients take turns on another, each in a process of its own. What counts
are the ratios: they hold on a machine that is slow or busy. ``--check`` makes a missed goal
the exit status 1.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from job import SCHEMA, WARM_UP, Job, order

from llmframe.testing import expected, records, serve

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from llmframe.testing import Call, Server

HERE = Path(__file__).parent
CLIENTS = {"llmframe": "ours.py", "naive": "naive.py", "floor": "floor.py"}


@dataclass(frozen=True)
class Scenario:
    """rows at a concurrency; latency in s; skip: seconds at the start left out of rows/s."""

    rows: int
    concurrency: int
    latency: float
    skip: float = 0.0

    @property
    def ideal(self) -> float:
        """Seconds that the latency alone takes."""
        return self.rows / self.concurrency * self.latency

    def title(self) -> str:
        skipped = f", first {self.skip:g} s left out of rows/s" * bool(self.skip)
        return (
            f"{self.rows:,} rows, concurrency {self.concurrency}, latency"
            f" {self.latency * 1000:.0f} ms, ideal {self.ideal:.1f} s{skipped}"
        )


FULL = (Scenario(10_000, 50, 0.2), Scenario(2_000, 50, 0.2), Scenario(20_000, 500, 0.2, skip=5))
QUICK = (Scenario(2_000, 50, 0.2), Scenario(4_000, 500, 0.2, skip=1))


@dataclass(frozen=True)
class Sample:
    """One client's run, or the medians of several."""

    wall_ratio: float
    rate: float
    cpu_ms: float
    rss_mb: float
    requests: float
    connections: float
    right: float


def measure(client: str, scenario: Scenario, texts: Sequence[str], server: Server) -> Sample:
    """Run one client in a process of its own, and check every answer of it."""
    server.ledger.clear()
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "texts.json"
        file.write_text(json.dumps(texts), encoding="utf-8")
        job = Job(server.url, [], scenario.concurrency, Path(folder))
        told = _run(HERE / CLIENTS[client], order(job, file, cores()[-1]))
        answers = json.loads((Path(folder) / "answers.json").read_text(encoding="utf-8"))
    calls = [call for call in server.ledger.calls if call.row != WARM_UP]
    right = sum(a == expected(t, SCHEMA) for a, t in zip(answers, texts, strict=True))
    return Sample(
        wall_ratio=told["wall"] / scenario.ideal,
        rate=rate(calls, scenario.skip),
        cpu_ms=told["cpu"] * 1000 / len(texts),
        rss_mb=told["rss_mb"],
        requests=len(calls),
        connections=len({call.peer for call in calls}),
        right=right,
    )


def _run(script: Path, argument: str) -> dict[str, float]:
    """The measurements of a client. Its own words are shown only if it fails."""
    with tempfile.TemporaryFile("w+") as said:
        command = [sys.executable, str(script), argument]
        done = subprocess.run(command, stdout=subprocess.PIPE, stderr=said, text=True, check=False)
        if done.returncode:
            said.seek(0)
            raise SystemExit(f"{script.name} failed:\n{said.read()[-4000:]}")
    told: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return told


def rate(calls: Sequence[Call], skip: float) -> float:
    """Rows a second by the server's clock, the first ``skip`` seconds left out."""
    begin = min(call.at for call in calls) + skip
    ends = [call.answered for call in calls if call.answered and call.answered >= begin]
    return len(ends) / (max(ends) - begin) if ends else 0.0


def cores() -> list[int]:
    """The cores this process may use; the server gets the first, the clients the last."""
    return sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else [0, 1]


def medians(samples: Iterable[Sample]) -> Sample:
    """The median of each figure."""
    columns = zip(*(vars(sample).values() for sample in samples), strict=True)
    return Sample(*(statistics.median(column) for column in columns))


def run_scenario(
    scenario: Scenario, clients: Sequence[str], repeat: int, server: Server
) -> dict[str, Sample]:
    """Each client's medians. The clients take turns, each time another one begins."""
    server.update(latency=scenario.latency)
    texts = [row["text"] for row in records(scenario.rows)]
    samples: dict[str, list[Sample]] = {client: [] for client in clients}
    for turn in range(repeat):
        start = turn % len(clients)
        for client in (*clients[start:], *clients[:start]):
            samples[client].append(measure(client, scenario, texts, server))
    return {client: medians(each) for client, each in samples.items()}


def table(results: dict[str, Sample]) -> str:
    """The figures and the ratios as text."""
    head = "client    wall/ideal   rows/s  CPU ms/row  peak MB  requests  connections    right"
    lines = [head]
    for client, s in results.items():
        lines.append(
            f"{client:<9}{s.wall_ratio:>11.3f}{s.rate:>9.0f}{s.cpu_ms:>12.3f}{s.rss_mb:>9.0f}"
            f"{s.requests:>10.0f}{s.connections:>13.0f}{s.right:>9.0f}"
        )
    ours = results.get("llmframe")
    for other in ("naive", "floor"):
        if ours and other in results:
            s = results[other]
            lines.append(
                f"llmframe/{other}: CPU {ours.cpu_ms / s.cpu_ms:.2f}, rows/s"
                f" {ours.rate / s.rate:.2f}, wall {ours.wall_ratio / s.wall_ratio:.2f}"
            )
    return "\n".join(lines)


def goals(scenario: Scenario, results: dict[str, Sample]) -> dict[str, bool]:
    """The goals that apply to a scenario, and whether they are met."""
    met = {f"{client}: every row right": s.right == scenario.rows for client, s in results.items()}
    ours = results.get("llmframe")
    if ours is None:
        return met
    met["llmframe: one request a row"] = ours.requests == scenario.rows
    naive, floor = results.get("naive"), results.get("floor")
    if scenario.concurrency > 100:
        if naive:
            met["rows/s >= 8 x naive"] = ours.rate >= 8 * naive.rate
        return met
    most = 1.03 if scenario.rows >= 10_000 else 1.10
    met[f"wall <= {most:.2f} x ideal"] = ours.wall_ratio <= most
    if naive:
        met["CPU <= 0.25 x naive"] = ours.cpu_ms <= 0.25 * naive.cpu_ms
    if floor:
        met["CPU <= 3.5 x floor"] = ours.cpu_ms <= 3.5 * floor.cpu_ms
    return met


def main(argv: Sequence[str] | None = None) -> int:
    """Run the scenarios, print a table for each. The exit status is 1 when a goal is missed."""
    asked = parser().parse_args(argv)
    clients = asked.clients.split(",")
    missed = Counter[str]()
    with serve(process=True, cpu=cores()[0]) as server:
        for scenario in scenarios(asked):
            print(f"\n{scenario.title()}; {asked.repeat} run(s) each", flush=True)
            results = run_scenario(scenario, clients, asked.repeat, server)
            print(table(results))
            for goal, met in goals(scenario, results).items():
                missed[goal] += not met
                print(f"  {'met   ' if met else 'MISSED'}  {goal}", flush=True)
    return int(asked.check and missed.total() > 0)


def scenarios(asked: argparse.Namespace) -> Sequence[Scenario]:
    """The scenarios of the command line: one of its own, the quick ones or all."""
    if asked.rows or asked.concurrency or asked.latency is not None:
        latency = 0.2 if asked.latency is None else asked.latency
        return [Scenario(asked.rows or 2_000, asked.concurrency or 50, latency, asked.skip)]
    return QUICK if asked.quick else FULL


def parser() -> argparse.ArgumentParser:
    """The command line."""
    made = argparse.ArgumentParser(description=__doc__)
    made.add_argument("--quick", action="store_true", help="fewer rows")
    made.add_argument("--rows", type=int, help="one scenario of so many rows")
    made.add_argument("--concurrency", type=int)
    made.add_argument("--latency", type=float, help="seconds")
    made.add_argument("--skip", type=float, default=0.0, help="seconds left out of rows/s")
    made.add_argument("--repeat", type=int, default=1, help="runs of each client; medians count")
    made.add_argument("--clients", default=",".join(CLIENTS), help="some of them, by comma")
    made.add_argument("--check", action="store_true", help="exit with 1 when a goal is missed")
    return made


if __name__ == "__main__":
    sys.exit(main())
