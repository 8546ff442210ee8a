"""The one place where foreign text is made safe to show: in HTML and on a terminal.

Model names, kinds of error, messages, paths and notes may hold anything: markup, terminal
escapes, lone surrogates, right-to-left overrides, or TeX, which notebooks typeset inside HTML
too (and TeX can hold links). All text that is not ours goes through ``html`` or ``plain``.
"""

from __future__ import annotations

import re
from html import escape
from typing import TYPE_CHECKING

from llmframe.text import cut

if TYPE_CHECKING:
    from collections.abc import Iterable

LIMIT = 400  # characters of one text; a view's message to the page must stay small
SENTENCES = 800  # characters of a message for the person
_BULK = 2  # HTML characters for each character of the limit; markup is up to 14 times its text

MARK = "background:rgba(214,145,20,0.28);color:inherit;border-radius:3px"
"""The style of a highlighted quote."""

_BLANKS = re.compile(r"[\s\x00-\x1f\x7f-\x9f]+")  # control characters too: they drive terminals
_SURROGATES = re.compile("[\ud800-\udfff]")  # cannot be sent as UTF-8
_DIRECTIONS = re.compile("[\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]")  # reorder their line


def plain(text: str, *, limit: int = LIMIT) -> str:
    """One line of visible text for a terminal, a log or ``text/plain``.

    limit: characters kept; a cut text ends in "…".
    """
    text = _BLANKS.sub(" ", text[: 4 * limit]).strip()
    text = _DIRECTIONS.sub("", _SURROGATES.sub("\ufffd", text))
    return cut(text, limit)


def html(text: str, *, limit: int = LIMIT) -> str:
    """The same, as the content of an HTML element (it may hold elements; see ``attribute``).

    limit: characters kept; fewer of a text that is mostly markup, so that it stays small.
    """
    line = plain(text, limit=limit)
    source = _source(line)
    return source if len(source) <= _BULK * limit else _source(plain(line, limit=limit // 7))


def marked(text: str, quotes: Iterable[str], *, limit: int = LIMIT) -> str:
    """The same as ``html``, with each of the quotes highlighted where it stands first."""
    wanted = {plain(quote, limit=limit) for quote in quotes} - {""}
    if not wanted:
        return html(text, limit=limit)
    # the longest first: a quote may be a part of another
    pattern = "|".join(map(re.escape, sorted(wanted, key=len, reverse=True)))
    pieces = re.split(f"({pattern})", plain(text, limit=limit), maxsplit=len(wanted))
    shown = "".join(
        f'<mark style="{MARK}">{_source(piece)}</mark>' if at % 2 else _source(piece)
        for at, piece in enumerate(pieces)
    )
    return shown if len(shown) <= 2 * _BULK * limit else html(text, limit=limit)


def attribute(text: str, *, limit: int = LIMIT) -> str:
    """The same, as the value of an attribute in double quotes, where notebooks find no TeX."""
    return escape(plain(text, limit=limit), quote=True)


def _source(line: str) -> str:
    # "$" and the backslash in separate elements: no notebook finds TeX there
    safe = escape(line, quote=True)
    return safe.replace("$", "<span>$</span>").replace("\\", "<span>\\</span>")
