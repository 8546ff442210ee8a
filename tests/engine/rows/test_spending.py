"""Budgets and limits as a person gives them."""

from __future__ import annotations

import time

import pandas as pd
import pytest

import llmframe as lf
from llmframe.errors import IncompleteWarning, PlanError

DF = pd.DataFrame({"text": [f"record {i}" for i in range(200)]})


def test_max_tokens_stops_with_rows_pending_and_everything_kept(configured):
    with pytest.warns(IncompleteWarning, match="the budget is spent"):
        out = lf.tag(DF, "text", ["a", "b"], max_tokens=3_000, concurrency=5)
    report = lf.last_run().report
    assert report.limited_by == "budget"
    assert 0 < report.ok < 200
    assert report.pending == 200 - report.ok
    one = (report.tokens_in + report.tokens_out) / report.ok
    assert report.tokens_in + report.tokens_out <= 3_000 + 5 * one
    assert (out["llm_status"] == "pending").sum() == report.pending


def test_running_again_without_a_limit_goes_on(configured):
    with pytest.warns(IncompleteWarning):
        lf.tag(DF, "text", ["a", "b"], max_tokens=3_000, concurrency=5)
    kept = lf.last_run().report.ok
    lf.tag(DF, "text", ["a", "b"])
    assert lf.last_run().report.reused == kept


def test_max_cost_counts_by_the_prices_given(configured):
    with pytest.warns(IncompleteWarning):
        lf.tag(DF, "text", ["a", "b"], max_cost=0.01, prices=(10.0, 10.0), concurrency=5)
    report = lf.last_run().report
    assert report.cost == pytest.approx((report.tokens_in + report.tokens_out) * 10 / 1e6)
    assert report.cost <= 0.012


@pytest.mark.parametrize("prices", [(1.0, 2.0), [1.0, 2.0], {"in": 1.0, "out": 2.0}])
def test_prices_are_a_pair_or_named(configured, prices):
    out = lf.tag(DF.head(3), "text", ["a", "b"], prices=prices, details=True)
    report = lf.last_run().report
    assert report.cost == pytest.approx((report.tokens_in + 2 * report.tokens_out) / 1e6)
    assert out["llm_cost"].sum() == pytest.approx(report.cost)


def test_where_prices_are_known_nothing_spent_costs_nothing(configured):
    lf.tag(DF.head(3), "text", ["a", "b"], prices=(1.0, 1.0))
    assert lf.last_run().report.cost > 0
    again = lf.tag(DF.head(3), "text", ["a", "b"], prices=(1.0, 1.0))
    assert (lf.last_run().report.reused, lf.last_run().report.cost) == (3, 0.0)
    assert again.attrs["llmframe"]["cost"] == 0.0
    lf.tag(DF.head(3), "text", ["a", "b"])
    assert lf.last_run().report.cost is None


@pytest.mark.parametrize(
    "prices",
    [
        1.0,
        (1.0,),
        {"in": 1.0},
        ("a", "b"),
        (-1, 0),
        (1, 2, 3),
        {"in": 1, "out": 2, "cached": "x"},
        {"in": 1, "out": 2, "cached": -1},
        {"in": 1, "out": 2, "cash": 1},
        {"in": 1, "out": 2, "currency": 7},
        {"in": 1, "out": 2, "currency": ""},
    ],
)
def test_prices_of_another_form_are_a_plan_error(configured, prices):
    with pytest.raises(PlanError, match="prices="):
        lf.tag(DF, "text", ["a", "b"], prices=prices)


def test_max_cost_without_a_known_price_is_a_plan_error(configured):
    with pytest.raises(PlanError, match="prices="):
        lf.tag(DF, "text", ["a", "b"], max_cost=1.0)
    assert len(configured.ledger) == 0


def test_rpm_is_kept(configured):
    lf.tag(DF.tail(1), "text", ["a", "b"], checkpoint=False)  # loads what a first call loads
    began = time.monotonic()
    lf.tag(DF.head(30), "text", ["a", "b"], rpm=1_200, checkpoint=False)
    assert configured.ledger.calls[-1].at - began >= 29 * 0.05 - 0.05
    assert lf.last_run().report.limited_by == "RPM 1,200 (yours)"
