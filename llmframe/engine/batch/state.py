"""A batch as the provider shows it, and what its failure means: pure values."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from llmframe.providers.responses.error_words import BILLING_CODES

MOST_IN_A_ROW = 2  # batches that may fail for some of their lines before it is the fault of all
_OVER = frozenset({"completed", "expired", "cancelled"})
_SPELLINGS = {"canceled": "cancelled", "canceling": "cancelling", "progress": "in_progress"}
# the provider's queue is full, or one batch is more than it takes
_CROWDED = re.compile(
    r"enqueued|token_limit_exceeded|too[ _](many|large)|at most|quota"
    r"|(max|limit)\w*[ _].{0,40}(reached|exceed)|exceed\w*.{0,60}(limit|max)",
    re.I,
)
_NOT_READY = re.compile(r"not (yet )?(ready|processed)|still (being )?process|pending", re.I)


@dataclass(frozen=True, slots=True)
class Problem:
    """Why a batch has failed as a whole. line: of its file, from 1 on; None if none is named."""

    message: str
    code: str = ""
    line: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Remote:
    """A batch as the provider shows it.

    nonce, file: by which we know it again. output, errors: ids of its files, "" without one.
    answered: requests so far. created: unix seconds.
    """

    id: str
    status: str
    nonce: str = ""
    file: str = ""
    output: str = ""
    errors: str = ""
    answered: int = 0
    created: int = 0
    problems: tuple[Problem, ...] = ()

    @property
    def is_going(self) -> bool:
        """Whether it has not come to its end; a state that nobody knows is none."""
        return self.status not in _OVER and self.status != "failed"


@dataclass(frozen=True, slots=True)
class DropLines:
    """These lines (from 0 on) are wrong, each with the reason; all others may be sent again."""

    reasons: dict[int, str]


@dataclass(frozen=True, slots=True)
class Wait:
    """The provider has no room: send the same again later; halve: in smaller batches."""

    reason: str
    halve: bool


@dataclass(frozen=True, slots=True)
class SendAgain:
    """It may have been a passing failure: send the same once more."""


@dataclass(frozen=True, slots=True)
class Hopeless:
    """It fails again and again, and nobody says for which line."""

    reason: str


Judgement = DropLines | Wait | SendAgain | Hopeless


def judge(
    problems: tuple[Problem, ...], *, alone: bool, again: bool, in_a_row: int = 0
) -> Judgement:
    """What to do about a batch that has failed as a whole; nothing of it was asked or paid.

    alone: none of our other batches is at the provider. again: its rows have failed so before.
    in_a_row: batches that failed before it, without one that passed.
    """
    lines = {p.line - 1: p.message or p.code for p in problems if p.line}
    # a fault of all lines is named at the first: a batch for each row would say the same
    is_of_all = in_a_row >= MOST_IN_A_ROW or any("model" in p.code for p in problems)
    if lines and not is_of_all:
        return DropLines(lines)
    reason = "; ".join(p.message or p.code for p in problems) or "no reason given"
    if any(p.code in BILLING_CODES for p in problems):
        return Hopeless(reason)
    if any(is_crowded(f"{p.code} {p.message}") for p in problems):
        return Wait(reason, halve=alone)
    return Hopeless(reason) if again or lines else SendAgain()


def is_crowded(text: str) -> bool:
    """Whether an error says that the provider has no room for so much."""
    return _CROWDED.search(text) is not None


def is_not_ready(text: str) -> bool:
    """Whether an error says that the uploaded file is still being looked at."""
    return _NOT_READY.search(text) is not None


def read_remote(data: Any) -> Remote:
    """A batch object of the API, in the spellings of several providers; ValueError for none."""
    data = data.get("job", data) if isinstance(data, dict) else data
    if not isinstance(data, dict) or not isinstance(data.get("id"), str):
        raise ValueError("no batch object")  # noqa: TRY004 - the text is not what it should be
    status = str(data.get("status") or "").lower()
    counts = _dict(data.get("request_counts"))
    metadata = _dict(data.get("metadata"))
    errors = data.get("errors")
    listed = errors if isinstance(errors, list) else _dict(errors).get("data")
    problems = [_problem(one) for one in listed or [] if isinstance(one, dict)]
    if isinstance(data.get("error"), str) and data["error"]:  # Together's
        problems.append(Problem(data["error"]))
    return Remote(
        id=data["id"],
        status=_SPELLINGS.get(status, status),
        nonce=str(metadata.get("llmframe") or ""),
        file=str(data.get("input_file_id") or ""),
        output=str(data.get("output_file_id") or ""),
        errors=str(data.get("error_file_id") or ""),
        answered=_count(counts.get("completed")),
        created=_count(data.get("created_at")),
        problems=tuple(problems),
    )


def _problem(error: dict[str, Any]) -> Problem:
    line = error.get("line")
    message, code = error.get("message"), error.get("code")
    return Problem(str(message or ""), str(code or ""), line if isinstance(line, int) else None)


def _dict(value: object) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _count(value: object) -> int:
    return value if isinstance(value, int) else 0
