"""Requests and tokens a minute: the strictest limit holds, others' use brakes, debts are paid."""

from __future__ import annotations

import pytest

from llmframe.engine.governor.allowance import Allowance, LastMinute
from llmframe.engine.governor.gcra import SHARE
from llmframe.engine.governor.headers import Quota


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


@pytest.mark.parametrize(("asked", "named", "binds"), [(300, 600, 300), (600, 300, 300 * SHARE)])
def test_the_strictest_of_person_and_provider_holds(asked, named, binds):
    allowance = Allowance()
    allowance.ask(asked)
    allowance.name(Quota(named), 0.0)
    assert len(send_all(allowance, 0.0, 60.0)) == pytest.approx(binds, abs=1)
    assert allowance.per_minute == 300
    assert allowance.is_named == (named < asked)


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
    allowance.name(Quota(600, 590, 1.0), 0.0)
    sent = send_all(allowance, 0.0, 59.0)
    allowance.name(Quota(600, 600 - len(sent), 1.0), 59.0)
    allowance.name(Quota(600, 5, 1.0), 59.0)
    assert len(send_all(allowance, 59.0, 20.0)) == pytest.approx(200 * SHARE, abs=2)


def test_enough_that_is_left_is_no_reason_to_brake():
    allowance = Allowance()
    allowance.name(Quota(600, 300, 1.0), 0.0)
    assert len(send_all(allowance, 0.0, 20.0)) == pytest.approx(200 * SHARE, abs=2)


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
