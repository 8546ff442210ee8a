"""What a run and its table have cost, in words that the panel, the card and the summary share."""

from __future__ import annotations

from typing import TYPE_CHECKING

from llmframe.notebook.drawing.format import amount, money, noun, plural, span

if TYPE_CHECKING:
    from llmframe.report import RunReport, Snapshot, TaskBudget
    from llmframe.results import Usage

PRICE_UNKNOWN = "price unknown: give prices="
_ENOUGH = 20  # rows answered before a cost is projected from them


def cached_share(tokens_in: int, cached: int) -> str:
    """The share of the prompts that the provider had in its cache: ``61 %``; empty if none."""
    # rounded down: 100 % is said only where all of them were
    return f"{100 * cached // tokens_in} %" if cached else ""


def tokens_in_words(tokens_in: int, cached: int) -> str:
    """What stands after the number of tokens in, in a text: ``tokens in (61 % cached)``."""
    share = cached_share(tokens_in, cached)
    return f"tokens in ({share} cached)" if share else "tokens in"


def tokens_words(usage: Usage) -> str:
    """The tokens of some answers: ``1.94 M tokens in (61 % cached), 41.2 k out``."""
    words = tokens_in_words(usage.tokens_in, usage.tokens_cached)
    return f"{amount(usage.tokens_in)} {words}, {amount(usage.tokens_out)} out"


def cost_words(cost: float, currency: str, *, estimated: int) -> str:
    """A cost: ``$0.41``, or ``about $0.41`` where any of it is an estimate."""
    return f"{'about ' if estimated else ''}{money(cost, currency)}"


def call_cost(run: Snapshot | RunReport) -> str:
    """What this call has cost; that no price is known; "" where nothing is charged."""
    if run.cost is not None:
        estimated = run.usage.estimated
        return cost_words(run.cost, run.currency, estimated=estimated)
    return PRICE_UNKNOWN if run.price_missing and run.usage.tokens else ""


def table_words(run: Snapshot | RunReport) -> str:
    """What all answers of the table took, where that is more than this call: tokens and cost.

    ``all answers of this table: 1.94 M tokens in (61 % cached), 41.2 k out, $0.41``
    """
    if not run.reused or not run.table.tokens:
        return ""
    words = answers_words(run.table)
    return f"{words}, {PRICE_UNKNOWN}" if run.table.cost is None and run.price_missing else words


def answers_words(table: Usage) -> str:
    """What all answers of a table took: tokens, and the cost where it is known."""
    words = f"all answers of this table: {tokens_words(table)}"
    if table.cost is None:
        return words
    return f"{words}, {cost_words(table.cost, table.currency, estimated=table.estimated)}"


def budget_words(budget: TaskBudget | None) -> str:
    """What the task has spent of its budget: ``$0.19 of at most $0.30``; "" without one."""
    if budget is None:
        return ""
    words = []
    if budget.max_cost is not None:
        most = money(budget.max_cost, budget.currency)
        words.append(f"{money(budget.cost or 0.0, budget.currency)} of at most {most}")
    if budget.max_tokens is not None:
        words.append(f"{amount(budget.tokens)} of at most {amount(budget.max_tokens)} tokens")
    return ", ".join(words)


def per_thousand_words(table: Usage, rows: int) -> str:
    """What 1,000 rows cost: ``$0.13 per 1,000 rows``; "" where that is not known.

    table: what all answers took; each was paid for once, by whichever call. rows: with an answer.
    """
    if not table.cost or not rows:
        return ""
    cost = cost_words(1000 * table.cost / rows, table.currency, estimated=table.estimated)
    return f"{cost} per 1,000 rows"


def projected_cost(snapshot: Snapshot) -> float | None:
    """What this call will have cost at its end, by the rows that it paid for; None if unknown."""
    answered = snapshot.ok + snapshot.failed - snapshot.reused
    if snapshot.cost is None or not snapshot.planned or answered < _ENOUGH:
        return None
    return snapshot.cost * (answered + snapshot.pending) / answered


def budget_row(snapshot: Snapshot) -> tuple[str, int] | None:
    """The limit that will stop the run, and the row at which it does; None if none will.

    By what the rows of this call took so far; None as long as that is not known.
    """
    answered, budget = snapshot.ok + snapshot.failed - snapshot.reused, snapshot.budget
    if budget is None or not snapshot.planned or answered < _ENOUGH:
        return None
    used = snapshot.usage
    found = [
        (name, snapshot.done + int(answered * max(0.0, most - spent) / taken))
        for name, most, spent, taken in (
            ("max_cost", budget.max_cost, budget.cost or 0.0, used.cost),
            ("max_tokens", budget.max_tokens, budget.tokens, used.tokens),
        )
        if most is not None and taken
    ]
    name, row = min(found, key=lambda limit: limit[1], default=("", snapshot.rows))
    return (name, row) if row < snapshot.rows else None


def stop_words(snapshot: Snapshot) -> str:
    """Where a limit will stop the run: ``max_cost stops it at about row 750``; else ""."""
    if (stop := budget_row(snapshot)) is None:
        return ""
    step = 10 ** max(0, len(str(snapshot.rows)) - 3)  # an estimate: three digits at most
    return f"{stop[0]} stops it at about row {max(round(stop[1] / step) * step, snapshot.done):,}"


def early_stop_words(snapshot: Snapshot) -> str:
    """Which limit was expected to stop the run, until its own answers show it; else ""."""
    answered = snapshot.ok + snapshot.failed - snapshot.reused
    return snapshot.expected_stop if answered < _ENOUGH else ""


def seconds_left(snapshot: Snapshot) -> float | None:
    """The time until the end, or until a limit stops the run; None if it is not known."""
    stop = budget_row(snapshot)
    if snapshot.eta is None or stop is None or not snapshot.pending:
        return snapshot.eta
    return snapshot.eta * (stop[1] - snapshot.done) / snapshot.pending


def estimate_words(estimated: int) -> str:
    """That tokens are estimated; empty if none are."""
    if not estimated:
        return ""
    replies = plural(estimated, "reply", "replies")
    return f"{replies} did not state the tokens used; those are estimated"


def unread_words(report: RunReport) -> str:
    """What requests may have cost whose answers were never read; empty if there are none."""
    if not report.unread:
        return ""
    cost, currency = report.unread_cost, report.currency
    worth = "" if cost is None else f" or {money(cost, currency)}"
    return (
        f"{plural(report.unread, 'request')} left without an answer that could be read; if the "
        f"provider charges for {noun(report.unread, 'it', 'them')}, that is about "
        f"{amount(report.unread_tokens)} tokens{worth} more, which max_tokens and max_cost count"
    )


def step_words(done: str, report: RunReport) -> str:
    """What one step took: ``300 texts read: 10 requests, 22.5 k tokens in, 1,478 out, $0.0043``."""
    if not report.requests:
        return f"llmframe: {done}: the answers were saved, and nothing was sent"
    took = (plural(report.requests, "request"), tokens_words(report.usage), call_cost(report))
    return f"llmframe: {done}: {', '.join([*filter(None, took), span(report.seconds)])}"
