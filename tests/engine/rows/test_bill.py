"""What a run says that it cost is what the server bills, however that states its tokens."""

from __future__ import annotations

import pandas as pd
import pytest

import llmframe as lf
from llmframe.errors import IncompleteWarning
from llmframe.testing.options import USAGES

PRICES = {"in": 1.0, "out": 2.0, "cached": 0.1}
DF = pd.DataFrame({"text": [f"record {i}" for i in range(60)]})
TASK = {"instructions": "Sort the record. " * 60, "concurrency": 5}


@pytest.mark.parametrize("usage", USAGES)
def test_the_cost_is_the_bill_with_cached_tokens_at_a_tenth(configured, usage):
    configured.update(cache=True, usage=usage, prices=PRICES)
    prices = None if usage == "openrouter" else PRICES
    out = lf.tag(DF, "text", ["a", "b"], prices=prices, details=True, **TASK)
    report, calls = lf.last_run().report, configured.ledger.calls
    assert report.cost == pytest.approx(configured.ledger.cost(PRICES), rel=1e-6)
    assert out["llm_cost"].sum() == pytest.approx(report.cost)
    assert report.tokens_in == sum(call.tokens_in for call in calls)
    assert report.tokens_cached == sum(call.tokens_cached for call in calls)
    assert out["llm_tokens_cached"].sum() == report.tokens_cached
    assert report.cached_share == pytest.approx(report.tokens_cached / report.tokens_in)
    assert report.cached_share > 0.5
    assert report.estimated == report.unread == 0
    assert out.attrs["llmframe"]["tokens_cached"] == report.tokens_cached


def test_the_checkpoint_and_a_resumed_frame_know_what_was_cached(configured):
    configured.update(cache=True)
    lf.tag(DF, "text", ["a", "b"], prices=PRICES, checkpoint="mine.jsonl", **TASK)
    report = lf.last_run().report
    answers = lf.read_checkpoint("mine.jsonl")
    assert answers["tokens_cached"].sum() == report.tokens_cached
    assert answers["cost"].sum() == pytest.approx(report.cost)
    again = lf.tag(DF, "text", ["a", "b"], checkpoint="mine.jsonl", details=True, **TASK)
    assert again["llm_tokens_cached"].sum() == report.tokens_cached


def test_max_cost_counts_cached_tokens_at_their_price(configured):
    configured.update(cache=True)
    most = 0.004
    with pytest.warns(IncompleteWarning, match="the budget is spent"):
        lf.tag(DF, "text", ["a", "b"], max_cost=most, prices=PRICES, **TASK)
    report = lf.last_run().report
    assert report.cost == pytest.approx(configured.ledger.cost(PRICES), rel=1e-6)
    assert 0.9 * most < report.cost <= most


def test_replies_that_do_not_state_their_tokens_are_said_to_be_estimated(configured):
    configured.update(usage=None)
    out = lf.tag(DF, "text", ["a", "b"], prices=PRICES, details=True, **TASK)
    report = lf.last_run().report
    assert report.estimated == report.requests == 60
    assert report.cost == pytest.approx(configured.ledger.cost(PRICES), rel=0.5)
    assert report.cost == pytest.approx(out["llm_cost"].sum())


def test_a_budget_ends_a_run_whose_replies_do_not_state_their_tokens(configured):
    configured.update(usage=None)
    with pytest.warns(IncompleteWarning, match="the budget is spent"):
        lf.tag(DF, "text", ["a", "b"], max_tokens=10_000, **TASK)
    report = lf.last_run().report
    assert 0 < report.ok < 60
    assert report.tokens_in + report.tokens_out <= 10_000


def test_prices_in_another_currency_are_shown_as_such(configured):
    out = lf.tag(DF.head(3), "text", ["a", "b"], prices={"in": 1, "out": 2, "currency": "EUR"})
    assert lf.last_run().report.currency == out.attrs["llmframe"]["currency"] == "EUR"
    assert "€" in repr(out.llm.summary())


def test_what_earlier_runs_of_the_task_took_counts(configured):
    with pytest.warns(IncompleteWarning, match="the budget is spent"):
        lf.tag(DF, "text", ["a", "b"], max_tokens=5_000, checkpoint="mine.jsonl", **TASK)
    first = lf.last_run().report
    assert first.ok > 0
    with pytest.warns(IncompleteWarning, match="the budget is spent"):
        lf.tag(DF, "text", ["a", "b"], max_tokens=5_000, checkpoint="mine.jsonl", **TASK)
    again = lf.last_run().report
    assert (again.requests, again.reused) == (0, first.ok)
    with pytest.warns(IncompleteWarning, match="the budget is spent"):
        lf.tag(DF, "text", ["a", "b"], max_tokens=9_000, checkpoint="mine.jsonl", **TASK)
    more = lf.last_run().report
    used = sum(r.tokens_in + r.tokens_out for r in (first, more))
    assert 8_000 < used <= 9_000
