"""The values of the card that a run leaves: counts, what to do now, the next lines to type."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import TYPE_CHECKING

from llmframe.messages.afterwards import (
    cause_words,
    nearly_all,
    next_lines,
    where_the_time_went,
)
from llmframe.messages.endings import TOKENS_ONLY, how_to_go_on, on_examples, on_long_texts
from llmframe.notebook.drawing.format import short_path
from llmframe.notebook.view import Ending
from llmframe.task.confidence import is_choice

if TYPE_CHECKING:
    from llmframe.notebook.hosts import Assignment
    from llmframe.report import RunReport
    from llmframe.runs.session import Session

OVER_BUDGET = "stopped: budget spent"


def make_ending(session: Session, headline: str, assigned: Assignment) -> Ending:
    """The run as it is now, for its card.

    headline: the run's status if empty. assigned: the name that the call's cell gives its result.
    """
    report = session.execution.report()
    ended, status = session.has_ended, session.status
    raises = session.failure is not None or (session.raises_incomplete and report.pending > 0)
    returns = headline != "interrupted" and not raises
    is_over_budget = status == "stopped" and report.limited_by == "budget"
    lines = _lines(session, assigned, report, returns=returns)
    return Ending(
        snapshot=session.snapshot(str(session.failure or "")),
        report=replace(
            report,
            checkpoint=short_path(report.checkpoint),
            limited_by=cause_words(report.limited_by),
        ),
        model=session.execution.job.model,
        headline=headline or (OVER_BUDGET if is_over_budget else status),
        next_step=how_to_go_on(report, cured=status == "aborted"),
        notes=(
            *session.notes,
            *on_examples(report),
            *on_long_texts(report),
            *(_on_answers(session) if ended else ()),
        ),
        time_went_to=where_the_time_went(report.time_went_to),
        next_lines=lines if ended else (),
    )


def _lines(
    session: Session, assigned: Assignment, report: RunReport, *, returns: bool
) -> tuple[str, ...]:
    """returns: the call gives its frame to the name, if there is one."""
    target, name = session.target, assigned.name
    run = name if name and assigned.call == "start" else "lf.last_run()"
    # a name that the call did not reach is not defined, or holds an older frame
    is_frame = returns and bool(name) and run != name
    frame = name if is_frame else f"{run}.{'result' if returns and run == name else 'partial'}()"
    # the frame of a Series holds the answers alone, the run has the texts
    errors = "" if is_frame and not target.only_new else f"{run}.errors"
    return next_lines(
        frame,
        prefix=target.columns.prefix,
        failed=report.failed > 0,
        answered=report.ok > 0,
        errors=errors,
    )


def _on_answers(session: Session) -> list[str]:
    """Sentences about what the answers hold."""
    tokens_only = session.execution.has_shares is False
    return [*_one_label(session), *([TOKENS_ONLY] if tokens_only else ())]


def _one_label(session: Session) -> list[str]:
    """A sentence for each choice of which nearly all rows got one label."""
    specs = [spec for spec in session.execution.job.prompt.fields.specs if is_choice(spec)]
    _, columns = session.execution.results.columns([spec.name for spec in specs])
    found = []
    for spec in specs:
        counts = dict.fromkeys(spec.labels or (True, False), 0)
        counts |= Counter(value for value in columns[spec.name] if value is not None)
        found.append(nearly_all(spec.name, {str(label): n for label, n in counts.items()}))
    return [sentence for sentence in found if sentence]
