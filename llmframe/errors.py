"""Everything that can go wrong, as one tree.

LLMFrameError
├── PlanError (ValueError)    a mistake in the call; found before anything is sent
├── CheckpointError           the checkpoint cannot be read, written or shared
├── RunAborted                no row can succeed; ``.run.partial()`` holds the frame
├── RowError                  one row's failure; never ends a run unless asked to
│   ├── CallError             the request failed
│   └── OutputError           the reply is not what was asked for
└── IncompleteWarning (UserWarning)   a run was stopped; some rows are pending
"""

from __future__ import annotations

import contextlib
import re
import sys
import threading
import warnings
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Literal, TextIO, cast

if TYPE_CHECKING:
    from collections.abc import Hashable
    from types import FrameType

ErrorKind = Literal[
    "input",
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

_UNSEEN = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f"  # control characters drive terminals; \t and \n may stay
    "\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069"  # these reorder their line
    "\ud800-\udfff]"  # half characters cannot be printed
)


def visible(text: str) -> str:
    """The text with the characters that a terminal would obey written as escapes."""
    return _UNSEEN.sub(lambda found: ascii(found[0])[1:-1], text)


class LLMFrameError(Exception):
    """The root of all errors of llmframe.

    Its message may quote what others wrote, so control characters are escaped. A pickled
    error has no run, which lives in one process only.
    """

    def __init__(self, *args: object) -> None:
        super().__init__(*(visible(part) if isinstance(part, str) else part for part in args))

    def __reduce__(self) -> tuple[Any, ...]:
        state = {name: value for name, value in self.__dict__.items() if name != "run"}
        return _unpickled, (type(self), self.args, state)

    def _render_traceback_(self) -> list[str]:
        """What IPython shows: the person's own lines and the message, without what caused it."""
        shell = sys.modules["IPython"].get_ipython()
        shown = _unpickled(type(self), self.args, {})  # its cause would be shown as well
        trace = _own_lines(self.__traceback__)
        return list(shell.InteractiveTB.structured_traceback(type(self), shown, trace))


def _own_lines(trace: TracebackType | None) -> TracebackType | None:
    """A traceback without the frames of this package."""
    if trace is None:
        return None
    after = _own_lines(trace.tb_next)
    if trace.tb_frame.f_code.co_filename.startswith(_HERE):
        return after
    return TracebackType(after, trace.tb_frame, trace.tb_lasti, trace.tb_lineno)


def _unpickled(kind: type[LLMFrameError], args: tuple[Any, ...], state: dict[str, Any]) -> Any:
    # not by __init__, whose arguments differ from class to class
    error = kind.__new__(kind, *args)
    error.__dict__.update(state)
    return error


class PlanError(LLMFrameError, ValueError):
    """A mistake in the call, found before anything is sent or paid."""


class MisuseError(PlanError, AttributeError, TypeError):
    """An object is used as something else: a coroutine as the frame that it returns."""


class CheckpointError(LLMFrameError):
    """The checkpoint cannot be read, written or shared."""

    run: Any = None


class RunAborted(LLMFrameError):  # noqa: N818 - the contract's name
    """No row can succeed.

    run: the Run; ``run.partial()`` is the frame with all answers so far.
    """

    run: Any = None


class RowError(LLMFrameError):
    """One row failed.

    kind: the word before the colon in ``llm_error``.
    run, position, index: the Run, the row's position from 0 and its index label, when
        ``on_error="raise"`` raises it.
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
    retry_after: seconds that the provider asks to wait, None if it asks for none.
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
    """A run ended early; some rows are pending. The same call again goes on."""


_HERE = str(Path(__file__).parent)


def persons_frame() -> FrameType:
    """The frame of the person's own line: the nearest one outside this package.

    A ``with`` over one of our context managers has contextlib's frames in between.
    """
    frame = sys._getframe(1)  # noqa: SLF001 - what the warnings module itself reads
    ours = (_HERE, contextlib.__file__)
    while frame.f_back is not None and frame.f_code.co_filename.startswith(ours):
        frame = frame.f_back
    return frame


def warn(
    message: str | Warning, category: type[Warning] = UserWarning, *, printed: bool = True
) -> None:
    """Warn at the person's own line.

    printed: False where a card shows the same. Filters, hooks and records see it as any other.
    """
    if isinstance(message, str):
        message = visible(message)
    level, frame, own = 2, sys._getframe(1), persons_frame()  # noqa: SLF001 - as above
    while frame is not own and frame.f_back is not None:
        frame, level = frame.f_back, level + 1
    unprinted = contextlib.redirect_stderr(cast("TextIO", _NotFromHere(sys.stderr)))
    with contextlib.nullcontext() if printed else unprinted:
        warnings.warn(message, category, stacklevel=level)


class _NotFromHere:
    """A standard error that drops what this thread writes."""

    def __init__(self, stream: TextIO | None) -> None:
        self._stream = stream
        self._thread = threading.get_ident()

    def write(self, text: str) -> int:
        """Pass on what other threads write."""
        if self._stream is not None and threading.get_ident() != self._thread:
            return self._stream.write(text)
        return len(text)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)
