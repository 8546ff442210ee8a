"""Numbers as people read them: 10,000; 1.94 M; 3:26; $0.41; 48.7 rows/s."""

from __future__ import annotations

import math
from pathlib import Path

from llmframe.text import money as money  # the views take all formats from here

_MINUTE, _HOUR, _DAY = 60, 3_600, 86_400


def count(number: int) -> str:
    """A whole number with commas: ``10,000``."""
    return f"{number:,}"


def amount(number: int) -> str:
    """A large number in three digits: ``9,999``, then ``41.2 k``, ``1.94 M``, ``3.10 B``."""
    if number < 10_000:
        return count(number)
    smaller = ((number / size, letter) for size, letter in ((1e3, "k"), (1e6, "M")))
    scaled, letter = next((pair for pair in smaller if pair[0] < 999.5), (number / 1e9, "B"))
    return f"{_three(scaled)} {letter}"


def _three(number: float) -> str:
    """A positive number with three digits, more before the point where it needs them."""
    if number >= 99.95:
        return f"{number:,.0f}"
    return f"{number:.1f}" if number >= 9.995 else f"{number:.2f}"


def span(seconds: float) -> str:
    """A time: ``4.2 s``, ``42 s``, ``3:26``, ``1:02:03``, ``2 d 5 h``; ``?`` if unknown."""
    if not math.isfinite(seconds):
        return "?"
    if seconds < 9.95:
        return f"{max(seconds, 0.0):.1f} s"
    whole = round(seconds)
    if whole < _MINUTE:
        return f"{whole} s"
    if whole < _HOUR:
        return f"{whole // _MINUTE}:{whole % _MINUTE:02}"
    if whole < 2 * _DAY:
        return f"{whole // _HOUR}:{whole % _HOUR // _MINUTE:02}:{whole % _MINUTE:02}"
    return f"{whole // _DAY} d {whole % _DAY // _HOUR} h"


def rate(rows_per_second: float) -> tuple[str, str]:
    """A speed and its unit: ``("48.7", "rows/s")``; slow ones in rows/min."""
    if not math.isfinite(rows_per_second) or rows_per_second <= 0:
        return "0", "rows/s"
    if rows_per_second < 1:
        return _three(rows_per_second * _MINUTE), "rows/min"
    return _three(rows_per_second), "rows/s"


def noun(number: int, one: str, many: str = "") -> str:
    """The singular or plural, by the count."""
    return one if number == 1 else many or one + "s"


def plural(number: int, one: str, many: str = "") -> str:
    """A count with its noun: ``1 row``, ``2 rows``."""
    return f"{count(number)} {noun(number, one, many)}"


def short_path(path: str | None) -> str | None:
    """A path relative to the working directory, if it lies in there."""
    if path is None:
        return None
    try:
        return str(Path(path).relative_to(Path.cwd()))
    except (OSError, ValueError):  # the directory is gone, or the path lies elsewhere
        return path
