"""The pieces of HTML that live views, cards and summaries are made of.

Every style is inline and of the plainest kind, because the card must look right where style
blocks, scripts and CSS variables are taken away (JupyterLab does so in a notebook that was
written elsewhere). Text inherits the page's colour, soft text is a little transparent, and the
colours that are set are tints or readable on white and on black: no theme has to be known.
States differ in shape too: what is ok is filled, what failed is hollow, what was skipped is thin,
because green and red are the same to some eyes. Bars have a role and a value for screen readers.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

# the looks of the parts of a bar, and of the marks before their numbers
OK = "background:#2e9d6a"
BAD = "border:2px solid #d03a30"
SKIPPED = "height:4px;margin-top:3px;margin-bottom:3px;background:#7d7d7d"
TRACK = "background:rgba(128,128,128,0.18)"
FIELD = "#3d6fe0"
_LINE = "rgba(128,128,128,0.35)"

WIDTH = "780px"

_FRAME = (
    f"border:1px solid {_LINE};border-radius:8px;padding:12px 14px;margin:4px 0;max-width:{WIDTH};"
    "box-sizing:border-box;font-size:13px;line-height:1.5;font-variant-numeric:tabular-nums"
)
_FACT = (
    "display:inline-block;min-width:125px;box-sizing:border-box;padding-right:10px;"
    "vertical-align:top;"
)
_BOX = "display:inline-block;vertical-align:top;box-sizing:border-box;padding-top:12px;width:"
_HALF = "50%;min-width:min(300px,100%);padding-right:24px"
_CUT = "overflow:hidden;white-space:nowrap;text-overflow:ellipsis;"
_BAR = f"height:9px;border-radius:3px;background:{FIELD}"
_TABLE = (
    "table-layout:fixed;width:100%;min-width:560px;border-collapse:collapse;border:none;margin:0;"
    "font-size:13px;line-height:1.5;color:inherit"
)
SCROLLED = "overflow-x:auto;width:0;min-width:100%"  # as wide as there is room, never wider
_SOFT = 0.8  # at 0.7 grey text, as some themes have it, is too pale to read
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
        f'<div style="margin-left:auto;overflow-wrap:anywhere">{right}</div></div>'
    )


def big(text: str) -> str:
    """The number to read first."""
    return f'<span style="font-size:20px;font-weight:600">{text}</span>'


def soft(text: str) -> str:
    """Less important text."""
    return f'<span style="opacity:{_SOFT}">{text}</span>'


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


def note(text: str) -> str:
    """A sentence to heed."""
    return f"{chip('note', 'wait')} {text}"


def code(text: str) -> str:
    """A line to type."""
    return (
        '<span style="font-family:monospace;font-size:12px;padding:1px 5px;border-radius:4px;'
        f'overflow-wrap:anywhere;{TRACK}">{text}</span>'
    )


def bar(parts: Sequence[tuple[int, str]], total: int, *, label: str, words: str) -> str:
    """Parts of a whole; a part that is not empty is always visible.

    parts: (count, look), drawn in order. total: the whole bar; 0 draws an empty one.
    label, words: what a screen reader says: what the bar is, and its value. Text of ours.
    """
    cells = "".join(
        f'<div style="width:{100 * number / total:.2f}%;min-width:5px;height:10px;'
        f'box-sizing:border-box;{look}"></div>'
        for number, look in parts
        if total and number
    )
    done = sum(number for number, _ in parts)
    return (
        f'<div role="progressbar" aria-label="{label}" aria-valuemin="0" aria-valuenow="{done}" '
        f'aria-valuemax="{max(total, done, 1)}" aria-valuetext="{words}" style="display:flex;'
        f'height:10px;border-radius:5px;overflow:hidden;{TRACK};margin:8px 0 10px 0">{cells}</div>'
    )


def fact(number: str, words: str, look: str = "", *, wide: bool = False) -> str:
    """A number with its words; look: of the mark before it, for a part of the bar.

    wide: room for twice as many words.
    """
    mark = (
        '<span style="display:inline-block;width:10px;height:10px;box-sizing:border-box;'
        f'margin-right:5px;{look}"></span>'
    )
    style = f"{_FACT}width:{'50%' if wide else '25%'}"
    return f'<div style="{style}">{mark if look else ""}<b>{number}</b> {soft(words)}</div>'


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
        f'<th style="width:{100 * share // whole}%;{_CELL}font-weight:400;opacity:{_SOFT}" '
        f'scope="col">{name}</th>'
        for share, name in zip(shares, head, strict=True)
    )
    cell = f'<td style="{_CELL}{_RULE}">'
    body = "".join(f"<tr>{''.join(f'{cell}{text}</td>' for text in row)}</tr>" for row in rows)
    table = f'<table style="{_TABLE}"><tr>{names}</tr>{body}</table>'
    # what scrolls takes the focus, so that the arrow keys scroll it
    return f'<div tabindex="0" role="group" aria-label="table" style="{SCROLLED}">{table}</div>'


def record(label: str, parts: Iterable[str]) -> str:
    """Texts of one row, whole: side by side where there is room, else below each other."""
    part = "flex:1 1 200px;text-align:left;overflow-wrap:anywhere"
    texts = "".join(f'<div dir="auto" style="{part}">{text}</div>' for text in parts)
    name = f'<div style="width:52px;overflow-wrap:anywhere">{soft(label)}</div>'
    body = f'<div style="flex:1;display:flex;flex-wrap:wrap;gap:4px 16px">{texts}</div>'
    return f'<div style="display:flex;gap:8px;padding:4px 0;{_RULE}">{name}{body}</div>'


def quote(text: str) -> str:
    """A text that somebody or a model wrote, whole."""
    return (
        f'<div dir="auto" style="margin:6px 0 0 0;padding:0 10px;overflow-wrap:anywhere;'
        f'border-left:3px solid {_LINE}">{text}</div>'
    )


def box(parts: Iterable[str], *, wide: bool = False) -> str:
    """One of several boxes, two side by side unless wide; they wrap on a narrow page."""
    return f'<div style="{_BOX}{"100%" if wide else _HALF}">{"".join(parts)}</div>'


def labelled_bar(label: str, share: float, words: str, *, says: str, wide: bool = False) -> str:
    """A bar between its label and its number.

    label: shown whole, in several lines if need be. share: of the longest bar, from 0 to 1.
    says: what a screen reader says, as ``escape.attribute`` makes it. wide: room for long labels.
    """
    room = "20%" if wide else "28%"
    least = "min-width:2px;" if share else ""
    bar = f'<div style="width:{100 * share:.1f}%;{least}{_BAR}"></div>'
    return (
        '<div style="display:flex;align-items:center;margin-top:2px">'
        '<div dir="auto" style="flex:1;text-align:left;line-height:1.3;overflow-wrap:anywhere">'
        f'{label}</div><div role="img" aria-label="{says}" style="width:{room};padding:0 8px;'
        f'box-sizing:border-box">{bar}</div>'
        f'<div style="min-width:84px;white-space:nowrap">{words}</div></div>'
    )


def histogram(counts: Sequence[int], *, says: str) -> str:
    """Columns side by side, the highest 44 pixels high. says: what a screen reader says."""
    highest = max(*counts, 1)
    columns = "".join(
        f'<div style="width:{100 / len(counts):.2f}%;height:{44 * number / highest:.0f}px;'
        f'min-height:{min(number, 1)}px;margin-right:1px;background:{FIELD}"></div>'
        for number in counts
    )
    return (
        f'<div role="img" aria-label="{says}" style="display:flex;align-items:flex-end;'
        f'height:46px;border-bottom:1px solid {_LINE}">{columns}</div>'
    )


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
