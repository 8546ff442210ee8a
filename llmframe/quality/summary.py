"""A tagged frame at a glance: its statuses and what each field holds, as HTML and text."""

from __future__ import annotations

from collections import Counter
from dataclasses import KW_ONLY, dataclass
from typing import TYPE_CHECKING

from llmframe.frame.columns import STATUSES
from llmframe.notebook.drawing import style
from llmframe.notebook.drawing.counts import kinds
from llmframe.notebook.drawing.escape import html, plain
from llmframe.notebook.drawing.format import amount, count, money, noun
from llmframe.notebook.drawing.spending import tokens_in_words
from llmframe.quality.distribution import Distribution, distribution
from llmframe.quality.tagged import read_tagged

if TYPE_CHECKING:
    import pandas as pd

_LABEL = 60  # characters of a label
_COLORS = {"ok": style.OK, "failed": style.BAD, "skipped": style.SKIPPED, "pending": style.TRACK}
_LOST = "The frame's attrs are lost, so it is not known which columns are answers."


@dataclass(frozen=True, slots=True)
class Summary:
    """What a call left in a frame; displayed as pictures, printed as text.

    rows: of the frame. counts: rows by status. errors: failed rows by kind.
    fields: what each field holds in the rows that are ok. model: as the person named it.
    tokens_in, tokens_out, cost: of the call; tokens_cached: of tokens_in; currency: of the cost.
    What the attrs do not hold is None.
    """

    rows: int
    _: KW_ONLY
    counts: dict[str, int]
    errors: dict[str, int]
    fields: tuple[Distribution, ...]
    model: str | None = None
    tokens_in: int | None = None
    tokens_out: int | None = None
    cost: float | None = None
    tokens_cached: int | None = None
    currency: str | None = None

    def __repr__(self) -> str:
        rows = ", ".join(f"{count(n)} {status}" for status, n in self.counts.items() if n)
        lines = [
            f"llmframe: {count(self.rows)} {noun(self.rows, 'row')}: {rows or 'none'}",
            f"failed: {kinds(self.errors)}" if self.errors else "",
            self._spent(),
            plain(self.model or "", limit=80),
            *(map(_field_text, self.fields) if self.fields else [_LOST]),
        ]
        return "\n  ".join(line for line in lines if line)

    def _repr_html_(self) -> str:
        title = f"{style.big(count(self.rows))} {style.soft(noun(self.rows, 'row'))}"
        head = style.head(title, style.mono(html(self.model or "", limit=80)))
        # the bar's own ground stands for the last status, pending
        parts = [(self.counts[status], _COLORS[status]) for status in STATUSES[:3]]
        legend = [
            style.fact(count(number), status, _COLORS[status])
            for status, number in self.counts.items()
            if number
        ]
        lines = []
        if self.errors:
            lines.append(f"{style.soft('failed')} {html(kinds(self.errors))}")
        if spent := self._spent():
            lines.append(style.soft(html(spent)))
        boxes = "".join(map(_field_html, self.fields)) or style.line(style.soft(_LOST))
        bar = style.bar(parts, self.rows)
        return style.frame((head, bar, style.facts(legend), *map(style.line, lines), boxes))

    def _spent(self) -> str:
        words = []
        if self.tokens_in is not None and self.tokens_out is not None:
            tokens_in = tokens_in_words(self.tokens_in, self.tokens_cached or 0)
            words.append(f"{amount(self.tokens_in)} {tokens_in}, {amount(self.tokens_out)} out")
        if self.cost is not None:
            words.append(money(self.cost, self.currency or ""))
        return ", ".join(words)


def summarise(df: pd.DataFrame, prefix: str = "") -> Summary:
    """What the call with this prefix left in df. PlanError if there was none."""
    tagged = read_tagged(df, prefix)
    ok = (tagged.status == "ok").to_numpy(dtype=bool)
    by_status = tagged.status.value_counts()
    # Masks are arrays: a frame's index may hold a label twice, which pandas cannot align.
    failed = tagged.error[(tagged.status == "failed").to_numpy(dtype=bool)]
    note = tagged.note
    return Summary(
        rows=len(df),
        counts={status: int(by_status.get(status, 0)) for status in STATUSES},
        # an error's text is "kind: message", and messages differ in every row
        errors=dict(Counter(str(error).partition(":")[0] for error in failed.dropna())),
        fields=tuple(distribution(name, cells[ok]) for name, cells in tagged.fields.items()),
        model=note.get("model"),
        tokens_in=note.get("tokens_in"),
        tokens_out=note.get("tokens_out"),
        cost=note.get("cost"),
        tokens_cached=note.get("tokens_cached"),
        currency=note.get("currency"),
    )


def _field_html(field: Distribution) -> str:
    title = f"<b>{html(field.name, limit=_LABEL)}</b> {style.soft(html(_remark(field)))}"
    # Bars are drawn against the longest, not against all rows: many small labels stay visible.
    longest = max((number for _, number in field.bars), default=0)
    bars = ""
    for label, number in field.bars if longest else ():
        share = f" {style.soft(f'{100 * number / field.answered:.0f} %')}"
        label = html(label, limit=_LABEL)
        bars += style.labelled_bar(label, number / longest, count(number) + share)
    if field.bins:
        bars += style.histogram(field.bins)
        bars += style.head(style.soft(field.low), style.soft(field.high))
    return style.box((title, bars))


def _field_text(field: Distribution) -> str:
    words = [f"{plain(label, limit=_LABEL)} {count(number)}" for label, number in field.bars]
    if field.bins:
        words.append(f"{field.low} to {field.high}")
    words += filter(None, [_remark(field)])
    return f"{plain(field.name, limit=_LABEL)}: {', '.join(words)}"


def _remark(field: Distribution) -> str:
    if not field.answered:
        return "no answers"
    missing = f"{count(field.missing)} without a value" if field.missing else ""
    return ", ".join(words for words in (field.note, missing) if words)
