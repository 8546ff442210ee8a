"""Too many at once against too many a minute: what is learnt from refusals."""

from __future__ import annotations

import pytest

from llmframe.engine.governor.provider_cap import LEAST_ROUND, TRY_SOON
from tests.kits.governor import new_gate, send


def refuse(gate, ticket, now, retry_after=None):
    gate.take_off(ticket)
    gate.refused(ticket, now, retry_after)


def answer(gate, ticket, now):
    gate.take_off(ticket)
    gate.succeeded(ticket, now, None, clean=True)


def capped(retry_after=None):
    """A gate that found a cap of 3 at second 1, and the requests on the wire."""
    gate = new_gate(20)
    flying = send(gate, 0.0, 4)
    refuse(gate, flying.pop(), 0.05, retry_after)
    answer(gate, flying.pop(0), 1.0)
    flying += send(gate, 1.0)
    gate.advance(1.5)
    return gate, flying


def capped_until_it_is_tried():
    """The same when more than the cap is about to be tried, and that moment."""
    gate, flying = capped()
    now = 2.0
    for _ in range(TRY_SOON * LEAST_ROUND):
        answer(gate, flying.pop(0), now)
        flying += send(gate, now)
        now += 0.5
    return gate, flying, now


def test_after_a_refusal_nothing_leaves_until_a_request_has_come_back():
    gate = new_gate(20)
    flying = send(gate, 0.0, 4)
    refuse(gate, flying.pop(), 0.05, 60.0)
    assert not gate.is_open(0.05)
    assert not gate.binding(0.05).pause
    answer(gate, flying.pop(), 1.0)
    assert gate.is_open(1.0)
    send(gate, 1.0)  # the trial
    answer(gate, flying.pop(), 1.0)
    assert not gate.is_open(1.0)


@pytest.mark.parametrize("retry_after", [None, 0.5, 60.0])
def test_a_trial_that_is_accepted_shows_a_cap_and_nobody_pauses(retry_after):
    gate, flying = capped(retry_after)
    binding = gate.binding(1.5)
    assert (binding.limit, binding.is_cap, binding.pause) == (3, True, 0.0)
    assert not gate.is_open(1.5)
    answer(gate, flying.pop(), 2.0)
    assert gate.is_open(2.0)


@pytest.mark.parametrize(("retry_after", "pause"), [(60.0, 60.0), (None, 0.5), (0.0, 0.0)])
def test_a_trial_that_is_refused_shows_a_rate_and_all_pause(retry_after, pause):
    gate = new_gate(20)
    flying = send(gate, 0.0, 4)
    refuse(gate, flying.pop(), 0.05, retry_after)
    answer(gate, flying.pop(), 1.0)
    refuse(gate, *send(gate, 1.0), 1.05, retry_after)
    binding = gate.binding(1.05)
    assert (binding.pause, binding.is_cap) == (pytest.approx(pause), False)


def test_where_nothing_comes_back_a_doubt_ends_with_one_request():
    gate = new_gate(20)
    flying = send(gate, 0.0, 4)
    refuse(gate, flying.pop(), 0.05, 5.0)
    gate.advance(5.0)
    assert not gate.is_open(5.0)
    assert gate.wait(5.0) == pytest.approx(0.05)
    gate.advance(5.05)
    assert gate.is_open(5.05)
    send(gate, 5.05)
    assert not gate.is_open(5.05)


def test_more_than_the_cap_is_tried_again_and_a_cap_that_has_moved_up_is_found():
    gate, flying, now = capped_until_it_is_tried()
    assert gate.is_open(now)
    for _ in range(8):  # all are accepted
        flying += send(gate, now)
        now += gate.wait(now)
        gate.advance(now)
    assert gate.binding(now).on_wire > 8


def test_one_more_that_is_refused_leaves_the_cap_as_it_was():
    gate, _, now = capped_until_it_is_tried()
    refuse(gate, *send(gate, now), now + 0.05)
    binding = gate.binding(now + 0.05)
    assert (binding.limit, binding.is_cap, binding.pause) == (3, True, 0.0)
    assert not gate.is_open(now + 60.0)


def test_a_cap_that_has_moved_down_is_found_by_halves():
    gate = new_gate(40)
    flying = send(gate, 0.0, 31)
    refuse(gate, flying.pop(), 0.05)
    answer(gate, flying.pop(), 1.0)
    flying += send(gate, 1.0)
    gate.advance(1.5)
    refused, now = 0, 2.0  # from now on eight are accepted
    while flying and refused < 30:
        answer(gate, flying.pop(0), now)
        gate.advance(now)
        while gate.is_open(now):
            [ticket] = send(gate, now)
            if gate.binding(now).on_wire > 8:
                refused += 1
                refuse(gate, ticket, now + 0.01)
                now += 0.01
            else:
                flying.append(ticket)
        now += 0.1
        if gate.binding(now).limit <= 8:
            break
    assert gate.binding(now).is_cap
    assert gate.binding(now).limit <= 8
    assert refused <= 10
    assert now < 6.0


def test_beyond_what_was_ever_accepted_requests_leave_a_little_apart():
    gate = new_gate(50)
    (first,) = send(gate, 0.0)
    answer(gate, first, 1.0)
    left, now = [], 1.0
    while len(left) < 50:
        if gate.is_open(now):
            send(gate, now)
            left.append(now)
        else:
            now += gate.wait(now)
    assert 0.5 < left[-1] - left[0] < 1.5


def test_a_long_pause_lets_one_request_of_a_new_run_look_and_goes_on_if_it_is_refused():
    gate = new_gate(20)
    refuse(gate, *send(gate, 0.0), 0.1, 3600.0)
    gate.look(100.0)
    assert gate.is_open(100.0)
    (looking,) = send(gate, 100.0)
    assert not gate.is_open(100.0)
    refuse(gate, looking, 100.1)
    assert gate.binding(100.1).pause == pytest.approx(3500.0)


def test_a_look_that_is_answered_ends_the_pause():
    gate = new_gate(20)
    refuse(gate, *send(gate, 0.0), 0.1, 3600.0)
    gate.look(100.0)
    answer(gate, *send(gate, 100.0), 101.0)
    assert gate.is_open(101.0)
    assert gate.binding(101.0).pause == 0


def test_refusals_below_the_cap_that_trials_do_not_explain_are_for_the_rate():
    gate, flying = capped()
    now = 2.0
    for _ in range(4):
        binding = gate.binding(now)
        if not binding.is_cap:
            break
        answer(gate, flying.pop(0), now)
        refuse(gate, *send(gate, now), now + 0.01)
        answer(gate, flying.pop(0), now + 0.2)
        flying += send(gate, now + 0.2)  # the trial is accepted
        gate.advance(now + 0.5)
        flying += send(gate, now + 0.5)
        now += 1.0
    assert not gate.binding(now).is_cap
