"""What the body of an error says, however a provider or a gateway has wrapped it."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from llmframe.providers.responses.web_page import is_page

MOST_TEXTS = 60  # of one body; more are an echo of the request
LONGEST = 4000  # characters of all of them
DEEPEST = 8  # levels of nesting
QUOTE = 3  # words in a row that a message shares with our request are quoted from it
# where the sentence for people stands; a gateway keeps its provider's own error in "raw"
_MESSAGES = (
    "raw", "base_resp", "message", "msg", "detail", "error_description", "status_msg", "error",
    "errors", "error_message", "errorMessage", "reason", "title",
)  # fmt: skip
# one CJK character is a word: they are written without blanks
_WORD = re.compile(r"[^\W\u2e80-\uffff]+|[\u2e80-\uffff]")


@dataclass(frozen=True, slots=True)
class ErrorBody:
    """What an error says.

    message: the sentence for people, of the innermost provider. codes: its codes and types.
    param: the parameter that it names. text: all its texts, without what they quote of our
    request.
    """

    message: str = ""
    codes: tuple[str, ...] = ()
    param: str | None = None
    text: str = ""

    @property
    def code(self) -> str:
        """The code, or the type where there is none."""
        return self.codes[0] if self.codes else ""


def read_error(body: object, own: Iterable[str] = ()) -> ErrorBody:
    """What an error's body says; a web page says nothing. own: the texts of our request."""
    if isinstance(body, str) and is_page(body):
        return ErrorBody()
    error = _error_object(body)
    pairs = list(_texts(body))[:MOST_TEXTS]
    text = "\n".join(text for _, text in pairs)[:LONGEST]
    codes = [str(error[name]) for name in ("code", "type") if _is_code(error.get(name))]
    # the codes of an inner provider, and those beside an error that is a text
    codes += [value for name, value in pairs if name in ("code", "type", "status") and value]
    param = error.get("param")
    return ErrorBody(
        message=_message(body),
        codes=tuple(dict.fromkeys(codes)),
        param=param if isinstance(param, str) and param else None,
        text=unquoted(text, own),
    )


def unquoted(text: str, own: Iterable[str]) -> str:
    """The text without what it quotes of our own: three words in a row, or a whole shorter one."""
    for each in own:
        grams = _grams(each)
        if not grams:
            continue
        size = len(next(iter(grams)))
        words = list(_WORD.finditer(text))
        folded = [word[0].casefold() for word in words]
        quoted: set[int] = set()
        for start in range(len(words) - size + 1):
            if tuple(folded[start : start + size]) in grams:
                quoted.update(range(start, start + size))
        for index in sorted(quoted, reverse=True):
            text = text[: words[index].start()] + text[words[index].end() :]
    return text


@lru_cache(maxsize=4)  # the instructions are the same for every row
def _grams(text: str) -> frozenset[tuple[str, ...]]:
    words = [word.casefold() for word in _WORD.findall(text)]
    size = min(QUOTE, len(words))
    if not size:
        return frozenset()
    return frozenset(tuple(words[i : i + size]) for i in range(len(words) - size + 1))


def _is_code(value: object) -> bool:
    return isinstance(value, str | int) and not isinstance(value, bool) and value != ""


def _error_object(body: object) -> Mapping[str, Any]:
    """The object with code, type and param, as deep as it lies."""
    body = _opened(body)
    if isinstance(body, list):
        body = next((each for each in body if isinstance(each, dict)), None)
    if not isinstance(body, dict):
        return {}
    inner = _opened(body.get("error"))
    found = _error_object(inner) if isinstance(inner, dict | list) else {}
    raw = body.get("metadata")
    raw = _error_object(raw.get("raw")) if isinstance(raw, dict) else {}
    return {**{k: v for k, v in body.items() if k != "error"}, **found, **raw}


def _message(body: object, depth: int = 0) -> str:
    """The innermost sentence for people."""
    body = _opened(body)
    if isinstance(body, str):
        return body.strip()
    if depth > DEEPEST:
        return ""
    if isinstance(body, list):
        parts = [_message(each, depth + 1) for each in body[:3]]
        return "; ".join(part for part in parts if part)
    if not isinstance(body, dict):
        return ""
    metadata = body.get("metadata")
    inner = _message(metadata, depth + 1) if isinstance(metadata, dict) else ""
    inner = inner or next(filter(None, (_message(body.get(n), depth + 1) for n in _MESSAGES)), "")
    place = body.get("loc")  # of a validator: which part of the request
    if inner and isinstance(place, list):
        return f"{'.'.join(map(str, place))}: {inner}"
    return inner


def _texts(body: object, name: str = "", depth: int = 0) -> Iterator[tuple[str, str]]:
    """Every text and number with its name, outermost first."""
    body = _opened(body)
    if isinstance(body, dict) and depth < DEEPEST:
        for key, value in body.items():
            yield from _texts(value, str(key), depth + 1)
    elif isinstance(body, list) and depth < DEEPEST:
        for value in body[:MOST_TEXTS]:
            yield from _texts(value, name, depth + 1)
    elif _is_code(body):
        yield name, str(body)[:LONGEST]


def _opened(body: object) -> object:
    """JSON that was packed into a text, as gateways do with the error of their provider."""
    if isinstance(body, str) and "{" in body:
        start = body.index("{")
        try:
            inner = json.loads(body[start : body.rindex("}") + 1])
        except (ValueError, RecursionError):
            return body
        return inner if isinstance(inner, dict) and inner else body
    return body
