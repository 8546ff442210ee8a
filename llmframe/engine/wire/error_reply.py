"""Errors that are about the model's answer: they are read as the reply that they carry."""

from __future__ import annotations

from typing import TYPE_CHECKING

from llmframe.engine.wire.reply import Reply
from llmframe.providers.responses.error_body import read_error
from llmframe.providers.responses.error_words import is_cap_met
from llmframe.results import Usage

if TYPE_CHECKING:
    import openai

_NOT_VALID = "json_validate_failed"  # Groq's own check of the model's JSON


def reply_in_error(exc: openai.APIStatusError) -> Reply | None:
    """The reply in an HTTP 400 about the model's answer; None for every other error.

    Some servers check the answer and refuse it with a 400, and some say so when it meets its cap.
    """
    if exc.status_code != 400:
        return None
    error, body = read_error(exc.body), exc.body
    generated = body.get("failed_generation") if isinstance(body, dict) else None
    if isinstance(generated, str) or _NOT_VALID in error.codes:
        content, reason = str(generated or ""), "stop"
    elif is_cap_met(error):
        content, reason = "", "length"
    else:
        return None
    return Reply(content, reason, None, Usage(), exc.response.headers)
