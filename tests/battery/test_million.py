"""A million rows: the figures of resuming at their full size, CPU in bounds twice as wide."""

from __future__ import annotations

import pytest

from tests.benchmarks.resume import CONCURRENCY, measured

pytestmark = [pytest.mark.battery, pytest.mark.soak]

MILLION = 1_000_000


def test_a_million_finished_rows_are_resumed_in_time_and_memory_and_can_be_stopped():
    told = measured("whole,views,stop,steps", MILLION)
    assert told["index"] <= 6
    assert told["key"] <= 6
    assert told["cpu"] <= 40
    assert told["bytes"] <= 1000
    assert told["turn"] <= 0.005
    assert told["pending"] > 0
    assert told["stop"] <= 1.5
    assert told["interrupt"] <= 1.5


def test_a_million_rows_that_are_asked_are_no_tasks_and_little_memory():
    told = measured("live", MILLION, "empty")
    assert told["tasks"] <= CONCURRENCY + 10
    assert told["bytes"] <= 1000
    assert told["stop"] <= 1.5
