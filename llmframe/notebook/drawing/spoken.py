"""Short numbers as HTML that a screen reader says in words: ``2.86 M`` as "2.86 million"."""

from __future__ import annotations

import math

from llmframe.notebook.drawing.format import amount, plural, rate, span

_LETTERS = {"k": "thousand", "M": "million", "B": "billion"}
_UNITS = (("day", 86_400), ("hour", 3_600), ("minute", 60), ("second", 1))


def amount_html(number: int) -> str:
    """A large number, as ``format.amount`` writes it."""
    text = amount(number)
    scaled, _, letter = text.partition(" ")
    return _spoken(text, f"{scaled} {_LETTERS[letter]}") if letter else text


def span_html(seconds: float) -> str:
    """A time, as ``format.span`` writes it; said with its two largest units."""
    text = span(seconds)
    if not math.isfinite(seconds) or text.endswith(" s"):
        return _spoken(text, text.replace(" s", " seconds").replace("?", "an unknown time"))
    left, parts = round(seconds), []
    for unit, size in _UNITS:
        number, left = divmod(left, size)
        parts += [plural(number, unit)] if number else []
    return _spoken(text, " ".join(parts[:2]))


def rate_html(rows_per_second: float) -> tuple[str, str]:
    """A speed and its unit, as ``format.rate`` writes them."""
    speed, unit = rate(rows_per_second)
    return speed, _spoken(unit, {"rows/s": "rows per second", "rows/min": "rows per minute"}[unit])


def _spoken(text: str, says: str) -> str:
    return f'<span role="img" aria-label="{says}">{text}</span>'
