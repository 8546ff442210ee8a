"""What tokens cost: by a person's prices, or by those that are known."""

from __future__ import annotations

import sys

import pytest

from llmframe.providers.prices import Prices, known_prices, stated_currency
from llmframe.results import Usage


@pytest.mark.parametrize(
    ("given", "cost"),
    [
        ((1.0, 2.0), 1.4),
        ([1.0, 2.0], 1.4),
        ({"in": 1.0, "out": 2.0}, 1.4),
        ({"in": 1.0, "out": 2.0, "cached": 0.1}, 0.68),
        ({"in": 1.0, "out": 2.0, "cached": 0}, 0.6),
    ],
)
def test_cached_tokens_cost_what_is_given_for_them(given, cost):
    used = Usage(1_000_000, 200_000, tokens_cached=800_000)
    assert Prices.of(given).cost(used) == pytest.approx(cost)


def test_a_currency_is_known_only_where_somebody_said_it():
    assert Prices.of((1.0, 2.0)).currency == Prices.of({"in": 1, "out": 2}).currency == ""


@pytest.mark.parametrize(
    ("written", "code"),
    [("CNY", "CNY"), ("cny", "CNY"), ("RMB", "CNY"), ("¥", "CNY"), ("￥", "CNY"), ("元", "CNY"),
     ("$", "USD"), ("usd", "USD"), ("€", "EUR"), ("sek", "SEK"), ("credits", "CREDITS")],
)  # fmt: skip
def test_a_currency_is_known_however_a_person_writes_it(written, code):
    assert Prices.of({"in": 1, "out": 2, "currency": written}).currency == code


@pytest.mark.parametrize(
    ("url", "currency"),
    [("https://openrouter.ai/api/v1", "USD"), ("https://api.perplexity.ai", "USD"),
     ("https://gateway.example.com/v1", ""), ("https://notopenrouter.ai/v1", "")],
)  # fmt: skip
def test_the_currency_that_an_endpoint_states_costs_in_is_known_of_two(url, currency):
    assert stated_currency(url) == currency


def test_prices_are_looked_up_offline_where_the_package_is_installed():
    pytest.importorskip("genai_prices")
    prices = known_prices("deepseek-chat", "https://api.deepseek.com/v1")
    assert prices is not None
    assert prices.currency == "USD"
    assert 0 < prices.per_million_cached < prices.per_million_in < prices.per_million_out
    assert known_prices("no-such-model", "http://localhost:1/v1") is None


def test_a_service_tier_has_its_own_price_or_none_is_known():
    pytest.importorskip("genai_prices")
    url = "https://api.openai.com/v1"
    usual = known_prices("gpt-5", url)
    assert known_prices("gpt-5", url, "auto") == usual
    flex = known_prices("gpt-5", url, "flex")
    assert flex.per_million_in == usual.per_million_in / 2
    assert flex.per_million_out == usual.per_million_out / 2
    assert known_prices("gpt-5", url, "no-such-tier") is None
    assert known_prices("no-such-model", url, "flex") is None


def test_the_price_of_a_short_prompt_is_taken_not_that_of_a_long_one():
    genai_prices = pytest.importorskip("genai_prices")
    url = "https://api.anthropic.com/v1"
    prices = known_prices("claude-sonnet-4-5", url)
    short = genai_prices.Usage(input_tokens=1_000, output_tokens=10)
    found = genai_prices.calc_price(short, model_ref="claude-sonnet-4-5", provider_api_url=url)
    assert prices.cost(Usage(1_000, 10)) == pytest.approx(float(found.total_price))


def test_without_the_package_no_price_is_known(monkeypatch):
    monkeypatch.setitem(sys.modules, "genai_prices", None)
    assert known_prices("deepseek-chat", "https://api.deepseek.com/v1") is None
