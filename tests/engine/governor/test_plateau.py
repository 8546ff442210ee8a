"""Where a larger limit brings nothing more; servers simulated in virtual time."""

from __future__ import annotations

import heapq
import random

import pytest

from llmframe.engine.governor.plateau import Climb


def simulate(rows, *, latency, slots=None, start=20, ceiling=512):
    """Seconds for all rows, and (second, limit) at each change. slots: the server queues."""
    rng, now = random.Random(1), 0.0
    climb = Climb(start, ceiling, now)
    free = [0.0] * slots if slots else None
    on_wire, history, sent, done = [], [], 0, 0
    while done < rows:
        while len(on_wire) < climb.limit and sent < rows:
            took = latency * rng.uniform(0.8, 1.2)
            begin = now if free is None else max(now, heapq.heappop(free))
            if free is not None:
                heapq.heappush(free, begin + took)
            heapq.heappush(on_wire, (begin + took, sent, now))
            sent += 1
        now, _, sent_at = heapq.heappop(on_wire)
        done += 1
        climb.completed(sent_at, now)
        if not history or history[-1][1] != climb.limit:
            history.append((now, climb.limit))
    return now, history


@pytest.mark.parametrize(("slots", "low", "high"), [(8, 8, 16), (64, 64, 128), (3, 2, 6)])
def test_a_queueing_server_is_given_what_it_can_use_and_not_much_more(slots, low, high):
    rows = 400 * slots
    seconds, history = simulate(rows, latency=0.5, slots=slots)
    settled = [limit for at, limit in history if at > seconds / 2]
    assert low <= min(settled or [history[-1][1]])
    assert history[-1][1] <= 2 * high
    assert seconds <= rows * 0.5 / slots * 1.04


def test_a_server_without_limit_is_climbed_to_the_ceiling_in_a_few_rounds():
    _, history = simulate(20_000, latency=1.0)
    assert history[-1][1] == 512
    assert history[-1][0] < 15


def test_a_limit_that_lost_rows_is_not_tried_again_and_again():
    _, history = simulate(6_000, latency=0.5, slots=8)
    assert [limit for _, limit in history].count(5) == 1


def test_nothing_moves_before_a_whole_round_is_back():
    climb = Climb(20, 512, 0.0)
    for i in range(19):
        climb.completed(0.0, 1.0 + i / 100)
    assert climb.limit == 20


def test_requests_of_another_limit_do_not_count():
    climb = Climb(20, 512, 100.0)
    for i in range(500):
        climb.completed(99.0, 101.0 + i)
    assert climb.limit == 20


def rounds(climb, latency, rate, start=0.0, windows=4):
    """Requests come back at this rate, each after so long; when the limit has moved."""
    limit, at = climb.limit, start + latency
    for _ in range(windows * max(60, 2 * limit + 1)):
        if climb.limit != limit:
            break
        at += 1 / rate
        climb.completed(at - latency, at)
    return at


def test_a_level_whose_answers_are_slower_is_kept_where_it_brings_more_all_the_same():
    climb = Climb(20, 160, 0.0)
    moved = rounds(climb, latency=1.0, rate=20)
    assert climb.limit == 40
    rounds(climb, latency=1.5, rate=27, start=moved)
    assert climb.limit == 80


def test_a_level_whose_answers_are_slower_is_left_where_it_brings_nothing():
    climb = Climb(20, 160, 0.0)
    moved = rounds(climb, latency=1.0, rate=20)
    rounds(climb, latency=2.0, rate=20.5, start=moved)
    assert climb.limit == 20
