"""What can go wrong, as one tree.

LLMFrameError
├── PlanError (ValueError)    a mistake in the call; found before anything is sent
├── CheckpointError           the checkpoint cannot be read, written or shared
├── RunAborted                hopeless for every row; ``.run.partial()`` holds the frame
├── RowError                  one row's failure; never ends a run unless asked to
│   ├── CallError             the request failed
│   └── OutputError           the reply is not what was asked for
└── IncompleteWarning (UserWarning)   a run was stopped; some rows are pending
"""

from __future__ import annotations

import sys
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from collections.abc import Hashable

ErrorKind = Literal[
    "timeout",
    "deadline",
    "connection",
    "server",
    "rate_limit",
    "bad_request",
    "context_length",
    "content_filter",
    "refusal",
    "truncated",
    "output",
    "redact",
    "suspect",
]


class LLMFrameError(Exception):
    """The root of all errors of llmframe."""


class PlanError(LLMFrameError, ValueError):
    """A mistake in the call, found before anything is sent or paid."""


class CheckpointError(LLMFrameError):
    """The checkpoint cannot be read, written or shared."""

    run: Any = None


class RunAborted(LLMFrameError):  # noqa: N818 - the contract's name
    """The run is hopeless for every row.

    run: the Run; ``run.partial()`` is the frame with all that was answered.
    """

    run: Any = None


class RowError(LLMFrameError):
    """One row's failure.

    kind: what kind of failure, the word before the colon in ``llm_error``.
    run, position, index: the Run, the row's position from 0 and its index label;
        set when the error leaves a run (``on_error="raise"``).
    """

    run: Any = None
    position: int | None = None
    index: Hashable = None

    def __init__(self, message: str, *, kind: ErrorKind = "output") -> None:
        super().__init__(message)
        self.kind: ErrorKind = kind


class CallError(RowError):
    """The request failed.

    status: the HTTP status, None where no response came.
    code: the provider's error code, if any.
    retry_after: seconds the provider asks to wait, None where it does not say.
    """

    def __init__(
        self,
        message: str,
        *,
        kind: ErrorKind,
        status: int | None = None,
        code: str | None = None,
        retry_after: float | None = None,
    ) -> None:
        super().__init__(message, kind=kind)
        self.status = status
        self.code = code
        self.retry_after = retry_after


class OutputError(RowError):
    """The reply is not what was asked for.

    field: the field that is wrong, None where the whole reply is.
    """

    def __init__(
        self, message: str, *, field: str | None = None, kind: ErrorKind = "output"
    ) -> None:
        super().__init__(message, kind=kind)
        self.field = field


class IncompleteWarning(LLMFrameError, UserWarning):  # noqa: N818 - the contract's name
    """A run ended early; some rows are pending. Run the cell again to go on."""


_HERE = str(Path(__file__).parent)


def warn(message: str | Warning, category: type[Warning] = UserWarning) -> None:
    """Warn, pointing at the person's own line: the nearest one outside this package."""
    level, frame = 2, sys._getframe(1)  # noqa: SLF001 - what the warnings module itself reads
    while frame.f_back is not None and frame.f_code.co_filename.startswith(_HERE):
        frame, level = frame.f_back, level + 1
    warnings.warn(message, category, stacklevel=level)
