"""Rules for the values of options: what is accepted, in words and as a test."""

from __future__ import annotations

import json
import math
import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import urlsplit

import numpy as np

from llmframe.text import is_whole

URL_IS = (
    'the root of an API, such as "https://api.openai.com/v1", without a user name or password '
    "and without ? and #; such things go into client=AsyncOpenAI(...), and a provider's name into "
    "provider="
)
_CALLED = re.compile(r"(?:(?:/chat)?/completions|/responses|/embeddings|(?<=/v\d)/models)/?$")
_WITHOUT_SCHEME = re.compile(r"([\w.-]+)(:\d{1,5})?(/[\w./-]*)?")
_VARIABLE = re.compile(r"[A-Z0-9_]+_(KEY|TOKEN)")
KEY_IS = "it takes visible ASCII characters only"


def to_python(value: Any) -> Any:
    """A single number, truth value or text of NumPy as Python's own; anything else as it is."""
    if isinstance(value, np.timedelta64):
        return value  # NumPy counts it among the integers
    if isinstance(value, np.floating):
        return float(value)  # the item() of a longdouble is a longdouble again
    return value.item() if isinstance(value, np.bool_ | np.integer | np.str_) else value


def to_whole(value: Any) -> Any:
    """1e6 and 256.0 as whole numbers: people write them so, and JSON keeps them apart."""
    value = to_python(value)
    return int(value) if isinstance(value, float) and value.is_integer() else value


@dataclass(frozen=True, slots=True)
class Rule:
    """What an option accepts apart from None.

    takes: the same in words, for the error. accepts: the test, of a value in plain Python.
    convert: makes plain Python of a value and leaves what the option does not accept as it is.
    cure: for a wrong value that shows what was meant, what to write instead; else "".
    """

    takes: str
    accepts: Callable[[Any], bool]
    convert: Callable[[Any], Any] = to_python
    cure: Callable[[Any], str] = lambda _: ""


def is_single(value: Any) -> bool:
    """True for one value, False for a column of many.

    Raises where the value cannot be compared, as pd.NA cannot.
    """
    if hasattr(value, "__array__") and not isinstance(value, np.generic):
        return False
    _ = bool(value), bool(value == "")
    return True


def holds_file_open(value: object) -> bool:
    """Whether it is no mere name of a file: a handle, or a writer that says where it writes.

    pandas' ExcelWriter and HDFStore and fsspec's OpenFile have a path, and still write there.
    """
    return callable(getattr(value, "close", None))


def is_int(value: object, least: float = -math.inf) -> bool:
    """True for a whole number from ``least`` on; a truth value is none."""
    return isinstance(value, int) and not isinstance(value, bool) and value >= least


def _is_number(value: object) -> bool:
    """True for a finite number from 0 on."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    return math.isfinite(value) and value >= 0


def is_sendable_key(value: object) -> bool:
    """True for a key that can stand in a header, and for no placeholder or variable's name."""
    if not isinstance(value, str) or not value.isascii() or not value.isprintable():
        return False
    return (
        bool(value) and " " not in value and "..." not in value and not _VARIABLE.fullmatch(value)
    )


def is_url(value: object) -> bool:
    """True for the root of an API."""
    if not isinstance(value, str) or not value.isprintable() or " " in value:
        return False
    try:
        parts = urlsplit(value)
        parts.port  # noqa: B018 - reading it is the check
    except ValueError:
        return False
    labels = (parts.hostname or "").removesuffix(".").split(".")
    is_host = all(0 < len(label) < 64 for label in labels)
    # a password would show up in messages, and the SDK drops a query
    plain = not (parts.query or parts.fragment or "@" in parts.netloc)
    is_root = not _CALLED.search(parts.path)
    return parts.scheme in ("http", "https") and is_host and plain and is_root


def url_cure(value: object) -> str:
    """What to write for an address without its scheme, or of one call instead of the API's root.

    "" where neither is what is wrong.
    """
    if not isinstance(value, str):
        return ""
    if bare := _WITHOUT_SCHEME.fullmatch(value):
        host, port, path = bare.groups()
        is_here = host == "localhost" or host.replace(".", "").isdecimal()
        if not (is_here or port or "." in host):
            return ""
        scheme = "http" if is_here or port else "https"
        root = f"{scheme}://{_CALLED.sub('', value).rstrip('/')}"
        whole = root if path or not is_here else f"{root}/v1"
        return f"it takes a whole address, and {scheme}:// is missing: {whole!r}"
    root = _CALLED.sub("", value)
    if root == value or not is_url(root):
        return ""
    return f"it takes the root of the API, to which llmframe adds the rest: {root!r}"


def _to_json(value: Any) -> Any:
    """A copy of a dict as JSON holds it, which is what is sent; anything else as it is."""
    if not isinstance(value, Mapping):
        return value
    try:
        text = json.dumps(dict(value), allow_nan=False, ensure_ascii=False, default=to_python)
        text.encode()  # a lone surrogate cannot be sent
        return json.loads(text)
    except (TypeError, ValueError, RecursionError):
        return value


def _is_json(value: object) -> bool:
    return type(value) is dict and _to_json(value) is not value


def _to_prices(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: to_python(price) for key, price in value.items()}
    return tuple(map(to_python, value)) if isinstance(value, tuple | list) else to_python(value)


def _are_prices(value: object) -> bool:
    """True for a pair of numbers, or a dict by "in", "out" and perhaps "cached" and "batch"."""
    if isinstance(value, Mapping):
        if not {"in", "out"} <= value.keys() <= {"in", "out", "cached", "batch", "currency"}:
            return False
        currency = value.get("currency", "USD")
        known = isinstance(currency, str) and 0 < len(currency) <= 8 and currency.isprintable()
        return known and all(_is_number(value[name]) for name in value if name != "currency")
    return isinstance(value, tuple | list) and len(value) == 2 and all(map(_is_number, value))


def one_of(*choices: str) -> Rule:
    """One of these words."""
    *others, last = (f'"{choice}"' for choice in choices)
    takes = f"{', '.join(others)} or {last}" if others else last
    return Rule(takes, lambda value: isinstance(value, str) and value in choices)


def above_0(unit: str) -> Rule:
    """A finite number above 0. unit: what it counts."""
    return Rule(f"{unit} above 0", lambda value: _is_number(value) and value > 0)


VOTES = Rule(
    '1, 3 or "2+1"', lambda value: value == "2+1" or (is_int(value) and value in (1, 3)), to_whole
)
EVIDENCE = Rule(
    "True, False, a field's name or a list of names",
    lambda value: (
        isinstance(value, bool | str)
        or (isinstance(value, list) and all(isinstance(name, str) for name in value))
    ),
)
BOOL = Rule("True or False", lambda value: isinstance(value, bool))
TEXT = Rule("text", lambda value: isinstance(value, str))
NOT_NEGATIVE = Rule("a number from 0", _is_number)
WHOLE = Rule("a whole number", is_int, to_whole)
COUNT = Rule("a number from 1", lambda value: is_int(value, 1), to_whole)
TOKENS = Rule("a number of tokens", lambda value: is_int(value, 1), to_whole)
COUNT_OR_AUTO = Rule(
    'a number from 1, or "auto"', lambda value: value == "auto" or is_int(value, 1), to_whole
)
MODEL = Rule(
    "a model's name",
    lambda value: isinstance(value, str) and is_whole(value) and value.strip() != "",
)
LABEL = Rule(
    "one label, a text that is not blank",
    lambda value: isinstance(value, str) and value.strip() != "" and is_whole(value),
)
NAME = Rule("a name", lambda value: isinstance(value, str) and value.strip() != "")
PROVIDER = Rule("a provider's name", lambda value: isinstance(value, str))  # found later
URL = Rule(URL_IS, is_url, cure=url_cure)
KEY = Rule(
    "a key of visible ASCII characters, or None to look for one. The name of a variable is no key: "
    'write os.environ["OPENAI_API_KEY"]; an empty one mostly comes of os.environ.get("...", "") '
    "where that variable is not set",
    is_sendable_key,
)
# the next three are checked where they are used: one is built there, two must fit the frame
CLIENT = Rule("an openai.AsyncOpenAI, or a callable that returns one", lambda _: True)
ID = Rule("a column's name", lambda _: True)
MASK = Rule("a mask or a query string", lambda _: True)
EXAMPLES = Rule(
    "a DataFrame with the input's columns and the fields', or a list of (text, values)",
    lambda value: isinstance(value, list) or hasattr(value, "columns"),
    cure=lambda value: (
        "it takes a list of (text, values): list(examples.items())"
        if isinstance(value, Mapping)
        else ""
    ),
)
COLUMN = Rule("a column's name", lambda value: isinstance(value, str) and bool(value.strip()))
PREFIX = Rule(
    "text that can be written (no lone surrogate)",
    lambda value: isinstance(value, str) and is_whole(value),
)
FUNCTION = Rule("a function of one text", callable)
JSON = Rule("a dict that JSON can hold", _is_json, _to_json)
PRICES = Rule(
    'numbers per million tokens: (in, out) or {"in": ..., "out": ..., "cached": ..., "batch": '
    '0.5, "currency": "USD"}, the last three as you like',
    _are_prices,
    _to_prices,
)
PATH = Rule(
    "True, False or a path",
    lambda value: isinstance(value, bool | str | os.PathLike) and not holds_file_open(value),
)
WORKERS = replace(
    one_of("thread", "process"),
    cure=lambda value: (
        "it says where your own functions run; how many requests go at the same time says "
        f"concurrency={value}"
        if is_int(value)
        else ""
    ),
)
PROGRESS = Rule(
    '"auto", "widget", "tqdm", "log" or False',
    lambda value: isinstance(value, bool) or value in ("auto", "widget", "tqdm", "log"),
)
