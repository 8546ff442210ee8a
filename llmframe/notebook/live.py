"""A run as it goes: as HTML for a notebook, as one line for a terminal or a log."""

from __future__ import annotations

from typing import TYPE_CHECKING

from llmframe.notebook import style
from llmframe.notebook.escape import html, plain
from llmframe.notebook.format import amount, count, money, plural, rate, span

if TYPE_CHECKING:
    from llmframe.engine.report import Snapshot

KINDS_SHOWN = 6  # kinds of failure listed, the most frequent first
_ENOUGH = 20  # rows answered before a cost is projected from them

INTERRUPT_HINT = (
    "To stop, press the interrupt button (the square above); nothing that is answered is lost."
)
BACKGROUND_HINT = "run.stop() ends it, run.pause() and run.resume() hold it and let it go on."


def live_html(snapshot: Snapshot, hint: str = "") -> str:
    """The live view. hint: our own words on how to stop, where there is no button."""
    return style.frame(
        (
            _head(snapshot),
            style.bar(parts(snapshot), snapshot.rows),
            style.facts(_row_facts(snapshot)),
            style.facts(_request_facts(snapshot)),
            *_lines(snapshot, hint),
        )
    )


def parts(snapshot: Snapshot) -> list[tuple[int, str]]:
    """The bar's parts: (rows, colour)."""
    return [
        (snapshot.reused, style.REUSED),
        (snapshot.ok - snapshot.reused, style.OK),
        (snapshot.failed, style.BAD),
        (snapshot.skipped, style.SKIPPED),
    ]


def _head(snapshot: Snapshot) -> str:
    at_least = "" if snapshot.planned else style.soft("at least ")
    left = (
        f"{at_least}{style.big(count(snapshot.done))} "
        f"{style.soft('of ' + plural(snapshot.rows, 'row'))}"
    )
    if snapshot.status != "running":
        return style.head(left, style.chip(html(snapshot.status), style.WARN))
    speed, unit = rate(snapshot.rate)
    right = f"<b>{speed}</b> {style.soft(unit)}"
    if snapshot.eta is not None:
        right += f" &nbsp; <b>{span(snapshot.eta)}</b> {style.soft('left')}"
    return style.head(left, right)


def _row_facts(snapshot: Snapshot) -> list[str]:
    facts = [style.fact(count(snapshot.ok), "ok", style.OK)]
    if snapshot.reused:
        facts.append(style.fact(count(snapshot.reused), "of them reused", style.REUSED))
    if snapshot.shared:
        facts.append(style.fact(count(snapshot.shared), "by an equal row"))
    facts.append(style.fact(count(snapshot.failed), "failed", style.BAD))
    if snapshot.skipped:
        facts.append(style.fact(count(snapshot.skipped), "blank, skipped", style.SKIPPED))
    return facts


def _request_facts(snapshot: Snapshot) -> list[str]:
    used = snapshot.usage
    facts = [
        style.fact(count(snapshot.in_flight), f"of {count(snapshot.limit)} in flight"),
        style.fact(amount(used.tokens_in + used.tokens_out), "tokens"),
    ]
    if used.cost is not None:
        whole = projected_cost(snapshot)
        facts.append(
            style.fact(money(used.cost), "so far" if whole is None else f"of about {money(whole)}")
        )
    repeats = plural(snapshot.retries, "retry", "retries").split(" ")
    words = f"{repeats[1]}, {plural(snapshot.refusals, 'refusal')}"
    facts.append(style.fact(repeats[0], words))
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
        binds = style.chip(html(snapshot.limited_by), style.WARN)
        lines.append(style.line(f"{style.soft('limited by')} {binds}"))
    if snapshot.errors_by_kind:
        lines.append(style.line(kinds_html(snapshot.errors_by_kind)))
    if snapshot.message:
        lines.append(style.line(html(snapshot.message)))
    if hint:
        lines.append(style.line(style.soft(html(hint))))
    return lines


def kinds_html(errors: dict[str, int]) -> str:
    """Failures by kind."""
    return f"{style.soft('failed:')} {html(kinds_text(errors))}"


def kinds_text(errors: dict[str, int]) -> str:
    """Failures by kind, the most frequent first: ``41 context_length, 16 output``."""
    ranked = sorted(errors.items(), key=lambda item: -item[1])
    shown = [f"{count(number)} {plain(kind, limit=40)}" for kind, number in ranked[:KINDS_SHOWN]]
    rest = sum(number for _, number in ranked[KINDS_SHOWN:])
    return ", ".join([*shown, f"{count(rest)} other"] if rest else shown)


def live_text(snapshot: Snapshot) -> str:
    """The run in one line: ``6,214 of 10,000 rows, 48.7 rows/s, 1:18 left, 57 failed``."""
    at_least = "" if snapshot.planned else "at least "
    words = [f"{at_least}{count(snapshot.done)} of {plural(snapshot.rows, 'row')}"]
    return ", ".join([*words, *state_words(snapshot)])


def state_words(snapshot: Snapshot) -> list[str]:
    """Everything but the count: speed, what went wrong, what binds."""
    words = []
    if snapshot.status == "running":
        words.append(" ".join(rate(snapshot.rate)))
        if snapshot.eta is not None:
            words.append(f"{span(snapshot.eta)} left")
    else:
        words.append(snapshot.status)
    words += [
        f"{count(number)} {name}"
        for number, name in (
            (snapshot.reused, "reused"),
            (snapshot.failed, "failed"),
            (snapshot.retries, "retried"),
        )
        if number
    ]
    if snapshot.limited_by:
        words.append(f"limited by {plain(snapshot.limited_by, limit=60)}")
    return words
