"""The codes and words with which providers say what is wrong with a request."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

BILLING_CODES = frozenset({
    "insufficient_quota",
    "credit_balance_exhausted",
    "organization_spend_limit_exceeded",
    "project_spend_limit_exceeded",
    "organization_usage_limit_exceeded",
    "billing_hard_limit_reached",
    "billing_not_active",
})  # fmt: skip
_LOST_MODEL = frozenset({"model_not_found", "deploymentnotfound", "model_not_available"})
_CONTEXT = frozenset({"context_length_exceeded", "string_above_max_length"})
_FILTER = frozenset({"content_filter", "content_policy_violation", "moderation_blocked"})
_CONTEXT_WORDS = re.compile(
    r"context (length|size|window)|too (many|long).{0,20}tokens|maximum (context|input|prompt)"
    r"|reduce the length",
    re.I,
)
_FILTER_WORDS = re.compile(r"content.?(filter|policy|management)|moderation|flagged", re.I)
_NO_MODEL = re.compile(
    r"model (does )?not exist(\. please check it carefully)?"
    r"|invalid model: .{1,100}|unknown model:? .{1,100}"
    r"|.{1,100} is not a valid model id|the model .{1,100} does not exist"
    r"|the supported api model names are .{1,200}, but you passed .{1,100}",
    re.I,
)  # the whole message: a row's text in one must not match
_NO_KEY = re.compile(
    r"api key not valid\. please pass a valid api key"
    r"|incorrect api key provided: .{1,100}\. you can obtain an api key from .{1,100}",
    re.I,
)  # the whole message of Gemini, and of xAI
_TOO_LARGE = re.compile(r"request too large", re.I)
_AMOUNTS = re.compile(r"limit:? ([\d,]+)\b.{0,60}?\brequested:? ([\d,]+)", re.I | re.S)


def is_wrong_key(message: str) -> bool:
    """Whether this is the whole of a message about a wrong key, whatever its status."""
    return _NO_KEY.fullmatch(message.rstrip(".")) is not None


def is_lost_model(code: str) -> bool:
    """Whether this code, in lower case, says that there is no such model."""
    return code in _LOST_MODEL


def names_no_model(message: str) -> bool:
    """Whether this is the whole of a message about a model that does not exist."""
    return _NO_MODEL.fullmatch(message.rstrip(".")) is not None


def is_billing(error: Mapping[str, Any]) -> bool:
    """Whether the code or type says that the account has no money."""
    return bool({str(error.get("code")), str(error.get("type"))} & BILLING_CODES)


def exceeds_limit(message: str) -> bool:
    """Whether one request asks for more than the whole limit a minute."""
    if amounts := _AMOUNTS.search(message):
        limit, requested = (float(amount.replace(",", "") or 0) for amount in amounts.groups())
        return requested > limit
    return _TOO_LARGE.search(message) is not None


def is_filtered(code: str, message: str) -> bool:
    """Whether a content filter refuses the text."""
    return code in _FILTER or _FILTER_WORDS.search(message) is not None


def is_too_long(code: str, message: str) -> bool:
    """Whether the text is longer than the model's context."""
    return code in _CONTEXT or _CONTEXT_WORDS.search(message) is not None
