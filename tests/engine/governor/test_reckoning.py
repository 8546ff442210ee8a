"""What the governor reckons with: tokens, repeats, outages."""

from __future__ import annotations

import math

import pytest

from llmframe.engine.governor.outage import Outage
from llmframe.engine.governor.repeats import RepeatBudget
from llmframe.engine.governor.tokens import TokenMeter
from llmframe.results import Usage


def test_tokens_are_learnt_from_what_the_provider_counted():
    meter = TokenMeter()
    assert meter.tokens_in(400) == pytest.approx(100)
    for _ in range(100):
        meter.learn(400, Usage(150, 30))
    assert meter.tokens_in(400) == pytest.approx(150)
    assert meter.mean_out == pytest.approx(30)
    assert meter.high_out == 30


def test_an_answer_without_usage_teaches_nothing():
    meter = TokenMeter()
    meter.learn(400, Usage())
    assert meter.tokens_in(400) == pytest.approx(100)


def test_repeats_beyond_a_fifth_and_ten_a_second_wait():
    budget = RepeatBudget()
    waits = [budget.take(0.0) for _ in range(30)]
    assert waits[:10] == [0.0] * 10
    assert waits[-1] == pytest.approx(2.0)
    assert RepeatBudget().take(100.0) == 0.0


def test_requests_earn_repeats():
    budget = RepeatBudget()
    for _ in range(20):
        budget.take(0.0)
    for _ in range(50):
        budget.earn()
    assert budget.take(0.0) < 0.2


@pytest.mark.parametrize(
    ("limit", "left", "answered", "enough"),
    [
        (4, math.inf, True, 5),
        (50, math.inf, True, 25),
        (50, 7, True, 7),
        (50, 7, False, 7),
        (50, 3, True, 3),
        (50, 1, True, 2),
        (50, 1, False, 5),
        (4, 2, True, 2),
    ],
)
def test_an_outage_begins_when_all_of_the_last_results_were_lost(limit, left, answered, enough):
    outage = Outage()
    ended = [outage.failed(7.0, 6.0, limit, left, answered=answered) for _ in range(enough + 1)]
    assert ended == [False] * (enough - 1) + [True, False]
    assert (outage.is_on, outage.lasts(9.0), outage.is_sure) == (True, 2.0, False)
    outage.got_through(8.0)
    assert not outage.is_on


def test_an_answer_to_what_was_sent_before_the_first_loss_does_not_end_the_streak():
    outage = Outage()
    outage.failed(7.0, 6.0, 4, 10, answered=True)
    outage.got_through(5.0)
    assert outage.streak == 0
    outage.got_through(6.5)
    outage.got_through(6.6)
    assert outage.streak == 1


def test_the_first_probe_comes_at_once_and_the_outage_is_sure_once_it_is_lost():
    outage = Outage()
    assert outage.plan_probe() == 0
    assert not outage.is_sure
    assert [outage.plan_probe() for _ in range(6)] == [1, 2, 4, 8, 15, 15]
    assert outage.is_sure
    outage.got_through(8.0)
    assert not outage.is_sure
