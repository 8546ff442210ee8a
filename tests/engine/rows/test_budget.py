"""What a run may spend: reserved before, settled after, kept where nobody knows."""

from __future__ import annotations

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmframe.engine.rows.budget import Budget
from llmframe.providers.prices import Prices
from llmframe.results import Usage
from tests.kits import virtual_time

SIZE = 400  # bytes of a prompt: 100 tokens
EVEN = Prices(1.0, 1.0)


def answered(budget, used, *, size=SIZE, written=40):
    """A request that is sent and answered."""
    reservation = budget.reserve(size, None)
    reservation.settle(budget.accounted(used, size, written))


def test_tokens_are_counted_in_and_out_together():
    budget = Budget(max_tokens=500)
    answered(budget, Usage(100, 50))
    first, second = budget.reserve(SIZE, None), budget.reserve(SIZE, None)
    assert first is not None
    assert second is not None
    assert budget.reserve(SIZE, None) is None  # 150 are spent and 300 reserved
    first.settle(Usage(20, 10))
    assert budget.reserve(SIZE, None) is not None


def test_money_is_counted_by_the_prices():
    budget = Budget(max_cost=0.001, prices=Prices(1.0, 8.0))
    answered(budget, Usage(100, 50))  # 0.0005
    assert budget.reserve(SIZE, None) is not None
    assert budget.reserve(SIZE, None) is None


def test_until_something_is_known_one_request_is_out():
    budget = Budget(max_tokens=1_000_000)
    first = budget.reserve(SIZE, None)
    assert budget.reserve(SIZE, None) is None
    first.settle(budget.accounted(Usage(100, 50), SIZE, 40))
    assert all(budget.reserve(SIZE, None) for _ in range(50))


def test_a_run_without_a_budget_waits_for_nothing():
    budget = Budget()
    assert all(budget.reserve(SIZE, None) for _ in range(50))
    assert not budget.is_set
    assert Budget(max_tokens=1).is_set


def test_an_answer_is_never_reckoned_longer_than_its_cap():
    budget = Budget(max_tokens=1_000)
    answered(budget, Usage(100, 600))
    assert budget.reserve(SIZE, None) is None
    assert budget.reserve(SIZE, 50) is not None


def test_a_request_that_was_not_read_keeps_its_reservation():
    budget = Budget(max_tokens=500)
    answered(budget, Usage(100, 50))
    budget.reserve(SIZE, None).keep()
    budget.reserve(SIZE, None).keep()
    assert budget.spent.tokens == 150
    assert budget.unread.tokens == 300
    assert budget.in_flight == 0
    assert budget.reserve(SIZE, None) is None


def test_a_reservation_ends_once():
    budget = Budget(max_tokens=500)
    reservation = budget.reserve(SIZE, None)
    reservation.settle(Usage(100, 50))
    reservation.settle(Usage(100, 50))
    reservation.keep()
    assert (budget.spent.tokens, budget.unread.tokens, budget.in_flight) == (150, 0, 0)


def test_a_health_probe_is_sent_whatever_is_left():
    budget = Budget(max_tokens=1)
    assert budget.reserve(SIZE, None) is None
    budget.force(SIZE, None).settle(Usage(100, 50))
    assert budget.spent.tokens == 150


def test_a_reply_without_usage_is_estimated_from_its_length():
    budget = Budget(prices=EVEN)
    used = budget.accounted(Usage(), SIZE, 41)
    assert used == Usage(100, 11, pytest.approx(111e-6), estimated=1)


def test_what_other_replies_state_is_learnt_for_those_that_do_not():
    budget = Budget()
    for _ in range(200):
        answered(budget, Usage(150, 900))  # thoughts, which nobody sees
    used = budget.accounted(Usage(), SIZE, 40)
    assert (used.tokens_in, used.tokens_out) == (150, 900)
    assert budget.accounted(Usage(), SIZE, 4_000_000).tokens_out == 1_000_000


def test_only_what_is_missing_is_estimated():
    assert Budget().accounted(Usage(7, 0), SIZE, 40) == Usage(7, 10, estimated=1)
    assert Budget().accounted(Usage(0, 7), SIZE, 40) == Usage(100, 7, estimated=1)
    assert Budget().accounted(Usage(7, 0), SIZE, 0) == Usage(7, 0)  # a blank answer
    assert Budget().accounted(Usage(cost=0.5), SIZE, 40) == Usage(100, 10, 0.5, estimated=1)


def test_the_endpoint_s_own_word_beats_the_prices():
    budget = Budget(max_cost=1.0, prices=Prices(1.0, 2.0))
    assert budget.priced(Usage(1_000_000, 0, cost=0.1)).cost == 0.1
    assert budget.priced(Usage(1_000_000, 0)).cost == pytest.approx(1.0)
    assert Budget().priced(Usage(5, 5)).cost is None


def test_cached_tokens_cost_less_and_are_expected_to_go_on_doing_so():
    budget = Budget(max_cost=1.0, prices=Prices(1.0, 1.0, 0.1))
    assert budget.priced(Usage(1_000_000, 0, tokens_cached=1_000_000)).cost == pytest.approx(0.1)
    full = budget.expected(SIZE, 1).cost
    for _ in range(200):
        answered(budget, Usage(100, 1, tokens_cached=100))
    assert budget.expected(SIZE, 1).cost < 0.2 * full


def test_who_waits_is_woken_when_a_request_ends():
    async def main():
        budget = Budget(max_tokens=1_000)
        reservation = budget.reserve(SIZE, None)
        waiting = asyncio.ensure_future(budget.settled())
        await asyncio.sleep(0)
        assert not waiting.done()
        reservation.settle()
        await waiting

    virtual_time.run(main())


amounts = st.integers(0, 10_000)


@given(
    st.integers(1, 20_000),
    st.lists(st.tuples(st.sampled_from(["answer", "silent", "keep", "free"]), amounts, amounts)),
)
def test_what_is_out_and_spent_stays_within_the_budget_as_far_as_it_is_known(most, requests):
    budget = Budget(max_tokens=most)
    for how, tokens_in, tokens_out in requests:
        before = budget.spent.tokens + budget.unread.tokens
        reservation = budget.reserve(SIZE, None)
        if reservation is None:
            assert before + budget.expected(SIZE, None).tokens > most
            return
        assert before + reservation.expected.tokens <= most
        if how == "keep":
            reservation.keep()
        elif how == "free":
            reservation.settle()
        else:
            stated = Usage(tokens_in, tokens_out) if how == "answer" else Usage()
            reservation.settle(budget.accounted(stated, SIZE, tokens_out))
        spent = budget.spent.tokens + budget.unread.tokens
        assert spent > before or how == "free"
        assert budget.in_flight == 0
