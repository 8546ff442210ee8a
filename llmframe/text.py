"""Text of any origin made fit to be sent, stored and shown; and amounts of money as text."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

_SIGNS = {"USD": "$", "EUR": "€", "GBP": "£", "CNY": "¥", "JPY": "JP¥"}


def is_whole(text: str) -> bool:
    """Whether text can be encoded: it holds no lone surrogate."""
    if text.isascii():  # a flag of the string: most texts cost nothing more
        return True
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def clean_text(text: str) -> str:
    """The text with every lone surrogate replaced by U+FFFD.

    A lone surrogate cannot be sent, stored in parquet or held by pandas' text type.
    """
    if is_whole(text):
        return text
    # by way of UTF-16, because it joins two surrogates that make one character
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def cut(text: str, limit: int) -> str:
    """At most limit characters of text, ending in an ellipsis if some are left out."""
    return text if len(text) <= limit else text[: limit - 1] + "…"


def percents(numbers: Sequence[float]) -> list[int]:
    """The share of each number in whole percent, so that they sum to 100; 0 of nothing."""
    total = sum(numbers)
    if not total:
        return [0] * len(numbers)
    exact = [100 * number / total for number in numbers]
    rounded = [int(share) for share in exact]
    # what was cut off goes to those that lost most of it
    by_loss = sorted(range(len(exact)), key=lambda at: rounded[at] - exact[at])
    for at in by_loss[: 100 - sum(rounded)]:
        rounded[at] += 1
    return rounded


def money(cost: float, currency: str) -> str:
    """A cost: ``$0.41``, ``¥0.0032``, ``0.41 SEK``; a bare number where the currency is ""."""
    if not math.isfinite(cost):
        return "?"
    digits = 2
    if cost and abs(cost) < 0.1:
        digits = 1 - math.floor(math.log10(abs(cost)))
    number, sign = f"{cost:,.{digits}f}", _SIGNS.get(currency, currency)
    return f"{number} {sign}" if sign.isalpha() else f"{sign}{number}"
