"""How many tokens a request will take, learnt from what the provider counted before.

UTF-8 bytes / 4 is near the truth for most texts and models; the ratio to it is learnt from
the answers' usage. No tokenizer and no download.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from llmframe.results import Usage

BYTES_A_TOKEN = 4.0
OUTPUT_GUESS = 100.0  # tokens of an answer while nothing is known
MEMORY = 200  # answers that the estimate is taken from
STEP = 0.05  # weight of one answer in the running means


class TokenMeter:
    """Estimates of one model's tokens; shared by its runs."""

    def __init__(self) -> None:
        self._ratio: float | None = None
        self._mean_out: float | None = None
        self._outputs: deque[int] = deque(maxlen=MEMORY)

    def tokens_in(self, size: int) -> float:
        """Tokens of a prompt of so many UTF-8 bytes."""
        return size / BYTES_A_TOKEN * (1.0 if self._ratio is None else self._ratio)

    @property
    def mean_out(self) -> float:
        """Tokens of an answer on average."""
        return OUTPUT_GUESS if self._mean_out is None else self._mean_out

    @property
    def high_out(self) -> float:
        """Tokens that nine of ten answers stay within."""
        if not self._outputs:
            return OUTPUT_GUESS
        return float(sorted(self._outputs)[(9 * len(self._outputs)) // 10])

    def learn(self, size: int, usage: Usage) -> None:
        """An answer to a prompt of so many bytes came back with this usage."""
        if size <= 0 or usage.tokens_in <= 0:
            return
        self._ratio = _mean(self._ratio, usage.tokens_in * BYTES_A_TOKEN / size)
        self._mean_out = _mean(self._mean_out, float(usage.tokens_out))
        self._outputs.append(usage.tokens_out)


def _mean(before: float | None, value: float) -> float:
    return value if before is None else before + STEP * (value - before)
