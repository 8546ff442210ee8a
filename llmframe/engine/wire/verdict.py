"""The one classifier of failures: what an error of the endpoint or the connection means."""

from __future__ import annotations

import asyncio
import re
import ssl
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal

from llmframe.providers.error_words import (
    exceeds_limit,
    is_billing,
    is_filtered,
    is_lost_model,
    is_too_long,
    is_wrong_key,
    names_no_model,
)
from llmframe.providers.retry_after import retry_after
from llmframe.providers.web_page import is_page, page_title
from llmframe.results import NOTHING_USED, Usage
from llmframe.secret import hide_secrets

if TYPE_CHECKING:
    from collections.abc import Mapping

    from llmframe.errors import ErrorKind
    from llmframe.providers.scrubber import Scrubber

Action = Literal["retry", "refused", "fail_row", "end_run"]
About = Literal["", "model", "address", "page", "gone"]

NO_API = frozenset({404, 405, 410, 501})  # the server knows no such address
_END_BY_BILLING: tuple[Action, ErrorKind] = ("end_run", "rate_limit")
_TRANSPORTS = {"aiohttp", "httpx2", "httpcore2", "httpx", "httpcore", "h11", "anyio", "ssl"}
# what stands among the causes, or their classes, where no connection was made
_NEVER_LEFT = {
    "ConnectionRefusedError",
    "gaierror",
    "ConnectError",
    "ConnectTimeout",
    "PoolTimeout",
    "ClientConnectorError",
    "ConnectionTimeoutError",
    "SSLCertVerificationError",
}


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a failure means.

    action: "retry"; "refused": wait for the provider and retry; "fail_row"; "end_run".
    retry_after: seconds the provider asks to wait, None if it does not say.
    param: the parameter that a 400 names.
    about: what is wrong, if not the row: "model" or "address" does not exist; "page": a web
    page or the like answers, no API; "gone": a server that we have started has ended.
    """

    action: Action
    kind: ErrorKind
    message: str
    status: int | None = None
    code: str | None = None
    retry_after: float | None = None
    param: str | None = None
    about: About = ""


class BadReply(Exception):  # noqa: N818 - it is the reply that is bad
    """A response with status 200 that is no completion.

    error: the endpoint's own error object, if any. usage: paid all the same.
    foreign: no API of this kind answers so.
    """

    def __init__(
        self,
        message: str,
        *,
        error: object = None,
        usage: Usage = NOTHING_USED,
        foreign: bool = False,
    ) -> None:
        super().__init__(message)
        self.error = error
        self.usage = usage
        self.foreign = foreign


class ServerGone(Exception):  # noqa: N818 - it is a state
    """The server that we have started for this run has ended."""


def classify(exc: BaseException, *, timeout: float, scrub: Scrubber) -> Verdict:
    """What a failed request means.

    exc: what the backend raised. timeout: seconds one attempt may take, for the message.
    """
    import openai

    if isinstance(exc, BadReply):
        return _classify_bad_reply(exc, scrub)
    if isinstance(exc, ServerGone):
        return Verdict("end_run", "connection", scrub(str(exc)), about="gone")
    if isinstance(exc, openai.APIStatusError):
        headers = exc.response.headers
        verdict = classify_status(exc.status_code, _error_body(exc.body), headers, scrub)
        return _of_page(verdict, exc.body, scrub) if is_page(exc.body) else verdict
    if isinstance(exc, TimeoutError):
        return _timed_out(timeout)
    if _is_connection(exc):
        return _classify_connection(exc, timeout, scrub)
    return Verdict("fail_row", "bad_request", scrub(f"{type(exc).__name__}: {exc}"))


def may_be_charged(exc: BaseException) -> bool:
    """Whether a request that ended so may have been answered and charged for without being read.

    True where it was cancelled, timed out or lost its connection; False where a response was
    read, or where it never left.
    """
    if isinstance(exc, asyncio.CancelledError | TimeoutError):
        return True
    import openai

    if isinstance(exc, openai.APIStatusError | BadReply | ServerGone) or not _is_connection(exc):
        return False
    names = {base.__name__ for cause in _causes(exc) for base in type(cause).__mro__}
    return not names & _NEVER_LEFT


def _is_connection(exc: BaseException) -> bool:
    import openai

    # transports let some of their own errors through, as aiohttp does with junk
    is_of_transport = type(exc).__module__.partition(".")[0] in _TRANSPORTS
    return is_of_transport or isinstance(exc, openai.APIConnectionError | OSError | EOFError)


def _causes(exc: BaseException) -> list[BaseException]:
    """The exception, what it was raised from, and so on to the first."""
    causes = [exc]
    while (cause := causes[-1].__cause__ or causes[-1].__context__) and cause not in causes:
        causes.append(cause)
    return causes


def classify_status(
    status: int, error: Mapping[str, Any], headers: Mapping[str, str], scrub: Scrubber
) -> Verdict:
    """What an HTTP status with an error body means."""
    code = str(error.get("code") or error.get("type") or "")
    message = str(error.get("message") or error.get("detail") or "")
    wait = retry_after(headers)
    if status == 400 and is_wrong_key(message):
        status = 401  # what others call a wrong key
    about = _missing(status, code.lower(), message)
    if _is_billing(status, error, wait):
        action, kind = _END_BY_BILLING
    elif status in (402, 429) or (status == 503 and wait is not None):
        action, kind = _refusal(status, message)
    else:
        action, kind = _judge_status(status, code.lower(), message, about)
    text = _message(status, message, headers, scrub)
    param = error.get("param") if status in (400, 422) else None
    return Verdict(
        action, kind, text, status, scrub(code) if code else None, wait,
        param if isinstance(param, str) else None, about,
    )  # fmt: skip


# -- one question each, about a status --------------------------------------------


def _missing(status: int, code: str, message: str) -> About:
    """What does not exist: the model, or the API."""
    if is_lost_model(code) or (status in (400, 422) and names_no_model(message)):
        return "model"
    if status in NO_API:
        return "model" if status == 404 and re.search(r"\bmodel\b", message, re.I) else "address"
    return ""


def _is_billing(status: int, error: Mapping[str, Any], wait: float | None) -> bool:
    """No credit: waiting does not help, unless the endpoint itself says until when."""
    return is_billing(error) or (status == 402 and wait is None)


def _refusal(status: int, message: str) -> tuple[Action, ErrorKind]:
    """A refusal passes, unless this one request asks for more than the whole limit."""
    too_large = status == 429 and exceeds_limit(message)
    return "fail_row" if too_large else "refused", "rate_limit"


def _judge_status(status: int, code: str, message: str, missing: About) -> tuple[Action, ErrorKind]:
    """Action and kind for a status that is neither billing nor a refusal; the first that fits."""
    if missing:
        return "end_run", "bad_request"
    if status in (408, 409) or status >= 500:
        return "retry", "timeout" if status == 408 else "server"
    if status in (400, 403) and is_filtered(code, message):
        return "fail_row", "content_filter"
    if 300 <= status < 400 or status in (401, 403):
        return "end_run", "bad_request"
    if status == 413 or is_too_long(code, message):
        return "fail_row", "context_length"
    return "fail_row", "bad_request"


def _message(status: int, message: str, headers: Mapping[str, str], scrub: Scrubber) -> str:
    """What people read: the endpoint's own words, where there are any."""
    if 300 <= status < 400:
        elsewhere = scrub(hide_secrets(headers.get("location", "")))
        return f"it sends requests on to {elsewhere or 'nowhere'}"
    return scrub(message).rstrip(". ") or f"the endpoint answered HTTP {status}"


# -- bodies -----------------------------------------------------------------------


def _error_body(body: object) -> Mapping[str, Any]:
    """The error object, however it is wrapped; a text is its message, a web page is none."""
    if isinstance(body, list):
        body = body[0] if body else None
    if isinstance(body, dict):
        inner = body.get("error", body)
        return inner if isinstance(inner, dict) else _error_body(inner)
    return {"message": body} if isinstance(body, str) and not is_page(body) else {}


def _of_page(verdict: Verdict, page: object, scrub: Scrubber) -> Verdict:
    """The verdict on a web page in place of an error of the API."""
    message = f"the endpoint answered HTTP {verdict.status} with a web page"
    verdict = replace(verdict, message=message + page_title(str(page), scrub))
    if verdict.action != "retry" and verdict.status not in (400, 403):
        return verdict
    # A firewall may send one for a single row, so it ends a run only if nothing else ever came.
    return replace(verdict, action="retry", about="page")


def _classify_bad_reply(exc: BadReply, scrub: Scrubber) -> Verdict:
    if not exc.error:
        about: About = "page" if exc.foreign else ""
        return Verdict("retry", "server", scrub(str(exc)), 200, about=about)
    error = _error_body(exc.error)
    code = str(error.get("code"))  # gateways put the status of the provider behind them here
    status = int(code) if re.fullmatch("[45][0-9][0-9]", code) else 500
    return classify_status(status, error, {}, scrub)


# -- connections ------------------------------------------------------------------


def _classify_connection(exc: BaseException, timeout: float, scrub: Scrubber) -> Verdict:
    # By its causes: the aiohttp transport calls a refused connection a time-out.
    causes = _causes(exc)
    first = causes[-1]
    if isinstance(first, BadReply):  # our own limit of size, exceeded inside the client
        return _classify_bad_reply(first, scrub)
    if {"ReadTimeout", "WriteTimeout"} & {type(cause).__name__ for cause in causes}:
        return _timed_out(timeout)
    reason = scrub(str(first)) or type(first).__name__
    # A certificate that is not trusted, or no TLS at all. The other subclasses of SSLError are
    # connections that broke.
    if any(type(c) is ssl.SSLError or isinstance(c, ssl.SSLCertVerificationError) for c in causes):
        return Verdict("end_run", "connection", f"no secure connection: {reason}")
    return Verdict("retry", "connection", f"the connection failed: {reason}")


def _timed_out(timeout: float) -> Verdict:
    return Verdict("retry", "timeout", f"no complete reply within {timeout:g} s")
