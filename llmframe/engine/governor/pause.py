"""The pause of a whole model after a refusal, and how it ends: one request, then a ramp."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

BACKOFF_BASE = 0.5  # seconds
BACKOFF_MAX = 60.0  # seconds


class Pause:
    """When nothing may be sent, and how little just after.

    An epoch begins with each pause; requests know the epoch they were sent in.
    jitter: takes seconds, gives the seconds to wait; full jitter when None.
    """

    def __init__(self, jitter: Callable[[float], float] | None = None) -> None:
        self._jitter = jitter or (lambda top: random.uniform(0.0, top))  # noqa: S311 - no secret
        self.until = float("-inf")
        self.epoch = 0
        self._ramp: int | None = None
        self._backoff = 0
        self._warned = False

    def left(self, now: float) -> float:
        """Seconds until something may be sent again."""
        return max(0.0, self.until - now)

    def allows(self, now: float, on_wire_of_epoch: int) -> bool:
        """Whether one more request may leave, given how many of this epoch are on the wire."""
        if now < self.until:
            return False
        return self._ramp is None or on_wire_of_epoch < self._ramp

    def succeeded(self, epoch: int, limit: int) -> None:
        """A request got through: the ramp doubles a round until it meets the limit."""
        if epoch != self.epoch:
            return
        self._backoff = 0
        self._warned = False
        if self._ramp is not None:
            self._ramp = self._ramp + 1 if self._ramp + 1 < limit else None

    def refused(self, now: float, epoch: int, retry_after: float | None) -> bool:
        """A request was refused; tells whether a new epoch began.

        retry_after: seconds the provider asks for. Without it the first refusal of an
        epoch only warns, the next without a success between begins a growing pause.
        A refusal of a request sent before the epoch began can only prolong the pause, or
        begin one more that ends half-open like any other.
        """
        if retry_after is not None:
            if now >= self.until:
                self._ramp = 1
            self.until = max(self.until, now + retry_after)
        if epoch != self.epoch:
            return False
        if retry_after is None:
            if not self._warned and self._ramp != 1:
                self._warned = True
                return False
            top = min(BACKOFF_MAX, BACKOFF_BASE * 2.0**self._backoff)
            self._backoff += 1
            self.until = max(self.until, now + self._jitter(top))
        self._begin()
        return True

    def look_later(self, now: float, epoch: int, seconds: float) -> bool:
        """Nothing gets through: pause, then send one probe; tells whether a new epoch began."""
        if epoch != self.epoch:
            return False
        self.until = max(self.until, now + seconds)
        self._begin()
        return True

    def _begin(self) -> None:
        self.epoch += 1
        self._ramp = 1
        self._warned = False
