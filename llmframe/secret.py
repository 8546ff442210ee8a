"""Keys and passwords: found in values, headers and texts, and hidden there."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import Any

HIDDEN = "[key]"
LEAST_KEY = 12  # characters; a shorter "key" is a word such as "ollama"
TRANSPORT_LOGGERS = (
    *("openai._base_client", "httpx2", "httpcore2.connection", "httpcore2.http11"),
    *("httpcore2.http2", "httpcore2.proxy"),
)
_URL = re.compile(r"https?://", re.I)
_LOGIN = re.compile(r"://.*@", re.S)  # greedy: a password may hold an unescaped slash
_QUERY = re.compile(r"\?.*", re.S)
_SECRET_NAME = re.compile(
    r"(?i)api[-_]?key|secret|passw|authorization|credential|(access|auth|bearer)[-_]?token"
)


class Key(str):
    """An API key: printed as ***, also in the variables of a traceback, and never pickled."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "***"

    def __reduce__(self) -> Any:
        raise TypeError(
            "an API key is never pickled; set it in the environment of the other process"
        )

    def __copy__(self) -> Key:
        return self

    def __deepcopy__(self, _: object) -> Key:
        return self


def mask_key(options: dict[str, Any]) -> None:
    """Replace the key among the options by one that is never printed."""
    key = options.get("api_key")
    if isinstance(key, str):
        options["api_key"] = Key(key.strip())


def hide_secrets(value: Any) -> Any:
    """A copy of an option's value for people and files, without passwords and keys.

    These stand in the login or the query of a URL, or under a name that says so.
    """
    if isinstance(value, str):
        return _QUERY.sub("?***", _LOGIN.sub("://***@", value)) if _URL.match(value) else value
    if isinstance(value, Mapping):
        return {
            name: "***" if _SECRET_NAME.search(str(name)) else hide_secrets(held)
            for name, held in value.items()
        }
    if isinstance(value, list | tuple):
        return type(value)(map(hide_secrets, value))
    return value


def header_secrets(headers: Mapping[str, Any]) -> list[str]:
    """The keys in a request's headers."""
    found = [str(held) for name, held in headers.items() if _SECRET_NAME.search(name)]
    return [value.removeprefix("Bearer ") for value in found]


def hide_keys(text: str, keys: Iterable[str]) -> str:
    """The text without these keys, escaped for JSON or not; a server may send them back."""
    for key in keys:
        # servers on this machine take any word for a key, which may well stand in an answer
        if len(key) >= LEAST_KEY and any(map(str.isdigit, key)):
            text = text.replace(key, HIDDEN)
            if "\\u" in text or "\\/" in text:
                text = _escaped(key).sub(HIDDEN, text)
    return text


@lru_cache(maxsize=16)
def _escaped(key: str) -> re.Pattern[str]:
    """Finds the key however JSON may write it."""

    def forms(character: str) -> str:
        solidus = r"|\\/" if character == "/" else ""
        return rf"(?:{re.escape(character)}{solidus}|\\u(?i:{ord(character):04x}))"

    return re.compile("".join(map(forms, key)))


class _LogFilter(logging.Filter):
    """Hides the process's keys in lines that libraries log."""

    def __init__(self) -> None:
        super().__init__()
        self.keys: frozenset[str] = frozenset()

    def filter(self, record: logging.LogRecord) -> bool:
        message = record.getMessage()
        hidden = hide_keys(message, self.keys)
        if hidden != message:
            record.msg, record.args = hidden, ()
        return True


_log_filter = _LogFilter()


def hide_in_logs(keys: Iterable[str]) -> None:
    """Hide these keys from now on in the transport's logs, which show replies' headers."""
    _log_filter.keys |= set(keys)
    for name in TRANSPORT_LOGGERS:
        logging.getLogger(name).addFilter(_log_filter)
