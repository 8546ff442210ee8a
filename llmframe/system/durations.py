"""Numbers, durations and moments as providers write them in headers; one parser for all."""

from __future__ import annotations

import email.utils
import re
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

UNIX_TIME = 1e9  # a larger number is a moment in seconds, not a duration (about 32 years)
UNIX_MS = 1e12  # a larger number is a moment in milliseconds
_UNITS = {"ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_DURATION = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h|d)")
SPOKEN_UNITS = "ms|milliseconds?|s|sec|seconds?|m|min|minutes?|h|hours?|d|days?"
_SPOKEN = re.compile(rf"(\d+(?:\.\d+)?)\s?({SPOKEN_UNITS})(?![a-z])", re.IGNORECASE)
_NUMBER = re.compile(r"([+-]?\d+(?:\.\d*)?(?:e\d+)?)\s*(?:[,;].*)?", re.IGNORECASE)


def parse_number(text: str) -> float | None:
    """The number in ``20`` or, with parameters, ``20, 20;w=60``; None for anything else."""
    match = _NUMBER.fullmatch(text.strip())
    return float(match[1]) if match else None


def parse_wait(text: str, now: Callable[[], float] = time.time) -> float | None:
    """Seconds that a header asks to wait; what is past is 0, None for anything else.

    Forms: ``1s``, ``6m0s``, ``120ms``, seconds, an HTTP or ISO date, Unix time in seconds or
    milliseconds. now: the Unix time that a moment is reckoned from.
    """
    text = text.strip()
    if text and _DURATION.sub("", text) == "":
        return sum(float(number) * _UNITS[unit] for number, unit in _DURATION.findall(text))
    moment = parse_number(text)
    if moment is None:
        moment = parse_date(text)
    elif moment < UNIX_TIME:
        return max(0.0, moment)
    elif moment >= UNIX_MS:
        moment /= 1000
    return None if moment is None else max(0.0, moment - now())


def parse_spoken(text: str) -> float | None:
    """Seconds in ``9m38.016s``, ``1 hour and 5 minutes`` or ``30 seconds``; None for others."""
    parts = _SPOKEN.findall(text)
    return sum(float(number) * _UNITS[_unit(word)] for number, word in parts) if parts else None


def _unit(word: str) -> str:
    word = word.lower()
    return "ms" if word.startswith("mil") or word == "ms" else word[0]


def parse_date(text: str) -> float | None:
    """The Unix time of an HTTP or ISO date, in UTC where it names no zone."""
    for parse in (email.utils.parsedate_to_datetime, datetime.fromisoformat):
        try:
            date = parse(text)
            return (date if date.tzinfo else date.replace(tzinfo=UTC)).timestamp()
        except (ValueError, OverflowError):
            continue
    return None
