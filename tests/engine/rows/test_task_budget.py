"""What max_cost and max_tokens bound: the task, with all that its checkpoint knows was spent."""

from __future__ import annotations

import warnings

import pandas as pd
import pytest

import llmframe as lf
from llmframe.engine.rows.budget import Budget
from llmframe.errors import IncompleteWarning
from llmframe.notebook.drawing.spending import call_cost, per_thousand_words, table_words
from llmframe.providers.prices import Prices
from llmframe.results import Usage, UsageSum
from llmframe.testing.options import USAGES

PRICES = {"in": 1.0, "out": 2.0}
YUAN = PRICES | {"currency": "CNY"}
DF = pd.DataFrame({"text": [f"record {i}" for i in range(60)]})
IN_FLIGHT = 5


def call(df=DF, **options):
    """Run the cell; its report and the frame."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", IncompleteWarning)
        out = lf.tag(df, "text", ["a", "b"], concurrency=IN_FLIGHT, **options)
    return lf.last_run().report, out


@pytest.mark.parametrize("usage", USAGES)
def test_ten_calls_under_one_cap_are_billed_once(configured, usage):
    configured.update(usage=usage, prices=PRICES)
    most = 0.004
    reports = [call(max_cost=most, prices=PRICES)[0] for _ in range(10)]
    billed, calls = configured.ledger.cost(PRICES), len(configured.ledger.calls)
    assert 0.9 * most < billed <= most + IN_FLIGHT * billed / calls
    assert [report.requests for report in reports[1:]] == [0] * 9
    assert reports[-1].budget.cost == pytest.approx(billed)
    assert reports[-1].budget.max_cost == most


def test_a_larger_cap_goes_on_up_to_it(configured):
    for most in (2_000, 4_000, 6_000):
        report, _ = call(max_tokens=most)
        used = sum(each.tokens_in + each.tokens_out for each in configured.ledger.calls)
        assert 0.9 * most < used <= most
        assert report.budget.tokens == used


def test_failures_and_answers_bought_again_count(configured):
    configured.update(answer=lambda row, fields: "no JSON at all")
    call(DF.head(5))
    configured.update(answer=None)
    call(DF.head(5))
    call(DF.head(5), reuse=False)
    report, _ = call(max_tokens=1)
    used = sum(each.tokens_in + each.tokens_out for each in configured.ledger.calls)
    assert report.budget.tokens == used
    assert report.table.tokens < used  # the answers alone took less


def test_requests_whose_answers_came_too_late_count_in_the_next_call(configured):
    configured.update(faults={"hang": 1.0})
    first, _ = call(DF.head(3), timeout=0.2, max_attempts=1)
    assert first.unread == 3
    configured.update(faults={})
    report, _ = call(DF.head(3), max_tokens=10**6)
    assert report.unread == 0
    assert report.budget.tokens == report.tokens_in + report.tokens_out + first.unread_tokens


def test_lines_without_a_cost_count_at_the_prices_of_now(configured):
    call(DF.head(10))
    report, _ = call(DF.head(10), max_cost=1.0, prices=PRICES)
    assert report.budget.cost == pytest.approx(configured.ledger.cost(PRICES))
    assert report.table.cost == pytest.approx(configured.ledger.cost(PRICES))


def test_the_prices_of_then_count_unless_they_were_in_another_currency(configured):
    call(DF.head(10), prices=YUAN)
    then = configured.ledger.cost(PRICES)
    same, _ = call(DF.head(10), max_cost=9.0, prices={"in": 10.0, "out": 20.0, "currency": "¥"})
    assert same.budget.cost == pytest.approx(then)
    other, _ = call(DF.head(10), max_cost=9.0, prices={"in": 10.0, "out": 20.0, "currency": "USD"})
    assert other.budget.cost == pytest.approx(10 * then)
    assert other.budget.currency == other.table.currency == "USD"


def test_two_currencies_are_not_added_up():
    both = UsageSum(Usage(5, 1, 0.5, currency="USD"), Usage(7, 1, 0.5, currency="CNY"))
    assert both.total == Usage(12, 2)
    assert UsageSum(Usage(5, 1, 0.5), Usage(7, 1)).total == Usage(12, 2)  # one has no price
    assert UsageSum(Usage(5, 1, 0.5), Usage()).total == Usage(5, 1, 0.5)


def test_a_stated_cost_is_not_added_to_prices_in_another_currency():
    stated = Usage(1_000_000, 0, 0.1)
    assert Budget(stated_in="USD").priced(stated).currency == "USD"
    assert Budget(prices=Prices(1.0, 2.0), stated_in="USD").priced(stated).cost == 0.1
    yuan = Budget(prices=Prices(1.0, 2.0, currency="CNY"), stated_in="USD").priced(stated)
    assert (yuan.cost, yuan.currency) == (pytest.approx(1.0), "CNY")


def test_a_resumed_table_knows_what_all_its_answers_cost(configured, tmp_path):
    configured.update(cache=True)
    call(DF.head(40), prices=YUAN | {"cached": 0.1})
    report, out = call(prices=YUAN | {"cached": 0.1})
    billed = configured.ledger.cost(PRICES | {"cached": 0.1})
    assert report.cost < report.table.cost == pytest.approx(billed)
    assert report.table.tokens_cached == sum(c.tokens_cached for c in configured.ledger.calls)
    again, out = call()
    assert (again.cost, again.table.cost) == (None, pytest.approx(billed))
    table = out.attrs["llmframe"]["table"]
    assert (table["cost"], table["currency"]) == (pytest.approx(billed), "CNY")
    assert f"all answers of this table: {table['tokens_in']:,} tokens in" in repr(out.llm.summary())
    assert "¥" in repr(out.llm.summary())
    pytest.importorskip("pyarrow")
    out.llm.to_parquet(tmp_path / "tagged.parquet")
    assert lf.read_metadata(tmp_path / "tagged.parquet")["table"] == table


def test_an_answer_that_equal_rows_share_is_counted_once(configured):
    twice = pd.concat([DF.head(10), DF.head(10)], ignore_index=True)
    call(twice, prices=PRICES)
    report, _ = call(twice, prices=PRICES)
    assert report.reused == 20
    assert report.table.cost == pytest.approx(configured.ledger.cost(PRICES))


def test_the_message_says_which_limit_to_raise_and_to_how_much(configured):
    with pytest.warns(IncompleteWarning) as seen:
        lf.tag(DF, "text", ["a", "b"], max_cost=0.002, prices=YUAN, concurrency=IN_FLIGHT)
    message = str(seen[0].message)
    assert "of at most ¥0.0020, by all calls of this task" in message
    enough = float(message.partition("max_cost=")[2].split()[0])
    report, _ = call(max_cost=enough, prices=YUAN)
    assert report.pending == 0
    assert configured.ledger.cost(PRICES) == pytest.approx(enough, rel=0.1)


def test_without_a_price_the_call_asks_for_one(configured):
    report, _ = call(DF.head(3))
    assert call_cost(report) == "price unknown: give prices="
    assert "$" not in repr(report)
    free, _ = call(DF.head(3))  # all reused: nothing was charged for
    assert call_cost(free) == ""
    assert table_words(free).endswith("price unknown: give prices=")


def test_amounts_bear_the_sign_of_their_currency_and_none_where_it_is_not_known(configured):
    for prices, cost in ((YUAN, "¥0."), ((1.0, 2.0), "0."), (PRICES | {"currency": "$"}, "$0.")):
        report, _ = call(DF.head(3), prices=prices, reuse=False)
        assert call_cost(report).startswith(cost)
        assert per_thousand_words(report.table, report.ok).startswith(cost)
