"""Proposed labels: a dict that is edited and given to ``tag``, and shows what it was made from."""

from __future__ import annotations

from collections import Counter
from copy import copy
from typing import TYPE_CHECKING, Any

import pandas as pd

from llmframe.notebook import hosts
from llmframe.notebook.drawing import style
from llmframe.notebook.drawing.escape import SENTENCES, attribute, html, plain
from llmframe.notebook.drawing.format import count, noun, plural
from llmframe.task.choices import DescribedLabels
from llmframe.task.text import excerpt

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

EXAMPLES = 2  # of a label
_LABEL, _TEXT, _ROW = 80, 160, 40  # characters
_ABOVE = '<div style="margin-top:14px"></div>'
_TO_OTHER = 'would be left to "other"'


class ProposedLabels(DescribedLabels):
    """Label -> description, as ``tag`` takes it for a field; a dict to be edited.

    sample: the texts that were read, on the frame's index, each with its label. shares: of the
    sample, by label. other: the share of texts that no label covers; the texts of a label that
    you delete belong there.
    """

    # sample: a label or None, and the text, for each label of index; out of rows

    def __init__(
        self,
        labels: Mapping[str, str],
        *,
        sample: Sequence[tuple[str | None, str]],
        index: pd.Index[Any],
        rows: int,
        unread: int = 0,
        input: object = "text",  # noqa: A002 - as tag calls it
    ) -> None:
        super().__init__(labels)
        self._next = f'df.llm.tag({excerpt(input)}, {{"label": labels}}, other="other")'
        self._rows = rows
        self._sample = tuple(sample)
        self._index = index
        self._unread = unread
        self._shown: object = None  # by the call: in which cell, and with which labels

    @property
    def sample(self) -> pd.DataFrame:
        """The texts as they were sent, with columns ``text`` and ``label`` (missing: none)."""
        return pd.DataFrame(
            {
                "text": [text for _, text in self._sample],
                "label": [label if label in self else None for label, _ in self._sample],
            },
            index=self._index,
        )

    @property
    def shares(self) -> dict[str, float]:
        """Each label's share of the sample, from 0 to 1."""
        counted = Counter(label for label, _ in self._sample)
        return {label: counted[label] / max(len(self._sample), 1) for label in self}

    @property
    def other(self) -> float:
        """The share of the sample that no label covers, from 0 to 1."""
        return len(self._of(None)) / max(len(self._sample), 1)

    def copy(self) -> ProposedLabels:
        """A copy that shows the same sample."""
        return copy(self)

    def __or__(self, other: dict[str, str]) -> ProposedLabels:  # type: ignore[override]
        both = copy(self)
        both.update(other)
        return both

    def __str__(self) -> str:
        lines = [f"llmframe: {self._head()}"]
        for label, description in self._described():
            of = self._of(label)
            lines.append(f"  {plain(label, limit=_LABEL)}: {self._counted(of)}")
            lines += [f"    {plain(description, limit=SENTENCES)}"] if description.strip() else []
            lines += [f"    - {row}: {text}" for row, text in _examples(of)]
        if left := self._of(None):
            lines.append(f"  {_TO_OTHER}: {self._counted(left)}")
            lines += [f"    - {row}: {text}" for row, text in _examples(left)]
        return "\n".join([*lines, f"  Edit it as a dict, then: {self._next}"])

    def _repr_html_(self) -> str:
        title = f"{style.big(count(len(self)))} {style.soft(html(self._head(number=False)))}"
        parts = [f"<div>{title}</div>"]
        longest = max(len(self._of(label)) for label in (*self, None))
        for label, description in self._described():
            parts += self._label_html(label, description, longest)
        if left := self._of(None):
            says = attribute(f"{_TO_OTHER}: {self._counted(left)}")
            bar = style.labelled_bar(
                style.soft(html(_TO_OTHER)), len(left) / longest,
                html(self._counted(left)), says=says,
            )  # fmt: skip
            parts += [_ABOVE, bar, *_examples_html(left)]
        words = f"Edit it as a dict, then {style.code(html(self._next))}"
        return style.frame((*parts, style.line(style.soft(words))))

    def _ipython_display_(self) -> None:
        if self._shown != self._here():  # the call has displayed it already
            hosts.show(hosts.bundle(self._repr_html_(), str(self)))

    def show(self) -> None:
        """Display it in the running cell; nothing without a notebook."""
        if hosts.kernel() is not None:
            self._ipython_display_()
            self._shown = self._here()

    def _here(self) -> object:
        return hosts.running_cell(), tuple(self.items())

    def _described(self) -> list[tuple[str, str]]:
        """Labels and descriptions as texts, whatever an edit has put there: ``tag`` refuses it."""
        return [
            (str(label), description if isinstance(description, str) else "")
            for label, description in self.items()
        ]

    def _label_html(self, label: str, description: str, longest: int) -> list[str]:
        of = self._of(label)
        name = f"<b>{html(label, limit=_LABEL)}</b>"
        says = attribute(f"{label}: {self._counted(of)}", limit=_LABEL)
        share = len(of) / longest if longest else 0.0
        return [
            _ABOVE,
            style.labelled_bar(name, share, html(self._counted(of)), says=says),
            f'<div dir="auto">{html(description, limit=SENTENCES)}</div>',
            *_examples_html(of),
        ]

    def _of(self, label: str | None) -> list[tuple[str, str]]:
        """Rows and texts with a label; None: those that no label covers."""
        return [
            (str(row), text)
            for row, (held, text) in zip(self._index, self._sample, strict=True)
            # no label covers the texts of one that was deleted since
            if (held == label if label is not None else held not in self)
        ]

    def _counted(self, texts: Sequence[object]) -> str:
        if not texts:
            return "none in the sample"
        percent = 100 * len(texts) / len(self._sample)
        return f"{count(len(texts))} ({'under 1' if percent < 1 else round(percent)} %)"

    def _head(self, *, number: bool = True) -> str:
        named = noun(len(self), "label")
        words = f"{count(len(self))} {named}" if number else named
        read, rows = plural(len(self._sample), "text"), plural(self._rows, "row")
        words += f", proposed from {read} of {rows}"
        if self._unread:
            words += f" ({plural(self._unread, 'text')} of the sample could not be read)"
        return words


def _examples(texts: Sequence[tuple[str, str]]) -> list[tuple[str, str]]:
    return [(plain(row, limit=_ROW), plain(text, limit=_TEXT)) for row, text in texts[:EXAMPLES]]


def _examples_html(texts: Sequence[tuple[str, str]]) -> list[str]:
    return [
        style.record(html(row, limit=_ROW), [html(text, limit=_TEXT)])
        for row, text in texts[:EXAMPLES]
    ]
