"""Rows of a preview: each text with its answers beside it, as HTML and as lines of text."""

from __future__ import annotations

from typing import TYPE_CHECKING

from llmframe.messages.afterwards import kind_words
from llmframe.notebook.drawing import style
from llmframe.notebook.drawing.escape import SENTENCES, html, marked, plain
from llmframe.notebook.drawing.format import count, plural

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from llmframe.notebook.view import Choice, PreviewRow

SHOWN = 50  # rows with their texts; the others are in the frame
FIELDS = 12  # answers of one row
LABELS = 8  # labels of a field that are counted, the most frequent
_TEXT, _VALUE, _NAME = 500, 400, 60  # characters
NONE = "none"
EVIDENCE = "_evidence"  # the end of the name of an answer's quote, which is highlighted

_WORDS = {"waiting": "waiting", "writing": "being written", "pending": "not reached"}


def head_html(rows: Sequence[PreviewRow], of: str) -> str:
    """How many rows, of how many, and how they ended. of: words for the whole frame."""
    title = f"{style.big(count(len(rows)))} {style.soft(html(of))}"
    tints = {"ok": "good", "failed": "bad"}
    states = [style.chip(words, tints.get(name, "wait")) for name, words in _counted(rows)]
    return style.head(title, " ".join(states))


def _counted(rows: Sequence[PreviewRow]) -> list[tuple[str, str]]:
    """(state, ``8 ok``) of the states that there are."""
    names = {"done": "ok", "failed": "failed", **_WORDS}
    numbers = {name: sum(row.state == state for row in rows) for state, name in names.items()}
    return [(name, f"{count(number)} {name}") for name, number in numbers.items() if number]


def choice_html(choice: Choice) -> str:
    """A line: the labels with their rows, and how many answers cover nothing."""
    name = f"{style.soft(html(choice.name, limit=_NAME))} &nbsp; "
    doubt = _uncovered(choice)
    chip = f" &nbsp; {style.chip(html(doubt), 'wait')}" if doubt else ""
    return style.line(name + html(_labels(choice), limit=SENTENCES) + chip)


def _labels(choice: Choice) -> str:
    shown = [f"{count(n)} {plain(label, limit=_NAME)}" for label, n in choice.labels[:LABELS]]
    left = len(choice.labels) - LABELS
    return ", ".join([*shown, f"and {plural(left, 'more label')}"] if left > 0 else shown)


def _uncovered(choice: Choice) -> str:
    if not choice.uncovered:
        return ""
    return f"{count(choice.uncovered)} of {count(choice.answered)} other or {choice.unlabelled}"


def rows_html(rows: Sequence[PreviewRow]) -> str:
    """Each row: its text, and beside it the answers, or why there are none."""
    shown = [
        style.record(html(row.label, limit=_NAME), [_text_html(row), "".join(_answers_html(row))])
        for row in rows[:SHOWN]
    ]
    left = len(rows) - SHOWN
    more = style.line(style.soft(f"and {plural(left, 'more row')} in the frame"))
    return "".join([*shown, more] if left > 0 else shown)


def _text_html(row: PreviewRow) -> str:
    quotes = [value for name, value in row.values.items() if name.endswith(EVIDENCE) and value]
    text = f'<div dir="auto">{marked(row.text, quotes, limit=_TEXT)}</div>'
    # apart from the text, whose script may be written from right to left
    return f"{text}<div>{style.soft(_alike(row))}</div>" if row.alike > 1 else text


def _alike(row: PreviewRow) -> str:
    return f"this text is in {count(row.alike)} rows"


def _answers_html(row: PreviewRow) -> Iterator[str]:
    if row.state == "failed":
        kind, reason = _error(row)
        yield f"{style.chip(html(kind), 'bad')} {html(reason, limit=SENTENCES)}"
    names = list(row.values)
    for name in names[:FIELDS]:
        value = row.values[name]
        text = style.soft(NONE) if value is None else f"<bdi>{html(value, limit=_VALUE)}</bdi>"
        text = f"<b>{text}</b>" if name in row.brief else text
        yield f'<div dir="ltr">{style.soft(html(name, limit=_NAME))} {text}</div>'
    if len(names) > FIELDS:
        yield style.soft(f"and {plural(len(names) - FIELDS, 'more field')}")
    if row.state in _WORDS and not names:
        yield style.soft(_WORDS[row.state])


def _error(row: PreviewRow) -> tuple[str, str]:
    """The kind of a failure in words, and its reason."""
    kind, colon, reason = row.error.partition(": ")
    return (kind_words(plain(kind, limit=_NAME), 1), reason) if colon else ("failed", row.error)


def preview_text(rows: Sequence[PreviewRow], of: str, choices: Sequence[Choice]) -> str:
    """The same as lines, for terminals and logs."""
    counted = ", ".join(words for _, words in _counted(rows))
    lines = [f"llmframe: {count(len(rows))} {plain(of)}: {counted or 'no row has a text'}"]
    for choice in choices:
        doubt = f" ({_uncovered(choice)})" if choice.uncovered else ""
        lines.append(f"  {plain(choice.name, limit=_NAME)}: {_labels(choice)}{doubt}")
    for row in rows[:SHOWN]:
        alike = f" ({_alike(row)})" if row.alike > 1 else ""
        text = plain(row.text, limit=_TEXT)
        lines.append(f"  {plain(row.label, limit=_NAME)}: {text}{alike}")
        lines += [f"    {words}" for words in _answers_text(row)]
    if len(rows) > SHOWN:
        lines.append(f"  and {plural(len(rows) - SHOWN, 'more row')} in the frame")
    return "\n".join(lines)


def _answers_text(row: PreviewRow) -> Iterator[str]:
    if row.state == "failed":
        kind, reason = _error(row)
        yield f"{kind}: {plain(reason, limit=SENTENCES)}"
    names = list(row.values)
    for name in names[:FIELDS]:
        value = row.values[name]
        yield f"{plain(name, limit=_NAME)}: {NONE if value is None else plain(value, limit=_VALUE)}"
    if len(names) > FIELDS:
        yield f"and {plural(len(names) - FIELDS, 'more field')}"
    if row.state in _WORDS:
        yield _WORDS[row.state]
