"""A review on the line: for terminals, and for notebooks without widgets."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from llmframe.errors import CheckpointError
from llmframe.notebook.drawing.escape import plain
from llmframe.notebook.drawing.format import plural
from llmframe.notebook.review.keys import HELP as HELP_KEY
from llmframe.notebook.review.keys import QUIT
from llmframe.notebook.review.question import BLIND, act

if TYPE_CHECKING:
    from collections.abc import Callable

    from llmframe.notebook.review.question import Question, Reviewing

HELP = (
    "Type a key, or the beginning of a label, and Enter. u takes the last answer back, as often as "
    "you like; n puts this row last; h is help; quit leaves, and so does q unless it is a label's "
    "key.\nEvery answer is saved at once; call it again to go on.\n"
)
_TEXT, _LABEL, _MANY = 4_000, 60, 40  # characters, characters, labels


def ask_on_the_line(
    review: Reviewing,
    read: Callable[[str], str] = input,
    write: Callable[[str], object] | None = None,
) -> None:
    """Ask about one row after another until all are judged, or the person leaves.

    read: asks for a line, as ``input`` does. write: shows text.
    """
    write = write or sys.stdout.write
    write(HELP)
    while (question := review.question()).has_row:
        write(_asked(review, question))
        try:
            meant = review.keys.read_line(read(f"{plain(question.field, limit=_LABEL)}: "))
        except (EOFError, KeyboardInterrupt):
            meant = QUIT
        if meant == QUIT:
            write(f"\n{plural(question.left, 'row')} left; call it again to go on.\n")
            return
        _do(review, meant, write)
    write("".join(f"{line}\n" for line in review.question().closing))


def _do(review: Reviewing, meant: int | str | None, write: Callable[[str], object]) -> None:
    if meant == HELP_KEY:
        write(HELP + (f"{BLIND}\n" if review.question().is_blind else ""))
        return
    try:
        if not act(review, meant):
            write("That is no key and no label.\n")
    except CheckpointError as exc:  # the row stays, so nothing is lost but the key
        write(f"{exc}\n")


def _asked(review: Reviewing, question: Question) -> str:
    many = len(question.texts) > 1
    texts = [
        f"  {plain(name, limit=_LABEL) + ': ' if many else ''}{plain(text, limit=_TEXT)}"
        for name, text in question.texts
    ]
    lines = [f"\n{question.progress}", *texts]
    if question.said:
        sure = "" if question.sure is None else f" (confidence {question.sure:.2f})"
        lines.append(f"  the model said: {plain(question.said, limit=_TEXT)}{sure}")
    pairs = zip(review.keys.of, review.keys.labels, strict=True)
    labels = [f"{key} {plain(label, limit=_LABEL)}".strip() for key, label in pairs]
    more = f"  … {len(labels) - _MANY} more" if len(labels) > _MANY else ""
    lines.append("  " + "  ".join(labels[:_MANY]) + more)
    return "\n".join(lines) + "\n"
