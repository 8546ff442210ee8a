"""Where a quote stands in a text, compared after NFKC and with blanks as one blank."""

from __future__ import annotations

import re
import unicodedata
from bisect import bisect_left
from functools import lru_cache
from itertools import accumulate, pairwise

ZWJ = "\u200d"
_BLANKS = re.compile(r"\s+")
# Text in these scripts is written without blanks, so that a line break inside it says nothing:
# ideographs and kana, with their punctuation (of which NFKC makes some ASCII, which keeps blanks)
_UNSPACED = (
    "[\u2e80-\u303f\u3041-\u30ff\u31c0-\u31ff\u3400-\u4dbf\u4e00-\u9fff"
    "\uf900-\ufaff\U00020000-\U0003ffff]"
)
_BLANK_BETWEEN = re.compile(rf"(?<={_UNSPACED}) (?={_UNSPACED})")
_REGIONAL = range(0x1F1E6, 0x1F200)  # two of them are a flag
_SKIN_TONES, _TAGS = range(0x1F3FB, 0x1F400), range(0xE0020, 0xE0080)
# no marks by their category, but parts of the character before them: the voiced sound marks of
# half-width kana, and the vowel am of Thai and Lao
_PARTS = "\uff9e\uff9f\u0e33\u0eb3"
_VOWELS_AND_FINALS = (range(0x1160, 0x1200), range(0xD7B0, 0xD7FC))
_HANGUL = (range(0x1100, 0x1200), range(0xA960, 0xA97D), range(0xAC00, 0xD7FC))


def find_quote(quote: str, text: str) -> tuple[int, int] | None:
    """Begin and end in the text of the first place where the quote stands; None if nowhere.

    Both are positions between whole characters as a person sees them: no letter loses its marks,
    and no emoji a part.
    """
    at = text.find(quote) if quote and not (quote[0].isspace() or quote[-1].isspace()) else -1
    while at >= 0:  # nearly every good quote is found here
        if is_boundary(text, at) and is_boundary(text, at + len(quote)):
            return at, at + len(quote)
        at = text.find(quote, at + 1)
    if _bare(quote) not in _bare(text):  # quick: most quotes that come here stand nowhere
        return None
    return _find_normal(_searchable(quote)[0].strip(), text)


def _find_normal(wanted: str, text: str) -> tuple[int, int] | None:
    if not wanted:
        return None
    normal, begins, places = _searchable(text)
    at = normal.find(wanted)
    while at >= 0:
        first, after = _index(begins, at), _index(begins, at + len(wanted))
        if first is not None and after is not None:
            return places[first][0], places[after - 1][1]
        at = normal.find(wanted, at + 1)
    return None


@lru_cache(maxsize=8)
def _searchable(text: str) -> tuple[str, list[int], list[tuple[int, int]]]:
    """The text as quotes are compared with it; where each of its characters begins in that, and
    its begin and end in the text.
    """
    edges = [at for at in range(len(text) + 1) if is_boundary(text, at)]
    spans = [*pairwise(edges)]
    pieces = [unicodedata.normalize("NFKC", text[a:b]) for a, b in spans]
    kept: list[str] = []
    places: list[tuple[int, int]] = []
    for piece, span in zip(pieces, spans, strict=True):
        blank = piece.isspace()
        if blank and (not kept or kept[-1] == " "):
            continue
        kept.append(" " if blank else _BLANKS.sub(" ", piece))
        places.append(span)
    joined = "".join(kept)
    dropped = {found.start() for found in _BLANK_BETWEEN.finditer(joined)}
    starts = [*accumulate(map(len, kept), initial=0)]
    left = [n for n in range(len(kept)) if starts[n] not in dropped]
    kept, places = [kept[n] for n in left], [places[n] for n in left]
    return "".join(kept), [*accumulate(map(len, kept), initial=0)], places


def _index(begins: list[int], at: int) -> int | None:
    found = bisect_left(begins, at)
    return found if found < len(begins) and begins[found] == at else None


@lru_cache(maxsize=8)
def _bare(text: str) -> str:
    """The text in NFKD without blanks: a quote that is not in this stands nowhere in the text."""
    return _BLANKS.sub("", unicodedata.normalize("NFKD", text))


def is_boundary(text: str, at: int) -> bool:
    """Whether a character as a person sees it ends before this position, and another begins.

    By the rules of Unicode's annex 29 for grapheme clusters, a little more cautious: whatever
    follows a zero-width joiner belongs to what is before it.
    """
    if at <= 0 or at >= len(text):
        return True
    before, after = text[at - 1], text[at]
    if before.isascii() and after.isascii():
        return (before, after) != ("\r", "\n")
    code = ord(after)
    # below: a mark behind a blank has no letter to belong to, and stands alone
    if before == ZWJ or after in (ZWJ, "\u200c") or after in _PARTS:
        return before.isspace()
    if unicodedata.category(after)[0] == "M" or code in _SKIN_TONES or code in _TAGS:
        return before.isspace()
    if code in _REGIONAL:
        return _flags_before(text, at) % 2 == 0
    if any(code in each for each in _VOWELS_AND_FINALS):
        return not any(ord(before) in each for each in _HANGUL)
    return True


def _flags_before(text: str, at: int) -> int:
    """How many regional indicators stand directly before a position."""
    begin = at
    while begin and ord(text[begin - 1]) in _REGIONAL:
        begin -= 1
    return at - begin
