"""A row's failure, as an error for the person and as plain words for the checkpoint."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from llmframe.errors import CallError, OutputError, RowError

if TYPE_CHECKING:
    from llmframe.engine.wire.verdict import Verdict
    from llmframe.errors import ErrorKind
    from llmframe.results import RowResult


def row_error(position: int, result: RowResult, failure: Verdict | None) -> RowError:
    """The error to raise for a row that failed; failure: its last failed request, if any."""
    kind, _, _ = (result.error or "").partition(":")
    message = f"row {position}: {result.error}"
    if failure is None:
        error: RowError = OutputError(message, kind=cast("ErrorKind", kind))
    else:
        error = CallError(
            message, kind=cast("ErrorKind", kind), status=failure.status, code=failure.code,
            retry_after=failure.retry_after,
        )  # fmt: skip
    error.position = position
    return error


def error_info(result: RowResult, failure: Verdict | None) -> dict[str, object] | None:
    """What the checkpoint keeps of a failure: no words of the provider or the model."""
    if result.status != "failed":
        return None
    kind, _, _ = (result.error or "").partition(":")
    return {
        "kind": kind,
        "status": failure.status if failure else None,
        "code": failure.code if failure else None,
    }
