"""The JSON objects in a text: strict JSON, else what can be read as JSON in only one way."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from math import isfinite
from typing import Any, NoReturn

from llmframe.errors import OutputError
from llmframe.task.text import excerpt

MOST_TRIED = 100  # beginnings of objects; a reply with more is no answer, and each costs time
MOST_TOKENS, MOST_LEVELS = 5000, 50  # of an object that is no strict JSON

# A brace that may begin an object; other braces are prose.
_START = re.compile(r"\{\s*(?:[\"'}“„‘/#]|[^\W\d]\w*\s*[:：])")


@dataclass(frozen=True, slots=True)
class Found:
    """An object at text[begin:end]; error says why it cannot be read, its value is None then."""

    begin: int
    end: int
    value: dict[str, Any] | None
    error: OutputError | None = None


class Written(float):
    """A float that keeps its digits, for a reply that gives a number where text was asked for."""

    __slots__ = ("digits",)
    digits: str


def find_objects(text: str) -> list[Found]:
    """All outermost objects in their order, and the beginnings of those that are broken.

    Raises OutputError for a text that is nested too deeply, or has too many beginnings.
    """
    found: list[Found] = []
    start = _START.search(text)
    while start:
        if len(found) == MOST_TRIED:
            raise OutputError(f"the reply holds more than {MOST_TRIED} braces")
        found.append(_object_at(text, start.start()))
        start = _START.search(text, found[-1].end)
    return found


def decode(text: str) -> Any:
    """The value of a text that is strict JSON as a whole; OutputError for any other."""
    try:
        return _DECODER.decode(text)
    except (ValueError, RecursionError) as exc:
        raise OutputError(f"the reply is broken JSON: {excerpt(text)}") from exc


def decode_object(text: str) -> dict[str, Any]:
    """The object that a text is as a whole; OutputError for any other text."""
    if not text.lstrip().startswith("{"):
        raise OutputError("the reply is no JSON object")
    value = decode(text)
    assert isinstance(value, dict)
    return value


def _object_at(text: str, begin: int) -> Found:
    try:
        value, end = _DECODER.raw_decode(text, begin)
    except json.JSONDecodeError as exc:
        return _mended_at(text, begin) or Found(begin, begin + 1, None, _broken(text, exc))
    except OutputError as exc:
        return Found(begin, begin + 1, None, exc)
    except RecursionError as exc:
        raise OutputError("the reply is nested too deeply") from exc
    except ValueError as exc:  # an int of thousands of digits
        error = OutputError(f"the reply holds a number that is too long: {exc}")
        return Found(begin, begin + 1, None, error)
    return Found(begin, end, value)


def _broken(text: str, exc: json.JSONDecodeError) -> OutputError:
    near = excerpt(text[exc.pos : exc.pos + 40]) if exc.pos < len(text) else "its end"
    return OutputError(f"the reply is broken JSON: {exc.msg.removesuffix(' at')} at {near}")


# Strict JSON: no name with two values, no NaN, nothing infinite


def _refuse_constant(word: str) -> NoReturn:
    raise OutputError(f"the reply holds {word}, which is no JSON number")


def _finite(digits: str) -> Written:
    number = Written(digits)
    if not isfinite(number):
        raise OutputError(f"the reply holds a number that is too large: {excerpt(digits)}")
    number.digits = digits
    return number


def _object_of(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """The object, unless a name has two different values."""
    found: dict[str, Any] = {}
    for name, value in pairs:
        if name in found and found[name] != value:
            raise OutputError(
                f"the reply says {excerpt(name)} twice: {excerpt(found[name])} and {excerpt(value)}"
            )
        found[name] = value
    return found


_DECODER = json.JSONDecoder(
    object_pairs_hook=_object_of, parse_constant=_refuse_constant, parse_float=_finite, strict=False
)

# Near JSON: comments, trailing commas, other quotes, Python's constants, stray backslashes. It is
# written anew as strict JSON, token by token. Nothing is ever completed: a reply that was cut off
# stays broken. docs/replies.md says why no library does this.

_TOKEN = re.compile(
    r"""(?P<blank>\s+|//[^\n]*|/\*.*?\*/|\#[^\n]*)
    |(?P<mark>[{}\[\]:,：，])
    |(?P<number>-?[0-9][^\s,:：，}\]]*)
    |(?P<word>[^\W\d]\w*)
    |(?P<double>"(?:[^"\\]|\\.)*")
    |(?P<single>'(?:[^'\\]|\\.)*'|‘(?:[^‘’\\]|\\.)*’)
    |(?P<curly>[“„”](?:[^“„”"\\]|\\.)*[”“"])""",
    re.VERBOSE | re.DOTALL,
)
_COLON = re.compile(r"\s*[:：]")
_ESCAPE = re.compile(r"\\(u[0-9a-fA-F]{4}|.)|\"", re.DOTALL)
_WORDS = {"True": "true", "False": "false", "None": "null"}
_MARKS = {"：": ":", "，": ","}
_PAIRS = {"}": "{", "]": "["}
_BEFORE_VALUE = frozenset("{[:,")
_STRINGS = ("double", "single", "curly")


def _mended_at(text: str, begin: int) -> Found | None:
    rewritten = _rewritten(text, begin)
    if rewritten is None:
        return None
    strict, end = rewritten
    try:
        return Found(begin, end, _DECODER.decode(strict))
    except OutputError as error:
        return Found(begin, end, None, error)
    except (ValueError, RecursionError):
        return None


def _rewritten(text: str, at: int) -> tuple[str, int] | None:
    """The object at this place as strict JSON, and its end; None where that is not certain."""
    strict = _Strict()
    line_break = False
    while token := _TOKEN.match(text, at):
        at = token.end()
        kind = token.lastgroup or ""
        if kind == "blank":
            line_break = line_break or "\n" in token[0]
            continue
        piece = _strict_piece(kind, token[0], is_name=bool(_COLON.match(text, at)))
        if piece is None or not strict.add(piece, may_follow=line_break and kind in _STRINGS):
            return None
        if not strict.open_brackets:
            return "".join(strict.pieces), at
        line_break = False
    return None


class _Strict:
    """Pieces of strict JSON, as far as the object has been read."""

    def __init__(self) -> None:
        self.pieces: list[str] = []
        self.open_brackets: list[str] = []

    def add(self, piece: str, *, may_follow: bool) -> bool:
        """Whether the piece fits; may_follow: a comma before it may have been forgotten."""
        last = self.pieces[-1] if self.pieces else ":"
        if piece in _PAIRS:
            if self.open_brackets.pop() != _PAIRS[piece]:
                return False
            if last == ",":  # a trailing comma
                self.pieces.pop()
        elif piece not in (":", ",") and last not in _BEFORE_VALUE:
            if not may_follow:
                return False
            self.pieces.append(",")
        if piece in _PAIRS.values():
            self.open_brackets.append(piece)
        self.pieces.append(piece)
        return len(self.pieces) <= MOST_TOKENS and len(self.open_brackets) <= MOST_LEVELS


def _strict_piece(kind: str, token: str, *, is_name: bool) -> str | None:
    """A token as strict JSON writes it; None if it could mean several things, or nothing."""
    if kind in _STRINGS:
        return _strict_string(token, is_python=kind == "single")
    if kind == "word":
        return json.dumps(token, ensure_ascii=False) if is_name else _WORDS.get(token, token)
    return _MARKS.get(token, token)


def _strict_string(token: str, *, is_python: bool) -> str | None:
    """A quoted text in JSON's quotes; None where its backslashes have two readings."""
    escapes = {found for found in _ESCAPE.findall(token[1:-1]) if found}
    quotes = {'"', "'"} if is_python or token[0] != '"' else {'"'}
    known = {each for each in escapes if each[0] in '\\/bfnrt"' or len(each) == 5}
    stray = escapes - known - quotes
    # Beside "\d", which must mean a backslash, "\n" may mean one too: C:\data\new. Python reads
    # "\x41" as a letter.
    if stray and (is_python or known - {'"', "/"}):
        return None

    def escaped(match: re.Match[str]) -> str:
        if match[0] == '"':
            return '\\"'
        if match[1] in stray:
            return "\\\\" + match[1]
        return "'" if match[1] == "'" else match[0]

    return f'"{_ESCAPE.sub(escaped, token[1:-1])}"'
