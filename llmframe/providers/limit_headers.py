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
_NAME = re.compile(
    r"(?:x-)?ratelimit-(limit|remaining|reset)(?:-(requests|tokens))?(?:-minute)?", re.IGNORECASE
)


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
    for raw_name, value in headers:
        if b"ratelimit" in raw_name.lower():
            match = _NAME.fullmatch(raw_name.decode("ascii", "replace"))
            if match:
                unit = (match[2] or "requests").lower()
                found[unit, match[1].lower()] = value.decode("ascii", "replace")
    if not found:  # as most endpoints: this is read for every reply
        return {}
    quotas = {}
    for unit in ("requests", "tokens"):
        limit = _count(found.get((unit, "limit"), ""))
        reset = parse_wait(found.get((unit, "reset"), ""), wall_clock)
        if limit and (reset is None or reset <= MINUTE):
            quotas[unit] = Quota(limit, _count(found.get((unit, "remaining"), "")), reset)
    return quotas


def _count(text: str) -> float | None:
    number = parse_number(text)
    return None if number is None or number < 0 else number
