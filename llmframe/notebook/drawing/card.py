"""The card that stays when a run has ended: static HTML, and the same as text."""

from __future__ import annotations

from typing import TYPE_CHECKING

from llmframe.notebook.drawing import style
from llmframe.notebook.drawing.counts import BLANK, kinds, rows_html
from llmframe.notebook.drawing.escape import SENTENCES, html, plain
from llmframe.notebook.drawing.format import amount, count, noun, plural, rate, span
from llmframe.notebook.drawing.spending import (
    budget_words,
    cached_share,
    call_cost,
    estimate_words,
    per_thousand_words,
    table_words,
    tokens_words,
    unread_words,
)

if TYPE_CHECKING:
    from llmframe.notebook.view import Ending
    from llmframe.report import RunReport

NOTES_SHOWN = 6


def card_html(ending: Ending) -> str:
    """The card as HTML: no script, no style block, readable without any style at all."""
    report = ending.report
    number, words = _reached(report)
    tint = "wait" if report.pending else "good"
    state = style.chip(
        html(ending.headline, limit=40), "bad" if ending.snapshot.status == "aborted" else tint
    )
    took = f"<b>{span(report.seconds)}</b>"
    title = f"{style.big(number)} {style.soft(words + ' in')} {took} &nbsp; {state}"
    model = style.mono(html(ending.model, limit=80))
    if report.rows_per_second:
        speed, unit = rate(report.rows_per_second)
        model = f"<b>{speed}</b> {style.soft(unit)} &nbsp; {model}"
    facts = style.facts(_spent_facts(report))
    lines = map(style.line, _lines(ending))
    return style.frame((style.head(title, model), rows_html(report), facts, *lines))


def _reached(report: RunReport) -> tuple[str, str]:
    """The rows that are done, and of how many if some are left."""
    if report.pending:
        return count(report.done), f"of {plural(report.rows, 'row')}"
    return count(report.rows), noun(report.rows, "row")


def _spent_facts(report: RunReport) -> list[str]:
    retries = noun(report.retries, "retry", "retries")
    share, cost = cached_share(report.tokens_in, report.tokens_cached), call_cost(report)
    facts = [
        (report.pending, count(report.pending), "not reached"),
        (True, count(report.requests), noun(report.requests, "request")),
        (True, count(report.retries), f"{retries}, {plural(report.refusals, 'refusal')}"),
        (True, amount(report.tokens_in), "tokens in"),
        (share, share, "of input cached"),
        (True, amount(report.tokens_out), "tokens out"),
        (cost, html(cost), "" if report.cost is None else "spent"),
        (report.shared, count(report.shared), f"equal {noun(report.shared, 'row')} not sent"),
    ]
    return [style.fact(number, words) for shown, number, words in facts if shown]


def _money_lines(report: RunReport) -> list[str]:
    """What the table and its task have cost, each in a line of its own."""
    budget = budget_words(report.budget)
    lines = [table_words(report), per_thousand_words(report)]
    if budget:
        lines.append(f"all calls of this task: {budget}")
    return [line for line in lines if line]


def _lines(ending: Ending) -> list[str]:
    report = ending.report
    lines = []
    if ending.snapshot.message:
        lines.append(html(ending.snapshot.message, limit=SENTENCES))
    if report.errors_by_kind:
        lines.append(f"{style.soft('failed')} {html(kinds(report.errors_by_kind))}")
    if report.limited_by and report.requests:
        lines.append(f"{style.soft('limited by')} {html(report.limited_by)}")
    lines += map(html, _money_lines(report))
    lines += [f"{style.chip('note', 'wait')} {html(note)}" for note in _notes(ending)]
    if ending.next_step:
        lines.append(html(ending.next_step, limit=SENTENCES))
    if report.checkpoint:
        lines.append(f"{style.soft('checkpoint')} {style.mono(html(report.checkpoint))}")
    return lines


def _notes(ending: Ending) -> list[str]:
    notes = list(ending.notes[:NOTES_SHOWN])
    left = len(ending.notes) - len(notes)
    if left:
        notes.append(f"and {plural(left, 'more note')}")
    spending = (estimate_words(ending.report.estimated), unread_words(ending.report))
    return notes + [words for words in spending if words]


def card_text(ending: Ending) -> str:
    """The card as lines of text, for terminals, logs and viewers without HTML."""
    report = ending.report
    rows, speed = " ".join(_reached(report)), " ".join(rate(report.rows_per_second))
    model = f", {plain(ending.model, limit=80)}" if ending.model else ""
    headline, took = plain(ending.headline, limit=40), span(report.seconds)
    details = [
        ("failed", kinds(report.errors_by_kind)),
        ("limited by", plain(report.limited_by) if report.requests else ""),
        *(("note", plain(note)) for note in _notes(ending)),
        ("checkpoint", plain(report.checkpoint or "")),
    ]
    lines = [
        f"llmframe: {headline}, {rows} in {took} ({speed}){model}",
        _rows_text(report),
        _spent_text(report),
        *map(plain, _money_lines(report)),
        plain(ending.snapshot.message, limit=SENTENCES),
        *(f"{name}: {text}" for name, text in details if text),
        plain(ending.next_step, limit=SENTENCES),
    ]
    return "\n  ".join(line for line in lines if line)


def _rows_text(report: RunReport) -> str:
    def counted(*numbers: tuple[int, str]) -> list[str]:
        return [f"{count(number)} {words}" for number, words in numbers if number]

    shared = f"equal {noun(report.shared, 'row')} not sent"
    sources = counted((report.reused, "reused"), (report.shared, shared))
    ok = f"{count(report.ok)} ok" + (f" ({', '.join(sources)})" if sources else "")
    others = counted(
        (report.failed, "failed"), (report.skipped, BLANK), (report.pending, "not reached")
    )
    return ", ".join([ok, *others])


def _spent_text(report: RunReport) -> str:
    words = [
        plural(report.requests, "request"),
        plural(report.retries, "retry", "retries"),
        plural(report.refusals, "refusal"),
        tokens_words(report.usage),
        plain(call_cost(report)),
    ]
    return ", ".join(filter(None, words))
