"""How many tokens a request will take, learnt from what the provider counted before.

UTF-8 bytes / 4 is near the truth for most texts and models; the ratio to it is learnt from
the answers' usage. No tokenizer and no download.
"""

from __future__ import annotations

from collections import deque
from operator import sub
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from llmframe.results import Usage

BYTES_A_TOKEN = 4.0
OUTPUT_GUESS = 100.0  # tokens of an answer while nothing is known
MEMORY = 200  # answers that the estimate is taken from
STEP = 0.05  # weight of one answer in the running means
STEPS = 6  # requests between two looks at what remains
LUMPS = 3  # requests that a bucket must hold, else its steps show nothing
FULL = 0.6  # share of the most ever left, from which a bucket may be full
FELL = 0.2  # of what was sent is missing: it was not full
DOUBTED = 0.7  # of a cap, or EASED of what was learnt, is still expected of a full bucket
EASED = 0.9
UNLIKE = 0.25  # more than was expected: the provider counts in another way than usage


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
    def ratio(self) -> float | None:
        """Tokens in as a multiple of UTF-8 bytes / 4; None before the first answer."""
        return self._ratio

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


class Count(NamedTuple):
    """What was sent until a request left, it included: seconds, requests, tokens reserved."""

    at: float
    requests: float
    tokens: float


class Charge:
    """Tokens that the provider counts for an answer, from the steps of what remains.

    Some count a request's cap at its arrival and give nothing back, whatever usage says. Until
    the steps show what is counted, a cap is expected to be; while a bucket that should empty
    stays full, less and less of it is.
    """

    def __init__(self) -> None:
        self._out: float | None = None
        self._share = 1.0  # of a cap, until _out is learnt
        self._last: tuple[float, Count, Count] | None = None
        self._changed_at = float("-inf")  # only requests sent since then show what comes of it
        self._limit = self._most = 0.0
        self._expected = OUTPUT_GUESS  # for the latest request
        self._more = 0.0  # of it than usage will say

    @property
    def is_usage(self) -> bool:
        """Whether usage says what is counted, as far as is known."""
        return self._more < 1.0

    def expect(self, mean_out: float, cap: int | None) -> float:
        """Tokens that are counted for an answer; cap: of the request."""
        capped = self._share * ((cap or 0.0) - mean_out) if self._limit else 0.0
        self._more = max(0.0, capped if self._out is None else self._out - mean_out)
        self._expected = mean_out + self._more
        return self._expected

    def see(self, limit: float, left: float, sent: Count, now: Count) -> float:
        """So much of the limit was left for a request. sent: until it left; now: by now.

        Returns the tokens missing to half a bucket where more is counted than was expected.
        """
        if limit != self._limit:
            self._limit, self._most, self._last = limit, left, None
        self._most = max(self._most, left)
        if self._last is None:
            self._last = (left, sent, now) if sent.at >= self._changed_at else None
            return 0.0
        # some say what was left at its arrival, others at its answer: what both readings show
        was_left, *before = self._last
        steps = [Count(*map(sub, a, b)) for a, b in zip((sent, now), before, strict=True)]
        expected = min(step.tokens / max(step.requests, 1.0) for step in steps)
        if min(step.requests for step in steps) < STEPS:
            return 0.0
        self._last, fell = (left, sent, now), was_left - left
        if expected * LUMPS > self._most:
            return 0.0
        if left >= FULL * self._most and fell < FELL * min(step.tokens for step in steps):
            self._last, self._changed_at = None, now.at
            self._share *= DOUBTED
            self._out = None if self._out is None else self._out * EASED
            return 0.0
        # what a full bucket gains is lost, so where it was full nobody knows more than the step
        was_full = was_left >= FULL * self._most
        rate = 0.0 if was_full else limit / 60.0
        overs = [(rate * step.at + fell - step.tokens) / step.requests for step in steps]
        over = min(overs, key=abs)
        is_odd = abs(over) > UNLIKE * expected
        if min(overs) * max(overs) <= 0 or (was_full and over < 0):
            return 0.0
        if is_odd or not (self._out is None or self.is_usage):
            self._last, self._changed_at = None, now.at
            self._out = max(0.0, self._expected + (over if over > 0 else over / 2.0))
        return max(0.0, self._most / 2.0 - left) if is_odd and over > 0 else 0.0


def _mean(before: float | None, value: float) -> float:
    return value if before is None else before + STEP * (value - before)
