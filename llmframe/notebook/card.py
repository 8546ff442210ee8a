"""The card that stays when a run has ended: static HTML, and the same as text."""

from __future__ import annotations

from typing import TYPE_CHECKING

from llmframe.notebook import style
from llmframe.notebook.escape import html, plain
from llmframe.notebook.format import amount, count, money, plural, rate, span
from llmframe.notebook.live import kinds_text, parts

if TYPE_CHECKING:
    from llmframe.engine.report import RunReport
    from llmframe.notebook.view import Ending

NOTES_SHOWN = 8


def card_html(ending: Ending) -> str:
    """The card as HTML: no script, no style block, readable without any style at all."""
    return style.frame(
        (
            _head(ending),
            style.bar(parts(ending.snapshot), ending.report.rows),
            style.facts(_facts(ending.report)),
            *(style.line(text) for text in _lines(ending)),
        )
    )


def card_text(ending: Ending) -> str:
    """The card as lines of text, for terminals, logs and viewers without HTML."""
    report = ending.report
    model = f", {plain(ending.model)}" if ending.model else ""
    lines = [f"llmframe: {_title(ending)}{model}", f"  {_rows_text(report)}", f"  {_spent(report)}"]
    if report.errors_by_kind:
        lines.append(f"  failed: {kinds_text(report.errors_by_kind)}")
    if report.limited_by:
        lines.append(f"  limited by: {plain(report.limited_by)}")
    if report.checkpoint:
        lines.append(f"  checkpoint: {plain(report.checkpoint)}")
    lines += [f"  note: {plain(note)}" for note in _notes(ending)]
    if ending.next_step:
        lines.append(f"  {plain(ending.next_step)}")
    return "\n".join(lines)


def _reached(report: RunReport) -> str:
    """The rows that are done, of how many where some are left."""
    if report.pending:
        return f"{count(report.done)} of {plural(report.rows, 'row')}"
    return plural(report.rows, "row")


def _title(ending: Ending) -> str:
    speed = " ".join(rate(ending.report.rows_per_second))
    took = span(ending.report.seconds)
    return f"{plain(ending.headline)}, {_reached(ending.report)} in {took} ({speed})"


def _head(ending: Ending) -> str:
    report = ending.report
    number, _, words = _reached(report).partition(" ")
    color = style.BAD if report.pending else style.OK
    left = (
        f"{style.big(number)} {style.soft(words + ' in')} <b>{span(report.seconds)}</b> &nbsp; "
        f"{style.chip(html(ending.headline), color)}"
    )
    speed, unit = rate(report.rows_per_second)
    right = f"<b>{speed}</b> {style.soft(unit)}"
    if ending.model:
        right += f" &nbsp; {style.mono(html(ending.model, limit=80))}"
    return style.head(left, right)


def _facts(report: RunReport) -> list[str]:
    facts = [style.fact(count(report.ok), "ok", style.OK)]
    if report.reused:
        facts.append(style.fact(count(report.reused), "of them reused", style.REUSED))
    if report.shared:
        facts.append(style.fact(count(report.shared), "by an equal row"))
    facts.append(style.fact(count(report.failed), "failed", style.BAD))
    if report.skipped:
        facts.append(style.fact(count(report.skipped), "blank, skipped", style.SKIPPED))
    if report.pending:
        facts.append(style.fact(count(report.pending), "not reached"))
    return [*facts, *_spent_facts(report)]


def _spent_facts(report: RunReport) -> list[str]:
    requests, retries = count(report.requests), plural(report.retries, "retry", "retries")
    facts = [
        style.fact(requests, f"requests, {retries}, {plural(report.refusals, 'refusal')}"),
        style.fact(
            f"{amount(report.tokens_in)} + {amount(report.tokens_out)}", "tokens in and out"
        ),
    ]
    if report.cost is not None:
        facts.append(style.fact(money(report.cost), "spent"))
    return facts


def _lines(ending: Ending) -> list[str]:
    report = ending.report
    lines = []
    if report.errors_by_kind:
        lines.append(f"{style.soft('Failed:')} {html(kinds_text(report.errors_by_kind))}")
    if report.limited_by:
        lines.append(f"{style.soft('Limited by')} {html(report.limited_by)}")
    lines += [f"{style.chip('note', style.WARN)} {html(note)}" for note in _notes(ending)]
    if ending.next_step:
        lines.append(html(ending.next_step))
    if report.checkpoint:
        lines.append(f"{style.soft('Checkpoint')} {style.mono(html(report.checkpoint))}")
    return lines


def _notes(ending: Ending) -> list[str]:
    notes = list(ending.notes[:NOTES_SHOWN])
    left = len(ending.notes) - len(notes)
    return [*notes, f"and {plural(left, 'more note')}"] if left else notes


def _rows_text(report: RunReport) -> str:
    sources = [
        f"{count(number)} {name}"
        for number, name in ((report.reused, "reused"), (report.shared, "by an equal row"))
        if number
    ]
    ok = f"{count(report.ok)} ok" + (f" ({', '.join(sources)})" if sources else "")
    words = [ok, f"{count(report.failed)} failed"]
    if report.skipped:
        words.append(f"{count(report.skipped)} blank, skipped")
    if report.pending:
        words.append(f"{count(report.pending)} not reached")
    return ", ".join(words)


def _spent(report: RunReport) -> str:
    words = [
        plural(report.requests, "request"),
        plural(report.retries, "retry", "retries"),
        plural(report.refusals, "refusal"),
        f"{amount(report.tokens_in)} tokens in, {amount(report.tokens_out)} out",
    ]
    if report.cost is not None:
        words.append(money(report.cost))
    return ", ".join(words)
