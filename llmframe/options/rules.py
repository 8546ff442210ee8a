"""What each option may be: its value in plain Python, a test of it, and what it takes in words."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import urlsplit

import numpy as np

WHOLE = frozenset(
    {"seed", "max_output_tokens", "max_input_tokens", "concurrency", "max_tokens", "max_attempts"}
)


def plain(name: str, value: Any) -> Any:
    """An option's value as plain Python has it, so that it is JSON wherever it goes.

    NumPy's single values become Python's, and so do 1e6 and 256.0 where a whole number is
    wanted. What the option does not take stays as it is.
    """
    value = _own(value)
    if name in WHOLE and isinstance(value, float) and value.is_integer():
        return int(value)
    if name == "prices" and isinstance(value, tuple | list):
        return tuple(map(_own, value))
    if name == "prices" and isinstance(value, Mapping):
        return {key: _own(held) for key, held in value.items()}
    held = _as_json(value) if name == "extra_body" else None
    return value if held is None else held


def fits(name: str, value: object) -> bool:
    """Whether an option may be this; a whole column fits nowhere, nor does pd.NA."""
    try:
        return _is_single(value) and CHECKS[name][0](value)
    except Exception:  # noqa: BLE001 - a stranger's ==, bool or length may raise whatever it likes
        return False


def _is_single(value: Any) -> bool:
    """Whether it is one value, not many; raises where it cannot be compared, as pd.NA cannot."""
    if hasattr(value, "__array__") and not isinstance(value, np.generic):
        return False
    _ = bool(value), bool(value == "")
    return True


def _own(value: Any) -> Any:
    """A single number, truth value or text of NumPy as Python's own; all else as it is."""
    if isinstance(value, np.timedelta64):
        return value  # NumPy counts it among the integers
    if isinstance(value, np.floating):
        return float(value)  # a longdouble's item() is one still
    return value.item() if isinstance(value, np.bool_ | np.integer | np.str_) else value


def _as_json(value: object) -> dict[str, Any] | None:
    """A copy of a dict as JSON has it, which is what is sent; None where JSON cannot hold it."""
    if not isinstance(value, Mapping):
        return None
    try:
        text = json.dumps(dict(value), allow_nan=False, ensure_ascii=False, default=_own)
        text.encode()
        held: dict[str, Any] = json.loads(text)
    except (TypeError, ValueError, RecursionError):
        return None
    return held


def is_int(value: object, least: float = -math.inf) -> bool:
    """Whether it is a whole number from least on, and no truth value."""
    return isinstance(value, int) and not isinstance(value, bool) and value >= least


def _is_number(value: object) -> bool:
    """A finite number from 0."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    return math.isfinite(value) and value >= 0


def _is_above_0(value: object) -> bool:
    return _is_number(value) and value != 0


def _is_one_of(*choices: str) -> Callable[[object], bool]:
    return lambda value: isinstance(value, str) and value in choices


def _are_prices(value: object) -> bool:
    """A pair of numbers, or a dict of them by "in" and "out"."""
    if isinstance(value, Mapping):
        value = (value.get("in"), value.get("out"), *(set(value) - {"in", "out"}))
    return isinstance(value, tuple | list) and len(value) == 2 and all(map(_is_number, value))


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
    "provider": (lambda v: v is None or isinstance(v, str), "a provider's name, or None"),
    "base_url": (lambda v: v is None or is_url(v), URL_IS),
    "api_key": (
        lambda v: v is None or is_sendable_key(v),
        "a key of visible ASCII characters, or None to look for one; an empty one mostly comes of "
        'os.environ.get("...", "") where that variable is not set',
    ),
    "client": (lambda _: True, "an openai.AsyncOpenAI, or a callable that returns one"),
    "allow_http": _BOOL,
    "instructions": _TEXT,
    "temperature": (lambda v: v is None or _is_number(v), "a number from 0, or None"),
    "seed": (lambda v: v is None or is_int(v), "a whole number, or None"),
    "max_output_tokens": (lambda v: v is None or is_int(v, 1), "a number of tokens, or None"),
    "max_input_tokens": (lambda v: v is None or is_int(v, 1), "a number of tokens, or None"),
    "on_long": (_is_one_of("fail", "truncate"), '"fail" or "truncate"'),
    "extra_body": (
        lambda v: v is None or _as_json(v) is not None,
        "a dict that JSON can hold, or None",
    ),
    "redact": (lambda v: v is None or callable(v), "a function of one text, or None"),
    "concurrency": (lambda v: v == "auto" or is_int(v, 1), 'a number from 1, or "auto"'),
    "rpm": (lambda v: v is None or _is_above_0(v), "requests a minute above 0, or None"),
    "tpm": (lambda v: v is None or _is_above_0(v), "tokens a minute above 0, or None"),
    "max_cost": (lambda v: v is None or _is_above_0(v), "money above 0, or None"),
    "max_tokens": (lambda v: v is None or is_int(v, 1), "a number of tokens, or None"),
    "prices": (
        lambda v: v is None or _are_prices(v),
        "two numbers, per million tokens in and out, or None",
    ),
    "timeout": (_is_above_0, "seconds above 0"),
    "deadline": (lambda v: v is None or _is_above_0(v), "seconds above 0, or None"),
    "max_attempts": (lambda v: is_int(v, 1), "a number from 1"),
    "checkpoint": (lambda v: isinstance(v, bool | str | os.PathLike), "True, False or a path"),
    "hedge": _BOOL,
    "reuse": _BOOL,
    "id": (lambda _: True, "a column's name, or None"),
    "adopt": _BOOL,
    "store_input": _BOOL,
    "prefix": (_is_text, "text that can be written (no lone surrogate)"),
    "into": (lambda v: isinstance(v, str) and bool(v.strip()), "a column's name"),
    "overwrite": _BOOL,
    "details": _BOOL,
    "confidence": (lambda v: v is None or v == "logprob", '"logprob" or None'),
    "progress": (
        lambda v: isinstance(v, bool) or _is_one_of("auto", "widget", "tqdm", "log")(v),
        '"auto", "widget", "tqdm", "log" or False',
    ),
    "runner": (_is_one_of("auto", "thread", "nest"), '"auto", "thread" or "nest"'),
    "on_error": (_is_one_of("keep", "raise"), '"keep" or "raise"'),
    "on_incomplete": (_is_one_of("return", "raise"), '"return" or "raise"'),
}
"""For every option. The client and the column named by ``id`` are looked at where they are used."""
