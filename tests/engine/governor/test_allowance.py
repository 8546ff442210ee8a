"""Requests and tokens a minute: the strictest limit holds, others' use brakes, debts are paid."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmframe.engine.governor.allowance import UNNAMED, Allowance, LastMinute
from llmframe.engine.governor.gcra import PACE, SHARE, SLACK
from llmframe.providers.responses.limit_headers import Quota


def send_all(allowance, start, seconds, weight=1.0):
    """Moments at which requests that always wait to be sent may leave."""
    now, sent = start, []
    while now < start + seconds:
        wait = allowance.wait(now)
        if wait > 0:
            now += wait
            continue
        allowance.reserve(now, weight)
        sent.append(now)
    return [moment for moment in sent if moment < start + seconds]


def test_nothing_known_limits_nothing():
    allowance = Allowance()
    allowance.reserve(0.0, 1e9)
    assert allowance.wait(0.0) == 0
    assert allowance.per_minute is None
    assert not allowance.is_named


def test_the_persons_limit_is_kept_to_the_full():
    allowance = Allowance()
    allowance.ask(600)
    assert len(send_all(allowance, 0.0, 60.0)) == pytest.approx(600, abs=1)
    assert (allowance.per_minute, allowance.is_named) == (600, False)


def test_the_providers_limit_is_kept_with_a_margin():
    allowance = Allowance()
    allowance.name(Quota(600), 0.0)
    assert len(send_all(allowance, 0.0, 60.0)) == pytest.approx(600 * SHARE, abs=1)
    assert (allowance.per_minute, allowance.is_named) == (600, True)


@pytest.mark.parametrize("named", [30, 600])
def test_the_persons_limit_outranks_the_providers(named):
    allowance = Allowance()
    allowance.ask(300)
    allowance.name(Quota(named), 0.0)
    assert len(send_all(allowance, 0.0, 60.0)) == pytest.approx(300, abs=1)
    assert (allowance.per_minute, allowance.is_named) == (300, False)


def test_a_limit_below_a_request_that_was_answered_is_a_mistake():
    allowance = Allowance()
    allowance.name(Quota(1), 0.0)
    allowance.reserve(0.0, 300)
    assert allowance.wait(0.0) > 3600
    allowance.answered(300)
    assert allowance.wait(1.0) == 0
    allowance.name(Quota(1), 2.0)
    assert allowance.per_minute is None


def test_a_limit_far_below_what_was_used_in_the_last_minute_is_a_mistake():
    allowance = Allowance()
    allowance.name(Quota(600), 0.0)
    send_all(allowance, 0.0, 30.0)
    allowance.name(Quota(60), 30.0)
    assert allowance.per_minute == 600
    allowance.name(Quota(300), 30.0)
    assert allowance.per_minute == 300


def test_a_limit_that_later_answers_do_not_repeat_is_forgotten():
    allowance = Allowance()
    allowance.name(Quota(1), 0.0)
    allowance.reserve(0.0, 1.0)
    allowance.reserve(0.0, 1.0)
    for _ in range(UNNAMED):
        allowance.answered(1.0)
        assert allowance.wait(1.0) > 60
    allowance.answered(1.0)
    assert allowance.per_minute is None
    assert allowance.wait(1.0) == 0


def test_a_limit_that_is_repeated_now_and_then_is_kept():
    allowance = Allowance()
    for second in range(30):
        if second % UNNAMED == 0:
            allowance.name(Quota(600), float(second))
        allowance.answered(1.0)
    assert allowance.per_minute == 600


def test_a_debt_is_rescaled_when_its_rate_is_corrected():
    allowance = Allowance()
    allowance.name(Quota(6 / SHARE), 0.0)
    allowance.reserve(0.0, 2)
    assert allowance.wait(0.0) == pytest.approx(20)
    assert allowance.wait(10.0) == pytest.approx(10)
    allowance.name(Quota(600 / SHARE), 10.0)
    assert allowance.wait(10.0) == pytest.approx(0.1)
    allowance.ask(6)
    assert allowance.wait(10.0) == pytest.approx(10.0)


def test_a_changed_header_counts_at_once():
    allowance = Allowance()
    allowance.name(Quota(600), 0.0)
    send_all(allowance, 0.0, 10.0)
    allowance.name(Quota(60), 10.0)
    assert len(send_all(allowance, 10.0, 60.0)) == pytest.approx(60 * SHARE, abs=1)
    allowance.name(Quota(6000), 70.0)
    assert len(send_all(allowance, 71.0, 10.0)) == pytest.approx(1000 * SHARE, abs=2)


def test_the_persons_limit_is_taken_back_with_the_last_run_that_set_it():
    allowance = Allowance()
    allowance.ask(60)
    allowance.reserve(0.0, 1)
    assert allowance.wait(0.0) == 1.0
    allowance.ask(None)
    assert allowance.wait(0.0) == 0.0


def test_somebody_else_on_the_key_halves_the_rate_until_the_reset():
    allowance = Allowance()
    allowance.name(Quota(600, 590, 1.0), 0.0)
    allowance.name(Quota(600, 5, 20.0), 1.0)  # we used nothing of it
    assert len(send_all(allowance, 1.0, 20.0)) == pytest.approx(600 * SHARE / 2 / 3, abs=2)
    assert len(send_all(allowance, 21.0, 20.0)) == pytest.approx(600 * SHARE / 3, abs=2)


def test_what_we_used_ourselves_is_no_reason_to_brake():
    allowance = Allowance()
    allowance.name(Quota(600, 20, 1.0), 0.0)
    send_all(allowance, 0.0, 59.0)
    allowance.name(Quota(600, 0, 1.0), 59.0)
    assert len(send_all(allowance, 59.0, 20.0)) == pytest.approx(200 * SHARE, abs=2)


def test_enough_that_is_left_is_no_reason_to_brake():
    allowance = Allowance()
    allowance.name(Quota(600, 25, 1.0), 0.0)
    assert len(send_all(allowance, 0.0, 20.0)) == pytest.approx(200 * SHARE, abs=2)


# -- a bucket that holds a minute ---------------------------------------------------------------


def test_what_remains_of_a_deep_bucket_is_used_slowly_until_it_is_proven_and_then_at_once():
    allowance = Allowance()
    allowance.name(Quota(6000, 5999), 0.0)
    assert len(send_all(allowance, 0.0, 2.0)) == pytest.approx(2 * 100 * PACE, abs=2)
    allowance.name(Quota(6000, 4800), 2.0)
    assert len(send_all(allowance, 2.0, 0.001)) == pytest.approx(4800, rel=0.02)


def test_a_refused_burst_is_never_tried_again():
    allowance = Allowance()
    allowance.name(Quota(6000, 5999), 0.0)
    send_all(allowance, 0.0, 1.0)
    allowance.refused(1.0, 0.0)
    allowance.name(Quota(6000, 5999), 1.0)
    assert len(send_all(allowance, 1.0, 10.0)) == pytest.approx(1000 * SHARE, abs=2)


def test_a_refusal_without_a_burst_says_nothing_about_it():
    allowance = Allowance()
    allowance.name(Quota(6000, 5999), 0.0)
    allowance.reserve(0.0, 1.0)
    allowance.refused(0.1, 0.0)
    assert len(send_all(allowance, 0.1, 2.0)) == pytest.approx(2 * 100 * PACE, abs=2)


def test_what_was_sent_since_the_answered_request_is_left_out_of_the_burst():
    allowance = Allowance()
    allowance.name(Quota(6000, 1000), 0.0)
    mark = allowance.sent
    sent = len(send_all(allowance, 0.0, 1.0))
    allowance.name(Quota(6000, 3000), 1.0, mark)  # all of them may be on their way still
    burst = 0.99 * 3000 - sent
    assert len(send_all(allowance, 1.0, 30.0)) == pytest.approx(burst + 30 * 100, rel=0.01)


def test_nobody_bursts_where_the_person_has_set_a_rate():
    allowance = Allowance()
    allowance.ask(600)
    allowance.name(Quota(6000, 5999), 0.0)
    assert len(send_all(allowance, 0.0, 60.0)) == pytest.approx(600, abs=1)


@given(
    st.lists(st.tuples(st.floats(0.0, 3.0), st.integers(0, 40)), max_size=60),
    st.floats(60, 6000), st.floats(1.0, 60.0),
)  # fmt: skip
def test_no_span_of_time_ever_sees_more_than_the_named_burst_and_the_rate(steps, limit, held):
    allowance, now, sent = Allowance(), 0.0, []
    size = limit / 60 * held
    allowance.name(Quota(limit, size), 0.0)
    for pause, wanted in steps:
        now += pause
        for _ in range(wanted):
            if allowance.wait(now) <= 0:
                allowance.reserve(now, 1.0)
                sent.append(now)
    for first, begin in enumerate(sent):
        for last in range(first, len(sent)):
            allowed = size + 2 + limit / 60 * (sent[last] - begin + SLACK)
            assert last - first + 1 <= allowed


def test_one_request_above_the_whole_limit_goes_and_leaves_a_debt():
    allowance = Allowance()
    allowance.ask(1000)
    assert allowance.wait(0.0) == 0
    allowance.reserve(0.0, 5000)
    assert allowance.wait(0.0) == pytest.approx(300)
    assert allowance.wait(300.0) == pytest.approx(0)


def test_a_reservation_is_settled_to_what_was_used():
    allowance = Allowance()
    allowance.ask(60)
    allowance.reserve(0.0, 10)
    allowance.settle(-4)
    assert allowance.wait(0.0) == pytest.approx(6)
    allowance.settle(14)
    assert allowance.wait(0.0) == pytest.approx(20)


def test_the_last_minute_forgets_what_is_older():
    used = LastMinute()
    for second in range(120):
        used.add(second + 0.5, 2.0)
    assert used.total(119.9) == 120.0
    assert used.total(149.9) == 60.0
    assert used.total(500.0) == 0.0


def test_a_run_that_joins_does_not_lift_the_brake():
    allowance = Allowance()
    allowance.name(Quota(600, 590, 1.0), 0.0)
    allowance.name(Quota(600, 5, 20.0), 1.0)
    allowance.ask(None)
    assert len(send_all(allowance, 1.0, 20.0)) == pytest.approx(600 * SHARE / 2 / 3, abs=2)
