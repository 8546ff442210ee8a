"""Outages: when they begin, one probe at a time, and whose fault the losses are."""

from __future__ import annotations

import pytest

from llmframe.engine.governor.outage import LEAST, LONGEST_GAP
from tests.kits import virtual_time
from tests.kits.governor import lose, new_gate, new_governor, send


def test_five_losses_in_a_row_or_half_the_limit_are_an_outage():
    few, many = new_gate(4), new_gate(40)
    assert not lose(few, send(few, 0.0, LEAST - 1), 1.0)
    assert few.is_open(1.0)
    assert lose(few, send(few, 1.0), 2.0)
    assert few.is_open(2.0)  # for one probe
    assert send(few, 2.0)[0].probe
    assert not few.is_open(2.0)
    assert not lose(many, send(many, 0.0, 19), 1.0)
    assert lose(many, send(many, 0.0), 1.0)


def test_anything_that_is_answered_between_takes_it_back():
    gate = new_gate(4)
    lose(gate, send(gate, 0.0, LEAST - 1), 1.0)
    (answered,) = send(gate, 1.0)
    gate.take_off(answered)
    gate.succeeded(answered, 2.0, None, clean=True)
    assert not lose(gate, send(gate, 2.0, LEAST - 1), 3.0)


def test_losses_do_not_cut_the_limit():
    gate = new_gate(40)
    lose(gate, send(gate, 0.0, 40), 1.0)
    assert gate.limit == 40


def probes(gate, n):
    """Seconds between probes during an outage, each probe lost after a second."""
    now, gaps = 1.0, []
    for _ in range(n):
        wait = gate.wait(now)
        gaps.append(wait)
        now += wait
        assert gate.is_open(now)
        (probe,) = send(gate, now)
        assert not gate.is_open(now + 0.9)  # one at a time, until it is back
        now += 1.0
        lose(gate, [probe], now)
    return gaps


def test_probes_in_an_outage_are_single_and_at_most_fifteen_seconds_apart():
    gate = new_gate(10)
    lose(gate, send(gate, 0.0, 10), 1.0)
    gaps = probes(gate, 9)
    assert gaps == [0, 1, 2, 4, 8, 15, 15, 15, 15]
    assert max(gaps) == LONGEST_GAP


def test_a_probe_that_gets_through_ends_the_outage():
    gate = new_gate(10)
    lose(gate, send(gate, 0.0, 10), 1.0)
    (probe,) = send(gate, 2.0)
    gate.take_off(probe)
    gate.succeeded(probe, 2.5, None, clean=False)
    assert gate.is_open(2.5)
    assert not gate.binding(2.5).outage


def test_a_probe_that_is_answered_late_keeps_the_others_waiting():
    gate = new_gate(10)
    lose(gate, send(gate, 0.0, 10), 1.0)
    send(gate, 2.0)
    assert not gate.is_open(60.0)
    assert gate.wait(60.0) == 0  # only an answer ends it


@pytest.mark.parametrize("counts", [True, False])
def test_a_probe_whose_run_ends_makes_room_for_another_runs_probe(counts):
    async def main():
        governor = new_governor()
        leaves, stays = governor.join(10), governor.join(10)
        for lease in [
            await governor.acquire(
                leaves,
            )
            for _ in range(10)
        ]:
            governor.lose(lease)
        probe = await governor.acquire(
            leaves,
        )
        if counts:
            governor.leave(leaves)
        else:
            governor.lose(probe, counts=False)
        assert (
            await governor.acquire(
                stays,
            )
            is not None
        )

    virtual_time.run(main())


def test_what_is_lost_after_a_probe_was_lost_too_is_no_fault_of_its_row_however_long_it_lasts():
    gate = new_gate(10)
    late = send(gate, 0.0, 5)
    first, second, third = (gate.take_off(ticket) or ticket for ticket in late[:3])
    lose(gate, send(gate, 0.0, 5), 1.0)
    assert not gate.lost(first, 1.0)
    probes(gate, 1)
    assert gate.lost(second, 2.0)
    probes(gate, 50)
    assert gate.lost(third, 1000.0)


def test_a_time_without_answers_is_known_as_an_outage_once_a_probe_was_lost_and_for_ever():
    gate = new_gate(10)
    first = gate.outage.streak
    lose(gate, send(gate, 0.0, 5), 1.0)
    assert not gate.outage.was_sure(first)
    lose(gate, send(gate, 1.0), 1.5)
    assert gate.outage.was_sure(first)
    (probe,) = send(gate, 2.5)
    gate.take_off(probe)
    gate.succeeded(probe, 3.0, None, clean=False)
    assert gate.outage.streak == first + 1
    assert gate.outage.was_sure(first)
    assert not gate.outage.was_sure(gate.outage.streak)


def test_every_fourth_probe_is_a_row_s_own_request():
    gate = new_gate(10)
    lose(gate, send(gate, 0.0, 5), 1.0)
    ours, now = [], 2.0
    for _ in range(8):
        now += gate.wait(now)
        (probe,) = send(gate, now)
        ours.append(probe.probe)
        lose(gate, [probe], now)
    assert ours == [True, True, True, False] * 2


def test_an_outage_or_a_storm_may_last_for_a_month():
    gate = new_gate(10)
    lose(gate, send(gate, 0.0, 5), 1.0)
    probes(gate, 1100)
    assert gate.wait(1e5) <= LONGEST_GAP
    storm, now = new_gate(10), 0.0
    for _ in range(1100):
        (probe,) = send(storm, now)
        storm.take_off(probe)
        storm.refused(probe, now, None)
        now += 60.0
    assert storm.wait(now - 60.0) <= 60.0


def test_an_answer_to_what_was_sent_before_ends_an_outage_too():
    gate = new_gate(10)
    (late,) = send(gate, 0.0)
    lose(gate, send(gate, 0.0, 5), 1.0)
    lose(gate, send(gate, 1.0), 1.5)
    gate.take_off(late)
    gate.succeeded(late, 1.6, None, clean=True)
    assert not gate.binding(1.6).outage
    assert gate.is_open(2.5)
    assert not send(gate, 2.5)[0].probe
