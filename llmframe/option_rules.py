"""What each option may be: a test of its value, and what it takes in words."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import urlsplit


def _is_int(value: object, least: int) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= least


def _is_number(value: object, above: float) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and value > above


def _are_prices(value: object) -> bool:
    """A pair of numbers, or a dict of them by "in" and "out"."""
    if isinstance(value, Mapping):
        value = (value.get("in"), value.get("out"), *(set(value) - {"in", "out"}))
    return (
        isinstance(value, tuple | list)
        and len(value) == 2
        and all(v == 0 or _is_number(v, 0) for v in value)
    )


def _is_json_object(value: object) -> bool:
    plain = dict(value) if isinstance(value, Mapping) else object()
    try:
        json.dumps(plain, allow_nan=False, ensure_ascii=False).encode()
    except (TypeError, ValueError, RecursionError):
        return False
    return True


def _is_text(value: object) -> bool:
    """Text that can be sent and written: without half a character (a lone surrogate)."""
    try:
        return isinstance(value, str) and value.encode() is not None
    except UnicodeEncodeError:
        return False


def is_sendable_key(value: object) -> bool:
    """Whether it can stand in a header."""
    return isinstance(value, str) and bool(value) and value.isascii() and value.isprintable()


def is_url(value: object) -> bool:
    """The root of an API: a password in it would stand in messages, and a query be lost."""
    if not isinstance(value, str) or not value.isprintable() or " " in value:
        return False
    try:
        parts = urlsplit(value)
        parts.port  # noqa: B018 - reading it is the check
    except ValueError:
        return False
    labels = (parts.hostname or "").removesuffix(".").split(".")
    is_host = all(0 < len(label) < 64 for label in labels)
    plain = not (parts.query or parts.fragment or "@" in parts.netloc)
    return parts.scheme in ("http", "https") and is_host and plain


URL_IS = (
    'the root of an API, such as "https://api.openai.com/v1", without a user name or password '
    "and without ? and #; such things go into client=AsyncOpenAI(...)"
)
KEY_IS = "it takes visible ASCII characters only"
SECRET = frozenset({"api_key", "client"})
_BOOL = (lambda v: isinstance(v, bool), "True or False")
_TEXT = (lambda v: isinstance(v, str), "text")
_Check = tuple[Callable[[Any], bool], str]
CHECKS: dict[str, _Check] = {
    "model": (lambda v: v is None or (_is_text(v) and bool(v.strip())), "a model's name"),
    "base_url": (lambda v: v is None or is_url(v), URL_IS),
    "api_key": (
        lambda v: v is None or is_sendable_key(v),
        "a key of visible ASCII characters, or None to look for one; an empty one mostly comes of "
        'os.environ.get("...", "") where that variable is not set',
    ),
    "allow_http": _BOOL,
    "instructions": _TEXT,
    "temperature": (lambda v: v is None or v == 0 or _is_number(v, 0), "a number from 0, or None"),
    "seed": (lambda v: v is None or isinstance(v, int), "a whole number, or None"),
    "max_output_tokens": (lambda v: v is None or _is_int(v, 1), "a number of tokens, or None"),
    "max_input_tokens": (lambda v: v is None or _is_int(v, 1), "a number of tokens, or None"),
    "on_long": (lambda v: v in ("fail", "truncate"), '"fail" or "truncate"'),
    "extra_body": (lambda v: v is None or _is_json_object(v), "a dict that JSON can hold, or None"),
    "redact": (lambda v: v is None or callable(v), "a function of one text, or None"),
    "concurrency": (lambda v: v == "auto" or _is_int(v, 1), 'a number from 1, or "auto"'),
    "rpm": (lambda v: v is None or _is_number(v, 0), "requests a minute above 0, or None"),
    "tpm": (lambda v: v is None or _is_number(v, 0), "tokens a minute above 0, or None"),
    "max_cost": (lambda v: v is None or _is_number(v, 0), "money above 0, or None"),
    "max_tokens": (lambda v: v is None or _is_int(v, 1), "a number of tokens, or None"),
    "prices": (
        lambda v: v is None or _are_prices(v),
        "two numbers, per million tokens in and out, or None",
    ),
    "timeout": (lambda v: _is_number(v, 0), "seconds above 0"),
    "deadline": (lambda v: v is None or _is_number(v, 0), "seconds above 0, or None"),
    "max_attempts": (lambda v: _is_int(v, 1), "a number from 1"),
    "checkpoint": (lambda v: isinstance(v, bool | str | os.PathLike), "True, False or a path"),
    "hedge": _BOOL,
    "reuse": _BOOL,
    "adopt": _BOOL,
    "store_input": _BOOL,
    "prefix": (_is_text, "text that can be written (no lone surrogate)"),
    "into": (lambda v: isinstance(v, str) and bool(v.strip()), "a column's name"),
    "overwrite": _BOOL,
    "details": _BOOL,
    "confidence": (lambda v: v in (None, "logprob"), '"logprob" or None'),
    "progress": (
        lambda v: v in ("auto", "widget", "tqdm", "log", True, False),
        '"auto", "widget", "tqdm", "log" or False',
    ),
    "runner": (lambda v: v in ("auto", "thread", "nest"), '"auto", "thread" or "nest"'),
    "on_error": (lambda v: v in ("keep", "raise"), '"keep" or "raise"'),
    "on_incomplete": (lambda v: v in ("return", "raise"), '"return" or "raise"'),
}
