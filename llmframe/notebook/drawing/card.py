"""The card that stays when a run has ended: static HTML, and the same as text.

A sentence may stand in its place.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from llmframe.notebook.drawing import style
from llmframe.notebook.drawing.counts import RATE_LIMITED, kinds, rows_html, rows_text
from llmframe.notebook.drawing.escape import SENTENCES, html, plain
from llmframe.notebook.drawing.format import count, noun, plural, rate, span
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
from llmframe.notebook.drawing.spoken import amount_html, rate_html, span_html

if TYPE_CHECKING:
    from llmframe.notebook.view import Ending
    from llmframe.report import RunReport

NOTES_SHOWN = 6


def card_html(ending: Ending | str) -> str:
    """The card as HTML: no script, no style block, readable without any style at all."""
    if isinstance(ending, str):
        return html(ending)
    report = ending.report
    number, words = _reached(report)
    state = style.chip(html(_headline(ending), limit=60), _tint(ending))
    took = f"<b>{span_html(report.seconds)}</b>"
    title = f"{style.big(number)} {style.soft(words + ' in')} {took} &nbsp; {state}"
    model = style.mono(html(ending.model, limit=80))
    if _has_speed(report):
        speed, unit = rate_html(report.rows_per_second)
        model = f"<b>{speed}</b> {style.soft(unit)} &nbsp; {model}"
    rows = rows_html(report, left=report.pending)
    facts = style.facts(_spent_facts(report))
    lines = map(style.line, _lines(ending))
    return style.frame((style.head(title, model), rows, facts, *lines))


def _has_speed(report: RunReport) -> bool:
    """Whether enough was sent to tell a speed: one request has none."""
    return report.rows_per_second > 0 and report.requests > 1


def _headline(ending: Ending) -> str:
    """How the run ended, with the rows that failed: ``finished, 85 failed``."""
    failed = ending.report.failed
    headline = plain(ending.headline, limit=40)
    return f"{headline}, {count(failed)} failed" if failed else headline


def _tint(ending: Ending) -> str:
    report = ending.report
    if ending.snapshot.status == "aborted" or (report.failed and not report.ok):
        return "bad"
    return "wait" if report.pending or report.failed else "good"


def _reached(report: RunReport) -> tuple[str, str]:
    """The rows that are done, and of how many if some are left."""
    if report.pending:
        return count(report.done), f"of {plural(report.rows, 'row')}"
    return count(report.rows), noun(report.rows, "row")


def _spent_facts(report: RunReport) -> list[str]:
    share, cost = cached_share(report.tokens_in, report.tokens_cached), call_cost(report)
    facts = [
        (True, count(report.requests), noun(report.requests, "request")),
        (report.retries, count(report.retries), noun(report.retries, "retry", "retries")),
        (report.refusals, count(report.refusals), RATE_LIMITED),
        (True, amount_html(report.tokens_in), "tokens in"),
        (share, share, "of input cached"),
        (True, amount_html(report.tokens_out), "tokens out"),
        (cost, html(cost), "" if report.cost is None else "spent"),
    ]
    return [style.fact(number, words) for shown, number, words in facts if shown]


def _money_lines(report: RunReport) -> list[str]:
    """What the table and its task have cost, each in a line of its own."""
    budget = budget_words(report.budget)
    lines = [table_words(report), per_thousand_words(report.table, report.ok + report.failed)]
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
    label, limits = _time(ending)
    if limits:
        lines.append(f"{style.soft(label)} {html(limits)}")
    lines += map(html, _money_lines(report))
    lines += [style.note(html(note)) for note in _notes(ending)]
    if ending.next_step:
        lines.append(html(ending.next_step, limit=SENTENCES))
    if report.checkpoint:
        lines.append(f"{style.soft('checkpoint')} {style.mono(html(report.checkpoint))}")
    if ending.next_lines:
        codes = " &nbsp; ".join(style.code(html(line)) for line in ending.next_lines)
        lines.append(f"{style.soft('to see more, run')} {codes}")
    return lines


def _time(ending: Ending) -> tuple[str, str]:
    """Where the time went, as far as it is known, after its label; nothing if nothing was sent."""
    if not ending.report.requests:
        return "", ""
    if ending.time_went_to:
        return "time went to", ending.time_went_to
    return "limited by", ending.report.limited_by


def _notes(ending: Ending) -> list[str]:
    notes = list(ending.notes[:NOTES_SHOWN])
    left = len(ending.notes) - len(notes)
    if left:
        notes.append(f"and {plural(left, 'more note')}")
    spending = (estimate_words(ending.report.estimated), unread_words(ending.report))
    return notes + [words for words in spending if words]


def card_text(ending: Ending | str) -> str:
    """The card as lines of text, for terminals, logs and viewers without HTML."""
    if isinstance(ending, str):
        return ending
    report = ending.report
    rows = " ".join(_reached(report))
    speed = f" ({' '.join(rate(report.rows_per_second))})" if _has_speed(report) else ""
    model = f", {plain(ending.model, limit=80)}" if ending.model else ""
    took = span(report.seconds)
    details = [
        ("failed", kinds(report.errors_by_kind)),
        (_time(ending)[0], plain(_time(ending)[1])),
        *(("note", plain(note)) for note in _notes(ending)),
        ("checkpoint", plain(report.checkpoint or "")),
    ]
    lines = [
        f"llmframe: {_headline(ending)}, {rows} in {took}{speed}{model}",
        rows_text(report),
        _spent_text(report),
        *map(plain, _money_lines(report)),
        plain(ending.snapshot.message, limit=SENTENCES),
        *(f"{name}: {text}" for name, text in details if text),
        plain(ending.next_step, limit=SENTENCES),
        ("to see more, run: " if ending.next_lines else "")
        + " and ".join(map(plain, ending.next_lines)),
    ]
    return "\n  ".join(line for line in lines if line)


def _spent_text(report: RunReport) -> str:
    words = [
        plural(report.requests, "request"),
        plural(report.retries, "retry", "retries") if report.retries else "",
        f"{count(report.refusals)} {RATE_LIMITED}" if report.refusals else "",
        tokens_words(report.usage),
        plain(call_cost(report)),
    ]
    return ", ".join(filter(None, words))
