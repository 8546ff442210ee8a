"""What tokens cost."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self

from llmframe.results import Usage

MILLION = 1_000_000


@dataclass(frozen=True, slots=True)
class Prices:
    """Money per million tokens, in and out."""

    per_million_in: float
    per_million_out: float

    @classmethod
    def of(cls, given: tuple[float, float] | Mapping[str, float]) -> Self:
        """Prices as a person gives them: a pair, or by "in" and "out"."""
        pair = (given["in"], given["out"]) if isinstance(given, Mapping) else given
        return cls(float(pair[0]), float(pair[1]))

    def cost(self, usage: Usage) -> float:
        """What this usage costs."""
        spent = usage.tokens_in * self.per_million_in + usage.tokens_out * self.per_million_out
        return spent / MILLION


def known_prices(model: str, base_url: str) -> Prices | None:
    """The prices that the optional package genai-prices has; None without it or without them."""
    try:
        import genai_prices
    except ImportError:
        return None
    tokens = genai_prices.Usage(input_tokens=MILLION, output_tokens=MILLION)
    try:
        price = genai_prices.calc_price(tokens, model_ref=model, provider_api_url=base_url)
    except LookupError:
        return None
    return Prices(float(price.input_price), float(price.output_price))
