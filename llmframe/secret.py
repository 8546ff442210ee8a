"""Keys and passwords: where they are, and how they are not shown."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import Any

HIDDEN = "[key]"
LEAST_KEY = 12  # characters
TRANSPORT_LOGGERS = (
    *("openai._base_client", "httpx2", "httpcore2.connection", "httpcore2.http11"),
    *("httpcore2.http2", "httpcore2.proxy"),
)
_URL = re.compile(r"https?://", re.I)
_LOGIN = re.compile(r"://.*@", re.S)  # a slash in a password may have been left unescaped
_QUERY = re.compile(r"\?.*", re.S)
_SECRET_NAME = re.compile(
    r"(?i)api[-_]?key|secret|passw|authorization|credential|(access|auth|bearer)[-_]?token"
)


class Key(str):
    """An API key: shown as ***, in a traceback's variables too, and never pickled."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "***"

    def __reduce__(self) -> Any:
        raise TypeError(
            "an API key stays in this process and is not pickled; set it in the environment "
            "of the other one"
        )

    def __copy__(self) -> Key:
        return self

    def __deepcopy__(self, _: object) -> Key:
        return self


def mask_key(options: dict[str, Any]) -> None:
    """Make the key among the options one that is not shown, however they are printed."""
    key = options.get("api_key")
    if isinstance(key, str):
        options["api_key"] = Key(key.strip())


def hide_secrets(value: Any) -> Any:
    """A copy of an option's value without passwords and keys, for people and for files.

    They are in the user part or the query of a URL, or under a name that says so.
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
    """The keys that stand in a request's headers."""
    found = [str(held) for name, held in headers.items() if _SECRET_NAME.search(name)]
    return [value.removeprefix("Bearer ") for value in found]


def hide_keys(text: str, keys: Iterable[str]) -> str:
    """An answer without the keys that a server has put into it, escaped for JSON or not.

    A word that servers of one's own take for a key, such as "ollama", is no secret and may
    well stand in an answer: hidden is what has twelve characters and a digit.
    """
    for key in keys:
        if _is_secret(key):
            text = text.replace(key, HIDDEN)
            if "\\u" in text or "\\/" in text:
                text = _escaped(key).sub(HIDDEN, text)
    return text


class _LogFilter(logging.Filter):
    """Hides the process's keys in lines that are logged; for libraries that log what they get."""

    def __init__(self) -> None:
        super().__init__()
        self.keys: frozenset[str] = frozenset()

    def filter(self, record: logging.LogRecord) -> bool:
        told = record.getMessage()
        hidden = hide_keys(told, self.keys)
        if hidden != told:
            record.msg, record.args = hidden, ()
        return True


_log_filter = _LogFilter()


def hide_in_logs(keys: Iterable[str]) -> None:
    """From now on the transport's loggers hide these keys: a server may put one in a header."""
    _log_filter.keys |= set(keys)
    for name in TRANSPORT_LOGGERS:
        logging.getLogger(name).addFilter(_log_filter)


@lru_cache(maxsize=16)
def _is_secret(key: str) -> bool:
    return len(key) >= LEAST_KEY and any(map(str.isdigit, key))


@lru_cache(maxsize=16)
def _escaped(key: str) -> re.Pattern[str]:
    """The key as JSON may write it."""
    return re.compile("".join(map(_character, key)))


def _character(one: str) -> str:
    solidus = r"|\\/" if one == "/" else ""
    return rf"(?:{re.escape(one)}{solidus}|\\u(?i:{ord(one):04x}))"
