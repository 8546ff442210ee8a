"""How long a refusal asks to wait, in whichever of its headers or in its body."""

from __future__ import annotations

import re
import time
from typing import TYPE_CHECKING

from llmframe.system.durations import (
    SPOKEN_UNITS,
    parse_date,
    parse_number,
    parse_spoken,
    parse_wait,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

LONGEST_WAIT = 366 * 86400.0  # seconds; what asks for more is junk
_RESET = re.compile(r"((?:x-)?ratelimit-)reset(-.*)?", re.I)
# "Please try again in 9m38.016s", "retryDelay": "39s", "wait 30 seconds before ..."
_SPOKEN = re.compile(
    r"(?:try again|retry|wait|available|resets?)(?: again)?(?: in| after| for)?:? "
    rf"((?:\d+(?:\.\d+)?\s?(?:{SPOKEN_UNITS})"
    r"\b[ ,]*(?:and )?)+|\d+(?:\.\d+)?[dhms](?:[\d.]+[hms]+)+)",
    re.I,
)
_DELAY = re.compile(r"\d+(\.\d+)?s")


def retry_after(headers: Mapping[str, str]) -> float | None:
    """Seconds to wait as the headers ask, None where none of them is sane.

    Read are ``retry-after-ms``, then ``retry-after`` (RFC 9110, section 10.2.3), then the
    same under a gateway's prefix. Negative is 0; junk and more than a year are None.
    """
    named = {name.lower(): value for name, value in headers.items()}
    milliseconds = parse_number(named.get("retry-after-ms", ""))
    asked = [None if milliseconds is None else max(0.0, milliseconds / 1000)]

    def now() -> float:  # by the response's own date: our clock may be wrong
        return parse_date(named.get("date", "")) or time.time()

    for name in ("retry-after", *(each for each in named if each.endswith("-retry-after"))):
        asked.append(parse_wait(named.get(name, ""), now))
    return next((wait for wait in asked if wait is not None and wait <= LONGEST_WAIT), None)


def wait_until_reset(headers: Mapping[str, str]) -> float | None:
    """Seconds until a limit of which nothing remains is renewed; the longest, None for none."""
    named = {name.lower(): value for name, value in headers.items()}
    waits = []
    for name, value in named.items():
        if reset := _RESET.fullmatch(name):
            left = parse_number(named.get(f"{reset[1]}remaining{reset[2] or ''}", ""))
            wait = parse_wait(value)
            if left == 0 and wait is not None and wait <= LONGEST_WAIT:
                waits.append(wait)
    return max(waits, default=None)


def wait_in_body(body: object, text: str) -> float | None:
    """Seconds to wait as an error's body asks, None where it does not.

    Read are a ``retryDelay`` (google.rpc.RetryInfo), the headers that a gateway repeats in it,
    and the sentence for people. body: as it came. text: all its texts.
    """
    waits = [wait for each in _objects(body) if (wait := _wait_of(each)) is not None]
    if waits:
        return max(waits)
    spoken = _SPOKEN.search(text)
    wait = parse_spoken(spoken[1]) if spoken else None
    return wait if wait is not None and wait <= LONGEST_WAIT else None


def _wait_of(each: Mapping[str, object]) -> float | None:
    delay = each.get("retryDelay")
    if isinstance(delay, str) and _DELAY.fullmatch(delay):
        return float(delay[:-1])
    named = {name: str(value) for name, value in each.items() if isinstance(value, str | int)}
    asked = retry_after(named)
    return wait_until_reset(named) if asked is None else asked


def _objects(body: object, depth: int = 0) -> list[Mapping[str, object]]:
    """Every object in a body, at most six levels deep."""
    if depth > 6:
        return []
    if isinstance(body, dict):
        return [body, *(found for part in body.values() for found in _objects(part, depth + 1))]
    if isinstance(body, list):
        return [found for part in body[:20] for found in _objects(part, depth + 1)]
    return []
