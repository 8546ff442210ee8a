"""The journal's line: its format, and nothing else.

``{"k":"<32 hex>","c":"<8 hex>","task":"<12 hex>","v":{...},...}`` and a newline, valid JSON.
Key, checksum and task stand at fixed places and the first letter of the body tells the sort
of line, so that finding what is answered needs no JSON parser. The checksum is the crc32 of
the line without the checksum's eight digits and without the newline.

v         an answer: ``v`` (field -> value), ``id``, ``usage``, ``n`` (requests), ``t`` (unix s),
          ``p`` (field -> confidence)
e         a failure: ``e`` (kind, status, code) in the place of ``v``
id        one more row that has the answer of this key: ``id`` only
settings  a task's readable settings, under the task's digest, before its first row
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any, NamedTuple, cast
from zlib import crc32

from llmframe.results import Failure, RowResult, Usage, usage_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from llmframe.errors import ErrorKind

FORMAT = 1
LONGEST = 64 << 20  # bytes of a line; a file of others may hold a longer one, which is not kept
ANSWER, FAILURE, ID, SETTINGS = b"v", b"e", b"i", b"s"

# Offsets in a line. The scan in index.py uses the same numbers in the open, for speed.
KEY = slice(6, 38)
BEFORE_CRC = slice(0, 45)
CRC = slice(45, 53)
AFTER_CRC = slice(53, None)
TASK = slice(63, 75)
SORT = slice(78, 79)
_ONLY_ID = slice(82, -1)  # the value in a line that holds nothing else

ANSWERED = ("v", "usage", "n", "t", "p", "adopted")
"""What an answer's body holds beside the row's id and text."""

_HEAD = re.compile(rb'\{"k":"[0-9a-f]{32}","c":"[0-9a-f]{8}","task":"[0-9a-f]{12}","[veis]')
_CODE = re.compile(r"[\w.:-]{1,64}", re.ASCII)
_STRICT: dict[str, Any] = {"allow_nan": False, "separators": (",", ":")}
_readable = json.JSONEncoder(ensure_ascii=False, **_STRICT).encode
_escaped = json.JSONEncoder(ensure_ascii=True, **_STRICT).encode
_decode = json.JSONDecoder().raw_decode


def encode(key: bytes, task: str, body: dict[str, Any]) -> bytes:
    """One line with its newline.

    key: 16 bytes. task: 12 hex digits. body: not empty; its first name tells the sort.
    Raises TypeError, ValueError or RecursionError if the body is not JSON, or too long.
    """
    before = b'{"k":"%b","c":"' % key.hex().encode()
    after = b'","task":"%b",%b' % (task.encode(), _json(body)[1:])
    if len(after) > LONGEST:
        raise ValueError(f"it takes {len(after) >> 20} MB")
    return b"%b%08x%b\n" % (before, crc32(after, crc32(before)), after)


def _json(body: dict[str, Any]) -> bytes:
    try:
        return _readable(body).encode()
    except UnicodeEncodeError:  # a lone surrogate has no UTF-8; \ud800 is valid JSON
        return _escaped(body).encode()


def row(
    result: RowResult,
    *,
    now: int,
    row_id: object = None,
    text: str | None = None,
) -> dict[str, Any]:
    """The body of a finished row.

    now: unix seconds. Of a failure only kind, status and code are kept: the provider's words may
    echo the row.
    """
    failure = result.error
    body: dict[str, Any] = {"v": result.values} if failure is None else {"e": _error(failure)}
    if row_id is not None:
        body["id"] = id_value(row_id)
    usage: dict[str, Any] = {"in": result.usage.tokens_in, "out": result.usage.tokens_out}
    if result.usage.cost is not None:
        usage["cost"] = result.usage.cost
    body |= {"usage": usage, "n": result.attempts, "t": now}
    if result.confidence is not None:
        body["p"] = {name: round(each, 6) for name, each in result.confidence.items()}
    if text is not None:
        body["text"] = text
    return body


def _error(failure: Failure) -> dict[str, Any]:
    kept: dict[str, Any] = {"kind": failure.kind}
    if failure.status is not None:
        kept["status"] = failure.status
    if failure.code is not None and _CODE.fullmatch(failure.code):
        kept["code"] = failure.code
    return kept


def adopted(values: dict[str, Any], row_id: object, *, now: int) -> dict[str, Any]:
    """The body of an answer that was taken over from a plain line."""
    usage = {"in": 0, "out": 0}
    return {"v": values, "id": id_value(row_id), "usage": usage, "n": 0, "t": now, "adopted": True}


def shared(row_id: object) -> dict[str, Any]:
    """The body of one more row that has a key's answer."""
    return {"id": id_value(row_id)}


def id_value(row_id: object) -> int | str:
    """An id as JSON: whole numbers (numpy's, and pandas' 7.0) as numbers, all else as text."""
    if isinstance(row_id, float) and row_id.is_integer() and abs(row_id) < 2**53:
        return int(row_id)
    if isinstance(row_id, bool) or not hasattr(row_id, "__index__"):
        return str(row_id)
    return int(row_id.__index__())


def id_text(row_id: object) -> str:
    """An id as it is compared: the frame's 7 and a file's "7" are the same row."""
    return str(id_value(row_id))


def id_bytes(line: bytes) -> bytes | None:
    """The id in an intact line of ours, as UTF-8 text; None without one. No JSON is parsed.

    Quotes within JSON text are escaped, so that the marks below cannot come from a value; an
    "id" deep in an answer is followed by the answer's closing brace and taken for none.
    """
    if line[SORT] == ID:
        raw = line[_ONLY_ID]
    else:
        end = line.rfind(b',"usage":{')
        begin = line.rfind(b',"id":', 0, end) + 6
        raw = line[begin:end] if begin > 5 else b""
    if raw[:1] == b'"' == raw[-1:]:
        text = raw[1:-1]
        return text if b"\\" not in text else json.loads(raw).encode(errors="surrogatepass")
    return raw if raw.lstrip(b"-").isdigit() else None


def settings(readable: dict[str, Any], *, now: int) -> dict[str, Any]:
    """The body of a task line."""
    return {"settings": readable, "format": FORMAT, "t": now}


def intact(line: bytes) -> bool:
    """Whether a line (without newline) carries its right checksum."""
    try:
        return crc32(line[AFTER_CRC], crc32(line[BEFORE_CRC])) == int(line[CRC], 16)
    except ValueError:
        return False


def pieces(line: bytes) -> Iterator[tuple[int, bytes]]:
    """The intact lines inside a damaged one, each with its offset in it.

    Finds what a byte order mark, CRLF, or a lost newline between two lines has hidden.
    """
    starts = heads(line)
    for start, stop in zip(starts, [*starts[1:], len(line)], strict=False):
        piece = line[start : line.rfind(b"}", start, stop) + 1]
        if intact(piece):
            yield start, piece


_BLANK = b"\xef\xbb\xbf \t\r\x00"  # byte order mark, blanks; NULs: a tail that a crash left


class Salvage(NamedTuple):
    """What a line holds that is not simply ours.

    whole: intact lines of ours in it, with their offsets. damaged: how many are not whole.
    foreign: whether it is somebody else's line of JSON.
    """

    whole: list[tuple[int, bytes]]
    damaged: int
    foreign: bool


def salvage(line: bytes) -> Salvage:
    """Look into a line that is blank, somebody else's, or damaged."""
    starts = heads(line)
    if not starts:
        is_foreign = foreign(line) is not None
        return Salvage([], not is_foreign and bool(line.strip(_BLANK)), is_foreign)
    whole = list(pieces(line))
    before = bool(line[: starts[0]].strip(_BLANK))
    return Salvage(whole, len(starts) - len(whole) + before, foreign=False)


def heads(line: bytes) -> list[int]:
    """Where a line of ours seems to begin."""
    return [found.start() for found in _HEAD.finditer(line)]


def foreign(line: bytes) -> dict[str, Any] | None:
    """The JSON object in a line that somebody else wrote, such as a plain id line; else None."""
    try:
        content = json.loads(line)
    except (ValueError, RecursionError):
        return None
    ours = isinstance(content, dict) and len(content.keys() & {"k", "c", "task"}) > 1
    return content if isinstance(content, dict) and not ours else None


def read(line: bytes) -> dict[str, Any] | None:
    """The content of the line of ours that begins at this line's first byte, None if damaged."""
    if not intact(line):
        line = next((piece for start, piece in pieces(line) if start == 0), b"")
    try:
        content, _ = _decode(line.decode())
    except (ValueError, RecursionError):
        return None
    return content if isinstance(content, dict) else None


def to_result(content: dict[str, Any] | None, key: bytes) -> RowResult | None:
    """The answer in a line's content; None unless it is one, whole, and key's own."""
    try:
        values = content["v"]  # type: ignore[index]
        sent, usage = _spent(content, key)
    except (KeyError, TypeError, AttributeError):
        return None
    if not isinstance(values, dict):
        return None
    return RowResult("ok", values, None, sent, usage, confidence=_confidence(content))


def _confidence(content: Any) -> dict[str, float] | None:
    found = content.get("p")
    if not isinstance(found, dict):
        return None
    return {name: each for name, each in found.items() if isinstance(each, (int, float))}


def to_failure(content: dict[str, Any] | None, key: bytes) -> RowResult | None:
    """The failure in a line's content, its kind as the error; None unless it is one."""
    try:
        kind = content["e"]["kind"]  # type: ignore[index]
        sent, usage = _spent(content, key)
    except (KeyError, TypeError, AttributeError):
        return None
    if not isinstance(kind, str):
        return None
    return RowResult("failed", None, Failure(cast("ErrorKind", kind), ""), sent, usage)


def _spent(content: Any, key: bytes) -> tuple[int, Usage]:
    """Requests and tokens. Raises KeyError, TypeError or AttributeError for a forged line."""
    used, sent = content["usage"], content["n"]
    if content["k"] != key.hex() or not isinstance(sent, int):
        raise TypeError("no line of this key")
    return sent, _usage(used["in"], used["out"], used.get("cost"))


def _usage(tokens_in: object, tokens_out: object, cost: object) -> Usage:
    """Raises TypeError for what is no number."""
    if (
        isinstance(tokens_in, int)
        and isinstance(tokens_out, int)
        and (cost is None or isinstance(cost, (int, float)))
    ):
        return usage_of(tokens_in, tokens_out, cost)
    raise TypeError("no number")
