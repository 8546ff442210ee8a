"""How long a refusal asks to wait, in whatever way its headers say it."""

from __future__ import annotations

import email.utils
import math
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

UNIX_TIME = 1e9  # a Retry-After above is a moment, not a number of seconds
LONGEST_WAIT = 366 * 86400.0  # seconds; what asks for more is junk


def retry_after(headers: Mapping[str, str]) -> float | None:
    """Seconds to wait as the headers ask, None where they do not say it sanely.

    Read are ``retry-after-ms``, then ``retry-after`` in seconds, as a date (RFC 9110, section
    10.2.3) or as Unix time, then the same under a gateway's prefix. Negative is 0; inf, junk
    and more than a year are None. A moment is reckoned from the response's own ``date``, where
    it has one: our clock may be wrong.
    """
    named = {name.lower(): value for name, value in headers.items()}
    wait = _milliseconds(named.get("retry-after-ms"))
    prefixed = [name for name in named if name.endswith("-retry-after")]
    for name in ("retry-after", *prefixed):
        if wait is None:
            wait = _seconds_or_moment(named.get(name), named.get("date"))
    return wait


def _milliseconds(value: str | None) -> float | None:
    number = _number(value)
    return None if number is None else _sane(number / 1000)


def _seconds_or_moment(value: str | None, date: str | None) -> float | None:
    number = _number(value)
    if number is None:
        number = _date(value or "")
    if number is None or number < UNIX_TIME:
        return _sane(number)
    milliseconds = 1000 if number > 1000 * UNIX_TIME else 1
    return _sane(number / milliseconds - (_date(date or "") or time.time()))


def _number(value: str | None) -> float | None:
    try:
        return float(value or "")
    except ValueError:
        return None


def _date(value: str) -> float | None:
    """An HTTP date as Unix time."""
    try:
        return max(UNIX_TIME, email.utils.parsedate_to_datetime(value).timestamp())
    except (ValueError, OverflowError):
        return None


def _sane(seconds: float | None) -> float | None:
    if seconds is None or not (math.isfinite(seconds) and seconds <= LONGEST_WAIT):
        return None
    return max(0.0, seconds)
