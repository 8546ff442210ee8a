"""The pause of a whole model after a refusal, and how it ends: one request, then a ramp."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

TINY = 1e-6  # seconds; what is due so soon is due, whatever the rounding
BACKOFF_BASE = 0.5  # seconds
STEPS = 20  # doublings, after which the longest is reached: a storm may last for days
BACKOFF_MAX = 60.0  # seconds
QUICK = 0.3  # seconds; a refusal that has not come by then, and not by three times
SURE = 3.0  # as long as refusals took, is not going to come
STEP = 0.2  # weight of one answer in the running means


class Pause:
    """When nothing may be sent, and how little just after.

    An epoch begins with each pause; requests know the epoch they were sent in. It ends
    half-open: one request. When that is answered, or is not refused for longer than
    refusals take, the others follow over as long as an answer takes, evenly and in order.
    jitter: takes seconds, gives the seconds to wait; full jitter when None.
    """

    def __init__(self, jitter: Callable[[float], float] | None = None) -> None:
        self._jitter = jitter or (lambda top: random.uniform(0.0, top))  # noqa: S311 - no secret
        self.until = float("-inf")
        self.epoch = 0
        self._sent = 0  # requests of this epoch
        self._probe_at: float | None = None
        self._ramp_at: float | None = float("-inf")  # None while half-open
        self._needs_answer = False
        self._answer = 1.0  # seconds that an answer takes
        self._refusal = 0.0  # seconds that a refusal takes
        self._backoff = 0
        self._warned = False

    def left(self, now: float) -> float:
        """Seconds until something may be sent again."""
        return max(0.0, self.until - now)

    def wait(self, now: float, limit: int) -> float:
        """Seconds until time alone allows one more request; inf if only an answer can."""
        if self.until - now > TINY:  # what is due but for rounding is half-open already
            return self.until - now
        if self._ramp_at is None:
            if self._probe_at is None:
                return 0.0
            if self._needs_answer:
                return float("inf")
            sure = self._probe_at + max(QUICK, SURE * self._refusal)
            if now < sure:
                return sure - now
            self._ramp_at = now
        since = now - self._ramp_at
        if since >= self._answer:
            return 0.0
        return max(0.0, (self._sent - 1) * self._answer / max(limit, 1) - since)

    def sent(self, now: float) -> None:
        """A request leaves."""
        self._sent += 1
        if self._ramp_at is None and self._probe_at is None:
            self._probe_at = now

    def gave_up(self, epoch: int) -> None:
        """A request of this epoch ended without a word; if it was the probe, send another."""
        if epoch == self.epoch and self._ramp_at is None:
            self._probe_at, self._sent = None, 0

    def succeeded(self, epoch: int, now: float, took: float) -> None:
        """A request was answered in so many seconds."""
        self._answer += STEP * (took - self._answer)
        if epoch == self.epoch:
            self._backoff = 0
            self._warned = False
            if self._ramp_at is None:
                self._ramp_at = now

    def refused(self, now: float, epoch: int, retry_after: float | None, took: float) -> bool:
        """A request was refused after so many seconds; tells whether a new epoch began.

        retry_after: seconds the provider asks for. Without it the first refusal of an
        epoch only warns, the next without a success between begins a growing pause.
        A refusal of a request sent before the epoch began can only prolong the pause, or
        begin one more that ends half-open like any other.
        """
        self._refusal = max(took, (1 - STEP) * self._refusal)
        if retry_after is not None:
            if now >= self.until:
                self._close()
            self.until = max(self.until, now + retry_after)
        if epoch != self.epoch:
            return False
        if retry_after is None:
            if not self._warned and self._ramp_at is not None:
                self._warned = True
                return False
            top = min(BACKOFF_MAX, BACKOFF_BASE * 2.0 ** min(self._backoff, STEPS))
            self._backoff += 1
            self.until = max(self.until, now + self._jitter(top))
        self._begin()
        return True

    def look_later(self, now: float, epoch: int, seconds: float) -> bool:
        """Nothing gets through: pause, then one probe that must be answered.

        Tells whether a new epoch began.
        """
        if epoch != self.epoch:
            return False
        self.until = max(self.until, now + seconds)
        self._begin()
        self._needs_answer = True
        return True

    def _begin(self) -> None:
        self.epoch += 1
        self._warned = False
        self._needs_answer = False
        self._close()

    def _close(self) -> None:
        """Half-open: one request, when the pause is over."""
        self._ramp_at = None
        self._probe_at = None
        self._sent = 0
