"""A provider's limits in response headers, in all the forms they come in."""

from __future__ import annotations

import re
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from llmframe.system.durations import parse_number, parse_wait

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

MINUTE = 61.0  # seconds; a reset farther away belongs to a limit of a day, not of a minute
SHORT = 2.0  # seconds; a limit that is always renewed so soon is one of a second
_NAME = re.compile(
    r"(?:x-)?ratelimit-(limit|remaining|reset)(?:-(requests|tokens))?(?:-(minute|second))?", re.I
)
_WINDOW = re.compile(r";\s*w=(\d+)", re.I)  # seconds, as in "10, 10;w=1"


@dataclass(frozen=True, slots=True)
class Quota:
    """One limit a minute.

    limit: units a minute. remaining: units left. reset: seconds until it is renewed.
    """

    limit: float
    remaining: float | None = None
    reset: float | None = None


def read_quotas(
    headers: Iterable[tuple[bytes, bytes]], wall_clock: Callable[[], float] = time.time
) -> dict[str, Quota]:
    """Limits a minute by what they count, "requests" and "tokens"; those of a day are left out.

    headers: raw names and values. A name without a unit counts requests.
    """
    found: dict[tuple[str, str], str] = {}
    by_second = set()
    for raw_name, value in headers:
        if b"ratelimit" in raw_name.lower():
            match = _NAME.fullmatch(raw_name.decode("ascii", "replace"))
            if match:
                unit = (match[2] or "requests").lower()
                found[unit, match[1].lower()] = value.decode("ascii", "replace")
                if (match[3] or "").lower() == "second":
                    by_second.add(unit)
    if not found:  # as most endpoints: this is read for every reply
        return {}
    quotas = {}
    for unit in ("requests", "tokens"):
        text = found.get((unit, "limit"), "")
        limit, named = _count(text), _WINDOW.search(text)
        window = 1.0 if unit in by_second else float(named[1]) if named else 60.0
        reset = parse_wait(found.get((unit, "reset"), ""), wall_clock)
        if limit and 0 < window < 60:
            quotas[unit] = Quota(limit * 60 / window)
        elif limit and window <= MINUTE and (reset is None or reset <= MINUTE):
            quotas[unit] = Quota(limit, _count(found.get((unit, "remaining"), "")), reset)
    return quotas


def _count(text: str) -> float | None:
    number = parse_number(text)
    return None if number is None or number < 0 else number


class Windows:
    """Reads the limits of one endpoint's responses, and notices which are limits a second.

    Some providers write a limit a second under the names of a limit a minute. It shows in the
    resets: none is ever far away, and each is too near for a bucket that holds a minute's worth.
    """

    def __init__(self) -> None:
        self._longest = 0.0  # reset
        self._is_minute = False
        self._is_second = False

    def read(self, headers: Iterable[tuple[bytes, bytes]]) -> dict[str, Quota]:
        """Limits a minute by what they count, as read_quotas."""
        quotas = read_quotas(headers)
        quota = quotas.get("requests")
        if quota is not None and quota.remaining is not None and quota.reset is not None:
            full = (quota.limit - quota.remaining) * 60 / quota.limit  # seconds, of a bucket
            self._longest = max(self._longest, quota.reset)
            if self._longest > SHORT or (full and quota.reset > full / 2):
                self._is_minute = True
            # a minute may just end: that shows at its end, and until then there must be room
            self._is_second |= full >= 1 and quota.remaining >= quota.limit / 2
            if self._is_second and not self._is_minute:
                quotas["requests"] = Quota(quota.limit * 60 / max(1.0, self._longest))
        return quotas
