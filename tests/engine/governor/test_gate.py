"""The gate: one probe while nothing is known, one look at a time in an outage, rates for all."""

from __future__ import annotations

import asyncio

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llmframe.engine.governor import Governor
from llmframe.engine.governor.gate import KNOCK, PROBE, Gate
from llmframe.engine.governor.gcra import SHARE, SLACK
from llmframe.engine.governor.outage import LEAST, LONGEST_LOOK
from llmframe.engine.governor.tokens import OUTPUT_GUESS
from llmframe.providers.dialect import Dialect
from llmframe.results import Usage
from tests.kits import virtual_time


def whole(top):
    """No jitter."""
    return top


def new_gate(limit=100, *, known=True, finds_own=False):
    gate = Gate(whole)
    gate.expect(limit, limit, finds_own=finds_own, now=0.0)
    if known:
        gate.dialects.succeeded(Dialect())
    return gate


def lose(gate, tickets, now):
    """These requests are lost now; whether it is an outage then."""
    for ticket in tickets:
        gate.take_off(ticket)
        gate.lost(ticket, now)
    return gate.binding(now).outage


def send(gate, now, n=1, size=100):
    return [gate.send(now, size) for _ in range(n)]


# -- the probe --------------------------------------------------------------------------------


def test_until_the_first_answer_one_request_is_on_the_wire():
    gate = new_gate(known=False)
    assert gate.is_open(0.0)
    send(gate, 0.0)
    assert not gate.is_open(1.0)
    assert gate.wait(1.0) == PROBE - 1.0
    assert gate.binding(1.0).probing
    gate.dialects.succeeded(Dialect())
    assert gate.is_open(1.0)
    assert not gate.binding(1.0).probing


@pytest.mark.parametrize("known", [False, True])
def test_while_nobody_is_there_one_request_at_a_time_knocks(known):
    gate, now = new_gate(known=known), 0.0
    for _ in range(8):
        assert gate.is_open(now)
        [ticket] = send(gate, now)
        gate.take_off(ticket)
        gate.nobody_there(now)
        assert not gate.is_open(now + KNOCK / 2)
        assert gate.wait(now) == KNOCK
        now += KNOCK
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
    assert not gate.is_open(PROBE - 0.01)
    assert gate.is_open(PROBE)


def test_a_first_request_that_is_lost_makes_room_for_another():
    gate = new_gate(known=False)
    (probe,) = send(gate, 0.0)
    lose(gate, [probe], 1.0)
    assert gate.is_open(1.0)
    send(gate, 1.0)
    assert not gate.is_open(1.0)


# -- outages ------------------------------------------------------------------------------------


def test_five_losses_in_a_row_or_half_the_limit_are_an_outage():
    few, many = new_gate(4), new_gate(40)
    assert not lose(few, send(few, 0.0, LEAST - 1), 1.0)
    assert few.is_open(1.0)
    assert lose(few, send(few, 1.0), 2.0)
    assert few.is_open(2.0)  # for one look
    assert send(few, 2.0)[0].look
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


def looks(gate, n):
    """Seconds between looks during an outage, each look lost after a second."""
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


def test_looks_in_an_outage_are_single_and_at_most_fifteen_seconds_apart():
    gate = new_gate(10)
    lose(gate, send(gate, 0.0, 10), 1.0)
    gaps = looks(gate, 9)
    assert gaps == [0, 1, 2, 4, 8, 15, 15, 15, 15]
    assert max(gaps) == LONGEST_LOOK


def test_a_look_that_gets_through_ends_the_outage():
    gate = new_gate(10)
    lose(gate, send(gate, 0.0, 10), 1.0)
    (probe,) = send(gate, 2.0)
    gate.take_off(probe)
    gate.succeeded(probe, 2.5, None, clean=False)
    assert gate.is_open(2.5)
    assert not gate.binding(2.5).outage


def test_a_look_that_is_answered_late_keeps_the_others_waiting():
    gate = new_gate(10)
    lose(gate, send(gate, 0.0, 10), 1.0)
    send(gate, 2.0)
    assert not gate.is_open(60.0)
    assert gate.wait(60.0) == 0  # only an answer can tell


@pytest.mark.parametrize("counts", [True, False])
def test_a_look_whose_run_ends_makes_room_for_another_runs_look(counts):
    async def main():
        governor = Governor(virtual_time.now, Gate(whole))
        governor.understood(Dialect())
        leaves, stays = governor.join(10), governor.join(10)
        for lease in [await leaves.acquire() for _ in range(10)]:
            governor.lose(lease)
        probe = await leaves.acquire()
        if counts:
            leaves.leave()
        else:
            governor.lose(probe, counts=False)
        assert await stays.acquire() is not None

    virtual_time.run(main())


def test_what_is_lost_after_a_look_was_lost_too_is_no_fault_of_its_row_however_long_it_lasts():
    gate = new_gate(10)
    late = send(gate, 0.0, 5)
    first, second, third = (gate.take_off(ticket) or ticket for ticket in late[:3])
    lose(gate, send(gate, 0.0, 5), 1.0)
    assert not gate.lost(first, 1.0)
    looks(gate, 1)
    assert gate.lost(second, 2.0)
    looks(gate, 50)
    assert gate.lost(third, 1000.0)


def test_a_time_without_answers_is_known_as_an_outage_once_a_look_was_lost_and_for_ever():
    gate = new_gate(10)
    first = gate.streak
    lose(gate, send(gate, 0.0, 5), 1.0)
    assert not gate.was_outage(first)
    lose(gate, send(gate, 1.0), 1.5)
    assert gate.was_outage(first)
    (look,) = send(gate, 2.5)
    gate.take_off(look)
    gate.succeeded(look, 3.0, None, clean=False)
    assert gate.streak == first + 1
    assert gate.was_outage(first)
    assert not gate.was_outage(gate.streak)


def test_every_fourth_look_is_a_row_s_own_request():
    gate = new_gate(10)
    lose(gate, send(gate, 0.0, 5), 1.0)
    ours, now = [], 2.0
    for _ in range(8):
        now += gate.wait(now)
        (look,) = send(gate, now)
        ours.append(look.look)
        lose(gate, [look], now)
    assert ours == [True, True, True, False] * 2


def test_an_outage_or_a_storm_may_last_for_a_month():
    gate = new_gate(10)
    lose(gate, send(gate, 0.0, 5), 1.0)
    looks(gate, 1100)
    assert gate.wait(1e5) <= LONGEST_LOOK
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
    assert not send(gate, 2.5)[0].look


def test_a_limit_that_had_shrunk_does_not_jump_up_with_the_first_refusal():
    gate = new_gate(20, finds_own=True)
    gate._climb._move(5, gate._climb._up, 0.0)
    assert gate.limit == 5
    _, ticket = send(gate, 1.0, 2)
    gate.take_off(ticket)
    gate.refused(ticket, 2.0, 1.0)
    assert gate.limit == 4


# -- a key that is refused ------------------------------------------------------------------


def answered_once():
    gate = new_gate(10)
    (ticket,) = send(gate, 0.0)
    gate.take_off(ticket)
    gate.succeeded(ticket, 1.0, None, clean=True)
    return gate


def refuse_key(gate, ticket, now):
    gate.take_off(ticket)
    return gate.key_refused(ticket, now)


def test_a_key_that_was_never_accepted_is_not_tried_again():
    gate = new_gate(10)
    assert not refuse_key(gate, *send(gate, 0.0), 1.0)


def test_a_key_that_was_accepted_before_is_tried_once_more_alone():
    gate = answered_once()
    flying = send(gate, 1.0, 3)
    assert all(refuse_key(gate, ticket, 2.0) for ticket in flying)
    assert not gate.is_open(2.0)
    assert gate.is_open(3.0)
    (lone,) = send(gate, 3.0)
    assert not gate.is_open(60.0)
    assert not lone.look
    assert not refuse_key(gate, lone, 4.0)


def test_a_key_that_is_accepted_again_was_refused_by_mistake():
    gate = answered_once()
    assert refuse_key(gate, *send(gate, 1.0), 2.0)
    (lone,) = send(gate, 3.0)
    gate.take_off(lone)
    gate.succeeded(lone, 4.0, None, clean=True)
    assert gate.is_open(6.0)
    assert refuse_key(gate, *send(gate, 6.0), 7.0)  # the next mistake is one, too


def test_a_refusal_for_the_rate_accepts_the_key():
    gate = answered_once()
    assert refuse_key(gate, *send(gate, 1.0), 2.0)
    (lone,) = send(gate, 3.0)
    gate.take_off(lone)
    gate.refused(lone, 4.0, 1.0)
    assert refuse_key(gate, *send(gate, 6.0), 7.0)


# -- rates ---------------------------------------------------------------------------------------


def test_tokens_are_reserved_by_the_estimate_and_settled_to_usage():
    gate = new_gate()
    gate.tokens.ask(6000)  # a hundred a second
    (ticket,) = send(gate, 0.0, size=400)
    assert gate.wait(0.0) == pytest.approx((100 + OUTPUT_GUESS) / 100)
    gate.take_off(ticket)
    gate.succeeded(ticket, 1.0, Usage(450, 50), clean=True)
    assert gate.wait(0.0) == pytest.approx(500 / 100)


def test_the_estimate_learns_from_usage():
    gate = new_gate()
    for _ in range(100):
        (ticket,) = send(gate, 0.0, size=400)
        gate.take_off(ticket)
        gate.succeeded(ticket, 1.0, Usage(200, 10), clean=True)
    gate.tokens.ask(6000)
    send(gate, 1.0, size=400)
    assert gate.wait(1.0) == pytest.approx(210 / 100)


def test_a_refused_request_took_no_tokens_but_counts_as_a_request():
    gate = new_gate()
    gate.tokens.ask(60)
    gate.requests.ask(60)
    (ticket,) = send(gate, 0.0)
    gate.take_off(ticket)
    gate.refused(ticket, 0.0, 0.0)
    assert gate.tokens.wait(0.0) == 0
    assert gate.requests.wait(0.0) == 1.0


def test_a_timed_out_request_keeps_its_reservation():
    gate = new_gate()
    gate.tokens.ask(60)
    tickets = send(gate, 0.0)
    before = gate.tokens.wait(0.0)
    lose(gate, tickets, 0.0)
    assert gate.tokens.wait(0.0) == before > 0


def test_a_lease_that_was_not_used_costs_nothing():
    gate = new_gate()
    gate.tokens.ask(60)
    gate.requests.ask(60)
    (ticket,) = send(gate, 0.0)
    gate.take_off(ticket)
    gate.never_sent(ticket)
    assert gate.is_open(0.0)


def test_headers_of_a_response_set_the_limits():
    gate = new_gate()
    gate.read_headers([(b"x-ratelimit-limit-requests", b"60"), (b"content-type", b"x")], 0.0)
    gate.read_headers([(b"X-RateLimit-Limit-Tokens", b"6000")], 0.0)
    send(gate, 0.0)
    binding = gate.binding(0.0)
    assert (binding.rpm, binding.tpm, binding.named) == (60, 6000, True)
    assert binding.requests == pytest.approx(1 / SHARE)
    assert gate.wait(0.0) == max(binding.requests, binding.tokens)


runs_of_steps = st.lists(
    st.tuples(st.floats(0.0, 3.0), st.integers(0, 5), st.booleans()), max_size=80
)


@settings(max_examples=150, deadline=None)
@given(st.floats(10, 3000), runs_of_steps)
def test_no_span_of_time_ever_sees_more_than_its_rate(rpm, told):
    gate = new_gate(1000)
    gate.requests.ask(rpm)
    now, sent = 0.0, []
    for pause, wanted, unsent in told:
        now += pause
        for _ in range(wanted):
            if not gate.is_open(now):
                now += gate.wait(now) if unsent else 0.0
            if gate.is_open(now):
                (ticket,) = send(gate, now)
                gate.take_off(ticket)
                sent.append(now)
    for first, start in enumerate(sent):
        for last in range(first, len(sent)):
            allowed = 1 + rpm / 60 * (sent[last] - start + SLACK)
            assert last - first + 1 <= allowed + 1e-6


# -- several runs -----------------------------------------------------------------------------


def test_the_persons_rates_are_the_strictest_of_the_runs_that_live():
    async def main():
        governor = Governor(virtual_time.now)
        governor.join(5)
        strict = governor.join(5, rpm=60, tpm=90_000)
        lax = governor.join(5, rpm=600, tpm=50_000)
        assert (governor.binding().rpm, governor.binding().tpm) == (60, 50_000)
        strict.leave()
        assert (governor.binding().rpm, governor.binding().tpm) == (600, 50_000)
        lax.leave()
        assert (governor.binding().rpm, governor.binding().tpm) == (None, None)

    virtual_time.run(main())


def test_a_rate_holds_for_all_runs_together():
    async def main():
        governor = Governor(virtual_time.now)
        governor.understood(Dialect())
        shares = [governor.join(20, rpm=120), governor.join(20), governor.join(None, rpm=600)]
        sent = []

        async def work(share):
            while True:
                lease = await share.acquire(100)
                sent.append(virtual_time.now() - began)
                governor.release(lease, answered=True)

        began = virtual_time.now()
        tasks = [asyncio.ensure_future(work(share)) for share in shares]
        await asyncio.sleep(60)
        for task in tasks:
            task.cancel()
        assert 119 <= len(sent) <= 122
        assert max(sent[n + 2] - sent[n] for n in range(100)) == pytest.approx(1.0)

    virtual_time.run(main())
