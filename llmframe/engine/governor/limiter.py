"""How many requests may be on the wire: slow start, multiplicative cut, saturation gate."""

from __future__ import annotations

CUT = 0.8  # a refusal leaves this share of the limit
CUT_INTERVAL = 5.0  # seconds between two cuts, at least
GROWTH = 1.1  # a clean round after the first refusal
SATURATED = 0.8  # share of the limit that a round must have used to count
NEAR_REFUSED = 0.95  # above this share of the last refused limit growth is by one


class Limiter:
    """A limit that grows with clean rounds and is cut by refusals.

    start: concurrent requests allowed at first. ceiling: the most it may ever allow.
    A round is as many clean successes as the limit allows requests.
    """

    def __init__(self, start: int, ceiling: int) -> None:
        self._limit = float(max(1, min(start, ceiling)))
        self.ceiling = ceiling
        self._refused_at: float | None = None
        self._cut_at = float("-inf")
        self._clean = 0
        self._peak = 0

    @property
    def limit(self) -> int:
        """Requests allowed on the wire now."""
        return max(1, min(int(self._limit), self.ceiling))

    @property
    def refused_before(self) -> bool:
        """Whether the provider has ever refused."""
        return self._refused_at is not None

    def raise_to(self, limit: int) -> None:
        """Start higher, unless refusals have taught better."""
        if not self.refused_before:
            self._limit = max(self._limit, float(min(limit, self.ceiling)))

    def begin_at(self, limit: int) -> None:
        """Take over a limit that was found in another way, larger or smaller."""
        self._limit = float(limit)

    def sent(self, on_wire: int) -> None:
        """A request left; so many are on the wire now."""
        self._peak = max(self._peak, on_wire)

    def succeeded(self, sent_at: float) -> None:
        """A request succeeded at its first attempt."""
        if sent_at < self._cut_at:
            return
        self._clean += 1
        if self._clean < max(self.limit, 4):
            return
        if self._peak >= SATURATED * self.limit:  # else the round proves nothing about more
            if self._refused_at is None:
                grown = self._limit * 2
            elif self._limit >= NEAR_REFUSED * self._refused_at:
                grown = self._limit + 1
            else:
                grown = max(self._limit + 1, self._limit * GROWTH)
            self._limit = min(grown, float(self.ceiling))
        self._start_round()

    def refused(self, now: float, sent_at: float) -> None:
        """The provider refused a request: cut, once for all that were sent before the cut."""
        self._start_round()
        if sent_at < self._cut_at or now - self._cut_at < CUT_INTERVAL:
            return
        self._refused_at = self._limit
        self._limit = max(1.0, self._limit * CUT)
        self._cut_at = now

    def _start_round(self) -> None:
        self._clean = self._peak = 0
