"""How long a refusal asks to wait, in whichever of its headers."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from llmframe.system.durations import parse_date, parse_number, parse_wait

if TYPE_CHECKING:
    from collections.abc import Mapping

LONGEST_WAIT = 366 * 86400.0  # seconds; what asks for more is junk


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
