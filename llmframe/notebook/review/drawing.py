"""One row of a review as HTML."""

from __future__ import annotations

from typing import TYPE_CHECKING

from llmframe.notebook.drawing import style
from llmframe.notebook.drawing.escape import MARK, html
from llmframe.notebook.review.question import BLIND, HELP

if TYPE_CHECKING:
    from collections.abc import Iterator

    from llmframe.notebook.review.question import Question

SHOWN = 600  # characters of a text; the rest unfolds
REST = 20_000  # characters that unfold, at most
_LABEL = 80


def question_html(question: Question, *, help_shown: bool, message: str) -> str:
    """The row with how far the review is; at the end, what was found."""
    left = f"<b>{html(question.field, limit=_LABEL)}</b>"
    right = style.soft(html(question.progress))
    parts = [style.head(left, right), _bar(question)]
    if message:
        parts.append(style.line(style.note(html(message, limit=_LABEL * 10))))
    parts += [_text_html(question, name, text) for name, text in question.texts]
    if question.said:
        sure = "" if question.sure is None else style.soft(f", confidence {question.sure:.2f}")
        said = f"<b>{html(question.said, limit=SHOWN)}</b>"
        parts.append(style.line(f"{style.soft('the model said')} {said}{sure}"))
    if question.quote and not any(question.quote in text for _, text in question.texts):
        quote = html(question.quote, limit=SHOWN)
        parts.append(style.line(f"{style.soft('its quote, not in the text:')} {quote}"))
    parts += [style.line(html(line, limit=SHOWN)) for line in question.closing]
    if help_shown:
        blind = BLIND if question.is_blind else ""
        parts.append(style.line(style.soft(html(HELP + blind, limit=2 * SHOWN))))
    return style.frame(parts)


def _bar(question: Question) -> str:
    words = f"{question.judged} of {question.planned} rows judged"
    parts = [(question.judged, style.OK)]
    return style.bar(parts, max(question.planned, 1), label="progress", words=words)


def _text_html(question: Question, name: str, text: str) -> str:
    title = ""
    if len(question.texts) > 1:
        title = f"<div>{style.soft(html(name, limit=_LABEL))}</div>"
    shown = _marked(text[:SHOWN], question.quote)
    rest = text[SHOWN : SHOWN + REST]
    if rest:
        more = f"{len(text) - SHOWN:,} more characters"
        shown += (
            f'… <details><summary style="cursor:pointer">{more}</summary>'
            f"{_marked(rest, question.quote)}</details>"
        )
    return style.quote(f'{title}<div style="white-space:pre-wrap">{shown}</div>')


def _marked(text: str, quote: str) -> str:
    """The text in its lines, the quote in it marked."""
    before, found, after = text.partition(quote) if quote else (text, "", "")
    marked = f'<mark style="{MARK}">{_whole(found)}</mark>' if found else ""
    return _whole(before) + marked + _whole(after)


def _whole(text: str) -> str:
    return "\n".join(_lines(text))


def _lines(text: str) -> Iterator[str]:
    for line in text.split("\n"):
        # blank ends are part of a text that is shown in pieces
        ends = [" " if line[:1].isspace() else "", " " if line[-1:].isspace() else ""]
        # whatever the line holds, its HTML is shorter than this, so that nothing is cut
        yield ends[0] + html(line, limit=8 * len(line) + 1) + ends[1]
