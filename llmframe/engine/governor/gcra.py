"""Requests or tokens a minute as one number: when the next one is due.

The generic cell rate algorithm (ITU-T I.371): each request moves the due time on by its
weight over the rate. Reservations, refunds and debts are additions to that number, and
nothing polls.
"""

from __future__ import annotations

SHARE = 0.97  # of a limit that the provider names; its clock and ours differ
SLACK = 0.02  # seconds that a late timer may catch up


class Gcra:
    """A rate that is kept: sent(T) <= one request + rate x (T + 20 ms) for every span T.

    Nothing is limited until a rate is set.
    """

    def __init__(self) -> None:
        self._per_second: float | None = None
        self._due = float("-inf")

    @property
    def per_minute(self) -> float | None:
        """Units a minute, None while nothing is known."""
        return None if self._per_second is None else self._per_second * 60.0

    def set_rate(self, per_minute: float | None) -> None:
        """Take another rate from now on; what was reserved stays reserved."""
        self._per_second = None if per_minute is None else max(per_minute, 1e-9) / 60.0

    def wait(self, now: float) -> float:
        """Seconds until the next request is due."""
        return 0.0 if self._per_second is None else max(0.0, self._due - now)

    def reserve(self, now: float, weight: float) -> None:
        """A request of this weight leaves; one above the limit leaves a debt."""
        if self._per_second is not None:
            late = now - self._due
            self._due = (self._due if late <= SLACK else now) + weight / self._per_second

    def settle(self, difference: float) -> None:
        """Used minus reserved: a debt, or, below 0, a refund."""
        if self._per_second is not None:
            self._due += difference / self._per_second
