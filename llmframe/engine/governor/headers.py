"""What a provider says of its limits in response headers, in all the forms they come in."""

from __future__ import annotations

import email.utils
import re
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

MINUTE = 61.0  # seconds; a reset farther away belongs to a limit of a day, not of a minute
_UNITS = {"ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_DURATION = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h|d)")
_NAME = re.compile(
    r"(?:x-)?ratelimit-(limit|remaining|reset)(?:-(requests|tokens))?(?:-minute)?", re.IGNORECASE
)


@dataclass(frozen=True, slots=True)
class Quota:
    """One limit a minute.

    limit: units a minute. remaining: units left, None if not said. reset: seconds until it
    is renewed, None if not said.
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
    said: dict[tuple[str, str], str] = {}
    for raw_name, value in headers:
        if b"ratelimit" in raw_name.lower():
            match = _NAME.fullmatch(raw_name.decode("ascii", "replace"))
            if match:
                unit = (match[2] or "requests").lower()
                said[unit, match[1].lower()] = value.decode("ascii", "replace")
    quotas = {}
    for unit in ("requests", "tokens"):
        limit = _number(said.get((unit, "limit")))
        reset = parse_reset(said.get((unit, "reset"), ""), wall_clock)
        if limit and (reset is None or reset <= MINUTE):
            quotas[unit] = Quota(limit, _number(said.get((unit, "remaining"))), reset)
    return quotas


def parse_reset(text: str, wall_clock: Callable[[], float] = time.time) -> float | None:
    """Seconds until a reset: ``1s``, ``6m0s``, ``120ms``, seconds, an HTTP or ISO date, a
    Unix time in seconds or milliseconds. None for anything else; what is past is 0."""
    text = text.strip()
    if text and _DURATION.sub("", text) == "":
        return sum(float(number) * _UNITS[unit] for number, unit in _DURATION.findall(text))
    moment = _number(text)
    if moment is not None and moment < 1e9:
        return moment
    if moment is None:
        moment = _date(text)
    elif moment >= 1e12:
        moment /= 1e3
    return None if moment is None else max(0.0, moment - wall_clock())


def _date(text: str) -> float | None:
    try:
        return email.utils.parsedate_to_datetime(text).timestamp()
    except (ValueError, OverflowError):
        pass
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return None
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()


def _number(text: str | None) -> float | None:
    match = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*(?:[,;].*)?", text or "")
    return float(match[1]) if match else None
