"""A run's own budget: reserve before sending, settle after, stop with everything saved."""

from __future__ import annotations

from llmframe.providers.prices import Prices
from llmframe.results import Usage


class Budget:
    """What a run may spend.

    max_cost: money, in the currency of the prices. max_tokens: tokens, in and out together.
    None has no end. At the end what is in flight comes back: the overshoot is at most that.
    spent: what has come back so far.
    """

    def __init__(
        self,
        *,
        max_cost: float | None = None,
        max_tokens: int | None = None,
        prices: Prices | None = None,
    ) -> None:
        self.max_cost = max_cost
        self.max_tokens = max_tokens
        self.prices = prices
        self._reserved = Usage(cost=0.0)
        self.spent = Usage(cost=0.0)

    @property
    def is_set(self) -> bool:
        """Whether there is any end."""
        return self.max_cost is not None or self.max_tokens is not None

    def priced(self, usage: Usage) -> Usage:
        """The usage with its cost: the endpoint's own word, else by the prices."""
        if usage.cost is not None or self.prices is None:
            return usage
        return Usage(usage.tokens_in, usage.tokens_out, self.prices.cost(usage))

    def reserve(self, expected: Usage) -> bool:
        """Set aside what a request will take; False if the budget does not allow it."""
        wanted = self.spent + self._reserved + self.priced(expected)
        if self.max_tokens is not None and wanted.tokens_in + wanted.tokens_out > self.max_tokens:
            return False
        if self.max_cost is not None and (wanted.cost or 0.0) > self.max_cost:
            return False
        self._reserved += self.priced(expected)
        return True

    def settle(self, expected: Usage, used: Usage) -> None:
        """The request is back: what it took instead of what was set aside."""
        self._reserved -= self.priced(expected)
        self.spent += self.priced(used)
