"""The pause of a whole model after a refusal, and how it ends: one request, then a ramp."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

TINY = 1e-6  # seconds; what is due so soon is due, whatever the rounding
BACKOFF_BASE = 0.5  # seconds
BACKOFF_MAX = 60.0  # seconds
LOOK = 5.0  # seconds that a pause must last, at least, for a new run to try at once
WINDOW = 60.5  # seconds after which a limit a minute has forgotten a request
# A request is assumed to be accepted once max(QUICK, ACCEPTED x the usual time of a refusal)
# has passed without one.
QUICK = 0.3  # seconds
ACCEPTED = 3.0
ANSWER = 1.0  # seconds that an answer is assumed to take while nothing is known
STEP = 0.2  # weight of one answer in the running means
STEPS = 20  # doublings, at most: after weeks of an outage 2.0**steps would overflow


def exponential(first: float, steps: int, longest: float) -> float:
    """Seconds after so many doublings of the first wait, the longest at most."""
    return min(longest, first * 2.0 ** min(steps, STEPS))


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
        self.answer: float | None = None  # seconds that an answer takes, as far as is known
        self._refusal = 0.0  # seconds that a refusal takes
        self._backoff = 0
        self._warned = False
        self._looking = False  # one request left before the end of the pause
        self._asked_until = float("-inf")  # when that would have been
        self._full_at = float("-inf")  # when the first of the latest refusals came

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
        over = ANSWER if self.answer is None else self.answer
        if now - began >= over:
            return 0.0
        return max(0.0, (self._sent - 1) * over / max(limit, 1) - (now - began))

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
        self.answer = took if self.answer is None else self.answer + STEP * (took - self.answer)
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
        untried = self._ramp_at is None  # nothing was accepted since the last pause
        if not self._backoff:
            self._full_at = now
        if self._looking and epoch == self.epoch and untried:  # it waits on, as it was asked to
            self.until = max(self._asked_until, now) if retry_after is None else now + retry_after
            self._begin_epoch()
            return True
        if retry_after is not None:
            if now >= self.until:
                self._half_open()
            self.until = max(self.until, now + retry_after)
        # What was sent before the epoch began can only prolong the pause, or begin one more
        # that ends half-open like any other.
        if epoch != self.epoch:
            return False
        if retry_after is None and not self._warned and not untried:
            self._warned = True
            return False
        # the time that the provider asked for has proved too short, or it asks for none
        if retry_after is None or untried:
            top = exponential(BACKOFF_BASE, self._backoff, BACKOFF_MAX)
            self._backoff += 1
            wait = self._jitter(top)
            window = self._full_at + WINDOW - now  # then all that was accepted is forgotten
            self.until = max(self.until, now + (window if 0 < window < wait else wait))
        self._begin_epoch()
        return True

    def look(self, now: float) -> None:
        """End a long pause for one request; if it is refused too, the pause goes on."""
        if self.until - now < LOOK:
            return
        asked_until, self.until = self.until, now
        self._begin_epoch()
        self._looking, self._asked_until = True, asked_until

    def warn(self) -> None:
        """A request was refused, perhaps only because of the others; the next one pauses."""
        self._warned = True

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
        self._warned = self._needs_answer = self._looking = False
        self._half_open()

    def _half_open(self) -> None:
        self._ramp_at = self._first_at = None
        self._sent = 0
