"""Fault 1: the kernel is killed at any moment. Nothing answered is lost; what is paid twice was in
flight.
"""

from __future__ import annotations

import pytest

from llmframe import testing
from tests.battery.kills import assert_survived, cut, kill_until_done, tear

pytestmark = pytest.mark.battery


@pytest.fixture
def server():
    """A server in a process of its own: it lives on when a child dies."""
    with testing.serve(process=True, latency=0.01) as running:
        yield running


def killed(tmp_path, server, *, concurrency, kills, name="run.jsonl", n=None, **options):
    """Kill and go on to the end; prints and returns what was paid twice at each kill."""
    n = n or 60 * kills
    harm = options.pop("harm", None)
    lives = kill_until_done(
        tmp_path, server, tmp_path / name, n=n, kills=kills, harm=harm,
        concurrency=concurrency, **options,
    )  # fmt: skip
    twice = assert_survived(lives, server, n, concurrency)
    print(
        f"\n{kills} kills of {name}, concurrency {concurrency}, {n} rows: lost 0, "
        f"paid twice {sum(twice)}, at one kill at most {max(twice)}"
    )
    return twice


@pytest.mark.parametrize("concurrency", [20, 50])
def test_killed_ten_times_at_random_growth_it_loses_nothing(tmp_path, server, concurrency):
    killed(tmp_path, server, concurrency=concurrency, kills=10)


@pytest.mark.parametrize("harm", [tear, cut], ids=["added tail", "cut line"])
def test_killed_and_torn_it_asks_again_only_for_the_torn_line(tmp_path, server, harm):
    killed(tmp_path, server, concurrency=20, kills=5, harm=harm)


def test_killed_with_ids_it_loses_neither_answers_nor_ids(tmp_path, server):
    killed(tmp_path, server, concurrency=20, kills=5, id="number")


@pytest.mark.soak
@pytest.mark.parametrize("concurrency", [20, 50])
def test_killed_thirty_times_it_loses_nothing(tmp_path, server, concurrency):
    killed(tmp_path, server, concurrency=concurrency, kills=30)
