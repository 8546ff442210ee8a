"""A provider's limits: requests and tokens a minute, requests in flight, and slots that queue."""

from __future__ import annotations

import asyncio
import math
from collections import deque
from typing import Literal, Protocol

LimiterKind = Literal["bucket", "minute"]
MINUTE = 60.0


class Meter(Protocol):
    """How much of one limit is used. Times are seconds of a monotonic clock."""

    limit: float

    def wait(self, now: float, weight: float) -> float:
        """Seconds until ``weight`` fits, 0 when it fits now."""

    def take(self, now: float, weight: float) -> None:
        """Use ``weight``, whether it fits or not."""

    def remaining(self, now: float) -> float:
        """How much is left now."""

    def reset(self, now: float) -> float:
        """Seconds until all of it is back."""


class Bucket:
    """A token bucket: ``limit`` a minute, refilled steadily, up to ``burst`` seconds' worth.

    A weight above the whole bucket passes when it is full, and leaves a debt.
    """

    def __init__(self, limit: float, burst: float, least: float = 1.0) -> None:
        self.limit = limit
        self._rate = limit / MINUTE
        self._size = max(least, self._rate * burst)
        self._level = self._size
        self._at = -math.inf

    def remaining(self, now: float) -> float:
        """See Meter."""
        return min(self._size, self._level + (now - self._at) * self._rate)

    def wait(self, now: float, weight: float) -> float:
        """See Meter."""
        return max(0.0, (min(weight, self._size) - self.remaining(now)) / self._rate)

    def take(self, now: float, weight: float) -> None:
        """See Meter."""
        self._level, self._at = self.remaining(now) - weight, now

    def reset(self, now: float) -> float:
        """See Meter."""
        return (self._size - self.remaining(now)) / self._rate


class Window:
    """A sliding minute: at most ``limit`` within any 60 s."""

    def __init__(self, limit: float) -> None:
        self.limit = limit
        self._used = 0.0
        self._taken: deque[tuple[float, float]] = deque()

    def remaining(self, now: float) -> float:
        """See Meter."""
        while self._taken and self._taken[0][0] <= now - MINUTE:
            self._used -= self._taken.popleft()[1]
        return self.limit - self._used

    def wait(self, now: float, weight: float) -> float:
        """See Meter."""
        missing = min(weight, self.limit) - self.remaining(now)
        for at, taken in self._taken:
            if missing <= 0:
                break
            missing -= taken
            if missing <= 0:
                return at + MINUTE - now
        return 0.0

    def take(self, now: float, weight: float) -> None:
        """See Meter."""
        self._taken.append((now, weight))
        self._used += weight

    def reset(self, now: float) -> float:
        """See Meter."""
        return self._taken[-1][0] + MINUTE - now if self._taken else 0.0


class Limits:
    """The limits of one server.

    rpm, tpm: requests and tokens a minute, None for no limit.
    burst: seconds' worth of them that may come together (``"bucket"`` only).
    claimed: the same as the headers have it, None for the truth.
    """

    def __init__(
        self,
        rpm: float | None,
        tpm: float | None,
        kind: LimiterKind,
        burst: float,
        claimed: float | None = None,
    ) -> None:
        limits = {name: n for name, n in (("requests", rpm), ("tokens", tpm)) if n is not None}
        self.meters: dict[str, Meter] = {
            name: Window(limit) if kind == "minute" else Bucket(limit, burst)
            for name, limit in limits.items()
        }
        self._shown = self.meters
        if claimed is not None:
            self._shown = {name: Bucket(limit, claimed) for name, limit in limits.items()}

    def admit(self, now: float, tokens: float) -> tuple[str, float] | None:
        """Count a request in; where it is too many, the limit's name and the seconds to wait."""
        weights = {"requests": 1.0, "tokens": tokens}
        waits = {name: meter.wait(now, weights[name]) for name, meter in self.meters.items()}
        name = max(waits, key=waits.__getitem__, default=None)
        if name is not None and waits[name] > 1e-9:
            return name, waits[name]
        for each, weight in weights.items():
            self._take(each, now, weight)
        return None

    def spend(self, now: float, tokens: float) -> None:
        """Count tokens that were not known at the request's arrival."""
        self._take("tokens", now, tokens)

    def _take(self, name: str, now: float, weight: float) -> None:
        for meters in (self.meters, *((self._shown,) if self._shown is not self.meters else ())):
            if name in meters:
                meters[name].take(now, weight)

    def headers(self, now: float) -> dict[str, str]:
        """The ``x-ratelimit-*`` headers as OpenAI sends them."""
        headers = {}
        for name, meter in self._shown.items():
            headers[f"x-ratelimit-limit-{name}"] = f"{meter.limit:.0f}"
            headers[f"x-ratelimit-remaining-{name}"] = f"{max(0, math.floor(meter.remaining(now)))}"
            headers[f"x-ratelimit-reset-{name}"] = duration(meter.reset(now))
        return headers


def duration(seconds: float) -> str:
    """A duration as OpenAI's headers write it: ``120ms``, ``1.5s``, ``6m0s``."""
    ms = max(0, math.ceil(seconds * 1000 - 1e-6))
    if ms < 1000:
        return f"{ms}ms"
    if ms < 60_000:
        return f"{ms / 1000:g}s"
    minutes, rest = divmod(math.ceil(ms / 1000), 60)
    return f"{minutes}m{rest}s"


class Slots:
    """Places where requests are worked on; who finds none waits in line."""

    def __init__(self, size: int | None) -> None:
        self._size = size
        self._used = 0
        self._line: deque[asyncio.Future[None]] = deque()

    def resize(self, size: int | None) -> None:
        """Set how many there are, None for as many as asked for."""
        self._size = size
        self._wake()

    async def take(self) -> None:
        """Wait for a place."""
        if self._line or not self._free():
            turn = asyncio.get_running_loop().create_future()
            self._line.append(turn)
            await turn
        else:
            self._used += 1

    def leave(self) -> None:
        """Give a place back."""
        self._used -= 1
        self._wake()

    def _free(self) -> bool:
        return self._size is None or self._used < self._size

    def _wake(self) -> None:
        while self._line and self._free():
            turn = self._line.popleft()
            if not turn.done():  # cancelled: the server is closing
                self._used += 1
                turn.set_result(None)
