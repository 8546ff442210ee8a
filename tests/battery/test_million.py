"""A million rows: the figures of resuming at their full size, CPU in bounds twice as wide."""

from __future__ import annotations

import pytest

from tests.benchmarks.resume import CONCURRENCY, measured
from tests.kits.soak import times

pytestmark = [pytest.mark.battery, pytest.mark.soak]

MILLION = times(1_000_000, least=100_000)


def test_a_million_finished_rows_are_resumed_in_time_and_memory_and_can_be_stopped():
    figures = measured("whole,views,stop,steps", MILLION)
    assert figures["index"] <= 6e-6 * MILLION
    assert figures["key"] <= 6e-6 * MILLION
    assert figures["cpu"] <= 40e-6 * MILLION
    assert figures["bytes"] <= 1000
    assert figures["turn"] <= 0.005
    assert figures["pending"] > 0
    assert figures["stop"] <= 1.5
    assert figures["interrupt"] <= 1.5


def test_a_million_rows_that_are_asked_are_no_tasks_and_little_memory():
    figures = measured("live", MILLION, "empty")
    assert figures["tasks"] <= CONCURRENCY + 10
    assert figures["bytes"] <= 1000
    assert figures["stop"] <= 1.5
