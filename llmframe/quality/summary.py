"""A tagged frame at a glance: its statuses and what each field holds, in pictures and text."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from llmframe.frame.columns import STATUSES
from llmframe.notebook.drawing import style
from llmframe.notebook.drawing.counts import kinds
from llmframe.notebook.drawing.escape import html, plain
from llmframe.notebook.drawing.format import amount, count, money, noun
from llmframe.quality.distribution import Distribution, distribution
from llmframe.quality.tagged import read_tagged

if TYPE_CHECKING:
    import pandas as pd

_LABEL = 60  # characters of a label
_COLORS = {"ok": style.OK, "failed": style.BAD, "skipped": style.SKIPPED, "pending": style.TRACK}
_LOST = "The frame does not tell which columns are answers: its attrs are lost."


@dataclass(frozen=True, slots=True)
class Summary:
    """What a call has left in a frame; displayed as pictures, printed as text.

    rows: of the frame. counts: of them by status. errors: failed rows by kind.
    fields: what each field holds in the rows that are ok.
    model: as the person named it; tokens_in, tokens_out, cost: of the call; None where the
    frame does not tell.
    """

    rows: int
    counts: dict[str, int]
    errors: dict[str, int]
    fields: tuple[Distribution, ...]
    model: str | None = None
    tokens_in: int | None = None
    tokens_out: int | None = None
    cost: float | None = None

    def __repr__(self) -> str:
        lines = [_title_text(self), *map(_field_text, self.fields)]
        return "\n  ".join([*lines, *([] if self.fields else [_LOST])])

    def _repr_html_(self) -> str:
        title = f"{style.big(count(self.rows))} {style.soft(noun(self.rows, 'row'))}"
        head = style.head(title, style.mono(html(self.model or "", limit=80)))
        parts = [(self.counts[status], _COLORS[status]) for status in STATUSES[:3]]
        legend = [
            style.part(count(number), status, _COLORS[status])
            for status, number in self.counts.items()
            if number
        ]
        boxes = "".join(map(_field_html, self.fields)) or style.line(style.soft(_LOST))
        lines = map(style.line, _lines_html(self))
        return style.frame((head, style.bar(parts, self.rows), style.facts(legend), *lines, boxes))


def summarise(df: pd.DataFrame, prefix: str = "") -> Summary:
    """What the call with this prefix has left in df. PlanError if there was none."""
    tagged = read_tagged(df, prefix)
    ok = (tagged.status == "ok").to_numpy(dtype=bool)
    by_status = tagged.status.value_counts()
    note = tagged.note
    return Summary(
        rows=len(df),
        counts={status: int(by_status.get(status, 0)) for status in STATUSES},
        errors=_kinds(tagged.error[(tagged.status == "failed").to_numpy(dtype=bool)]),
        fields=tuple(distribution(name, cells[ok]) for name, cells in tagged.fields.items()),
        model=note.get("model"),
        tokens_in=note.get("tokens_in"),
        tokens_out=note.get("tokens_out"),
        cost=note.get("cost"),
    )


def _kinds(errors: pd.Series[Any]) -> dict[str, int]:
    return dict(Counter(str(error).partition(":")[0] for error in errors.dropna()))


def _lines_html(summary: Summary) -> list[str]:
    lines = []
    if summary.errors:
        lines.append(f"{style.soft('failed')} {html(kinds(summary.errors))}")
    if spent := _spent(summary):
        lines.append(style.soft(html(spent)))
    return lines


def _spent(summary: Summary) -> str:
    words = []
    if summary.tokens_in is not None and summary.tokens_out is not None:
        words.append(f"{amount(summary.tokens_in)} tokens in, {amount(summary.tokens_out)} out")
    if summary.cost is not None:
        words.append(money(summary.cost))
    return ", ".join(words)


def _field_html(field: Distribution) -> str:
    title = f"<b>{html(field.name, limit=_LABEL)}</b> {style.soft(html(_said(field)))}"
    whole = max((number for _, number in field.bars), default=0)
    bars = "".join(
        style.labelled_bar(html(label, limit=_LABEL), number / whole, _shared(number, field))
        for label, number in field.bars
        if whole
    )
    return style.box((title, bars, _histogram_html(field)))


def _histogram_html(field: Distribution) -> str:
    if not field.bins:
        return ""
    return style.histogram(field.bins) + style.head(style.soft(field.low), style.soft(field.high))


def _shared(number: int, field: Distribution) -> str:
    if not field.answered:
        return count(number)
    return f"{count(number)} {style.soft(f'{100 * number / field.answered:.0f} %')}"


def _said(field: Distribution) -> str:
    if not field.answered:
        return "no answers"
    missing = f"{count(field.missing)} with none" if field.missing else ""
    return ", ".join(words for words in (field.note, missing) if words)


def _title_text(summary: Summary) -> str:
    rows = ", ".join(f"{count(n)} {status}" for status, n in summary.counts.items() if n)
    words = [f"llmframe: {count(summary.rows)} {noun(summary.rows, 'row')}: {rows or 'none'}"]
    if summary.errors:
        words.append(f"failed: {kinds(summary.errors)}")
    if spent := _spent(summary):
        words.append(spent)
    if summary.model:
        words.append(plain(summary.model, limit=80))
    return "\n  ".join(words)


def _field_text(field: Distribution) -> str:
    labels = [f"{plain(label, limit=_LABEL)} {count(number)}" for label, number in field.bars]
    if field.bins:
        labels.append(f"{field.low} to {field.high}")
    words = ", ".join([*labels, *filter(None, [_said(field)])])
    return f"{plain(field.name, limit=_LABEL)}: {words}"
