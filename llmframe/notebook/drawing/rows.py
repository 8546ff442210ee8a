"""Rows in a live view: shares of labels, the newest answers, the last failures by kind."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from llmframe.messages.afterwards import ENOUGH, NEARLY_ALL
from llmframe.notebook.drawing import style
from llmframe.notebook.drawing.escape import html, plain
from llmframe.notebook.drawing.format import count, plural
from llmframe.text import percents

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from llmframe.notebook.view import LabelCounts, ShownRow

FIELDS = 4  # columns of answers: enough to see whether the prompt is right
_TEXT, _VALUE, _ERROR = 100, 60, 120  # characters; a page has room for about half of them
_SHORT = 16  # characters that fit into a narrow column
_LABELS = 4  # labels shown of a field, the most frequent
_LABEL = 40  # characters of a label


def shares_html(fields: Sequence[LabelCounts]) -> str:
    """The labels so far, a line for each field. Empty without labels."""
    if not fields:
        return ""
    lines = [_share_line(field) for field in fields[:FIELDS]]
    left = len(fields) - FIELDS
    if left > 0:
        lines.append(style.line(style.soft(f"and {plural(left, 'more field')}")))
    return style.frame((style.soft("labels so far"), *lines))


def _share_line(field: LabelCounts) -> str:
    name = f"{style.soft(html(field.name, limit=_LABEL))} &nbsp; "
    words = ", ".join(html(part, limit=2 * _LABEL) for part in _shares(field))
    doubt = html(doubt_words(field), limit=4 * _LABEL)
    return style.line(name + words) + (style.line(style.chip(doubt, "wait")) if doubt else "")


def shares_text(fields: Sequence[LabelCounts]) -> str:
    """The same in one line: ``intent: 61 % refund, 22 % delivery``."""
    texts = (f"{plain(field.name, limit=_LABEL)}: {', '.join(_shares(field))}" for field in fields)
    return "; ".join(list(texts)[:FIELDS])


def _shares(field: LabelCounts) -> list[str]:
    parts = percents([number for _, number in field.labels])
    shown = [
        f"{_share(part, number, field.total)} {plain(label, limit=_LABEL)}"
        for part, (label, number) in list(zip(parts, field.labels, strict=True))[:_LABELS]
    ]
    rest = len(field.labels) - _LABELS
    return [*shown, f"and {plural(rest, 'more label')}"] if rest > 0 else shown


def _share(percent: int, number: int, total: int) -> str:
    """Never "0 %" for some, nor "100 %" for some but not all."""
    if not percent:
        return "under 1 %"
    return f"{percent if number == total else min(percent, 99)} %"


def doubt_words(field: LabelCounts) -> str:
    """That one label took nearly all answers so far; empty if none did."""
    label, most = field.labels[0]
    if field.total < ENOUGH or most < NEARLY_ALL * field.total:
        return ""
    return (
        f"nearly all of {count(field.total)} answers are {plain(label, limit=_LABEL)}: if that is "
        "unexpected, stop and look at the prompt"
    )


def answers_html(rows: Sequence[ShownRow], title: str = "newest answers") -> str:
    """Answers, a row each: the text, then the first fields. Empty without answers."""
    if not rows:
        return ""
    names = list(rows[0].values or {})
    shown, left = names[:FIELDS], len(names) - FIELDS
    head = [title, *(html(name, limit=40) for name in shown)]
    shares, cells = [4], [[html(row.text, limit=_TEXT)] for row in rows]
    for name in shown:
        texts = [value_text((row.values or {}).get(name)) for row in rows]
        # labels are short, summaries are not
        shares.append(3 if any(len(text) > _SHORT for text in texts) else 1)
        for line, row, text in zip(cells, rows, texts, strict=True):
            missing = (row.values or {}).get(name) is None
            line.append(style.soft("none") if missing else html(text, limit=_VALUE))
    more = style.line(style.soft(f"and {plural(left, 'more field')}")) if left > 0 else ""
    return style.frame((style.table(head, cells, shares=shares), more))


def value_text(value: Any) -> str:
    """A JSON value as people read it: texts without quotes."""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def failures_html(rows: Iterable[ShownRow]) -> str:
    """The last failures, a row each: its label, the text, the error."""
    cells = [
        [html(row.label, limit=40), html(row.text, limit=_TEXT), html(row.error, limit=_ERROR)]
        for row in rows
    ]
    return style.table(["row", "text", "error"], cells, shares=(1, 4, 5)) if cells else ""
