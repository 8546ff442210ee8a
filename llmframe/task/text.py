"""How a task compares texts, and how its messages quote them."""

from __future__ import annotations

import re
import unicodedata

from llmframe.text import cut

EXCERPT = 80  # characters of a value that a message may show


def fold(text: str) -> str:
    """The form in which labels and names are compared when they do not match exactly."""
    return unicodedata.normalize("NFKC", text).casefold().strip()


_NOTHING = re.compile(
    r"[\s\x00-\x1f\x7f-\x9f"  # white space and control characters
    r"\xad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u202a-\u202e"
    r"\u2060-\u206f\u3164\ufe00-\ufe0f\ufeff\uffa0\ufff0-\ufff8\U0001bca0-\U0001bca3"
    r"\U0001d173-\U0001d17a\U000e0000-\U000e0fff"  # Unicode's Default_Ignorable_Code_Point
    r"\u2800]*"  # a braille cell without dots
)


def shows_nothing(text: str) -> bool:
    """Whether there is nothing to see in a text: blanks of every kind, controls, no width."""
    if text and "!" <= text[0] <= "~":
        return False
    return _NOTHING.fullmatch(text) is not None


def excerpt(value: object) -> str:
    """A value as a message shows it: its repr, at most 80 characters, never an error."""
    if isinstance(value, str):
        return cut(repr(value[: EXCERPT + 1]), EXCERPT)
    try:
        return cut(repr(value), EXCERPT)
    except Exception:  # noqa: BLE001 - a stranger's repr, a huge int, a too deep list
        return f"<{type(value).__name__}>"


def reason(error: Exception) -> str:
    """A foreign error's message on one line of at most 300 characters."""
    return cut(" ".join(str(error).split()), 300)


def listing(labels: tuple[str, ...] | tuple[int, ...], limit: int = 300) -> str:
    """Labels for a message: as many as fit into about limit characters, then how many more."""
    shown: list[str] = []
    length = 0
    for label in labels:
        word = excerpt(label)
        length += len(word) + 2
        if shown and length > limit:
            return f"{', '.join(shown)} and {len(labels) - len(shown)} more"
        shown.append(word)
    return ", ".join(shown)
