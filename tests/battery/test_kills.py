"""Fault 1: the kernel is killed at any moment. Nothing answered is lost; what is paid twice was in
flight.
"""

from __future__ import annotations

import json

import pytest

from llmframe import testing
from tests.kits.children import numbered
from tests.kits.kills import assert_survived, cut, kill_until_done, size, tear
from tests.kits.soak import times

pytestmark = pytest.mark.battery


@pytest.fixture
def server():
    """A server in a process of its own: it lives on when a child dies."""
    with testing.serve(process=True, latency=0.01) as running:
        yield running


def killed(nursery, tmp_path, server, *, concurrency, kills, n=None, **options):
    """Kill and go on to the end; prints and returns what was paid twice at each kill."""
    n = n or 60 * kills
    harm = options.pop("harm", None)
    lives = kill_until_done(
        nursery, server, tmp_path / "run.jsonl", n=n, kills=kills, harm=harm,
        concurrency=concurrency, **options,
    )  # fmt: skip
    twice = assert_survived(lives, server, n, concurrency)
    print(
        f"\n{kills} kills, concurrency {concurrency}, {n} rows: lost 0, "
        f"paid twice {sum(twice)}, at one kill at most {max(twice)}"
    )
    return twice


@pytest.mark.parametrize("concurrency", [20, 50])
def test_killed_ten_times_at_random_growth_it_loses_nothing(nursery, tmp_path, server, concurrency):
    killed(nursery, tmp_path, server, concurrency=concurrency, kills=10)


@pytest.mark.parametrize("harm", [tear, cut], ids=["added tail", "cut line"])
def test_killed_and_torn_it_asks_again_only_for_the_torn_line(nursery, tmp_path, server, harm):
    killed(nursery, tmp_path, server, concurrency=20, kills=5, harm=harm)


def test_killed_with_ids_it_loses_neither_answers_nor_ids(nursery, tmp_path, server):
    killed(nursery, tmp_path, server, concurrency=20, kills=5, id="number")


def test_killed_with_ids_nothing_that_was_kept_is_asked_again(nursery, tmp_path, server):
    path, n = tmp_path / "run.jsonl", 800  # many more than are kept: the kill may come late
    child = nursery.tag(n, server.url, path, concurrency=20, id="number")
    assert child.kill_when(lambda: size(path) > 20_000)
    lines = [json.loads(line) for line in path.read_text().split("\n")[:-1]]  # no torn tail
    kept = {line["id"] for line in lines if "v" in line}
    server.ledger.clear()
    nursery.tag(n, server.url, path, concurrency=20, id="number").end()
    texts = dict(zip(numbered(n)["number"], numbered(n)["text"], strict=True))
    assert len(kept) > 50
    assert {texts[each] for each in kept}.isdisjoint(server.ledger.rows())


@pytest.mark.soak
@pytest.mark.parametrize("concurrency", [20, 50])
def test_killed_thirty_times_it_loses_nothing(nursery, tmp_path, server, concurrency):
    killed(nursery, tmp_path, server, concurrency=concurrency, kills=times(30, least=5))
