"""Messages at a run's end: what happened, which rows are safe, what to do now."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from llmframe.messages.afterwards import what_a_rerun_mends
from llmframe.messages.causes import explain
from llmframe.system.host import what_to_repeat
from llmframe.text import money

if TYPE_CHECKING:
    from collections.abc import Sequence

    from llmframe.engine.wire.verdict import Verdict
    from llmframe.journal.batches import StoredBatch
    from llmframe.messages.causes import Address
    from llmframe.report import RunReport

NO_LOGPROBS = (
    "the endpoint gave no probabilities (logprobs) with its answers, so the confidence columns are "
    "empty; the answers themselves are not affected. Leave out confidence=, or use a model that "
    "gives logprobs."
)
TOKENS_ONLY = (
    "The confidences are the probabilities of each label's own tokens, because the endpoint did "
    "not give the alternatives (top_logprobs): they rank rows by doubt, and one of two labels may "
    "have less than 0.5."
)
PAUSED = (
    "this run is paused, and the call waits until it goes on: Resume in its panel does that, or "
    "lf.last_run().resume() in another thread. Or interrupt this call and run it again: answered "
    "rows are not paid for a second time."
)
SO_FAR = "lf.last_run().partial() returns the frame so far."
AGAIN_WITHOUT = "Without a checkpoint the answers are only in this frame: keep it."


def left_in_batches(batches: Sequence[StoredBatch]) -> str:
    """That a call which asks live may pay for rows that the provider has in batches."""
    rows = sum(len(batch.keys) for batch in batches)
    return (
        f'{_rows_in(rows, len(batches))} at the provider, begun by mode="batch". This call asks '
        'live, and may pay for the same rows again: give mode="batch" to collect them instead.'
    )


def _rows_in(rows: int, batches: int) -> str:
    """``1,200 rows are in 2 batches``."""
    are = "1 row is" if rows == 1 else f"{rows:,} rows are"
    return f"{are} in 1 batch" if batches == 1 else f"{are} in {batches:,} batches"


def again() -> str:
    """How to go on where a run stopped, in the words of the place where it runs."""
    return (
        f"Run {what_to_repeat()} again to continue where it stopped; answered rows are not paid "
        "for a second time."
    )


def _failed_before(report: RunReport) -> str:
    """That rows which failed before are not reached, where there may be any: a second call."""
    return " Rows that failed in an earlier call are pending, too." if report.reused else ""


def safe_rows(report: RunReport) -> str:
    """How many rows are answered and where they are."""
    where = f" and safe in {report.checkpoint}" if report.checkpoint else ", but only in this frame"
    return f"{report.ok:,} of {report.rows:,} rows are answered{where}"


def how_to_go_on(report: RunReport, *, cured: bool = False) -> str:
    """What to do about rows that are pending or failed; empty if there are none.

    cured: the sentence follows the cure of what ended the run.
    """
    if not (report.pending or report.failed):
        return ""
    if report.pending and report.in_batches[1]:
        return (
            f"{_rows_in(*report.in_batches)} at the provider and are answered there without this "
            f"process: run {what_to_repeat()} again to collect them, nothing is sent twice. To "
            "cancel them, run it again and press Stop, or call run.stop()."
        )
    if report.pending and report.limited_by == "budget":
        return raise_budget(report)
    if report.checkpoint is None:
        return AGAIN_WITHOUT
    if report.pending:
        how = f"Then r{again()[1:]}" if cured else again()
        return how + _failed_before(report)
    # "run it again" is no advice where the same call would fail again
    if needs := what_a_rerun_mends(report.errors_by_kind):
        return needs
    rows = "failed row" if report.failed == 1 else f"{report.failed:,} failed rows"
    return f"Run {what_to_repeat()} again to retry the {rows}; nothing else is paid for again."


def on_long_texts(report: RunReport) -> list[str]:
    """What happened to texts that were too long, and what to do; empty if none was."""
    notes = []
    if report.cut:
        texts = "1 text was" if report.cut == 1 else f"{report.cut:,} texts were"
        notes.append(f"{texts} longer than max_input_tokens= and sent without the end.")
    return notes


def on_examples(report: RunReport) -> list[str]:
    """That rows were not asked because they are among the examples; empty if none is."""
    if not report.examples:
        return []
    if report.examples == 1:
        return ["1 row is among the examples: it has your own answer and was not asked."]
    return [
        f"{report.examples:,} rows are among the examples: they have your own answers and were "
        "not asked."
    ]


def aborted(verdict: Verdict, report: RunReport, address: Address) -> str:
    """The message of a run that could not succeed for any row."""
    cause, cure = explain(verdict, address)
    status = f" (HTTP {verdict.status})" if verdict.status else ""
    why = f"{cause}{status}: {verdict.message}. {cure}"
    left = f"{report.pending:,} are pending and nothing more is sent."
    if not report.ok:
        return f"{why} 0 of {report.rows:,} rows are answered; {left}"
    so_far = f"{why} {safe_rows(report)}; {left} {SO_FAR}"
    if verdict.about == "gone":  # its cure is to run it again
        return so_far
    return f"{so_far} {how_to_go_on(report, cured=True)}"


def incomplete(report: RunReport) -> str:
    """The message of a run that was stopped."""
    why = _over_budget(report) if report.limited_by == "budget" else "stopped"
    next_step = how_to_go_on(report)
    return f"{why}: {report.pending:,} rows are pending. {safe_rows(report)}. {next_step}"


def _over_budget(report: RunReport) -> str:
    """That the budget is spent: how much of it, and what the report's tokens do not show."""
    budget = report.budget
    spent = []
    if budget is not None and budget.max_cost is not None:
        most = money(budget.max_cost, budget.currency)
        spent.append(f"{money(budget.cost or 0.0, budget.currency)} of at most {most}")
    if budget is not None and budget.max_tokens is not None:
        spent.append(f"{budget.tokens:,} of at most {budget.max_tokens:,} tokens")
    # without a checkpoint nobody knows what earlier calls have spent
    by = "all calls of this task" if report.checkpoint else "this call"
    words = f"the budget is spent ({', '.join(spent)}, by {by})"
    if not report.unread:
        return words
    requests = "1 request" if report.unread == 1 else f"{report.unread:,} requests"
    return (
        f"{words}, about {report.unread_tokens:,} tokens of it on {requests} without an answer "
        "that could be read"
    )


def raise_budget(report: RunReport) -> str:
    """Which limit to raise, and to how much at least for all rows that are left."""
    limits = " and ".join(_larger_limits(report))
    kept = AGAIN_WITHOUT
    if report.checkpoint is not None:
        kept = (
            "Earlier calls of the task count, so the same call would send nothing more; answered "
            f"rows are not paid for a second time.{_failed_before(report)}"
        )
    return f"To go on, run {what_to_repeat()} again with {limits}. {kept}"


def _larger_limits(report: RunReport) -> list[str]:
    """The limits that are too small for the rows that are left, each with a sufficient value."""
    budget, table, rows = report.budget, report.table, report.ok + report.failed
    if budget is None or not rows or not table.tokens:  # nothing is known of what a row takes
        return ["a larger max_cost= or max_tokens="]
    left, limits = report.pending / rows, []
    if budget.max_cost is not None and budget.cost is not None and table.cost is not None:
        needed = budget.cost + left * table.cost
        if needed > budget.max_cost:
            limits.append(f"max_cost={_rounded_up(needed):.6g}")
    if budget.max_tokens is not None:
        needed = budget.tokens + left * table.tokens
        if needed > budget.max_tokens:
            limits.append(f"max_tokens={_rounded_up(needed):_.0f}")
    enough = f"or more (about what the {report.pending:,} rows left need)"
    return [*limits[:-1], f"{limits[-1]} {enough}"] if limits else ["a larger limit"]


def _rounded_up(number: float) -> float:
    """A positive number with two digits, never smaller."""
    unit = 10.0 ** (math.floor(math.log10(number)) - 1)
    return math.ceil(number / unit - 1e-9) * unit


def not_durable(message: str, report: RunReport) -> str:
    """The message of a run whose checkpoint could not be written."""
    return (
        f"{message} Nothing more is sent. {report.ok:,} of {report.rows:,} rows are answered and "
        "in lf.last_run().partial(); the newest of them may not be on the disk: keep that frame, "
        f"make room or give another checkpoint=, and run {what_to_repeat()} again."
    )
