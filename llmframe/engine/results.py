"""What became of one row: plain values that travel from the engine to the columns."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

RowStatus = Literal["ok", "failed", "skipped"]


@dataclass(frozen=True, slots=True)
class Usage:
    """What requests consumed.

    tokens_in, tokens_out: tokens as the provider counted them.
    cost: what the endpoint says it charged, in its currency; None where it does not say.
    """

    tokens_in: int = 0
    tokens_out: int = 0
    cost: float | None = None

    def __add__(self, other: Usage) -> Usage:
        return Usage(
            self.tokens_in + other.tokens_in,
            self.tokens_out + other.tokens_out,
            _add_cost(self.cost, other.cost),
        )

    def __sub__(self, other: Usage) -> Usage:
        cost = None if self.cost is None else self.cost - (other.cost or 0.0)
        return Usage(self.tokens_in - other.tokens_in, self.tokens_out - other.tokens_out, cost)


def _add_cost(a: float | None, b: float | None) -> float | None:
    if a is None or b is None:
        return a if b is None else b
    return a + b


NOTHING_USED = Usage()


@dataclass(frozen=True, slots=True)
class RowResult:
    """One answer; rows that asked the same share one object.

    values: field name -> JSON value (str, int, float, bool, None, list, dict); None unless ok.
    error: ``kind: message``; None where ok or skipped.
    attempts: requests that were sent, over all legs.
    usage: summed over all legs.
    seconds: from the first request to the last reply; None if it came from the checkpoint.
    raw: the last reply's text, kept only where ``details`` asks for it.
    """

    status: RowStatus
    values: dict[str, Any] | None = None
    error: str | None = None
    attempts: int = 0
    usage: Usage = field(default=NOTHING_USED)
    seconds: float | None = None
    raw: str | None = None


SKIPPED = RowResult("skipped")
