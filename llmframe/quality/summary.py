"""A tagged frame at a glance: its statuses and what each field holds, as HTML and text."""

from __future__ import annotations

import unicodedata
from collections import Counter
from dataclasses import KW_ONLY, dataclass, replace
from itertools import zip_longest
from typing import TYPE_CHECKING, Any

import pandas as pd

from llmframe.frame.cells import column_cells, is_missing
from llmframe.frame.columns import STATUSES
from llmframe.notebook.drawing import style
from llmframe.notebook.drawing.counts import BLANK, kinds
from llmframe.notebook.drawing.escape import attribute, html, marked, plain
from llmframe.notebook.drawing.format import amount, count, money, noun
from llmframe.notebook.drawing.spending import (
    answers_words,
    per_thousand_words,
    tokens_in_words,
)
from llmframe.quality.distribution import OTHER, Distribution, distribution
from llmframe.quality.quotes import AROUND, contexts, refused_quotes
from llmframe.quality.tagged import read_tagged
from llmframe.results import Usage

if TYPE_CHECKING:
    from collections.abc import Iterator

    from llmframe.quality.draw import Bools
    from llmframe.quality.tagged import Tagged

_LABEL = 120  # characters of a label
EXAMPLE = 160  # characters of a text
_NARROW = 18  # columns of a terminal; longer labels need a whole line's room
_LOOKS = {"ok": style.OK, "failed": style.BAD, "skipped": style.SKIPPED, "pending": style.TRACK}
_WORDS = {"skipped": BLANK, "pending": "pending (not reached)"}
_LOST = "The frame's attrs are lost, so it is not known which columns are answers."


@dataclass(frozen=True, slots=True)
class Summary:
    """What a call left in a frame; displayed as pictures, printed as text.

    rows: of the frame. counts: rows by status. errors: failed rows by kind.
    fields: what each field holds in the rows that are ok. model: as the person named it.
    tokens_in, tokens_out, cost: of the call; tokens_cached: of tokens_in; currency: of the cost.
    table: what all answers took, those that the checkpoint had included.
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
    table: Usage | None = None

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
        parts = [(self.counts[status], _LOOKS[status]) for status in STATUSES[:3]]
        counted = [(status, number) for status, number in self.counts.items() if number]
        legend = [
            style.fact(count(number), _WORDS.get(status, status), _LOOKS[status])
            for status, number in counted
        ]
        words = ", ".join(f"{count(number)} {status}" for status, number in counted)
        lines = []
        if self.errors:
            lines.append(f"{style.soft('failed')} {html(kinds(self.errors))}")
        if spent := self._spent():
            lines.append(style.soft(html(spent)))
        boxes = "".join(map(_field_html, self.fields)) or style.line(style.soft(_LOST))
        bar = style.bar(parts, self.rows, label="rows by status", words=words)
        return style.frame((head, bar, style.facts(legend), *map(style.line, lines), boxes))

    def _spent(self) -> str:
        words = []
        if self.tokens_in is not None and self.tokens_out is not None:
            tokens_in = tokens_in_words(self.tokens_in, self.tokens_cached or 0)
            words.append(f"{amount(self.tokens_in)} {tokens_in}, {amount(self.tokens_out)} out")
        if self.cost is not None:
            words.append(money(self.cost, self.currency or ""))
        table, spent = self.table, ", ".join(words)
        if table is None:
            return spent
        rows = self.counts["ok"] + self.counts["failed"]
        if (table.tokens_in, table.tokens_out) != (self.tokens_in, self.tokens_out):
            spent = f"this call: {spent}; {answers_words(table)}"
        return "; ".join(filter(None, [spent, per_thousand_words(table, rows)]))


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
        fields=tuple(_fields(df, tagged, ok)),
        model=note.get("model"),
        tokens_in=note.get("tokens_in"),
        tokens_out=note.get("tokens_out"),
        cost=note.get("cost"),
        tokens_cached=note.get("tokens_cached"),
        currency=note.get("currency"),
        table=_usage(note.get("table", {})),
    )


def _fields(df: pd.DataFrame, tagged: Tagged, ok: Bools) -> Iterator[Distribution]:
    positions = {*tagged.quotes.values()}  # where a quote stands in its text: nothing to count
    for name, cells in _answers(tagged).items():
        if name in positions:
            continue
        field = distribution(name, cells[ok])
        if name in tagged.quotes:
            found = contexts(df, tagged, cells, field.examples)
            note = "; ".join(filter(None, [field.note, refused_quotes(tagged, name)]))
            field = replace(field, contexts=found, note=note)
        yield field


def _answers(tagged: Tagged) -> dict[str, pd.Series[Any]]:
    """The fields with their cells; boolean columns of one list's labels as that list again."""
    of = {column: field for field, each in tagged.indicators.items() for column in each.values()}
    found: dict[str, pd.Series[Any]] = {}
    for name, cells in tagged.fields.items():
        field = of.get(name)
        if field is None:
            found[name] = cells
        elif field not in found:
            found[field] = _listed(tagged, field)
    return found


def _listed(tagged: Tagged, field: str) -> pd.Series[Any]:
    """A list of labels for each row, missing where none of its columns has a value."""
    columns = tagged.indicators[field]
    cells = [tagged.fields[name] for name in columns.values()]
    rows = [
        None
        if all(map(is_missing, row))
        else [label for label, is_so in zip(columns, row, strict=True) if is_so is True]
        for row in zip(*map(column_cells, cells), strict=True)
    ]
    return pd.Series(rows, index=cells[0].index, dtype=object)


def _usage(noted: dict[str, Any]) -> Usage | None:
    """What the attrs say that all answers took; None if they are not ours."""
    tokens_in, cached = noted.get("tokens_in"), noted.get("tokens_cached")
    tokens_out, cost = noted.get("tokens_out"), noted.get("cost")
    if not (isinstance(tokens_in, int) and isinstance(cached, int) and isinstance(tokens_out, int)):
        return None
    known = cost if isinstance(cost, float | int) else None
    return Usage(tokens_in, tokens_out, known, cached, currency=str(noted.get("currency") or ""))


def _field_html(field: Distribution) -> str:
    title = f"<b>{html(field.name, limit=_LABEL)}</b> {style.soft(html(_remark(field)))}"
    parts = [f'<div dir="auto" style="overflow-wrap:anywhere">{title}</div>']
    if field.warning:
        parts.append(style.line(style.note(html(field.warning))))
    wide = bool(field.examples) or any(_columns(label) > _NARROW for label, _ in field.bars)
    parts += _bars(field, wide=wide)
    if field.bins:
        ends = f"{field.low} to {field.high}"
        says = attribute(f"histogram of {field.name} from {ends}, {field.note}")
        parts.append(style.histogram(field.bins, says=says))
        parts.append(style.head(style.soft(html(field.low)), style.soft(html(field.high))))
    parts += [style.quote(text) for text in _examples_html(field)]
    return style.box(parts, wide=wide)


def _examples_html(field: Distribution) -> Iterator[str]:
    """Some texts; quotes with what stands around them."""
    for text, context in zip_longest(field.examples, field.contexts, fillvalue=""):
        if context:
            yield marked(context, [text], limit=EXAMPLE + 2 * AROUND)
        else:
            yield html(text, limit=EXAMPLE)


def _bars(field: Distribution, *, wide: bool) -> list[str]:
    # Bars are drawn against the longest, not against all rows: many small labels stay visible.
    # All others together are no label, and their bar would be the longest.
    longest = max((number for label, number in field.bars if label != OTHER), default=0)
    return [
        style.labelled_bar(
            html(label, limit=_LABEL),
            0.0 if label == OTHER else number / longest,
            f"{count(number)} {style.soft(_share(number, field))}",
            says=attribute(f"{label}: {count(number)}, {_share(number, field)}", limit=_LABEL),
            wide=wide,
        )
        for label, number in (field.bars if longest else ())
    ]


def _share(number: int, field: Distribution) -> str:
    """The share of the answered rows; never "0 %" for some, nor "100 %" for some but not all."""
    percent = 100 * number / field.answered
    if 0 < percent < 1:
        return "under 1 %"
    return f"{min(round(percent), 99) if number < field.answered else round(percent)} %"


def _columns(text: str) -> int:
    """How wide text is, in columns: Chinese signs take two."""
    return sum(2 if unicodedata.east_asian_width(sign) in "WF" else 1 for sign in text)


def _field_text(field: Distribution) -> str:
    words = [f"{plain(label, limit=_LABEL)} {count(number)}" for label, number in field.bars]
    if field.low:
        words.append(f"{field.low} to {field.high}")
    words += filter(None, [_remark(field), field.warning])
    examples = [f"\n    {plain(text, limit=EXAMPLE)}" for text in field.examples]
    return f"{plain(field.name, limit=_LABEL)}: {', '.join(map(plain, words))}{''.join(examples)}"


def _remark(field: Distribution) -> str:
    if not field.answered:
        return "no answers"
    missing = f"{count(field.missing)} without a value" if field.missing else ""
    return ", ".join(words for words in (field.note, missing) if words)
