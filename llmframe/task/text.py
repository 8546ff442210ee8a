"""How fields and columns compare names and labels, and how their messages quote them."""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from typing import TYPE_CHECKING

from llmframe.errors import PlanError
from llmframe.text import cut

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

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
    """Whether a text has no visible character: blanks, controls and zero-width ones only."""
    if text and "!" <= text[0] <= "~":  # the pattern costs ten times as much
        return False
    return _NOTHING.fullmatch(text) is not None


def excerpt(value: object) -> str:
    """A value as a message shows it: its repr, at most 80 characters, never an error.

    Of what takes several lines, as a frame does, only the type.
    """
    if isinstance(value, str):
        return cut(repr(value[: EXCERPT + 1]), EXCERPT)
    try:
        text = repr(value)
        return cut(text, EXCERPT) if "\n" not in text else f"<{type(value).__name__}>"
    except Exception:  # noqa: BLE001 - a foreign repr, a huge int, a too deep list
        return f"<{type(value).__name__}>"


def reason(error: Exception) -> str:
    """A foreign error's message on one line of at most 300 characters, "" if it has none."""
    try:
        return cut(" ".join(str(error).split()), 300)
    except Exception:  # noqa: BLE001 - an error's own text may fail as well
        return ""


def quoted(names: Iterable[object]) -> str:
    """Names for a message, each in quotes."""
    return ", ".join(map(repr, names))


def refuse_duplicates(names: Sequence[str], message: str) -> None:
    """Raise PlanError if a name is there twice; message has ``{names}`` for those that are."""
    repeated = [name for name, count in Counter(names).items() if count > 1]
    if repeated:
        raise PlanError(message.format(names=quoted(repeated)))


def listing(labels: tuple[str, ...] | tuple[int, ...], limit: int = 300) -> str:
    """Labels for a message: as many as fit into about limit characters, and how many more."""
    shown: list[str] = []
    length = 0
    for label in labels:
        word = excerpt(label)
        length += len(word) + 2
        if shown and length > limit:
            return f"{', '.join(shown)} and {len(labels) - len(shown)} more"
        shown.append(word)
    return ", ".join(shown)
