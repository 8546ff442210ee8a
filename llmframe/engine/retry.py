"""The one classifier of failures and the one owner of retries."""

from __future__ import annotations

import email.utils
import math
import re
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from tenacity import RetryCallState, Retrying, stop_after_attempt, wait_random_exponential

if TYPE_CHECKING:
    from collections.abc import Mapping

    from llmframe.errors import ErrorKind

Action = Literal["retry", "refused", "fail_row", "end_run"]

BILLING_CODES = frozenset({
    "insufficient_quota",
    "credit_balance_exhausted",
    "organization_spend_limit_exceeded",
    "project_spend_limit_exceeded",
    "organization_usage_limit_exceeded",
    "billing_hard_limit_reached",
    "billing_not_active",
})  # fmt: skip
LOST_MODEL_CODES = frozenset({"model_not_found", "deploymentnotfound", "model_not_available"})
CONTEXT_CODES = frozenset({"context_length_exceeded", "string_above_max_length"})
FILTER_CODES = frozenset({"content_filter", "content_policy_violation", "moderation_blocked"})
_CONTEXT_WORDS = re.compile(
    r"context (length|size|window)|too (many|long).{0,20}tokens|maximum context", re.I
)
_FILTER_WORDS = re.compile(r"content.?(filter|policy|management)|moderation|flagged", re.I)
_MODEL_WORDS = re.compile(r"\bmodel\b|deployment", re.I)
_TOO_LARGE = re.compile(r"request too large|limit \d+, requested \d+", re.I)

_SECRETS = re.compile(r"(?i)\b(?:bearer\s+\S+|(?:sk|pk|rk|gsk|key|xai)[-_][A-Za-z0-9_\-*.]{6,})")
MESSAGE_LIMIT = 200  # characters of a provider's message that are kept


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a failure means.

    action: try again; wait for the provider and try again; fail this row; end the run.
    retry_after: seconds the provider asks to wait, None where it does not say.
    """

    action: Action
    kind: ErrorKind
    message: str
    status: int | None = None
    code: str | None = None
    retry_after: float | None = None


class BadReply(Exception):  # noqa: N818 - it is the reply that is bad
    """A response with status 200 that is no completion.

    body: the decoded JSON, or None where it is not JSON.
    """

    def __init__(self, message: str, body: object = None) -> None:
        super().__init__(message)
        self.body = body


class Scrubber:
    """Takes keys out of texts of others before anybody sees them."""

    def __init__(self, *secrets: str | None) -> None:
        self._secrets = sorted({s for s in secrets if s and len(s) >= 6}, key=len, reverse=True)

    def __call__(self, text: str) -> str:
        """The text in one line, without keys, cut to 200 characters."""
        for secret in self._secrets:
            text = text.replace(secret, "[key]")
        text = _SECRETS.sub("[key]", " ".join(text.split()))
        text = text.encode("utf-8", "replace").decode()
        return text if len(text) <= MESSAGE_LIMIT else text[: MESSAGE_LIMIT - 1] + "…"


def classify(exc: BaseException, *, timeout: float, scrub: Scrubber) -> Verdict:
    """What a failed request means.

    exc: what the backend raised. timeout: seconds one attempt may take, for the message.
    """
    import openai

    if isinstance(exc, BadReply):
        return _classify_bad_reply(exc, scrub)
    if isinstance(exc, TimeoutError):
        return Verdict("retry", "timeout", f"no complete reply within {timeout:g} s")
    if isinstance(exc, openai.APIStatusError):
        headers = exc.response.headers
        return classify_status(exc.status_code, _error_body(exc.body), headers, scrub)
    if isinstance(exc, openai.APIConnectionError):
        return _classify_connection(exc, timeout, scrub)
    return Verdict("fail_row", "connection", scrub(f"{type(exc).__name__}: {exc}"))


def classify_status(
    status: int, error: Mapping[str, Any], headers: Mapping[str, str], scrub: Scrubber
) -> Verdict:
    """What an HTTP status with an error body means."""
    code = str(error.get("code") or error.get("type") or "") or None
    said = scrub(str(error.get("message") or "")).rstrip(". ")
    said = said or f"the endpoint answered HTTP {status}"
    wait = retry_after(headers)
    if status == 402 or {str(error.get("code")), str(error.get("type"))} & BILLING_CODES:
        action: Action = "end_run"
        kind: ErrorKind = "rate_limit"
    elif status == 429 or (status == 503 and wait is not None):
        too_large = status == 429 and wait is None and _TOO_LARGE.search(said)
        action, kind = ("fail_row" if too_large else "refused"), "rate_limit"
    else:
        action, kind = _judge_status(status, (code or "").lower(), said)
    return Verdict(action, kind, said, status, scrub(code) if code else None, wait)


def _judge_status(status: int, code: str, said: str) -> tuple[Action, ErrorKind]:
    """Action and kind for a status that is neither billing nor a refusal."""
    if status in (408, 409) or status >= 500:
        return "retry", "timeout" if status == 408 else "server"
    if status in (400, 403) and (code in FILTER_CODES or _FILTER_WORDS.search(said)):
        return "fail_row", "content_filter"
    if status in (401, 403, 404) or code in LOST_MODEL_CODES:
        return "end_run", "bad_request"
    if status == 413 or code in CONTEXT_CODES or _CONTEXT_WORDS.search(said):
        return "fail_row", "context_length"
    return "fail_row", "bad_request"


def _error_body(body: object) -> Mapping[str, Any]:
    """The error object, whether or not it is wrapped in ``{"error": ...}``."""
    if isinstance(body, dict):
        inner = body.get("error", body)
        return inner if isinstance(inner, dict) else {"message": str(inner)}
    return {}


def _classify_bad_reply(exc: BadReply, scrub: Scrubber) -> Verdict:
    error = _error_body(exc.body) if isinstance(exc.body, dict) and "error" in exc.body else None
    if error is None:
        return Verdict("retry", "server", scrub(str(exc)), 200)
    code = str(error.get("code"))
    status = int(code) if re.fullmatch("[45][0-9][0-9]", code) else 500
    return classify_status(status, error, {}, scrub)


def _classify_connection(exc: Exception, timeout: float, scrub: Scrubber) -> Verdict:
    """The aiohttp transport calls a refused connection a time-out; its cause tells."""
    causes = list(_causes(exc))
    names = {type(cause).__name__ for cause in causes}
    reason = scrub(str(causes[-1]) or type(causes[-1]).__name__)
    if "ReadTimeout" in names or "WriteTimeout" in names:
        return Verdict("retry", "timeout", f"no complete reply within {timeout:g} s")
    if any("Certificate" in name or "SSL" in name for name in names):
        return Verdict("end_run", "connection", f"no secure connection: {reason}")
    return Verdict("retry", "connection", f"the connection failed: {reason}")


def _causes(exc: BaseException | None) -> list[BaseException]:
    chain: list[BaseException] = []
    while exc is not None and exc not in chain:
        chain.append(exc)
        exc = exc.__cause__ or exc.__context__
    return chain


def retry_after(headers: Mapping[str, str]) -> float | None:
    """Seconds to wait as the headers ask, None where they do not say it sanely.

    Read are ``retry-after-ms``, then ``retry-after`` in seconds or as a date (RFC 9110,
    section 10.2.3), then the same under a gateway's prefix. Negative is 0; inf and junk
    are None.
    """
    seconds = _number(headers.get("retry-after-ms"), scale=1e-3)
    if seconds is None:
        seconds = _seconds_or_date(headers.get("retry-after"))
    if seconds is None:
        prefixed = (
            value for name, value in headers.items() if name.lower().endswith("-retry-after")
        )
        seconds = _seconds_or_date(next(prefixed, None))
    return seconds


def _seconds_or_date(value: str | None) -> float | None:
    seconds = _number(value)
    if seconds is not None or value is None:
        return seconds
    try:
        moment = email.utils.parsedate_to_datetime(value).timestamp()
    except (ValueError, OverflowError):
        return None
    return max(0.0, moment - time.time())  # a date is wall-clock time by its nature


def _number(value: str | None, *, scale: float = 1.0) -> float | None:
    try:
        number = float(value or "") * scale
    except ValueError:
        return None
    return max(0.0, number) if math.isfinite(number) else None


class RetryPolicy:
    """When and how long to wait before the next attempt of one row.

    max_attempts: requests in all, the first included; refusals are not counted.
    wait_max: seconds, the longest pause. Waits are exponential with full jitter.
    """

    def __init__(self, max_attempts: int = 5, *, wait_max: float = 30.0) -> None:
        self.max_attempts = max_attempts
        self._retrying = Retrying(
            stop=stop_after_attempt(max_attempts),
            wait=wait_random_exponential(multiplier=0.5, max=wait_max),
        )

    def is_over(self, attempts: int) -> bool:
        """Whether no attempt is left after so many."""
        return attempts >= self.max_attempts

    def wait(self, attempts: int) -> float | None:
        """Seconds to wait after so many attempts; None when there is none left."""
        state = self._state(attempts)
        return None if self._retrying.stop(state) else float(self._retrying.wait(state))

    def backoff(self, attempts: int) -> float:
        """Seconds to wait after so many attempts, however many are left."""
        return float(self._retrying.wait(self._state(attempts)))

    def _state(self, attempts: int) -> RetryCallState:
        state = RetryCallState(self._retrying, None, (), {})
        state.attempt_number = attempts
        return state
