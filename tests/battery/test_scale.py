"""Fault 30 and the figures of resuming: many rows cost little time, little memory and no wait.

CPU is compared with a floor that was taken in the same process, or with the plain shape; the
figures at their full size are printed by ``python -m tests.benchmarks.resume``.
"""

from __future__ import annotations

import asyncio

import pytest

from llmframe.engine.rows import planner
from tests.benchmarks.resume import CONCURRENCY, measured
from tests.kits.engine import Provider, Texts, reply, wire

pytestmark = pytest.mark.battery

MANY = 60_000
SOME = 8_000
ENOUGH = 20_000  # for figures that are measured several times
ROUNDS = 3


@pytest.fixture(scope="module")
def finished():
    """The figures of MANY rows that are all in the checkpoint."""
    return measured("whole,views,stop,steps", MANY)


@pytest.fixture(scope="module")
def rounds():
    """Several measurements, each in a process of its own."""
    return [measured("whole,steps", ENOUGH) for _ in range(ROUNDS)]


@pytest.fixture(scope="module")
def least(rounds):
    """The least of several measurements of each figure: what else the machine does only adds."""
    return least_of(rounds)


def least_of(rounds):
    return {name: min(each[name] for each in rounds) for name in rounds[0]}


def test_finding_and_keying_what_is_done_is_faster_than_reading_it_as_json(least):
    assert least["index"] <= 0.5 * least["floor_json"]
    assert least["key"] <= 0.6 * least["floor_json"]


def test_resuming_is_little_slower_than_reading_json_and_making_columns(least):
    floor = least["floor_json"] + least["floor_columns"]
    assert least["cpu"] <= 3 * floor


def test_resuming_over_its_own_result_is_little_slower_than_over_the_frame(rounds):
    # a ratio of two figures of one round: the machine's speed changes from round to round
    assert min(each["again"] / each["cpu"] for each in rounds) <= 1.5


def test_resuming_takes_a_kilobyte_a_row_at_most(finished):
    assert finished["bytes"] <= 1000


def test_the_loop_turns_while_a_checkpoint_is_read_and_the_run_can_be_looked_at(finished):
    assert finished["turn"] <= 0.005
    assert finished["errors"] <= 0.1 * finished["partial"]


def test_stop_and_interrupt_end_the_reading_of_a_checkpoint(finished):
    assert finished["pending"] > 0
    assert finished["stop"] <= 1.5
    assert finished["interrupt"] <= 1.5


def test_rows_that_are_asked_are_no_tasks_and_little_memory():
    figures = measured("live", 100_000, "empty")
    assert figures["tasks"] <= CONCURRENCY + 10
    assert figures["bytes"] <= 1000
    assert figures["stop"] <= 1.5


def test_no_shape_of_frame_or_checkpoint_is_out_of_line():
    figures = least_of([measured("compare", SOME) for _ in range(ROUNDS)])
    slow = {name: used for name, used in figures.items() if used > 5 * figures["plain"]}
    assert not slow


@pytest.mark.parametrize("rows", [1_000, 100_000])
def test_the_first_request_leaves_after_a_few_slices_however_many_rows_there_are(rows):
    class Counted(Texts):
        seen = 0

        def texts(self, start, stop):
            self.seen = max(self.seen, stop)
            return super().texts(start, stop)

    async def main():
        texts = Counted([f"row {i}" for i in range(rows)])
        seen = []

        def answer(text, attempt):
            seen.append(texts.seen)
            wired.pipeline.stop()
            return reply()

        wired = wire(texts, Provider(answer, latency=0))
        await wired.run()
        return seen[0]

    assert asyncio.run(main()) <= 4 * planner.SLICE
