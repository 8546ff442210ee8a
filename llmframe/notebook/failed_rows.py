"""The failed rows as ``errors()`` returns them: a DataFrame whose view tells what happened."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import pandas as pd

from llmframe.messages.afterwards import kind_words, what_a_rerun_mends
from llmframe.notebook.drawing import style
from llmframe.notebook.drawing.counts import kinds
from llmframe.notebook.drawing.escape import SENTENCES, html, plain
from llmframe.notebook.drawing.format import count, plural
from llmframe.notebook.shown_frame import ShownFrame, shown_cell

if TYPE_CHECKING:
    from collections.abc import Iterator

SHOWN = 5  # rows of one kind; a kind that fails often fails alike
KINDS = 8  # kinds with rows of their own
_TEXT, _REPLY, _LABEL = 300, 300, 60  # characters
_ERROR, _RAW = "llm_error", "llm_raw"  # behind the prefix of the call


class FailedRows(ShownFrame):
    """The failed rows: their input, ``llm_error``, and ``llm_raw`` where replies were kept.

    Displayed it counts the kinds, shows the reasons whole, and says what a re-run may mend.
    Otherwise it is an ordinary frame, and all that pandas makes of it is one.
    """

    def _view(self, *, as_html: bool) -> str:
        return (_html if as_html else _text)(_read(self))


class _Row:
    """One failed row as it is shown. reason: the error without its kind."""

    def __init__(self, label: str, *, texts: dict[str, str], error: str, reply: str) -> None:
        self.label, self.texts, self.reply = label, texts, reply
        kind, colon, reason = error.partition(": ")
        self.kind = kind if colon else ""
        self.reason = reason if colon else error

    def text(self, limit: int) -> str:
        """The input; of several columns, each with its name."""
        if len(self.texts) == 1:
            return plain(*self.texts.values(), limit=limit)
        return plain(", ".join(f"{name}: {text}" for name, text in self.texts.items()), limit=limit)


def _read(df: pd.DataFrame) -> list[_Row]:
    """The rows. Raises ValueError for a frame that no longer holds the errors."""
    columns: list[object] = [*df.columns]
    names = [str(name[0] if isinstance(name, tuple) else name) for name in columns]
    [at] = [at for at, name in enumerate(names) if name.endswith(_ERROR)]
    raw = names[at].removesuffix(_ERROR) + _RAW
    rows = []
    for label, cells in zip(df.index, df.itertuples(index=False, name=None), strict=True):
        texts = {name: shown_cell(cell) or "" for name, cell in zip(names, cells, strict=True)}
        error, reply = texts.pop(names[at]), texts.pop(raw, "")
        rows.append(_Row(str(label), texts=texts, error=error, reply=reply))
    return rows


def _by_kind(rows: list[_Row]) -> Iterator[tuple[str, list[_Row]]]:
    """The rows of each kind, the most frequent kind first."""
    for kind, _ in Counter(row.kind for row in rows).most_common(KINDS):
        yield kind, [row for row in rows if row.kind == kind]


def _common_reason(rows: list[_Row]) -> str:
    """The reason that several rows share; empty if they differ."""
    reasons = {row.reason for row in rows}
    return reasons.pop() if len(reasons) == 1 < len(rows) else ""


def _advice(rows: list[_Row]) -> str:
    return what_a_rerun_mends(Counter(row.kind for row in rows))


def _html(rows: list[_Row]) -> str:
    if not rows:
        return style.frame((style.line("No row failed."),))
    counted = kinds(dict(Counter(row.kind for row in rows)))
    head = f"{style.big(count(len(rows)))} {style.soft('rows failed:')} {html(counted)}"
    advice = style.line(html(_advice(rows), limit=SENTENCES)) if _advice(rows) else ""
    tables = [part for kind, same in _by_kind(rows) for part in _kind_html(kind, same)]
    return style.frame((f"<div>{head}</div>", advice, *tables))


def _kind_html(kind: str, rows: list[_Row]) -> Iterator[str]:
    name = html(kind_words(plain(kind, limit=40), len(rows)))
    same = _common_reason(rows)
    reason = f": {html(same, limit=SENTENCES)}" if same else ""
    yield f'<div style="margin-top:14px"><b>{count(len(rows))} {name}</b>{reason}</div>'
    for row in rows[:SHOWN]:
        parts = [html(row.text(_TEXT), limit=_TEXT)] if row.texts else []
        parts += [] if same else [f"{style.soft('why')} {html(row.reason, limit=SENTENCES)}"]
        parts += [f"{style.soft('reply')} {html(row.reply, limit=_REPLY)}"] if row.reply else []
        yield style.record(html(row.label, limit=_LABEL), parts)
    if len(rows) > SHOWN:
        yield style.line(style.soft(f"and {plural(len(rows) - SHOWN, 'more row')}"))


def _text(rows: list[_Row]) -> str:
    if not rows:
        return "llmframe: no row failed"
    counted = kinds(dict(Counter(row.kind for row in rows)))
    lines = [f"llmframe: {plural(len(rows), 'row')} failed: {counted}"]
    lines += [f"  {_advice(rows)}"] if _advice(rows) else []
    for kind, same in _by_kind(rows):
        reason = plain(_common_reason(same), limit=SENTENCES)
        name = kind_words(plain(kind, limit=40), len(same))
        lines.append(f"  {count(len(same))} {name}: {reason}".rstrip())
        for row in same[:SHOWN]:
            texts = [plain(row.label, limit=_LABEL), *([row.text(_TEXT)] if row.texts else [])]
            lines.append(f"    {': '.join(texts)}")
            lines += [] if reason else [f"      why: {plain(row.reason, limit=SENTENCES)}"]
            lines += [f"      reply: {plain(row.reply, limit=_REPLY)}"] if row.reply else []
        if len(same) > SHOWN:
            lines.append(f"    and {plural(len(same) - SHOWN, 'more row')}")
    return "\n".join(lines)
