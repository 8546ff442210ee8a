"""The least time in which a random provider could be asked for all rows.

By a sender who knows the provider's limits and storms and keeps to our own rules: it begins
with as many requests as a run begins with and doubles them a round, and waits for the first
answer. It knows no row's luck. What nobody can know is added: a time-out where requests begin to
hang, and what the person, or the headers for good, allow.
"""

from __future__ import annotations

import heapq
from collections import deque
from dataclasses import replace
from typing import TYPE_CHECKING

from tests.kits.random_provider import BEGIN, OUTPUT, REFUSAL

if TYPE_CHECKING:
    from tests.kits.random_provider import Traits

AUTO, EXPLICIT, MOST = 20, 50, 512  # requests in flight to begin with, and the most


def floor(traits: Traits) -> float:
    """Seconds until the last row that can be answered is answered."""
    seconds = _Sender(_as_said(traits)).run() - BEGIN
    hangs = sum(what == "hang" for begin, _, what in traits.phases if begin < seconds)
    return seconds + hangs * traits.timeout


def _as_said(traits: Traits) -> Traits:
    """The provider with the limits that a sender keeps who believes the headers."""
    rpm, tpm = traits.rpm, traits.tpm
    if traits.headers == "low":  # nothing shows that more would be let in
        rpm, tpm = rpm and rpm * 0.5, tpm and tpm * 0.5
    burst = traits.burst
    contradicted = traits.faults.get("refuse") or traits.at_once  # by the first refusal
    if contradicted or traits.headers not in ("true", "claimed", "sometimes"):
        burst = 1.0  # nothing says that there is a bucket
    return replace(traits, rpm=rpm, tpm=tpm, burst=burst)


class _Sender:
    """Sends each row as soon as it is let in."""

    def __init__(self, traits: Traits) -> None:
        self._traits = traits
        self._limits = traits.limits()
        cap = traits.cap or MOST
        self._ceiling = min(cap, traits.at_once or MOST)
        self._limit = min(cap, AUTO if traits.cap is None else EXPLICIT)
        self._good = 0
        self._now = BEGIN
        self._paced = BEGIN
        self._queue = deque((row, 0) for row in range(traits.poison, traits.rows))
        self._later: list[tuple[float, int, int]] = []
        self._on_wire: list[tuple[float, str, int, int]] = []

    def run(self) -> float:
        """When the last row is done."""
        last = self._now
        while self._queue or self._on_wire or self._later:
            wait = self._send_or_wait()
            if wait <= 0:
                continue
            end = min(
                self._now + wait,
                self._on_wire[0][0] if self._on_wire else float("inf"),
                self._later[0][0] if self._later else float("inf"),
            )
            self._now = end
            while self._later and self._later[0][0] <= self._now:
                _, row, attempt = heapq.heappop(self._later)
                self._queue.append((row, attempt))
            while self._on_wire and self._on_wire[0][0] <= self._now:
                last = self._come_back(*heapq.heappop(self._on_wire))
        return last

    def _send_or_wait(self) -> float:
        """Send a row, or say for how long nothing can be sent."""
        on_wire = len(self._on_wire)
        limit = 1 if not self._good else min(self._limit, self._ceiling)
        if not self._queue or on_wire >= limit:
            return float("inf")
        until, what = self._traits.phase(self._now)
        if what and what != "slow":
            return max(until - self._now, 1e-6)  # rounding must not stand still
        if self._paced > self._now:
            return self._paced - self._now
        row, attempt = self._queue[0]
        size = 20 + len(self._traits.text(row)) // 4
        refusal = self._limits.admit(self._now, self._traits.charge * (size + OUTPUT))
        if refusal is not None:
            return refusal[1] + 1e-9
        self._queue.popleft()
        if self._traits.asked_rpm:
            self._paced = self._now + 60 / self._traits.asked_rpm
        fate, seconds = self._traits.luck(row, attempt)
        if fate == "refuse":
            seconds = REFUSAL
        elif what == "slow":
            seconds *= 5
        heapq.heappush(self._on_wire, (self._now + seconds, fate, row, attempt))
        return 0.0

    def _come_back(self, at: float, fate: str, row: int, attempt: int) -> float:
        if fate == "ok":
            self._good += 1
            if self._good >= self._limit:
                self._good, self._limit = 1, self._limit * 2
        elif fate == "refuse":
            said = self._traits.retry_after
            wait = said if isinstance(said, float) else 1.0 if said else 0.0
            heapq.heappush(self._later, (at + wait, row, attempt + 1))
        elif attempt < 4:
            self._queue.append((row, attempt + 1))
        return at
