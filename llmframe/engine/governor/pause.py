"""The pause of a whole model after a refusal, and how it ends: one request, then a ramp."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

from llmframe.engine.governor.backoff import exponential

if TYPE_CHECKING:
    from collections.abc import Callable

TINY = 1e-6  # seconds; what is due so soon is due, whatever the rounding
BACKOFF_BASE = 0.5  # seconds
BACKOFF_MAX = 60.0  # seconds
# A request is assumed to be accepted once max(QUICK, ACCEPTED x the usual time of a refusal)
# has passed without one.
QUICK = 0.3  # seconds
ACCEPTED = 3.0
STEP = 0.2  # weight of one answer in the running means


class Pause:
    """When nothing may be sent, and how little just after.

    An epoch begins with each pause; requests know the epoch they were sent in. It ends
    half-open: one request. When that is answered, or not refused in time, the others
    follow over as long as an answer takes, evenly and in order.
    jitter: takes seconds, gives the seconds to wait; full jitter when None.
    """

    def __init__(self, jitter: Callable[[float], float] | None = None) -> None:
        self._jitter = jitter or (lambda top: random.uniform(0.0, top))  # noqa: S311 - no secret
        self.until = float("-inf")
        self.epoch = 0
        self._sent = 0  # requests of this epoch
        self._first_at: float | None = None  # when the one request was sent
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
        if self._ramp_at is None and self._first_at is None:
            return 0.0
        began = self._accepted_at() if self._ramp_at is None else self._ramp_at
        if began > now:
            return began - now
        if now - began >= self._answer:
            return 0.0
        return max(0.0, (self._sent - 1) * self._answer / max(limit, 1) - (now - began))

    def advance(self, now: float) -> None:
        """Let time pass: once a ramp has begun, no later refusal moves its beginning."""
        if self._ramp_at is None and self._accepted_at() <= now:
            self._ramp_at = self._accepted_at()

    def sent(self, now: float) -> None:
        """A request leaves."""
        self.advance(now)
        self._sent += 1
        if self._ramp_at is None and self._first_at is None:
            self._first_at = now

    def taken_off(self, epoch: int) -> None:
        """A request of this epoch is off the wire; if all waited for it, another may leave."""
        if epoch == self.epoch and self._ramp_at is None:
            self._first_at, self._sent = None, 0

    def succeeded(self, epoch: int, now: float, took: float) -> None:
        """A request was answered in so many seconds."""
        self._answer += STEP * (took - self._answer)
        if epoch == self.epoch:
            self._backoff = 0
            self._warned = False
            self.advance(now)
            if self._ramp_at is None:
                self._ramp_at = now

    def refused(self, now: float, epoch: int, retry_after: float | None, took: float) -> bool:
        """A request was refused after so many seconds; True if a new epoch began.

        retry_after: seconds the provider asks for. Without it the first refusal of an
        epoch only warns, the next without a success between begins a growing pause.
        """
        self.advance(now)
        self._refusal = max(took, (1 - STEP) * self._refusal)
        if retry_after is not None:
            if now >= self.until:
                self._half_open()
            self.until = max(self.until, now + retry_after)
        # What was sent before the epoch began can only prolong the pause, or begin one more
        # that ends half-open like any other.
        if epoch != self.epoch:
            return False
        if retry_after is None:
            if not self._warned and self._ramp_at is not None:
                self._warned = True
                return False
            top = exponential(BACKOFF_BASE, self._backoff, BACKOFF_MAX)
            self._backoff += 1
            self.until = max(self.until, now + self._jitter(top))
        self._begin_epoch()
        return True

    def probe_in(self, seconds: float, now: float, epoch: int) -> bool:
        """Pause, then let one request leave, which must be answered; True if a new epoch began."""
        if epoch != self.epoch:
            return False
        self.until = max(self.until, now + seconds)
        self._begin_epoch()
        self._needs_answer = True
        return True

    def _accepted_at(self) -> float:
        """When the one request that has left half-open counts as accepted."""
        if self._needs_answer or self._first_at is None:
            return float("inf")
        return self._first_at + max(QUICK, ACCEPTED * self._refusal)

    def _begin_epoch(self) -> None:
        self.epoch += 1
        self._warned = False
        self._needs_answer = False
        self._half_open()

    def _half_open(self) -> None:
        self._ramp_at = self._first_at = None
        self._sent = 0
