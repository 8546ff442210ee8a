"""A run as it goes: as HTML for a notebook, as one line for a terminal or a log."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from llmframe.messages.afterwards import cause_words
from llmframe.notebook.drawing import style
from llmframe.notebook.drawing.counts import RATE_LIMITED, kinds, rows_html
from llmframe.notebook.drawing.escape import SENTENCES, html, plain
from llmframe.notebook.drawing.format import count, money, noun, plural, rate, span
from llmframe.notebook.drawing.spending import (
    budget_words,
    cached_share,
    call_cost,
    early_stop_words,
    estimate_words,
    projected_cost,
    seconds_left,
    stop_words,
)
from llmframe.notebook.drawing.spoken import amount_html, rate_html, span_html

if TYPE_CHECKING:
    from collections.abc import Sequence

    from llmframe.report import Snapshot

_HELD_UP = ("outage", "provider pause", "pause by you")  # how limited_by begins
_REASONS = 4  # why requests were sent again, the most frequent first
_WHY = {  # one, several
    "rate_limit": ("rate limit", "rate limits"),
    "server": ("server error", "server errors"),
    "timeout": ("answer that did not come in time", "answers that did not come in time"),
    "connection": ("lost connection", "lost connections"),
    "output": ("invalid answer", "invalid answers"),
    "truncated": ("answer that was cut off", "answers that were cut off"),
    "refusal": ("refusal of the model", "refusals of the model"),
    "check": ("check whether the endpoint works", "checks whether the endpoint works"),
}
INTERRUPT_HINT = "To stop, press the interrupt button (the square); no answer is lost."
BACKGROUND_HINT = "run.stop() ends it; run.pause() and run.resume() interrupt and continue it."


def live_html(snapshot: Snapshot, hint: str = "", rates: Sequence[float] = ()) -> str:
    """The live view.

    hint: our own words on how to stop, where there is no button.
    rates: rows per second since the start, for the small line next to the speed.
    """
    at_least = "" if snapshot.planned else style.soft("at least ")
    of_rows = style.soft(f"of {plural(snapshot.rows, 'row')} &nbsp; {percent(snapshot)}")
    done = f"{at_least}{style.big(count(snapshot.done))} {of_rows}"
    line = style.sparkline(rates, label="rows per second since the start")
    head = style.head(done, line + _speed_html(snapshot))
    facts = style.facts(_request_facts(snapshot))
    lines = map(style.line, _lines(snapshot, hint))
    where = style.soft(html(where_words(snapshot)))
    return style.frame((head, where, rows_html(snapshot), facts, *lines))


def percent(snapshot: Snapshot) -> str:
    """The share of the rows that are done, rounded down: 100 % is said only when all are."""
    return f"{100 * snapshot.done // snapshot.rows} %" if snapshot.rows else ""


def where_words(snapshot: Snapshot) -> str:
    """Who answers and since when: ``deepseek-chat at api.deepseek.com, 1:42 so far``."""
    who = plain(snapshot.model, limit=80)
    if snapshot.endpoint:
        who += f" at {plain(snapshot.endpoint, limit=80)}"
    return ", ".join(part for part in (who, f"{span(snapshot.seconds)} so far") if part)


def retry_words(snapshot: Snapshot) -> str:
    """Why requests were sent again: ``9 rate limits (HTTP 429), 2 timed out``; "" if none was."""
    reasons = [
        f"{count(number)} {_reason(kind, number)}" + (f" (HTTP {status})" if status else "")
        for (kind, status), number in _ranked(snapshot.retry_reasons)[:_REASONS]
    ]
    others = sum(number for _, number in _ranked(snapshot.retry_reasons)[_REASONS:])
    return ", ".join([*reasons, f"{count(others)} for other reasons"] if others else reasons)


def _pace(snapshot: Snapshot) -> str:
    """What sets the pace, or holds the run up, in words."""
    if snapshot.limited_by == "batch":
        return snapshot.pace
    if snapshot.status == "running" and not snapshot.limited_by.startswith(_HELD_UP):
        if not snapshot.requests:
            return "" if snapshot.planned else "reading the rows and saved answers"
        if not _has_answers(snapshot):
            return "waiting for the first answer"
    if snapshot.limited_by and not snapshot.pace:
        return f"limited by {cause_words(snapshot.limited_by)}"
    return snapshot.pace


def _has_answers(snapshot: Snapshot) -> bool:
    """Whether any request of this call was answered."""
    return snapshot.ok + snapshot.failed > snapshot.reused


def _ranked(reasons: dict[tuple[str, int | None], int]) -> list[Any]:
    return sorted(reasons.items(), key=lambda item: -item[1])


def _reason(kind: str, number: int) -> str:
    one, many = _WHY.get(kind, (f"{plain(kind, limit=40)} error", ""))
    return noun(number, one, many)


def _speed_html(snapshot: Snapshot) -> str:
    if snapshot.status != "running":
        return style.chip(html(snapshot.status), "wait")
    if not _has_answers(snapshot) or snapshot.limited_by == "batch":
        return ""
    speed, unit = rate_html(snapshot.rate)
    left = ""
    if (seconds := seconds_left(snapshot)) is not None:
        left = f" &nbsp; <b>{span_html(seconds)}</b> {style.soft('left')}"
    return f"<b>{speed}</b> {style.soft(unit)}{left}"


def _request_facts(snapshot: Snapshot) -> list[str]:
    used = snapshot.usage
    in_flight = style.fact(count(snapshot.in_flight), f"of {count(snapshot.limit)} in flight")
    if snapshot.limited_by == "batch":
        in_flight = style.fact(count(snapshot.in_batches), "at the provider")
    facts = [
        in_flight,
        style.fact(amount_html(used.tokens_in), "tokens in"),
        style.fact(amount_html(used.tokens_out), "tokens out"),
    ]
    if share := cached_share(used.tokens_in, used.tokens_cached):
        facts.insert(2, style.fact(share, "of input cached"))
    if cost := call_cost(snapshot):
        whole = projected_cost(snapshot)
        about = "" if used.estimated else "about "  # said once
        words = "" if used.cost is None else "so far"
        if whole is not None:
            words = f"of {about}{html(money(whole, snapshot.currency))}"
        facts.append(style.fact(html(cost), words))
    retries = noun(snapshot.retries, "retry", "retries")
    limited = f", {count(snapshot.refusals)} {RATE_LIMITED}" if snapshot.refusals else ""
    words = f"{retries}{limited}"
    facts.append(style.fact(count(snapshot.retries), words, wide=bool(limited)))
    return facts


def _budget_lines(snapshot: Snapshot) -> list[str]:
    lines = []
    if budget := budget_words(snapshot.budget):
        # a line of its own: it is too long for a column
        lines.append(f"<b>{html(budget)}</b> {style.soft('spent by all calls of this task')}")
        if stop := stop_words(snapshot):
            lines[-1] += f" &nbsp; {style.chip(html(stop), 'wait')}"
    if early := early_stop_words(snapshot):
        lines.append(style.note(html(early, limit=SENTENCES)))
    return lines


def _lines(snapshot: Snapshot, hint: str) -> list[str]:
    lines = _budget_lines(snapshot)
    if pace := _pace(snapshot):
        is_held_up = snapshot.limited_by.startswith(_HELD_UP)
        now = style.chip(html(pace), "wait") if is_held_up else style.soft(html(pace))
        if snapshot.waiting:  # in a line that is there anyway: it comes and goes
            now += f" &nbsp; {style.soft(plural(snapshot.waiting, 'row') + ' waiting to retry')}"
        lines.append(now)
    if why := retry_words(snapshot):
        lines.append(f"{style.soft('sent again because of')} {html(why)}")
    if snapshot.errors_by_kind:
        lines.append(f"{style.soft('failed')} {html(kinds(snapshot.errors_by_kind))}")
    if estimate := estimate_words(snapshot.usage.estimated):
        lines.append(style.soft(estimate))
    if snapshot.message:
        lines.append(html(snapshot.message, limit=SENTENCES))
    if hint:
        lines.append(style.soft(html(hint)))
    return lines


def live_words(snapshot: Snapshot) -> list[str]:
    """The run in a few words, the most important first.

    ``6,214 of 10,000 rows``, ``48.7 rows/s``, ``1:18 left``, ``57 failed``, ...
    """
    at_least = "" if snapshot.planned else "at least "
    words = [f"{at_least}{count(snapshot.done)} of {plural(snapshot.rows, 'row')}"]
    if snapshot.status != "running":
        words.append(plain(snapshot.status))
    else:
        if _has_answers(snapshot) and snapshot.limited_by != "batch":
            words.append(" ".join(rate(snapshot.rate)))
        if (seconds := seconds_left(snapshot)) is not None:
            words.append(f"{span(seconds)} left")
    if snapshot.failed:
        words.append(f"{count(snapshot.failed)} failed")
    if cost := budget_words(snapshot.budget) or call_cost(snapshot):
        words.append(plain(cost))
    words += filter(None, [stop_words(snapshot)])
    if pace := _pace(snapshot):
        words.append(plain(pace))
    if snapshot.retries:
        words.append(plural(snapshot.retries, "retry", "retries"))
    if why := retry_words(snapshot):
        words[-1] += f" ({why})"
    if snapshot.reused:
        words.append(f"{plural(snapshot.reused, 'answer')} reused")
    return words


def live_text(snapshot: Snapshot) -> str:
    """The run in one line, with the message for the person."""
    first, *others = live_words(snapshot)
    words = ", ".join([f"{first} ({percent(snapshot)})" if snapshot.rows else first, *others])
    more = (plain(early_stop_words(snapshot), limit=SENTENCES), plain(snapshot.message))
    return ". ".join([words, *filter(None, more)])
