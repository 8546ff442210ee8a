"""Requests or tokens a minute as one number: when the next one is due.

The generic cell rate algorithm (ITU-T I.371): each request moves the due time on by its
weight over the rate. Reservations, refunds and debts are additions to that number, and
nothing polls.
"""

from __future__ import annotations

SHARE = 0.97  # of a limit that the provider names; its clock and ours differ
SLACK = 0.02  # seconds that a late timer may catch up
PACE = 3.0  # times the rate, while nobody knows whether a burst is allowed


class Gcra:
    """A rate that is kept: sent(T) <= burst + one request + rate x (T + 20 ms) for every T.

    Nothing is limited until a rate is set. The burst is 0 until somebody allows one.
    """

    def __init__(self) -> None:
        self._per_second: float | None = None
        self._due = float("-inf")
        self._at = float("inf")  # the last moment that was asked about
        self._paced = float("-inf")  # when the next may leave, however large the burst is
        self.saved = 0.0  # seconds of the rate that may be saved up for a burst
        self._proven = False

    @property
    def per_minute(self) -> float | None:
        """Units a minute, None while nothing is known."""
        return None if self._per_second is None else self._per_second * 60.0

    def set_rate(self, per_minute: float | None) -> None:
        """Take another rate from now on; what was reserved stays reserved, and is paid at it."""
        before = self._per_second
        self._per_second = None if per_minute is None else max(per_minute, 1e-9) / 60.0
        if self._per_second is None:
            self._due = min(self._due, self._at)
        if before is not None and self._per_second is not None and self._due > self._at:
            self._due = self._at + (self._due - self._at) * before / self._per_second

    def spare(self, now: float) -> float:
        """Units that may leave now above the rate."""
        if self._per_second is None:
            return 0.0
        return self._per_second * max(0.0, min(self.saved, now - self._due))

    def wait(self, now: float) -> float:
        """Seconds until the next request is due."""
        self._at = now
        return 0.0 if self._per_second is None else max(0.0, self._due - now, self._paced - now)

    def reserve(self, now: float, weight: float) -> None:
        """A request of this weight leaves; one above the limit leaves a debt."""
        if self._per_second is not None:
            late = now - self._due
            begin = self._due if late <= max(SLACK, self.saved) else now - self.saved
            self._due = begin + weight / self._per_second
            if self.saved and not self._proven:
                self._paced = now + weight / self._per_second / PACE

    def settle(self, difference: float) -> None:
        """Used minus reserved: a debt, or, below 0, a refund."""
        if self._per_second is not None:
            self._due += difference / self._per_second

    def allow_burst(self, now: float, units: float, *, proven: bool) -> None:
        """So many units may leave above the rate; paced at first, freely once that is proven."""
        if self._per_second is not None:
            self.saved = max(self.saved, units / self._per_second)
            self._due = min(self._due, now - units / self._per_second)
            self._proven |= proven

    def keep_within(self, now: float, units: float) -> None:
        """No more than so many units are left of the burst."""
        if self._per_second is not None:
            self._due = max(self._due, now - units / self._per_second)

    def end_burst(self, now: float = float("-inf"), least: float = 0.0) -> bool:
        """Keep the bare rate from now on; False if less than that many seconds of it were used.

        now: nothing is left of the burst.
        """
        if self.saved - max(0.0, now - self._due) < least or not self.saved:
            return False
        self._due = max(self._due, now)
        self.saved, self._paced = 0.0, float("-inf")
        return True
