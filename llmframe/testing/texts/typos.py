"""How people type: haste, missing apostrophes, swapped letters."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from llmframe.testing.texts.slots import pick

if TYPE_CHECKING:
    from random import Random

WORD = re.compile(r"\b[a-z]{5,}\b")
SHORT = (
    (re.compile(r"\b[Pp]lease\b"), "pls"),
    (re.compile(r"\byou\b"), "u"),
    (re.compile(r"\b[Tt]hanks\b"), "thx"),
    (re.compile(r"\byour\b"), "ur"),
    (re.compile(r"\band\b"), "&"),
)
MISWRITTEN = (
    ("账号", "帐号"),
    ("登录", "登陆"),
    ("已经", "以经"),
    ("怎么", "咋"),
    ("没有", "木有"),
    ("时候", "时侯"),
    ("一直", "一只"),
    ("你们", "你门"),
)


def lower_case(_: Random, text: str) -> str:
    """Nothing in capitals."""
    return text.lower()


def no_apostrophes(_: Random, text: str) -> str:
    """dont, cant."""
    return text.replace("'", "")


def swapped(rng: Random, text: str) -> str:
    """Two letters inside a word change places."""
    words = list(WORD.finditer(text))
    if not words:
        return text
    at = pick(rng, words).start() + 1 + int(rng.random() * 3)
    return text[:at] + text[at + 1] + text[at] + text[at + 2 :]


def dropped(rng: Random, text: str) -> str:
    """One letter inside a word is missing."""
    words = list(WORD.finditer(text))
    if not words:
        return text
    at = pick(rng, words).start() + 2
    return text[:at] + text[at + 1 :]


def shortened(_: Random, text: str) -> str:
    """pls, u, thx."""
    for long, short in SHORT:
        text = long.sub(short, text)
    return text


def loud(rng: Random, text: str) -> str:
    """More marks at the end, or none."""
    end = pick(rng, ("!!", "...", "", "!!!", "!"))
    return text.rstrip(".!。！") + (end if text.endswith((".", "!", "。", "！")) else "")


def no_commas(_: Random, text: str) -> str:
    """Blanks in place of Chinese marks."""
    return text.replace("，", " ").replace("。", " ").rstrip()


def miswritten(rng: Random, text: str) -> str:
    """Words that an input method gets wrong."""
    found = [pair for pair in MISWRITTEN if pair[0] in text]
    return text.replace(*pick(rng, found)) if found else text


SLIPS_EN = (lower_case, no_apostrophes, swapped, dropped, shortened, loud, swapped, lower_case)
SLIPS_ZH = (no_commas, loud, miswritten)
