"""The one classifier of failures: what an error of the endpoint or the connection means."""

from __future__ import annotations

import asyncio
import re
import ssl
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

from llmframe.providers.responses.error_body import ErrorBody, read_error
from llmframe.providers.responses.error_words import (
    exceeds_limit,
    has_billing_code,
    is_daily,
    is_filtered,
    is_lost_model,
    is_throttled,
    is_too_long,
    is_wrong_key,
    mentions_model,
    names_no_address,
    names_no_model,
    names_schema,
    says_no_money,
)
from llmframe.providers.responses.retry_after import retry_after, wait_in_body, wait_until_reset
from llmframe.providers.responses.web_page import is_page, page_title
from llmframe.results import NOTHING_USED, Usage
from llmframe.secret import hide_secrets

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from llmframe.errors import ErrorKind
    from llmframe.providers.responses.scrubber import Scrubber

Action = Literal["retry", "refused", "fail_row", "suspect", "end_run"]
About = Literal[
    "", "model", "address", "page", "gone", "batches", "batch", "batch_refused", "results"
]

NO_API = frozenset({404, 405, 410, 501})  # the server knows no such address
# 404, 501: of a router without such an upstream, or of a server that knows no schema
ABOUT_DIALECT = frozenset({400, 404, 405, 413, 415, 422, 501})
PASSING = frozenset({408, 409, 425, 498, 499})  # broken off, or no room just now: tried again
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

    action: "retry"; "refused": wait for the provider and retry; "fail_row"; "suspect": it is
    about this row or about all, which shows when others are sent; "end_run".
    retry_after: seconds the provider asks to wait, None if it does not say.
    param: the parameter that a 400 names. text: all that the error says, without the row's text.
    about: what is wrong, if not the row: "model" or "address" does not exist; "page": a web
    page or the like answers, no API; "gone": a server that we have started has ended; "batches":
    the endpoint has none; "batch": one that was started is not shown to this key;
    "batch_refused": it takes no such batch; "results": those of a batch are not there.
    """

    action: Action
    kind: ErrorKind
    message: str
    status: int | None = None
    code: str | None = None
    retry_after: float | None = None
    param: str | None = None
    about: About = ""
    text: str = ""

    @property
    def may_be_dialect(self) -> bool:
        """Whether a request of another form may be accepted."""
        is_unknown = self.action == "suspect" and self.kind == "bad_request"
        return is_unknown and self.status in ABOUT_DIALECT and self.about != "model"


def is_about_key(verdict: Verdict) -> bool:
    """Whether the key was not accepted."""
    return verdict.status == 401 and verdict.kind == "bad_request"


def doubted_key(verdict: Verdict) -> Verdict:
    """The same; a key that was not accepted becomes a doubt, for a health probe to settle.

    A gateway with several keys of its own, or with a filter, may refuse a single row so.
    """
    return replace(verdict, action="suspect") if is_about_key(verdict) else verdict


class BadReply(Exception):  # noqa: N818 - it is the reply that is bad
    """A response with status 200 that is no completion.

    error: the endpoint's own error object, if any. usage: paid all the same.
    foreign: no API of this kind answers so. broken_off: the server ended the answer itself.
    """

    def __init__(
        self,
        message: str,
        *,
        error: object = None,
        usage: Usage = NOTHING_USED,
        foreign: bool = False,
        broken_off: bool = False,
    ) -> None:
        super().__init__(message)
        self.error = error
        self.usage = usage
        self.foreign = foreign
        self.broken_off = broken_off


class ServerGone(Exception):  # noqa: N818 - it is a state
    """The server that we have started for this run has ended."""


def classify(
    exc: BaseException, *, timeout: float, scrub: Scrubber, own: Sequence[str] = ()
) -> Verdict:
    """What a failed request means.

    exc: what the backend raised. timeout: seconds one attempt may take, for the message. own:
    the texts of the request, which an error may quote.
    """
    import openai

    if isinstance(exc, BadReply):
        return _classify_bad_reply(exc, scrub, own)
    if isinstance(exc, ServerGone):
        return Verdict("end_run", "connection", scrub(str(exc)), about="gone")
    if isinstance(exc, openai.APIStatusError):
        headers = exc.response.headers
        verdict = classify_status(exc.status_code, exc.body, headers, scrub, own)
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
    status: int,
    body: object,
    headers: Mapping[str, str],
    scrub: Scrubber,
    own: Sequence[str] = (),
) -> Verdict:
    """What an HTTP status with the body of an error means. own: the texts of our request."""
    error = read_error(body, own)
    if status == 400 and is_wrong_key(error.message):
        status = 401  # what others call a wrong key
    wait = retry_after(headers)
    if wait is None:
        wait = wait_in_body(body, error.text)
    if wait is None and status == 429:
        wait = wait_until_reset(headers)
    action, kind = _judge(status, error, wait)
    message = _message(status, error.message, headers, scrub)
    if action == "refused" and is_daily(error):
        message = f"the limit of a day is used up: {message}"
    return Verdict(
        action, kind, message, status,
        scrub(error.code) if error.code else None, wait,
        error.param if status in (400, 422) else None,
        _missing(status, error) if kind == "bad_request" else "", error.text,
    )  # fmt: skip


# -- one question each, about a status --------------------------------------------


def _judge(status: int, error: ErrorBody, wait: float | None) -> tuple[Action, ErrorKind]:
    """Action and kind; the first that fits."""
    if has_billing_code(error):
        return "end_run", "rate_limit"
    if wait is None and (status == 402 or says_no_money(error)):
        return "suspect", "rate_limit"  # a filter may quote such words of a row
    if status in (402, 429) or (status == 503 and wait is not None):
        # a refusal passes, unless this one request asks for more than the whole limit
        too_large = status == 429 and exceeds_limit(error.message)
        return "fail_row" if too_large else "refused", "rate_limit"
    if status == 401:
        return "end_run", "bad_request"
    if is_lost_model(error):
        return "suspect", "bad_request"
    if status in PASSING or (status >= 500 and status not in NO_API):
        return "retry", "timeout" if status == 408 else "server"
    if status in (400, 403, 451) and is_filtered(error):
        return "fail_row", "content_filter"
    if (status == 413 and not names_schema(error)) or is_too_long(error):
        return "fail_row", "context_length"
    if 400 <= status < 500 and is_throttled(error):
        return "refused", "rate_limit"
    return "suspect", "bad_request"


def _missing(status: int, error: ErrorBody) -> About:
    """What does not exist: the model, or the API."""
    if is_lost_model(error) or (status in (400, 404, 422) and names_no_model(error.message)):
        return "model"
    if status == 404 and mentions_model(error):
        return "model"
    # an API that explains itself is there
    return "address" if status in NO_API and names_no_address(error) else ""


def _message(status: int, message: str, headers: Mapping[str, str], scrub: Scrubber) -> str:
    """What people read: the endpoint's own words, where there are any."""
    if 300 <= status < 400:
        elsewhere = scrub(hide_secrets(headers.get("location", "")))
        return f"it sends requests on to {elsewhere or 'nowhere'}"
    return scrub(message).rstrip(". 。") or f"the endpoint answered HTTP {status}"


# -- bodies -----------------------------------------------------------------------


def _of_page(verdict: Verdict, page: object, scrub: Scrubber) -> Verdict:
    """The verdict on a web page in place of an error of the API."""
    message = f"the endpoint answered HTTP {verdict.status} with a web page"
    verdict = replace(verdict, message=message + page_title(str(page), scrub))
    if verdict.action != "retry" and verdict.status not in (400, 403):
        return verdict
    # A firewall may send one for a single row, so it ends a run only if nothing else ever came.
    return replace(verdict, action="retry", about="page")


def _classify_bad_reply(exc: BadReply, scrub: Scrubber, own: Sequence[str]) -> Verdict:
    if not exc.error:
        about: About = "page" if exc.foreign else ""
        return Verdict("retry", "server", scrub(str(exc)), 200, about=about)
    error = read_error(exc.error)
    # gateways put the status of the provider behind them here
    codes = [code for code in error.codes if re.fullmatch("[45][0-9][0-9]", code)]
    return classify_status(int(codes[0]) if codes else 500, exc.error, {}, scrub, own)


# -- connections ------------------------------------------------------------------


def _classify_connection(exc: BaseException, timeout: float, scrub: Scrubber) -> Verdict:
    # By its causes: the aiohttp transport calls a refused connection a time-out.
    causes = _causes(exc)
    first = causes[-1]
    if isinstance(first, BadReply):  # our own limit of size, exceeded inside the client
        return _classify_bad_reply(first, scrub, ())
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
