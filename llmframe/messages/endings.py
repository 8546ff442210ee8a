"""What the person is told at a run's end: what happened, what is safe, what to do now."""

from __future__ import annotations

from typing import TYPE_CHECKING

from llmframe.messages.remedy import cause, cure

if TYPE_CHECKING:
    from llmframe.engine.report import RunReport
    from llmframe.engine.wire.verdict import Verdict
    from llmframe.messages.remedy import Address

NO_LOGPROBS = (
    "the endpoint gave no probabilities (logprobs) with its answers, so the confidence columns are "
    "empty; the answers themselves are as good as ever. Leave confidence= out, or take a model "
    "that gives them."
)
SO_FAR = "lf.last_run().partial() is the frame so far."
AGAIN = "Run the cell again: it goes on where it stopped, and nothing answered is paid again."
AGAIN_WITHOUT = "Without a checkpoint the answers are only in this frame: keep it."


def safe_rows(report: RunReport) -> str:
    """How many rows are answered and where they are."""
    where = f" and safe in {report.checkpoint}" if report.checkpoint else ", in this frame only"
    return f"{report.ok:,} of {report.rows:,} rows are answered{where}"


def how_to_go_on(report: RunReport, *, cured: bool = False) -> str:
    """What to do about rows that are pending or failed; empty if there are none.

    cured: it stands behind the cure of what ended the run, which comes first.
    """
    if not (report.pending or report.failed):
        return ""
    if report.checkpoint is None:
        return AGAIN_WITHOUT
    if report.pending:
        return f"Then r{AGAIN[1:]}" if cured else AGAIN
    rows = "row" if report.failed == 1 else f"{report.failed:,} rows"
    return f"Run the cell again to try the failed {rows} once more; nothing else is paid again."


def on_long_texts(report: RunReport) -> list[str]:
    """What became of texts that were too long, and what can be done; empty if none was."""
    told = []
    if report.cut:
        texts = "1 text was" if report.cut == 1 else f"{report.cut:,} texts were"
        told.append(f"{texts} longer than max_input_tokens= and lost the end before being sent.")
    if "context_length" in report.errors_by_kind:
        told.append(
            'Too long a text fails its row; max_input_tokens=<n> with on_long="truncate" sends '
            "the beginning instead."
        )
    return told


def aborted(verdict: Verdict, report: RunReport, address: Address) -> str:
    """The message of a hopeless run."""
    status = f" (HTTP {verdict.status})" if verdict.status else ""
    why = f"{cause(verdict, address)}{status}: {verdict.message}. {cure(verdict, address)}"
    left = f"{report.pending:,} are pending and nothing more is sent."
    if not report.ok:
        return f"{why} 0 of {report.rows:,} rows are answered; {left}"
    so_far = f"{why} {safe_rows(report)}; {left} {SO_FAR}"
    if verdict.about == "gone":  # the cure says it already
        return so_far
    return f"{so_far} {how_to_go_on(report, cured=True)}"


def incomplete(report: RunReport) -> str:
    """The message of a run that was stopped."""
    why = "the budget is spent" if report.limited_by == "budget" else "stopped"
    return (
        f"{why}: {report.pending:,} rows are pending. {safe_rows(report)}. {how_to_go_on(report)}"
    )


def not_durable(message: str, report: RunReport) -> str:
    """The message of a run whose checkpoint failed."""
    return (
        f"{message} Nothing new is sent. {report.ok:,} of {report.rows:,} rows are answered and "
        "in lf.last_run().partial(); those of the last moments may not be on the disk: "
        "keep that frame, make room or give another checkpoint=, and run the cell again."
    )
