"""Single rows in a live view: the newest answers as a small table, the last failures by kind."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from llmframe.notebook.drawing import style
from llmframe.notebook.drawing.escape import html
from llmframe.notebook.drawing.format import plural

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from llmframe.notebook.view import Sample

FIELDS = 4  # columns of answers; a person looks whether the prompt is right, not at all of it
_TEXT, _VALUE, _ERROR = 100, 60, 120  # characters; a page has room for about half of them
_SHORT = 16  # characters that fit into a narrow column


def answers_html(samples: Sequence[Sample]) -> str:
    """The newest answers, a row each: the text, then the first fields. Empty without answers."""
    if not samples:
        return ""
    names = list(samples[0].values or {})
    shown, left = names[:FIELDS], len(names) - FIELDS
    head = ["newest answers", *(html(name, limit=40) for name in shown)]
    rows = [
        [html(one.text, limit=_TEXT), *(_value_html((one.values or {}).get(n)) for n in shown)]
        for one in samples
    ]
    more = style.line(style.soft(f"and {plural(left, 'more field')}")) if left > 0 else ""
    return style.frame((style.table(head, rows, shares=_shares(samples, shown)), more))


def _shares(samples: Sequence[Sample], names: Sequence[str]) -> list[int]:
    """How wide the columns are to each other: labels are short, summaries are not."""
    texts = [[_value_text((one.values or {}).get(name)) for one in samples] for name in names]
    return [4, *(3 if any(len(text) > _SHORT for text in column) else 1 for column in texts)]


def _value_text(value: Any) -> str:
    if isinstance(value, str):
        return value
    return "none" if value is None else json.dumps(value, ensure_ascii=False)


def _value_html(value: Any) -> str:
    text = html(_value_text(value), limit=_VALUE)
    return style.soft(text) if value is None else text


def failures_html(samples: Iterable[Sample]) -> str:
    """The last failures, a row each: its label, the text, what was wrong."""
    head = ["row", "text", "what was wrong"]
    rows = [
        [
            html(one.label, limit=40),
            html(one.text, limit=_TEXT),
            html(one.error, limit=_ERROR),
        ]
        for one in samples
    ]
    return style.table(head, rows, shares=(1, 4, 5)) if rows else ""
