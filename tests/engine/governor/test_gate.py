"""The gate: one request until the first answer, a doubted key, and what teaches the limit."""

from __future__ import annotations

import pytest

from llmframe.engine.governor.gate import FIRST_ANSWER, RECONNECT, Gate
from llmframe.providers.dialect import Dialect
from tests.kits.governor import lose, new_gate, send, whole


def test_until_the_first_answer_one_request_is_on_the_wire():
    gate = new_gate(known=False)
    assert gate.is_open(0.0)
    send(gate, 0.0)
    assert not gate.is_open(1.0)
    assert gate.wait(1.0) == FIRST_ANSWER - 1.0
    assert gate.binding(1.0).probing
    gate.dialects.succeeded(Dialect())
    assert gate.is_open(1.0)
    assert not gate.binding(1.0).probing


@pytest.mark.parametrize("known", [False, True])
def test_while_nobody_is_there_one_request_at_a_time_is_sent(known):
    gate, now = new_gate(known=known), 0.0
    for _ in range(8):
        assert gate.is_open(now)
        [ticket] = send(gate, now)
        gate.take_off(ticket)
        gate.nobody_there(now)
        assert not gate.is_open(now + RECONNECT / 2)
        assert gate.wait(now) == RECONNECT
        now += RECONNECT
    [ticket] = send(gate, now)
    assert not gate.is_open(now)
    gate.succeeded(ticket, now, None, clean=True)
    gate.dialects.succeeded(Dialect())
    assert gate.is_open(now)


def test_who_has_answered_once_is_there():
    gate = new_gate()
    first, second = send(gate, 0.0, 2)
    gate.succeeded(first, 1.0, None, clean=True)
    gate.take_off(second)
    gate.nobody_there(1.0)
    assert gate.is_open(1.0)


def test_the_first_answer_is_waited_for_no_longer_than_three_seconds():
    gate = new_gate(known=False)
    send(gate, 0.0)
    assert not gate.is_open(FIRST_ANSWER - 0.01)
    assert gate.is_open(FIRST_ANSWER)


def test_a_first_request_that_is_lost_makes_room_for_another():
    gate = new_gate(known=False)
    (probe,) = send(gate, 0.0)
    lose(gate, [probe], 1.0)
    assert gate.is_open(1.0)
    send(gate, 1.0)
    assert not gate.is_open(1.0)


def refuse_as_rate(gate, tickets, now):
    """The last of these is refused, and so is what leaves when the first has come back."""
    first, last = tickets[0], tickets[-1]
    gate.take_off(last)
    gate.refused(last, now, 1.0)
    gate.take_off(first)
    gate.succeeded(first, now, None, clean=True)
    [trial] = send(gate, now)
    gate.take_off(trial)
    gate.refused(trial, now + 0.05, 1.0)


def test_refusals_of_before_a_pause_do_not_cut():
    gate = Gate(whole)
    gate.expect(100, 100, finds_own=False, now=0.0)
    flying = send(gate, 0.0, 100)
    early = flying.pop(50)
    refuse_as_rate(gate, flying, 0.5)
    limit = gate.limit
    assert limit == 80
    gate.take_off(early)
    gate.refused(early, 9.0, None)
    assert gate.limit == limit


def test_a_refusal_of_what_was_alone_on_the_wire_cuts_nothing():
    gate = Gate(whole)
    gate.expect(50, 50, finds_own=False, now=0.0)
    now = 0.0
    for _ in range(9):  # a storm: one request after each pause
        probe = gate.send(now, 100)
        gate.take_off(probe)
        gate.refused(probe, now + 0.1, 70.0)
        now += 70.1
    assert gate.limit == 50


def test_the_gate_counts_what_happens():
    gate = Gate(whole)
    gate.expect(2, 2, finds_own=False, now=0.0)
    first, second = gate.send(1.0, 100), gate.send(1.0, 100)
    assert (first.others, second.others) == (0, 1)
    assert not gate.is_open(1.0)
    assert (gate.binding(1.0).on_wire, gate.binding(1.0).limit) == (2, 2)
    gate.take_off(first)
    gate.succeeded(first, 3.0, None, clean=True)
    gate.take_off(second)
    gate.refused(second, 4.0, 6.0)
    assert (gate.successes, gate.refusals, gate.succeeded_at) == (1, 1, 3.0)
    binding = gate.binding(4.0)
    assert (binding.pause, binding.on_wire, binding.limit) == (0.0, 0, 2)  # too many at once?


def test_a_success_after_a_retry_is_neutral():
    gate = Gate(whole)
    gate.expect(4, 100, finds_own=False, now=0.0)
    for _ in range(50):
        for ticket in [gate.send(1.0, 100) for _ in range(4)]:
            gate.take_off(ticket)
            gate.succeeded(ticket, 2.0, None, clean=False)
    assert gate.limit == 4


def test_a_limit_that_had_shrunk_does_not_jump_up_with_the_first_refusal():
    gate = new_gate(5, finds_own=True)
    gate.expect(20, 100, finds_own=True, now=0.0)  # another run joins
    assert gate.limit == 5
    refuse_as_rate(gate, send(gate, 1.0, 6), 2.0)
    assert gate.limit == 4


def answered_once():
    gate = new_gate(10)
    (ticket,) = send(gate, 0.0)
    gate.take_off(ticket)
    gate.succeeded(ticket, 1.0, None, clean=True)
    return gate


def refuse_key(gate, ticket, now):
    gate.take_off(ticket)
    gate.responded(ticket, now)
    gate.suspect(now, of_key=True)


def test_a_key_that_was_never_accepted_is_put_to_a_probe_at_once():
    gate = new_gate(10)
    refuse_key(gate, *send(gate, 0.0), 1.0)
    assert gate.doubt.is_on
    assert gate.is_open(1.0)


def test_a_key_that_was_accepted_before_is_put_to_one_probe_a_second_later():
    gate = answered_once()
    for ticket in send(gate, 1.0, 3):
        refuse_key(gate, ticket, 2.0)
    assert gate.doubt.is_on
    assert not gate.is_open(2.5)
    assert gate.is_open(3.0)
