"""Single rows in a live view: the newest answers as a small table, the last failures by kind."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from llmframe.notebook.drawing import style
from llmframe.notebook.drawing.escape import html
from llmframe.notebook.drawing.format import plural

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from llmframe.notebook.view import ShownRow

FIELDS = 4  # columns of answers: enough to see whether the prompt is right
_TEXT, _VALUE, _ERROR = 100, 60, 120  # characters; a page has room for about half of them
_SHORT = 16  # characters that fit into a narrow column


def answers_html(rows: Sequence[ShownRow]) -> str:
    """The newest answers, a row each: the text, then the first fields. Empty without answers."""
    if not rows:
        return ""
    names = list(rows[0].values or {})
    shown, left = names[:FIELDS], len(names) - FIELDS
    head = ["newest answers", *(html(name, limit=40) for name in shown)]
    shares, cells = [4], [[html(row.text, limit=_TEXT)] for row in rows]
    for name in shown:
        texts = [_value_text((row.values or {}).get(name)) for row in rows]
        # labels are short, summaries are not
        shares.append(3 if any(len(text) > _SHORT for text in texts) else 1)
        for line, row, text in zip(cells, rows, texts, strict=True):
            missing = (row.values or {}).get(name) is None
            line.append(style.soft("none") if missing else html(text, limit=_VALUE))
    more = style.line(style.soft(f"and {plural(left, 'more field')}")) if left > 0 else ""
    return style.frame((style.table(head, cells, shares=shares), more))


def _value_text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def failures_html(rows: Iterable[ShownRow]) -> str:
    """The last failures, a row each: its label, the text, the error."""
    cells = [
        [html(row.label, limit=40), html(row.text, limit=_TEXT), html(row.error, limit=_ERROR)]
        for row in rows
    ]
    return style.table(["row", "text", "error"], cells, shares=(1, 4, 5)) if cells else ""
