"""Embeddings against the ideal, and what a kill costs: ``python -m tests.benchmarks.embed``.

10,000 texts, 100 ms a request, 50 in flight. The ideal is the time of the requests alone: as many
rounds of 50 as there are, 0.1 s each; one text a request makes 200 rounds, and 4 make 50. Beside
it a bare client on aiohttp sends the same requests and keeps nothing, because the test server and
the machine have a share in the time too. Then runs that are killed with kill -9 and resumed: texts
that were paid twice, against those in flight at the kills. The exit status is 1 when a bound is
missed.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import math
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import aiohttp
import numpy as np
import pandas as pd

import llmframe as lf
from llmframe import testing
from llmframe.testing import embedding

ROOT = Path(__file__).parents[2]
IN_FLIGHT, LATENCY = 50, 0.1
BOUND = 1.10  # of the bare client's time


def embed(
    rows: int, texts: int, url: str, checkpoint: str | bool, name: str = "record"
) -> tuple[pd.DataFrame, float]:
    """A frame of different texts with its vectors, and the seconds that it took."""
    df = pd.DataFrame({"text": [f"{name} {i} wants something of its own" for i in range(rows)]})
    began = time.perf_counter()
    out = lf.llm(df).embed(
        "text",
        model="m",
        base_url=url,
        api_key="k",
        batch_size=texts,
        concurrency=IN_FLIGHT,
        checkpoint=checkpoint,
        progress=False,
    )
    return out, time.perf_counter() - began


async def bare(rows: int, texts: int, url: str) -> float:
    """The seconds that the same requests take a client which does nothing else."""
    groups = iter(range(0, rows, texts))
    headers = {"Authorization": "Bearer k", "Content-Type": "application/json"}

    async def worker(session: aiohttp.ClientSession) -> None:
        for start in groups:
            asked = [f"bare {i} wants something of its own" for i in range(start, start + texts)]
            body = {"model": "m", "input": asked, "encoding_format": "base64"}
            posted = session.post(f"{url}/embeddings", data=json.dumps(body), headers=headers)
            async with posted as response:
                assert len(json.loads(await response.read())["data"]) == texts

    began = time.perf_counter()
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:
        await asyncio.gather(*(worker(session) for _ in range(IN_FLIGHT)))
    return time.perf_counter() - began


def child(rows: int, texts: int, url: str, checkpoint: str) -> subprocess.Popen[str]:
    """The same as embed, in a process of its own, which prints its seconds."""
    command = [sys.executable, "-m", "tests.benchmarks.embed", "--child"]
    order = json.dumps([rows, texts, url, checkpoint])
    env = os.environ | {"PYTHONPATH": f"{ROOT}{os.pathsep}{os.environ.get('PYTHONPATH', '')}"}
    return subprocess.Popen([*command, order], env=env, stdout=subprocess.PIPE, text=True)


def timed(rows: int, texts: int, rounds: int) -> float:
    """The best of some runs, as a ratio to the bare client beside it."""
    ideal, ratios = math.ceil(rows / texts / IN_FLIGHT) * LATENCY, []
    for _ in range(rounds):
        with (
            tempfile.TemporaryDirectory() as made,
            testing.serve(process=True, latency=LATENCY) as server,
        ):
            done = child(rows, texts, server.url, f"{made}/run.jsonl")
            took = float(done.communicate()[0])
            peak = server.ledger.peak_in_flight
            beside = asyncio.run(bare(rows, texts, server.url))
            ratios.append(took / beside)
            print(
                f"{rows:,} texts, {texts} a request, {IN_FLIGHT} in flight (peak {peak}): "
                f"{took:.2f} s, bare client {beside:.2f} s: {took / beside:.3f} x; "
                f"ideal {ideal:.2f} s: {took / ideal:.3f} x, bare client {beside / ideal:.3f} x",
                flush=True,
            )
    return min(ratios)


def killed(rows: int, texts: int, kills: int, seed: int) -> bool:
    """Whether a run that is killed again and again pays more than what was in flight twice."""
    chance = random.Random(seed)
    with (
        tempfile.TemporaryDirectory() as made,
        testing.serve(process=True, latency=LATENCY) as server,
    ):
        checkpoint = Path(made) / "run.jsonl"
        for at in range(kills):
            running = child(rows, texts, server.url, str(checkpoint))
            wanted = chance.uniform(at + 0.2, at + 1) * rows / (kills + 1)
            while len(stored(checkpoint)) < wanted and running.poll() is None:
                time.sleep(0.002)
            os.kill(running.pid, signal.SIGKILL)
            running.wait()
        out, _ = embed(rows, texts, server.url, str(checkpoint))
        paid = server.ledger.texts()
        total = sum(times for text, times in paid.items() if text.startswith("record"))
        twice, allowed = total - rows, kills * IN_FLIGHT * texts
        whole = np.array_equal(
            np.stack(out["text_embedding"]),
            np.array([embedding(text) for text in out["text"]], dtype=np.float32),
        )
        print(
            f"{rows:,} texts, {texts} a request, killed {kills} times: {twice} paid twice "
            f"(<= {allowed} in flight), vectors {'whole' if whole else 'WRONG'}",
            flush=True,
        )
        return whole and twice <= allowed


def stored(checkpoint: Path) -> list[bytes]:
    """The lines of the checkpoint."""
    return checkpoint.read_bytes().splitlines() if checkpoint.exists() else []


def main() -> int:
    """Print the figures."""
    asked = argparse.ArgumentParser(description=__doc__)
    asked.add_argument("--rows", type=int, default=10_000)
    asked.add_argument("--texts", type=int, default=1, help="of a request, for the bound")
    asked.add_argument("--rounds", type=int, default=3)
    asked.add_argument("--kills", type=int, default=5)
    asked.add_argument("--child", help=argparse.SUPPRESS)
    given = asked.parse_args()
    if given.child:
        rows, texts, url, checkpoint = json.loads(given.child)
        embed(100, 10, url, False, "warm")  # loads everything
        print(embed(rows, texts, url, checkpoint)[1])
        return 0
    best = timed(given.rows, given.texts, given.rounds)
    print(f"best of {given.rounds}: {best:.3f} x the bare client (<= {BOUND:.2f})")
    for texts in (4, 100):  # for comparison: 100 is the usual request, and too quick for a bound
        timed(given.rows, texts, 1)
    safe = [killed(given.rows, texts, given.kills, seed=7) for texts in (4, 100)]
    return int(best > BOUND or not all(safe))


if __name__ == "__main__":
    sys.exit(main())
