"""The codes and words with which providers say what is wrong with a request.

They are shortcuts: an error whose words nobody foresaw ends in the same place, a request or two
later. So there is here only what is sure. The texts are read without what they quote of the
row's own text.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from llmframe.providers.responses.error_body import ErrorBody

BILLING_CODES = frozenset({
    "insufficient_quota",
    "credit_balance_exhausted",
    "organization_spend_limit_exceeded",
    "project_spend_limit_exceeded",
    "organization_usage_limit_exceeded",
    "billing_hard_limit_reached",
    "billing_not_active",
    "exceeded_current_quota_error",  # Moonshot: the account is suspended
    "1113",  # Zhipu
})  # fmt: skip
_LOST_MODEL = frozenset({"model_not_found", "deploymentnotfound", "model_not_available"})
_CONTEXT = frozenset({"context_length_exceeded", "string_above_max_length"})
_FILTER = frozenset({
    "content_filter",
    "content_policy_violation",
    "moderation_blocked",
    "data_inspection_failed",  # DashScope
    "1301",  # Zhipu
})  # fmt: skip
_NO_MONEY = re.compile(
    r"(insufficient|not enough|no|zero|negative|low)[ _-]?(account|remaining|available|prepaid)?"
    r"[ _-]?(balance|credits?|funds?)\b"
    r"|(balance|credits?|funds?|wallet)( is| are| has been| have been)?( too| all)? "
    r"(low|insufficient|exhausted|depleted|empty|used up|not enough|negative)"
    r"|out of (credits?|funds?|money)|\barrear(s|age)?\b|(account|payment) (is )?overdue"
    r"|payment required"
    r"|(余额|额度|账户)(已)?(不足|用尽|用完)|欠费|saldo insuficiente|solde insuffisant"
    r"|guthaben (ist )?(aufgebraucht|erschöpft|nicht ausreichend)|残高(が)?不足|잔액.{0,4}부족"
    r"|недостаточно средств",
    re.I,
)
_THROTTLED = re.compile(
    r"throttl|(please|and) wait\b|wait (a|before|and)\b|slow down|too many requests"
    r"|rate.?limit(ed| reached| exceeded)|capacity exceeded",
    re.I,
)
_CONTEXT_WORDS = re.compile(
    r"context.{0,12}(length|size|window|limit)|too (many|long|large).{0,30}(token|input|prompt)"
    r"|(prompt|input|text|message|request|content)s? (is |are )?too (long|large)"
    r"|maximum (context|input|prompt)|max_seq_len|reduce the length|token limit"
    r"|range of input length|(token|length).{0,40}(exceed|must be (<|less))"
    r"|exceed.{0,40}(token|length)|(prompt|输入|文本|内容|上下文).{0,6}(超长|过长|超出)",
    re.I,
)
_SCHEMA = re.compile(r"\benums?\b|schema|response_?format|\bgrammar\b", re.I)
_FILTER_WORDS = re.compile(
    r"content.?(filter|policy|management|exists risk|violat)|moderation|flagged|inappropriate"
    r"|usage guidelines|data.?inspection|敏感|违规",
    re.I,
)
_CAP_MET = re.compile(
    r"could not finish"
    r"|(max_\w*tokens|output limit|token limit)[^.]{0,40}(was|were|been) (reached|hit)",
    re.I,
)
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
_DAILY = re.compile(r"per.?day|daily|a day\b|\b[RT]PD\b|pro tag|每日|每天", re.I)
_TOO_LARGE = re.compile(r"request too large", re.I)
_AMOUNTS = re.compile(r"limit:? ([\d,]+)\b.{0,60}?\brequested:? ([\d,]+)", re.I | re.S)
_MODEL = re.compile(r"\bmodel\b", re.I)
_NO_ADDRESS = re.compile(
    r"((resource|page|url|path|404) )*not (found|implemented)|(method )?not allowed|gone"
    r"|unsupported method.*|unknown (request )?(url|path|route|endpoint).*|cannot (post|get) .*"
    r"|no (such )?route.*|",
    re.I,
)


def is_wrong_key(message: str) -> bool:
    """Whether this is the whole of a message about a wrong key, whatever its status."""
    return _NO_KEY.fullmatch(message.rstrip(".")) is not None


def is_lost_model(error: ErrorBody) -> bool:
    """Whether the code says that there is no such model."""
    return any(code.lower() in _LOST_MODEL for code in error.codes)


def names_no_model(message: str) -> bool:
    """Whether this is the whole of a message about a model that does not exist."""
    return _NO_MODEL.fullmatch(message.rstrip(".")) is not None


def mentions_model(error: ErrorBody) -> bool:
    """Whether the message speaks of a model."""
    return _MODEL.search(error.message) is not None


def names_no_address(error: ErrorBody) -> bool:
    """Whether the message says that there is no such address, or nothing at all."""
    return _NO_ADDRESS.fullmatch(error.message.strip(". ")) is not None


def has_billing_code(error: ErrorBody) -> bool:
    """Whether a code or type says that the account has no money."""
    return not BILLING_CODES.isdisjoint(error.codes)


def says_no_money(error: ErrorBody) -> bool:
    """Whether any of its texts says that the account has no money."""
    return _NO_MONEY.search(error.text) is not None


def is_throttled(error: ErrorBody) -> bool:
    """Whether the message asks to wait, under whatever status."""
    return _THROTTLED.search(error.text) is not None


def is_daily(error: ErrorBody) -> bool:
    """Whether a limit of a day is used up."""
    return _DAILY.search(error.text) is not None


def exceeds_limit(message: str) -> bool:
    """Whether one request asks for more than the whole limit a minute."""
    if amounts := _AMOUNTS.search(message):
        limit, requested = (float(amount.replace(",", "") or 0) for amount in amounts.groups())
        return requested > limit
    return _TOO_LARGE.search(message) is not None


def is_cap_met(error: ErrorBody) -> bool:
    """Whether the answer was cut off at its cap, reported as an error."""
    return _CAP_MET.search(error.text) is not None


def is_filtered(error: ErrorBody) -> bool:
    """Whether a content filter refuses the text."""
    return not _FILTER.isdisjoint(error.codes) or _FILTER_WORDS.search(error.text) is not None


def names_schema(error: ErrorBody) -> bool:
    """Whether the error is about the schema that comes with the row."""
    return _SCHEMA.search(f"{error.param or ''} {error.text}") is not None


def is_too_long(error: ErrorBody) -> bool:
    """Whether the text is longer than the model's context; a schema that is too long is not."""
    if not _CONTEXT.isdisjoint(error.codes):
        return True
    if names_schema(error):
        return False
    return _CONTEXT_WORDS.search(error.text) is not None and not is_throttled(error)
