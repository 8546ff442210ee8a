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
        for name, description, of in self._groups():
            lines.append(f"  {plain(name, limit=_LABEL)}: {self._counted(of)}")
            lines += [f"    {plain(description, limit=SENTENCES)}"] if description.strip() else []
            lines += [
                f"    - {plain(row, limit=_ROW)}: {plain(text, limit=_TEXT)}"
                for row, text in of[:EXAMPLES]
            ]
        return "\n".join([*lines, f"  Edit it as a dict, then: {self._next}"])

    def _repr_html_(self) -> str:
        title = f"{style.big(count(len(self)))} {style.soft(html(self._head(number=False)))}"
        parts = [f"<div>{title}</div>"]
        groups = self._groups()
        longest = max((len(of) for *_, of in groups), default=0) or 1
        for name, description, of in groups:
            shown, counted = html(name, limit=_LABEL), self._counted(of)
            label = style.soft(shown) if name == _TO_OTHER else f"<b>{shown}</b>"
            says = attribute(f"{name}: {counted}", limit=_LABEL)
            bar = style.labelled_bar(label, len(of) / longest, html(counted), says=says)
            about = f'<div dir="auto">{html(description, limit=SENTENCES)}</div>'
            examples = [
                style.record(html(row, limit=_ROW), [html(text, limit=_TEXT)])
                for row, text in of[:EXAMPLES]
            ]
            parts += [_ABOVE, bar, about if description else "", *examples]
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

    def _groups(self) -> list[tuple[str, str, list[tuple[str, str]]]]:
        """Each label with its description and its rows; at last the rows that no label covers."""
        groups = [
            # as texts, whatever an edit has put there: ``tag`` refuses it
            (str(label), description if isinstance(description, str) else "", self._of(label))
            for label, description in self.items()
        ]
        left = self._of(None)
        return [*groups, (_TO_OTHER, "", left)] if left else groups

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
