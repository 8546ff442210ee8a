"""The pieces of HTML that live views, cards and summaries are made of.

Every style is inline and of the plainest kind, because the card must look right where style
blocks, scripts and CSS variables are taken away (JupyterLab does so in a notebook that was
written elsewhere). Text inherits the page's colour, soft text is a little transparent, and the
colours that are set are tints or readable on white and on black: no theme has to be known.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

OK = "#2e9d6a"
REUSED = "rgba(46,157,106,0.45)"
BAD = "#d6493f"
SKIPPED = "rgba(128,128,128,0.6)"
FIELD = "#3d6fe0"
_LINE = "rgba(128,128,128,0.35)"
TRACK = "rgba(128,128,128,0.18)"

WIDTH = "780px"

_FRAME = (
    f"border:1px solid {_LINE};border-radius:8px;padding:12px 14px;margin:4px 0;max-width:{WIDTH};"
    "box-sizing:border-box;font-size:13px;line-height:1.5;font-variant-numeric:tabular-nums"
)
_FACT = (
    "display:inline-block;width:25%;min-width:150px;box-sizing:border-box;padding-right:10px;"
    "vertical-align:top"
)
_BOX = (
    "display:inline-block;vertical-align:top;width:50%;min-width:min(300px,100%);"
    "box-sizing:border-box;padding:12px 24px 0 0"
)
_CUT = "overflow:hidden;white-space:nowrap;text-overflow:ellipsis;"
_BAR = f"height:9px;border-radius:3px;background:{FIELD}"
_TABLE = (
    "table-layout:fixed;width:100%;min-width:560px;border-collapse:collapse;border:none;margin:0;"
    "font-size:13px;line-height:1.5;color:inherit"
)
_SCROLLED = "overflow-x:auto;width:0;min-width:100%"  # as wide as there is room, never wider
_CELL = f"text-align:left;padding:3px 8px 3px 0;border:none;background:transparent;{_CUT}"
_RULE = f"border-top:1px solid {_LINE}"
_SPARK = (120, 22)  # pixels
_FEWEST = 4  # points that make a line
TINTS = {
    "good": "rgba(46,157,106,0.25)",
    "bad": "rgba(214,73,63,0.25)",
    "wait": "rgba(214,145,20,0.28)",
}


def frame(parts: Iterable[str]) -> str:
    """The box around everything; notebooks typeset no TeX in it."""
    body = "".join(parts)
    return f'<div class="llmframe tex2jax_ignore mathjax_ignore" style="{_FRAME}">{body}</div>'


def head(left: str, right: str) -> str:
    """The first line: its main part, and another at the right."""
    return (
        '<div style="display:flex;flex-wrap:wrap;align-items:baseline">'
        f'<div style="margin-right:16px">{left}</div>'
        f'<div style="margin-left:auto">{right}</div></div>'
    )


def big(text: str) -> str:
    """The number to read first."""
    return f'<span style="font-size:20px;font-weight:600">{text}</span>'


def soft(text: str) -> str:
    """Less important text."""
    return f'<span style="opacity:0.7">{text}</span>'


def mono(text: str) -> str:
    """A path or a name to copy."""
    return (
        '<span style="font-family:monospace;font-size:12px;opacity:0.8;word-wrap:break-word">'
        f"{text}</span>"
    )


def chip(text: str, tint: str) -> str:
    """A word or two on a coloured ground. tint: one of TINTS."""
    return (
        '<span style="display:inline-block;border-radius:10px;padding:0 8px;'
        f'background:{TINTS[tint]}">{text}</span>'
    )


def bar(parts: Sequence[tuple[int, str]], total: int) -> str:
    """Coloured parts of a whole; a part that is not empty is always visible.

    parts: (count, colour), drawn in order. total: the whole bar; 0 draws an empty one.
    """
    cells = "".join(
        f'<div style="width:{100 * number / total:.2f}%;min-width:3px;height:10px;'
        f'background:{color}"></div>'
        for number, color in parts
        if total and number
    )
    return (
        '<div style="display:flex;height:10px;border-radius:5px;overflow:hidden;'
        f'background:{TRACK};margin:8px 0 10px 0">{cells}</div>'
    )


def fact(number: str, words: str, color: str = "") -> str:
    """A number with its words; color: of the dot before it, for a part of the bar."""
    dot = (
        '<span style="display:inline-block;width:8px;height:8px;border-radius:2px;'
        f'margin-right:5px;background:{color}"></span>'
    )
    return f'<div style="{_FACT}">{dot if color else ""}<b>{number}</b> {soft(words)}</div>'


def facts(parts: Iterable[str]) -> str:
    """Numbers side by side; they wrap on a narrow page."""
    return f"<div>{''.join(parts)}</div>"


def line(text: str) -> str:
    """A separate line, below the last."""
    return f'<div style="margin-top:6px">{text}</div>'


def table(head: Sequence[str], rows: Iterable[Sequence[str]], *, shares: Sequence[int]) -> str:
    """Rows of one line each, too long cells cut: a live view must not jump.

    shares: the columns' widths relative to each other. It scrolls sideways on a narrow page.
    """
    whole = sum(shares)
    names = "".join(
        f'<th style="width:{100 * share // whole}%;{_CELL}font-weight:400;opacity:0.7">{name}</th>'
        for share, name in zip(shares, head, strict=True)
    )
    cell = f'<td style="{_CELL}{_RULE}">'
    body = "".join(f"<tr>{''.join(f'{cell}{text}</td>' for text in row)}</tr>" for row in rows)
    table = f'<table style="{_TABLE}"><tr>{names}</tr>{body}</table>'
    return f'<div style="{_SCROLLED}">{table}</div>'


def box(parts: Iterable[str]) -> str:
    """One of several boxes side by side; they wrap on a narrow page."""
    return f'<div style="{_BOX}">{"".join(parts)}</div>'


def labelled_bar(label: str, share: float, words: str) -> str:
    """A bar between its label and its number. share: of the longest bar, from 0 to 1."""
    least = "min-width:2px;" if share else ""
    bar = f'<div style="width:{100 * share:.1f}%;{least}{_BAR}"></div>'
    return (
        f'<div style="display:flex;align-items:center"><div style="width:30%;{_CUT}">{label}</div>'
        f'<div style="width:40%;padding:0 8px;box-sizing:border-box">{bar}</div>'
        f'<div style="width:30%;white-space:nowrap">{words}</div></div>'
    )


def histogram(counts: Sequence[int]) -> str:
    """Columns side by side, the highest 44 pixels high."""
    highest = max(*counts, 1)
    columns = "".join(
        f'<div style="width:{100 / len(counts):.2f}%;height:{44 * number / highest:.0f}px;'
        f'min-height:{min(number, 1)}px;margin-right:1px;background:{FIELD}"></div>'
        for number in counts
    )
    return f'<div style="display:flex;align-items:flex-end;height:46px">{columns}</div>'


def sparkline(values: Sequence[float], *, label: str) -> str:
    """A small line over the values, none below 0; empty while there is too little to see."""
    highest = max(values, default=0.0)
    if len(values) < _FEWEST or highest <= 0:
        return ""
    width, height = _SPARK
    step, room = width / (len(values) - 1), height - 3
    line = " ".join(
        f"{at * step:.1f},{height - 1 - room * value / highest:.1f}"
        for at, value in enumerate(values)
    )
    area = f'points="0,{height} {line} {width},{height}" fill="{FIELD}" opacity="0.15"'
    return (
        f'<svg width="{width}" height="{height}" viewBox="0 0 {width} {height}" role="img" '
        f'aria-label="{label}" style="vertical-align:-5px;margin-right:8px"><polygon {area}/>'
        f'<polyline points="{line}" fill="none" stroke="{FIELD}" stroke-width="1.5"/></svg>'
    )
