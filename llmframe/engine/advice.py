"""What the person is told at a run's end: what happened, what is safe, what to do now."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from llmframe.engine.report import RunReport
    from llmframe.engine.retry import Verdict

NO_LOGPROBS = (
    "the endpoint gave no probabilities (logprobs) with its answers, so the confidence columns are "
    "empty; the answers themselves are as good as ever. Leave confidence= out, or take a model "
    "that gives them."
)
NO_ANSWER = ("server", "timeout")  # kinds that end a run only where nothing was ever answered
AGAIN = "Run the cell again: it goes on where it stopped, and nothing answered is paid again."
AGAIN_WITHOUT = "Without a checkpoint the answers are only in this frame: keep it."


def safe_rows(report: RunReport) -> str:
    """How many rows are answered and where they are."""
    where = f" and safe in {report.checkpoint}" if report.checkpoint else ", in this frame only"
    return f"{report.ok:,} of {report.rows:,} rows are answered{where}"


def how_to_go_on(report: RunReport) -> str:
    """What to do about rows that are pending or failed; empty if there are none."""
    if not (report.pending or report.failed):
        return ""
    if report.checkpoint is None:
        return AGAIN_WITHOUT
    if report.pending:
        return AGAIN
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


def aborted(verdict: Verdict, report: RunReport, *, url: str, model: str) -> str:
    """The message of a hopeless run."""
    status = f" (HTTP {verdict.status})" if verdict.status else ""
    return (
        f"{_cause(verdict, url, model)}{status}: {verdict.message}. "
        f"{safe_rows(report)}; {report.pending:,} are pending and nothing more is sent. "
        f"{_cure(verdict, url)} {how_to_go_on(report)}".strip()
    )


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


def _cause(verdict: Verdict, url: str, model: str) -> str:
    if verdict.kind == "connection":
        return f"{url} cannot be reached"
    if verdict.kind in NO_ANSWER:
        return f"{url} has answered no request so far, for two minutes"
    if verdict.status is None:
        return "The first ten answers all failed in the same way, so it is the call, not the rows"
    causes = {
        401: f"{url} does not accept the API key",
        402: f"{url} says the account has no credit",
        403: f"{url} forbids the request",
        400: "The first ten requests were all refused in the same way",
        404: f"{url} knows no such address, or no model {model!r}",
        429: f"{url} says the account's quota is used up",
    }
    if _is_redirect(verdict):
        return f"{url} is not the address of the API"
    return causes.get(verdict.status or 0, f"{url} cannot go on for any row")


def _cure(verdict: Verdict, url: str) -> str:
    if verdict.kind == "connection":
        return "Check base_url, and that the server and the network are up."
    if verdict.kind in NO_ANSWER:
        return "Look at the server's log or the provider's status page, and try another model."
    if verdict.status is None:
        return "Look at the instructions and fields, or take a model that can follow them."
    cures = {
        400: "Check the options of the call against what the endpoint takes.",
        401: "Give the right api_key= for this endpoint.",
        402: "Add credit, or take another key or provider.",
        403: "Ask the provider what this key may do, or take another model.",
        404: "Check model=, and that base_url ends as the provider says, mostly in /v1.",
        429: "Raise the quota or add credit, or take another key.",
    }
    if _is_redirect(verdict):
        return "Texts and key are sent nowhere else: if you trust it, give its root as base_url=."
    return cures.get(verdict.status or 0, f"Check the settings for {url}.")


def _is_redirect(verdict: Verdict) -> bool:
    return 300 <= (verdict.status or 0) < 400
