"""The recipes of docs/streams.md, killed in the middle: nothing lost, nothing forgotten early."""

from __future__ import annotations

import shutil

import pytest
import redis

from llmframe import testing
from tests.kits.killed_consumers import (
    CONCURRENCY,
    acknowledged_entries,
    kill_consumers,
    redis_consumer,
    saved,
)
from tests.kits.recipes import Consumer, code, redis_server

pytestmark = [pytest.mark.battery, pytest.mark.slow]


@pytest.fixture
def server():
    """A server in a process of its own: it lives on when a consumer dies."""
    with testing.serve(process=True, latency=0.02) as running:
        yield running


def assert_nothing_lost(lives, server, n):
    assert lives.unsaved == []
    assert len(server.ledger.rows()) == n
    twice = lives.paid_twice(server)
    assert max(twice) <= CONCURRENCY, twice
    assert lives.asked_again(server) <= sum(twice)
    print(f"\n{len(lives.rounds)} kills, {n} messages: lost 0, asked twice at each kill {twice}")


@pytest.mark.skipif(shutil.which("redis-server") is None, reason="no redis-server here")
def test_a_consumer_of_redis_loses_nothing_when_it_is_killed(server, tmp_path):
    n, checkpoint = 300, tmp_path / "complaints.jsonl"
    with redis_server() as url, redis.from_url(url, decode_responses=True) as client:
        entries = {client.xadd("complaints", {"text": f"complaint {i}"}) for i in range(n)}
        lives = kill_consumers(
            lambda: redis_consumer(server.url, url, tmp_path),
            server=server,
            checkpoint=checkpoint,
            n=n,
            kills=3,
            acknowledged=lambda: acknowledged_entries(client, "complaints", "taggers"),
        )
        assert saved(checkpoint) == entries
        assert client.xpending("complaints", "taggers")["pending"] == 0
    assert_nothing_lost(lives, server, n)


def test_a_watched_folder_loses_nothing_when_its_consumer_is_killed(server, tmp_path):
    n, checkpoint, inbox, done = 120, *(tmp_path / name for name in ("w.jsonl", "inbox", "done"))
    inbox.mkdir()
    names = {f"{i}.txt" for i in range(n)}
    for name in names:
        (inbox / name).write_text(f"complaint {name}")
    (inbox / "half.part").write_text("its writer renames it when it is whole")
    constants = {"EVERY": 0.01, "SETTLED": 0.0}
    lives = kill_consumers(
        lambda: Consumer(
            "A folder that is watched",
            'watch("w.jsonl")',
            url=server.url,
            folder=tmp_path,
            constants=constants,
        ),
        server=server,
        checkpoint=checkpoint,
        n=n,
        kills=3,
        acknowledged=lambda: {path.name for path in done.glob("*")},
    )
    assert saved(checkpoint) == {path.name for path in done.iterdir()} == names
    assert [path.name for path in inbox.iterdir()] == ["half.part"]
    assert_nothing_lost(lives, server, n)


def test_a_file_that_is_still_written_waits(tmp_path):
    """It is given out when it has not changed for a while, by the clock of the recipe."""
    names = {}
    exec(code("A folder that is watched"), names)
    names["INBOX"] = tmp_path
    path = tmp_path / "a.txt"
    path.write_text("begun")
    now = [path.stat().st_mtime]

    class Clock:
        @staticmethod
        def time():
            return now[0]

        @staticmethod
        def sleep(seconds):
            now[0] += seconds

    names["time"] = Clock
    record = next(names["new_files"]())
    assert record == {"file": "a.txt", "text": "begun"}
    assert now[0] - path.stat().st_mtime >= names["SETTLED"]
