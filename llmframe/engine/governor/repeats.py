"""A budget for repeats, so that a storm is not answered by a storm."""

from __future__ import annotations

SHARE = 0.2  # of the requests may be repeats
FLOOR = 10.0  # repeats a second that are allowed in any case
RESERVE = 10.0  # repeats saved up, at most


class RepeatBudget:
    """Repeats allowed: a fifth of the requests and ten a second, as in Finagle's retry budgets.

    An empty budget makes a repeat wait; it never fails a row.
    """

    def __init__(self) -> None:
        self._credit = RESERVE
        self._at: float | None = None

    def earn(self) -> None:
        """A row's first request left."""
        self._credit = min(self._credit + SHARE, RESERVE)

    def take(self, now: float) -> float:
        """Take one repeat; seconds until it may be sent."""
        if self._at is not None:
            self._credit = min(self._credit + (now - self._at) * FLOOR, RESERVE)
        self._at = now
        self._credit -= 1.0  # below 0: as many repeats wait before this one
        return max(0.0, -self._credit / FLOOR)
