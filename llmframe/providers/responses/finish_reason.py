"""Why an answer ended, in the words of every provider, by what it means for the row."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Literal, TypeAlias

Ending: TypeAlias = Literal["whole", "cut", "withheld", "broken"]

_ENDINGS: dict[Ending, re.Pattern[str]] = {
    "cut": re.compile(
        r"length|max\w*tokens?|token.?limit|context.?window|truncat|incomplete|长度|截断", re.I
    ),
    "withheld": re.compile(
        r"filter|safety|prohibited|recitation|sensitive|block|spii|refus|moderat|guardrail"
        r"|policy|flagged",
        re.I,
    ),
    "broken": re.compile(
        r"error|abort|resource|network|cancel|time.?out|fail|malformed|overload|unavailable", re.I
    ),
}


@lru_cache(maxsize=256)  # the same few words for every row
def ending(finish_reason: str | None) -> Ending:
    """How an answer ended: cut at a cap, withheld by a filter, broken off by the server, or whole.

    A word that nobody knows is whole: whether the answer is, shows when it is read.
    """
    for found, words in _ENDINGS.items():
        if finish_reason and words.search(finish_reason):
            return found
    return "whole"
