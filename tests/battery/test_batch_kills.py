"""Batch mode killed with SIGKILL in every step: nothing is sent twice, all rows come back."""

from __future__ import annotations

import pytest
from pandas.testing import assert_frame_equal

from llmframe import testing
from tests.kits.batch_lives import STEPS, WAYS, begin_on, kill_while, sent_twice
from tests.kits.battery import statuses, uninterrupted
from tests.kits.children import numbered
from tests.kits.kills import size

pytestmark = pytest.mark.battery

ROWS, EACH = 60, 20  # three batches
HURRY = {"requests": EACH}
TIED = ("before", "after")  # to what the server does; the other kills come at a random moment


@pytest.fixture
def server():
    """A server in a process of its own: it lives on when a child dies."""
    with testing.serve(process=True) as running:
        yield running


def at_work(server):
    return sum(each["status"] == "in_progress" for each in server.ledger.batches)


def check(out, server, *, batches=ROWS // EACH):
    """All rows are back, none was sent twice, and there was no batch too many."""
    assert statuses(out["frame"]) == {"ok": ROWS}
    assert_frame_equal(out["frame"], uninterrupted(numbered(ROWS)))
    assert sent_twice(server) == 0
    assert len(server.ledger.batches) == batches


@pytest.mark.parametrize(
    "way", [pytest.param(way, marks=() if way in TIED else pytest.mark.soak) for way in WAYS]
)
@pytest.mark.parametrize("what", STEPS)
def test_killed_in_a_step_it_goes_on(nursery, tmp_path, server, what, way):
    begin = begin_on(nursery, server, tmp_path / "run.jsonl", ROWS, hurry=HURRY)
    assert kill_while(what, way, server, begin, rules={})
    check(begin().end(), server)


def test_killed_again_and_again_it_goes_on(nursery, tmp_path, server):
    begin = begin_on(nursery, server, tmp_path / "run.jsonl", ROWS, hurry=HURRY)
    # in the order of the steps, and only the last kill of a step lets the server do it: so no
    # life finds its step done, and none can run to its end before it is killed
    lives = [(what, way) for what in STEPS for way in ("before", "before", "after")]
    for what, way in lives:
        assert kill_while(what, way, server, begin, rules={}), (what, way)
    check(begin().end(), server)


@pytest.mark.parametrize("share", [0.0, 0.1, 0.5, 0.9])
def test_killed_between_two_rows_that_come_back(nursery, tmp_path, server, share):
    begin_on(nursery, server, tmp_path / "probe.jsonl", ROWS, hurry=HURRY)().end()
    whole = size(tmp_path / "probe.jsonl")
    for path in (tmp_path / f"{number}.jsonl" for number in range(20)):
        server.ledger.clear()
        begin = begin_on(nursery, server, path, ROWS, hurry=HURRY)
        if begin().kill_when(lambda path=path: size(path) > share * whole):
            break  # else all was back before the kill came: a new file
    else:
        pytest.fail("no kill came before the end")
    check(begin().end(), server)


def test_dead_for_longer_than_a_day_it_finds_all_answers(nursery, tmp_path, server):
    server.update(batches={"working": 20 * 3600})
    begin = begin_on(nursery, server, tmp_path / "run.jsonl", ROWS, hurry=HURRY)
    assert begin().kill_when(lambda: at_work(server) == 3 and server.ledger.steps["retrieve"] > 5)
    server.advance(30 * 3600)
    check(begin().end(), server)
