"""What tokens cost."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Self
from urllib.parse import urlsplit

from llmframe.results import Usage

MILLION = 1_000_000
_CODES = {"$": "USD", "US$": "USD", "€": "EUR", "£": "GBP"} | dict.fromkeys(
    ("¥", "￥", "CN¥", "RMB", "CNH", "元", "人民币", "YUAN"), "CNY"
)
_STANDARD = (None, "auto", "default", "standard", "on_demand")  # service tiers at the usual price
HALF = 0.5  # what providers charge for a batch, where nobody says otherwise
SHORT = 1_000  # tokens of a prompt that no provider charges for as a long one


@dataclass(frozen=True, slots=True)
class Prices:
    """Money per million tokens, in and out.

    per_million_cached: of those in, the ones that the provider had in its cache; None for no
    discount. currency: three letters such as ``USD``, or whatever a person writes; "" if nobody
    has said it. of_batch: the share of all these that is charged for a batch.
    """

    per_million_in: float
    per_million_out: float
    per_million_cached: float | None = None
    currency: str = ""
    of_batch: float = HALF

    @classmethod
    def of(cls, given: tuple[float, float] | Mapping[str, Any]) -> Self:
        """Prices as a person gives them: a pair in and out, or by name."""
        if not isinstance(given, Mapping):
            return cls(float(given[0]), float(given[1]))
        cached, currency = given.get("cached"), given.get("currency", "")
        return cls(
            float(given["in"]),
            float(given["out"]),
            None if cached is None else float(cached),
            currency_code(currency),
            float(given.get("batch", HALF)),
        )

    @property
    def in_batch(self) -> Prices:
        """What the same tokens cost in a batch."""
        cached, part = self.per_million_cached, self.of_batch
        return replace(
            self,
            per_million_in=part * self.per_million_in,
            per_million_out=part * self.per_million_out,
            per_million_cached=None if cached is None else part * cached,
        )

    def cost(self, usage: Usage) -> float:
        """What this usage costs."""
        cached = self.per_million_in if self.per_million_cached is None else self.per_million_cached
        spent = (usage.tokens_in - usage.tokens_cached) * self.per_million_in
        spent += usage.tokens_cached * cached + usage.tokens_out * self.per_million_out
        return spent / MILLION


def currency_code(written: str) -> str:
    """A currency as a person writes it, by its three letters where they are known."""
    code = written.strip().upper()
    return _CODES.get(code, code)


def stated_currency(base_url: str) -> str:
    """The currency of the costs that an endpoint states in its replies; "" if it is not known."""
    # OpenRouter's credits are dollars
    host = f".{urlsplit(base_url).hostname}"
    return "USD" if host.endswith((".openrouter.ai", ".perplexity.ai")) else ""


def known_prices(model: str, base_url: str, service_tier: str | None = None) -> Prices | None:
    """The prices that the optional package genai-prices has; None without it or without them.

    None too for a service tier for which it lists no prices of its own.
    """
    standard = _listed(model, base_url, {})
    if service_tier in _STANDARD or standard is None:
        return standard
    found = _listed(model, base_url, {"price_context": {"service_tier": service_tier}})
    # what it does not know it prices like the standard tier
    return None if found == standard else found


def _listed(model: str, base_url: str, context: dict[str, Any]) -> Prices | None:
    try:
        import genai_prices
    except ImportError:
        return None

    def price(**tokens: int) -> float:
        # of a short prompt: some models cost twice as much from 200,000 tokens on
        usage = genai_prices.Usage(**tokens)
        found = genai_prices.calc_price(
            usage, model_ref=model, provider_api_url=base_url, **context
        )
        return float(found.total_price) * MILLION / SHORT

    try:
        return Prices(
            price(input_tokens=SHORT),
            price(output_tokens=SHORT),
            price(input_tokens=SHORT, cache_read_tokens=SHORT),
            currency="USD",  # the package lists dollars only
        )
    except LookupError:
        return None
