"""A consumer of Redis that is killed: ``python -m tests.benchmarks.redis_stream``.

The recipe of docs/streams.md, as it stands, over 5,000 entries: kill -9 twenty times at random.
Prints what was lost and what was asked twice; the exit status is 1 when a bound is missed.
Needs redis-server.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from pathlib import Path

import redis

from llmframe import testing
from tests.kits.killed_consumers import (
    CONCURRENCY,
    acknowledged_entries,
    kill_consumers,
    redis_consumer,
    saved,
)
from tests.kits.recipes import redis_server


def main() -> int:
    """Print the figures."""
    asked = argparse.ArgumentParser(description=__doc__)
    asked.add_argument("--entries", type=int, default=5000)
    asked.add_argument("--kills", type=int, default=20)
    given = asked.parse_args()
    n, began = given.entries, time.monotonic()
    with (
        tempfile.TemporaryDirectory() as folder,
        testing.serve(process=True, latency=0.02) as server,
        redis_server() as url,
        redis.from_url(url, decode_responses=True) as client,
    ):
        for i in range(n):
            client.xadd("complaints", {"text": f"complaint {i}"})
        checkpoint = Path(folder) / "complaints.jsonl"
        lives = kill_consumers(
            lambda: redis_consumer(server.url, url, Path(folder)),
            server=server,
            checkpoint=checkpoint,
            n=n,
            kills=given.kills,
            acknowledged=lambda: acknowledged_entries(client, "complaints", "taggers"),
        )
        lost = n - len(saved(checkpoint))
        left = client.xpending("complaints", "taggers")["pending"]
        twice, again = lives.paid_twice(server), lives.asked_again(server)
    print(
        f"{n:,} entries, {given.kills} kills, {CONCURRENCY} in flight: lost {lost}, acknowledged "
        f"before the answer was saved {len(lives.unsaved)}, left unacknowledged {left}, asked "
        f"twice {again}, at each kill {twice}; {time.monotonic() - began:.0f} s"
    )
    is_good = not (lost or left or lives.unsaved) and max(twice) <= CONCURRENCY
    return int(not is_good or again > sum(twice))


if __name__ == "__main__":
    sys.exit(main())
