"""Where a larger limit brings no more rows a second: servers that queue instead of refusing.

Only for limits that find themselves. A level is a limit that was held long enough to know
its rows a second and its latency, as medians of three windows.
"""

from __future__ import annotations

import statistics
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

LEAST_GAIN = 1.05  # a larger limit must bring so much more
SLOWER = 1.25  # latency above so much of the earlier one needs a gain in rows a second
WINDOWS = 3
LEAST_WINDOW = 50  # completions
RETRY_AFTER = 30.0  # seconds until another limit is tried again


@dataclass(frozen=True, slots=True)
class Level:
    """What a limit brought: rows a second, and seconds a request took."""

    limit: int
    rate: float
    latency: float


@dataclass(slots=True)
class Meter:
    """Rows a second and latency at one limit, in windows of max(50, 2 x limit) completions.

    since: requests sent before are left out: they went under another limit.
    """

    limit: int
    since: float
    _began: float | None = None
    _last: float = 0.0
    _latencies: list[float] = field(default_factory=list)
    _windows: list[tuple[float, float]] = field(default_factory=list)

    def completed(self, sent_at: float, now: float) -> None:
        """A request came back."""
        if sent_at < self.since:
            return
        if self._began is None:
            self._began = now
            return
        self._latencies.append(now - sent_at)
        self._last = now
        if len(self._latencies) >= max(LEAST_WINDOW, 2 * self.limit):
            span = max(now - self._began, 1e-9)
            rate = len(self._latencies) / span
            self._windows.append((rate, statistics.median(self._latencies)))
            self._latencies.clear()
            self._began = now

    def first_round(self) -> Level | None:
        """The level that one round suggests: quick and rough."""
        latencies = self._latencies
        if self._windows:
            return Level(self.limit, *self._windows[0])
        if self._began is None or len(latencies) < max(self.limit, 4):
            return None
        span = max(self._last - self._began, 1e-9)
        return Level(self.limit, len(latencies) / span, statistics.median(latencies))

    def slowest(self) -> float:
        """The lowest rows a second of the windows so far; inf before the first."""
        return min((rate for rate, _ in self._windows), default=float("inf"))

    def level(self) -> Level | None:
        """The level, once three windows are full."""
        if len(self._windows) < WINDOWS:
            return None
        rates, latencies = zip(*self._windows[-WINDOWS:], strict=True)
        return Level(self.limit, statistics.median(rates), statistics.median(latencies))


class Climb:
    """Moves a limit to where it brings the most, by hill climbing.

    limit: to begin with. ceiling: never above. Up by doubling, a round each, while latency
    stays; where it has risen by a quarter, three windows must show a gain of 5 %, else back
    and, as the server seems to queue, down by halves while nothing is lost.
    """

    def __init__(self, limit: int, ceiling: int, now: float) -> None:
        self.ceiling = ceiling
        self._below: Level | None = None
        self._step: Callable[[float], None] = self._up
        self._settled_until = float("inf")
        self._too_low = 0  # a limit that was found to lose rows a second
        self._meter = Meter(limit, now)

    @property
    def limit(self) -> int:
        """The limit now."""
        return self._meter.limit

    def completed(self, sent_at: float, now: float) -> None:
        """A request came back while the limit was in use to 80 % or more."""
        self._meter.completed(sent_at, now)
        self._step(now)

    def _move(self, limit: int, step: Callable[[float], None], now: float) -> None:
        self._meter = Meter(max(1, min(limit, self.ceiling)), now)
        self._step = step

    def _up(self, now: float) -> None:
        """Above the last useful level, or at the first of all."""
        below, level, kept = self._below, self._meter.level(), self._meter.first_round()
        if kept is None:
            return
        if below is not None and kept.latency > SLOWER * below.latency:
            # slower answers may be a queue: only three windows can show that it is worth it
            if level is None:
                return
            if level.rate < LEAST_GAIN * below.rate:
                self._move(below.limit, self._base, now)
                return
            kept = level
        self._below = kept
        self._too_low = 0
        if kept.limit >= self.ceiling:
            self._settle(now)
        else:
            self._move(2 * kept.limit, self._up, now)

    def _base(self, now: float) -> None:
        """Back at the useful level: measure it before going down, if lower may be as good."""
        level = self._meter.level()
        if level is not None:
            self._try_lower(level, now)

    def _try_lower(self, level: Level, now: float) -> None:
        self._below = level
        if level.limit // 2 <= self._too_low:
            self._settle(now)
        else:
            self._move(level.limit // 2, self._down, now)

    def _down(self, now: float) -> None:
        """Below the useful level: stay if nothing is lost."""
        below, level = self._below, self._meter.level()
        assert below is not None  # a level is left for a lower one only once it is known
        # one clearly bad window is enough to go back
        clearly_less = self._meter.slowest() * LEAST_GAIN**2 < below.rate
        if clearly_less or (level is not None and level.rate * LEAST_GAIN < below.rate):
            self._too_low = self.limit
            self._move(below.limit, self._rest, now)
            self._settle(now)
        elif level is not None:
            self._try_lower(level, now)

    def _settle(self, now: float) -> None:
        self._settled_until = now + RETRY_AFTER
        self._step = self._rest

    def _rest(self, now: float) -> None:
        """At the best limit known; after a while a larger one is tried again."""
        if now >= self._settled_until and self._below is not None:
            self._move(2 * self._below.limit, self._up, now)
