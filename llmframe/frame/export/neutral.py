"""Make text neutral that a spreadsheet would run as a formula."""

from __future__ import annotations

import re

# Spreadsheets skip blanks before a sign, and some accept its wide and small forms.
_FORMULA = re.compile(
    "[\t\r\0]"
    "|[\\s\0-\x1f\x7f-\x9f\u200b-\u200f\u2060-\u2064\ufeff]*"
    "[=+\\-@\uff1d\uff0b\uff0d\uff20\ufe66\ufe62\ufe63\ufe6b]"
)


def neutral(text: str) -> str:
    """The text, with ``'`` before it where it begins like a formula, also after blanks."""
    return f"'{text}" if _FORMULA.match(text) else text
