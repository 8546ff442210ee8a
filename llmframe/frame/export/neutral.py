"""Text that a spreadsheet would take for a formula, made neutral."""

from __future__ import annotations

import re

# Spreadsheets look behind blanks, and some fold the wide and the small forms of the signs.
_FORMULA = re.compile(
    "[\t\r\0]"
    "|[\\s\0-\x1f\x7f-\x9f\u200b-\u200f\u2060-\u2064\ufeff]*"
    "[=+\\-@\uff1d\uff0b\uff0d\uff20\ufe66\ufe62\ufe63\ufe6b]"
)


def neutral(text: str) -> str:
    """The text, with ``'`` before it where it begins as a formula, or as what hides one."""
    return f"'{text}" if _FORMULA.match(text) else text
