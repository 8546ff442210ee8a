"""The lines of a batch's files: a request on each, and what became of it."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from pydantic_core import from_json, to_json

from llmframe.engine.wire.verdict import Verdict, classify_status

if TYPE_CHECKING:
    from collections.abc import Sequence

    from llmframe.providers.responses.scrubber import Scrubber

LOST = Verdict("retry", "server", "the provider's batch ended before it came to this row")


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one request.

    key: of its row. status: of its response, 0 without one. body: of the response. error: the
    batch's own words where there is no response.
    """

    key: bytes
    status: int
    body: Any
    error: str = ""

    @property
    def is_answer(self) -> bool:
        """Whether the body is a completion."""
        return 200 <= self.status < 300


def request_line(key: bytes, body: dict[str, Any], url: str) -> bytes:
    """One request of a batch, with its newline."""
    line = {"custom_id": key.hex(), "method": "POST", "url": url, "body": body}
    return to_json(line) + b"\n"


def read_outcome(line: bytes) -> Outcome | None:
    """The outcome in a line of an output or error file; None for a line that is none."""
    try:
        data = _json(line)
        key = bytes.fromhex(data["custom_id"])
    except (ValueError, RecursionError, KeyError, TypeError, AttributeError):
        return None
    response, error = data.get("response"), data.get("error")
    if not isinstance(response, dict):
        response = {}
    body = response.get("body")
    status = response.get("status_code")
    if not isinstance(status, int):
        status = 200 if isinstance(body, dict) and not error else 0
    words = error.get("message") or error.get("code") if isinstance(error, dict) else error
    return Outcome(key, status, body, str(words or ""))


def verdict_on(outcome: Outcome, scrub: Scrubber, own: Sequence[str]) -> Verdict:
    """What a failed request means. own: its texts, which an error may quote."""
    if outcome.status >= 400:
        return classify_status(outcome.status, outcome.body, {}, scrub, own)
    if not outcome.error or "expired" in outcome.error or "cancel" in outcome.error:
        return LOST
    return Verdict("retry", "server", scrub(outcome.error))


def about_batch(verdict: Verdict) -> Verdict:
    """The verdict on a refusal that ends the run: it was said of a batch, and nothing else asked.

    A refused key, a missing credit and the like are the same wherever they are met.
    """
    if verdict.about or verdict.status in (401, 402, 403, 429):
        return verdict
    return replace(verdict, about="batch_refused")


def _json(line: bytes) -> Any:
    try:
        return from_json(line)
    except ValueError:
        return json.loads(line)  # slower, but reads lone surrogates
