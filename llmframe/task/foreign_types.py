"""Texts that name a type, as other tools take them: ``"list[str]"``, ``"varchar(20)"``."""

from __future__ import annotations

import re

_NAMES = (
    r"str|string|text|n?(?:var)?char|unicode|object|u?int|integer|(?:big|small|tiny)int|long|float|"
    r"double|real|decimal|numeric|number|bool|boolean|bit|date|datetime|time|timestamp|timedelta|"
    r"list|array|sequence|tuple|set|dict|map|mapping|struct|record|json|any|category|categorical|"
    r"enum|literal|optional|union|annotated|none|null|bytes"
)
# what stands in the brackets are other types, labels or lengths
_TYPE = re.compile(rf"(?:\w+\.)*(?:{_NAMES})(?:8|16|32|64|128)?\s*(?:\[.*\]|\(.*\)|<.*>)?[?!]?")


def is_type_name(text: str) -> bool:
    """Whether a text is a type, in Python's, pandas', SQL's or JSON schema's words."""
    whole = text.strip().lower()
    parts = (part.strip() for part in whole.split("|"))
    return _TYPE.fullmatch(whole) is not None or all(map(_TYPE.fullmatch, parts))
