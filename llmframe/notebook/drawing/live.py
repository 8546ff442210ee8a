"""A run as it goes: as HTML for a notebook, as one line for a terminal or a log."""

from __future__ import annotations

from typing import TYPE_CHECKING

from llmframe.notebook.drawing import style
from llmframe.notebook.drawing.counts import bar_html, kinds, legend_html
from llmframe.notebook.drawing.escape import html, plain
from llmframe.notebook.drawing.format import amount, count, money, noun, plural, rate, span
from llmframe.notebook.drawing.pace import line_html

if TYPE_CHECKING:
    from collections.abc import Sequence

    from llmframe.engine.report import Snapshot

INTERRUPT_HINT = (
    "To stop, press the interrupt button (the square above); nothing that is answered is lost."
)
BACKGROUND_HINT = "run.stop() ends it; run.pause() and run.resume() hold it and let it go on."
_ENOUGH = 20  # rows answered before a cost is projected from them


def live_html(snapshot: Snapshot, hint: str = "", rates: Sequence[float] = ()) -> str:
    """The live view.

    hint: our own words on how to stop, where there is no button.
    rates: rows a second since the start, for the small line beside the speed.
    """
    head = style.head(_count_html(snapshot), line_html(rates) + _speed_html(snapshot))
    facts = style.facts(_request_facts(snapshot))
    parts = (head, bar_html(snapshot), legend_html(snapshot), facts, *_lines(snapshot, hint))
    return style.frame(parts)


def _count_html(snapshot: Snapshot) -> str:
    at_least = "" if snapshot.planned else style.soft("at least ")
    of_rows = style.soft(f"of {plural(snapshot.rows, 'row')}")
    return f"{at_least}{style.big(count(snapshot.done))} {of_rows}"


def _speed_html(snapshot: Snapshot) -> str:
    if snapshot.status != "running":
        return style.chip(html(snapshot.status), "wait")
    speed, unit = rate(snapshot.rate)
    left = ""
    if snapshot.eta is not None:
        left = f" &nbsp; <b>{span(snapshot.eta)}</b> {style.soft('left')}"
    return f"<b>{speed}</b> {style.soft(unit)}{left}"


def _request_facts(snapshot: Snapshot) -> list[str]:
    used = snapshot.usage
    facts = [
        style.fact(count(snapshot.in_flight), f"of {count(snapshot.limit)} in flight"),
        style.fact(amount(used.tokens_in), "tokens in"),
        style.fact(amount(used.tokens_out), "tokens out"),
    ]
    if used.cost is not None:
        whole = projected_cost(snapshot)
        words = "so far" if whole is None else f"of about {money(whole)}"
        facts.append(style.fact(money(used.cost), words))
    retries = noun(snapshot.retries, "retry", "retries")
    words = f"{retries}, {plural(snapshot.refusals, 'refusal')}"
    facts.append(style.fact(count(snapshot.retries), words))
    return facts


def projected_cost(snapshot: Snapshot) -> float | None:
    """What the whole run will have cost, None while that cannot be told."""
    answered = snapshot.ok + snapshot.failed - snapshot.reused
    cost = snapshot.usage.cost
    if cost is None or not snapshot.planned or answered < _ENOUGH:
        return None
    return cost * (answered + snapshot.pending) / answered


def _lines(snapshot: Snapshot, hint: str) -> list[str]:
    lines = []
    if snapshot.limited_by:
        lines.append(f"{style.soft('limited by')} {style.chip(html(snapshot.limited_by), 'wait')}")
    if snapshot.errors_by_kind:
        lines.append(f"{style.soft('failed')} {html(kinds(snapshot.errors_by_kind))}")
    if snapshot.message:
        lines.append(html(snapshot.message, limit=800))
    if hint:
        lines.append(style.soft(html(hint)))
    return [style.line(text) for text in lines]


def live_words(snapshot: Snapshot) -> list[str]:
    """The run in a few words, the most important first.

    ``6,214 of 10,000 rows``, ``48.7 rows/s``, ``1:18 left``, ``57 failed``, ...
    """
    at_least = "" if snapshot.planned else "at least "
    done = f"{at_least}{count(snapshot.done)} of {plural(snapshot.rows, 'row')}"
    words = [done, *_speed_words(snapshot)]
    if snapshot.failed:
        words.append(f"{count(snapshot.failed)} failed")
    if snapshot.limited_by:
        words.append(f"limited by {plain(snapshot.limited_by, limit=60)}")
    if snapshot.retries:
        words.append(f"{count(snapshot.retries)} retried")
    if snapshot.reused:
        words.append(f"{count(snapshot.reused)} reused")
    return words


def live_text(snapshot: Snapshot) -> str:
    """The run in one line, with what is to be said to the person."""
    words = ", ".join(live_words(snapshot))
    return f"{words}. {plain(snapshot.message)}" if snapshot.message else words


def _speed_words(snapshot: Snapshot) -> list[str]:
    if snapshot.status != "running":
        return [plain(snapshot.status)]
    speed = " ".join(rate(snapshot.rate))
    return [speed] if snapshot.eta is None else [speed, f"{span(snapshot.eta)} left"]
