"""Pictures of numbers with their error: bars with whiskers, and a table of confusions."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from llmframe.notebook.drawing import style
from llmframe.notebook.drawing.escape import attribute, html

if TYPE_CHECKING:
    from collections.abc import Sequence

LABELS = 12  # rows of a table of confusions; of more labels the page is too narrow
_LABEL = 60  # characters
_BLUE, _AMBER = "61,111,224", "214,145,20"
_CELL = "padding:3px 6px;border:none;text-align:right;white-space:nowrap"


def interval_bar(
    label: str,
    ends: tuple[float, float, float],
    words: str,
    *,
    mark: float | None = None,
    whole: float = 1.0,
    says: str = "",
) -> str:
    """An estimate with its interval on a line from 0 to whole, between its label and its words.

    ends: the interval's lower end, the estimate and the upper end; NaN where anything from 0 to
    whole is possible. mark: another value to compare with, drawn above the line. label, says: any
    text; words: HTML.
    """
    if math.isnan(ends[1]):
        ends = (0.0, whole / 2, whole)
    low, value, high = (min(max(end / whole, 0.0), 1.0) for end in ends)
    width = max(high - low, 0.004)  # an interval of no width must be seen as well
    inner = 100 * (value - low) / width
    above = ""
    if mark is not None:
        at = min(100 * mark / whole, 99.5)  # the whole mark stays inside the track
        above = f'<div style="margin-left:{at:.1f}%;width:2px;height:5px;{_OTHER}"></div>'
    band = (
        f'<div style="margin-left:{100 * low:.1f}%;width:{100 * width:.1f}%;height:9px;'
        f'background:rgba({_BLUE},0.4)"><div style="margin-left:{min(inner, 97):.1f}%;width:3px;'
        f'height:9px;background:{style.FIELD}"></div></div>'
    )
    return (
        '<div style="display:flex;align-items:center;margin-top:3px">'
        f'<div dir="auto" style="width:26%;text-align:left;line-height:1.3;'
        f'overflow-wrap:anywhere">{html(label, limit=_LABEL)}</div>'
        f'<div role="img" aria-label="{attribute(says)}" style="flex:1;margin:0 10px;'
        f'{style.TRACK}">{above}{band}</div>'
        f'<div style="width:30%;min-width:96px;line-height:1.3">{words}</div></div>'
    )


_OTHER = "background:#b26a00"


def confusions(
    labels: Sequence[str], table: Sequence[Sequence[float]], *, rows: str, columns: str
) -> str:
    """A table of counts, shaded by their share of the row: blue where both agree, else amber.

    labels: any texts, of the rows and of the columns alike. rows, columns: what they are.
    """
    names = [html(label, limit=_LABEL) for label in labels]
    head = "".join(f'<th scope="col" style="{_CELL};font-weight:400">{name}</th>' for name in names)
    corner = f"{html(rows)} ↓ &nbsp; {html(columns)} →"
    body = "".join(
        f'<tr style="background:transparent"><th scope="row" dir="auto" style="{_CELL};'
        f'text-align:left;font-weight:400">{name}</th>{_counts(at, counts)}</tr>'
        for at, (name, counts) in enumerate(zip(names, table, strict=True))
    )
    return (
        f'<div tabindex="0" role="group" aria-label="{attribute(f"{rows} against {columns}")}" '
        f'style="{style.SCROLLED};margin-top:8px"><table style="border-collapse:collapse;'
        'border:none;margin:0;font-size:13px;line-height:1.5;color:inherit">'
        f'<tr style="background:transparent"><th scope="col" style="{_CELL};text-align:left;'
        f'font-weight:400">{style.soft(corner)}</th>{head}</tr>{body}</table></div>'
    )


def _counts(row: int, counts: Sequence[float]) -> str:
    total = sum(counts) or 1.0
    cells = []
    for at, number in enumerate(counts):
        # by the root, so that a rare confusion can be seen
        shade = f"rgba({_BLUE if at == row else _AMBER},{0.55 * (number / total) ** 0.5:.2f})"
        text = f"{number:,.0f}" if number else style.soft("·")
        cells.append(f'<td style="{_CELL};background:{shade}">{text}</td>')
    return "".join(cells)
