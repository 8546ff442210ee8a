"""The values of the card that a run leaves: counts, what to do now, the next lines to type."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from llmframe.messages.afterwards import nearly_all, next_lines, where_the_time_went
from llmframe.messages.endings import TOKENS_ONLY, how_to_go_on, on_long_texts
from llmframe.notebook.view import Ending
from llmframe.task.confidence import is_choice

if TYPE_CHECKING:
    from llmframe.notebook.hosts import Assignment
    from llmframe.runs.session import Session

# of the causes that engine/limited_by.py notes: how they read after "82 %"
_TIME = {
    "latency": "waiting for answers",
    "outage": "the provider was down",
    "provider pause": "pauses that the provider asked for",
    "the first answer": "waiting for the first answer",
    "pause by you": "your pause",
    "the provider's cap": "as many requests at a time as the provider takes",
    "concurrency found so far": "as many requests at a time as were tried so far",
}
_LIMIT = re.compile(r"(?P<unit>[RT]PM) (?P<number>[\d,]+) \((?P<by>header|yours)\)")


def make_ending(session: Session, headline: str, assigned: Assignment) -> Ending:
    """The run as it is now, for its card.

    headline: the run's status if empty. assigned: the name that the call's cell gives its result.
    """
    report = session.execution.report()
    shares = report.time_went_to.items()
    ended = session.has_ended
    lines = _lines(session, assigned, failed=report.failed > 0, answered=report.ok > 0)
    return Ending(
        snapshot=session.snapshot(str(session.failure or "")),
        report=replace(report, checkpoint=_short_path(report.checkpoint)),
        model=session.execution.job.model,
        headline=headline or session.status,
        next_step=how_to_go_on(report, cured=session.status == "aborted"),
        notes=(*session.notes, *on_long_texts(report), *(_on_answers(session) if ended else ())),
        time_went_to=where_the_time_went({_time(cause): s for cause, s in shares}),
        next_lines=lines if ended else (),
    )


def _time(cause: str) -> str:
    """A cause that engine/limited_by.py notes, as it reads after "82 %"."""
    if found := _LIMIT.fullmatch(cause):
        whose = "the provider's" if found["by"] == "header" else "your"
        unit = "requests" if found["unit"] == "RPM" else "tokens"
        return f"{whose} limit of {found['number']} {unit} a minute"
    if cause.startswith("concurrency ") and cause not in _TIME:
        return f"{cause.removeprefix('concurrency ')} requests at a time, your concurrency="
    return _TIME.get(cause, cause)


def _lines(
    session: Session, assigned: Assignment, *, failed: bool, answered: bool
) -> tuple[str, ...]:
    target = session.target
    name = assigned.name or "out"
    frame = f"{name}.result()" if assigned.call == "start" else name
    # the frame of a Series holds the answers alone, the run has the texts
    errors = f"{name}.errors" if assigned.call == "start" else ""
    if target.only_new:
        errors = errors or "lf.last_run().errors"
    prefix = target.columns.prefix
    return next_lines(frame, prefix=prefix, failed=failed, answered=answered, errors=errors)


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


def _short_path(path: str | None) -> str | None:
    """A path relative to the working directory, if it lies in there."""
    if path is None:
        return None
    try:
        return str(Path(path).relative_to(Path.cwd()))
    except (OSError, ValueError):  # the directory is gone, or the path lies elsewhere
        return path
