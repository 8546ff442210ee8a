"""The format of the journal's lines.

``{"k":"<32 hex>","c":"<8 hex>","task":"<12 hex>","v":{...},...}`` and a newline, valid JSON.
Key, checksum and task stand at fixed offsets, and the first letter of the body is the line's
sort: finding the answered rows needs no JSON parser. The checksum is the crc32 of the line
without the checksum's eight digits and without the newline.

v         an answer: ``v`` (field -> value), ``id``, ``usage`` (tokens ``in``, ``out`` and, where
          there are any, ``cached``; ``cost`` and its ``currency``; ``estimated`` replies), ``n``
          (requests), ``t`` (unix s), ``s`` (seconds that a live answer took, from its first
          request on), ``vote`` (where it is not the row's first, 0) ``of`` (the first's key),
          ``p`` (field -> confidence)
e         a failure: ``e`` (kind, status, code) instead of ``v``
id        one more row that has the answer of this key: ``id`` only
usage     paid for without an answer, under the task's digest: ``usage`` and ``t``; ``unread``
          where the reply was never read, so that its usage is an estimate
batch     a batch at the provider, under the task's digest; ``batch`` is its nonce. First its
          ``keys`` (hex, joined), before anything is uploaded; then, each in a line of its own,
          ``file`` (the input's id), ``id`` (the batch's), ``end`` (why it needs nothing more)
settings  a task's readable settings, under the task's digest, before its first row; ``server``
          (``address``, and what it states of its ``model``) of one on this machine; ``input``:
          the columns that its rows were made of when it began; ``prompts``: field -> the hash
          of its prompt, where examples are part of it
"""

from __future__ import annotations

import json
import re
from functools import lru_cache
from typing import TYPE_CHECKING, Any, NamedTuple, cast
from zlib import crc32

from llmframe.results import Failure, RowResult, Usage, usage_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from llmframe.errors import ErrorKind
    from llmframe.results import Answer

FORMAT = 1
LONGEST = 64 << 20  # bytes of a line; the scan of a file skips any longer one
ANSWER, FAILURE, ID, SETTINGS, USAGE, BATCH = b"v", b"e", b"i", b"s", b"u", b"b"

# Offsets in a line. The scan in index.py has the same numbers as literals, for speed.
KEY = slice(6, 38)
BEFORE_CRC = slice(0, 45)
CRC = slice(45, 53)
AFTER_CRC = slice(53, None)
TASK = slice(63, 75)
SORT = slice(78, 79)
_ONLY_ID = slice(82, -1)  # the value in a line that holds nothing else

# An answer's body without the row's id and text.
ANSWERED = ("v", "usage", "n", "t", "s", "vote", "of", "p", "adopted")

_HEAD = re.compile(rb'\{"k":"[0-9a-f]{32}","c":"[0-9a-f]{8}","task":"[0-9a-f]{12}","[veisub]')
# An answer with neither confidences nor text: key, checksum, task, values, and what it used.
_ANSWER = re.compile(
    rb'\{"k":"(.{32})","c":"(.{8})","task":"(.{12})","v":(\{.*\})'
    rb'(?:,"id":(?:0|-?[1-9][0-9]*|"[ !#-[\]-~]*"))?'
    rb',("usage":\{[^{}]*\},"n":[0-9]+),"t":[1-9][0-9]*(?:,"s":[0-9]+\.[0-9]+)?'
    rb'(?:,"vote":[1-9](?:,"of":"[0-9a-f]{32}")?)?\}$',
    re.MULTILINE,
).match
_CODE = re.compile(r"[\w.:-]{1,64}", re.ASCII)
_STRICT: dict[str, Any] = {"allow_nan": False, "separators": (",", ":")}
_readable = json.JSONEncoder(ensure_ascii=False, **_STRICT).encode
_escaped = json.JSONEncoder(ensure_ascii=True, **_STRICT).encode
_decode = json.JSONDecoder().raw_decode


def encode(key: bytes, task: str, body: dict[str, Any]) -> bytes:
    """One line with its newline.

    key: 16 bytes. task: 12 hex digits. body: not empty; its first name is the sort.
    Raises TypeError, ValueError or RecursionError if the body is not JSON, or too long.
    """
    try:
        content = _readable(body).encode()
    except UnicodeEncodeError:  # a lone surrogate has no UTF-8; \ud800 is valid JSON
        content = _escaped(body).encode()
    before = b'{"k":"%b","c":"' % key.hex().encode()
    after = b'","task":"%b",%b' % (task.encode(), content[1:])
    if len(after) > LONGEST:
        raise ValueError(f"it takes {len(after) >> 20} MB")
    return b"%b%08x%b\n" % (before, crc32(after, crc32(before)), after)


def row(
    result: RowResult,
    *,
    now: int,
    row_id: object = None,
    text: str | None = None,
    vote: int = 0,
    of: bytes | None = None,
) -> dict[str, Any]:
    """The body of a finished row, or of its vote number vote. now: unix s. of: the first's key."""
    body: dict[str, Any] = {"v": result.values}
    if result.error is not None:
        # Neither message nor an odd code: the provider's words may echo the row.
        error: dict[str, Any] = {"kind": result.error.kind}
        if result.error.status is not None:
            error["status"] = result.error.status
        if result.error.code is not None and _CODE.fullmatch(result.error.code):
            error["code"] = result.error.code
        body = {"e": error}
    # The id stands before the usage, where id_bytes finds it without a JSON parser.
    if row_id is not None:
        body["id"] = id_value(row_id)
    body |= {"usage": _usage_body(result.usage), "n": result.attempts, "t": now}
    if result.seconds and result.error is None:
        body["s"] = round(result.seconds, 3)
    if vote:
        body["vote"] = vote
    if of is not None:
        body["of"] = of.hex()
    if result.confidence is not None:
        body["p"] = {name: round(each, 6) for name, each in result.confidence.items()}
    if text is not None:
        body["text"] = text
    return body


def is_later_vote(line: bytes) -> bool:
    """Whether an answer is a row's second vote, or its third."""
    return b',"vote":' in line and "vote" in (read(line) or {})  # a field may be named so, too


def _usage_body(usage: Usage) -> dict[str, Any]:
    body: dict[str, Any] = {"in": usage.tokens_in, "out": usage.tokens_out}
    if usage.cost is not None:
        body["cost"] = usage.cost
        if usage.currency:
            body["currency"] = usage.currency
    if usage.tokens_cached:
        body["cached"] = usage.tokens_cached
    if usage.estimated:
        body["estimated"] = usage.estimated
    return body


def unanswered(usage: Usage, *, now: int, unread: bool) -> dict[str, Any]:
    """The body of a line about requests without an answer. unread: they are an estimate."""
    body: dict[str, Any] = {"usage": _usage_body(usage), "t": now}
    return body | ({"unread": True} if unread else {})


def id_value(row_id: object) -> int | str:
    """An id as JSON: whole numbers (numpy's, and pandas' 7.0) as numbers, all else as text."""
    # pandas makes floats of a column of integers as soon as one is missing; exact below 2**53
    if isinstance(row_id, float) and row_id.is_integer() and abs(row_id) < 2**53:
        return int(row_id)
    if isinstance(row_id, bool) or not hasattr(row_id, "__index__"):  # True is not row 1
        return str(row_id)
    return int(row_id.__index__())


def id_text(row_id: object) -> str:
    """An id as it is compared: the frame's 7 and a file's "7" are the same row."""
    return str(id_value(row_id))


def id_bytes(line: bytes) -> bytes | None:
    """The id in an intact line of ours, as UTF-8 text; None without one. Parses no JSON."""
    # JSON escapes quotes within a text, so that no value can hold the marks below. An "id" deep
    # in an answer is followed by the answer's closing brace, and is neither text nor a number.
    if line[SORT] == ID:
        raw = line[_ONLY_ID]
    else:
        end = line.rfind(b',"usage":{')
        begin = line.rfind(b',"id":', 0, end) + 6
        raw = line[begin:end] if begin > 5 else b""
    if raw[:1] == b'"' == raw[-1:]:
        text = raw[1:-1]
        # Only an escaped text needs the parser, which costs more than all of the above.
        return text if b"\\" not in text else json.loads(raw).encode(errors="surrogatepass")
    return raw if raw.lstrip(b"-").isdigit() else None


def batch(nonce: str, *, now: int, **noted: str) -> dict[str, Any]:
    """The body of a line about a batch. noted: what is new, by the names above."""
    return {"batch": nonce, **noted, "t": now}


def settings(
    readable: dict[str, Any],
    *,
    now: int,
    server: dict[str, Any] | None = None,
    form: dict[str, Any] | None = None,
    prompts: dict[str, str] | None = None,
) -> dict[str, Any]:
    """The body of a task line.

    server: on this machine, that answers it. form: of the input. prompts: hashes, by field.
    """
    noted: dict[str, Any] = {"server": server} if server else {}
    noted |= {"input": form} if form else {}
    noted |= {"prompts": prompts} if prompts else {}
    return {"settings": readable, "format": FORMAT, "t": now, **noted}


def intact(line: bytes) -> bool:
    """True if a line (without newline) has the right checksum."""
    try:
        return crc32(line[AFTER_CRC], crc32(line[BEFORE_CRC])) == int(line[CRC], 16)
    except ValueError:  # no hexadecimal digits where they belong
        return False


def pieces(line: bytes) -> Iterator[tuple[int, bytes]]:
    """The intact lines inside a damaged one, each with its offset in it."""
    # A byte order mark, CRLF, or a lost newline between two lines hides whole answers.
    starts = _heads(line)
    for start, stop in zip(starts, [*starts[1:], len(line)], strict=False):
        piece = line[start : line.rfind(b"}", start, stop) + 1]
        if intact(piece):
            yield start, piece


_BLANK = b"\xef\xbb\xbf \t\r\x00"  # byte order mark, blanks; NULs: a tail that a crash left


class Salvage(NamedTuple):
    """The parts of a line that is not one intact line of ours.

    whole: intact lines of ours in it, with their offsets. damaged: how many are not intact.
    foreign: True for a line of JSON that is not ours.
    """

    whole: list[tuple[int, bytes]]
    damaged: int
    foreign: bool


def salvage(line: bytes) -> Salvage:
    """Take apart a line that is blank, not ours, or damaged."""
    starts = _heads(line)
    if not starts:
        is_foreign = foreign(line) is not None
        return Salvage([], not is_foreign and bool(line.strip(_BLANK)), is_foreign)
    whole = list(pieces(line))
    # What stands before the first is the end of one more line, whose own head is lost.
    before = bool(line[: starts[0]].strip(_BLANK))
    return Salvage(whole, len(starts) - len(whole) + before, foreign=False)


def _heads(line: bytes) -> list[int]:
    """The offsets at which a line of ours seems to begin."""
    return [found.start() for found in _HEAD.finditer(line)]


def foreign(line: bytes) -> dict[str, Any] | None:
    """The JSON object in a line that is not ours, such as a plain id line; else None."""
    try:
        content = json.loads(line)
    except (ValueError, RecursionError):
        return None
    # One of our names may well be a field of theirs; two are a line of ours that was edited.
    if not isinstance(content, dict) or len(content.keys() & {"k", "c", "task"}) > 1:
        return None
    return content


def read(line: bytes) -> dict[str, Any] | None:
    """The content of the line of ours that begins at this line's first byte, None if damaged."""
    # The index may name the first of two lines that a lost newline has joined.
    if not intact(line):
        line = next((piece for start, piece in pieces(line) if start == 0), b"")
    try:
        content, _ = _decode(line.decode())
    except (ValueError, RecursionError):
        return None
    return content if isinstance(content, dict) else None


def to_result(content: dict[str, Any] | None, key: bytes) -> RowResult | None:
    """The answer in a line's content; None if it is no answer, forged, or another key's."""
    try:
        values = content["v"]  # type: ignore[index]
        sent, usage = _spent(content, key)
    except (KeyError, TypeError, AttributeError):
        return None
    if not isinstance(values, dict):
        return None
    confidence = content.get("p")  # type: ignore[union-attr]
    if isinstance(confidence, dict):
        confidence = {name: p for name, p in confidence.items() if isinstance(p, (int, float))}
    else:  # not asked for, or forged: an answer without it is still paid for
        confidence = None
    return RowResult("ok", values, None, sent, usage, confidence=confidence)


def answers(block: bytes, starts: Sequence[int], keys: Sequence[bytes]) -> list[Answer] | None:
    """The answers in lines of an intact block, as read and to_result find them one by one.

    starts, keys: the lines' offsets and keys. None if one of them is not as row() makes most.
    """
    found = [match.groups() for at in starts if (match := _ANSWER(block, at)) is not None]
    if len(found) < len(starts):
        return None
    named, sums, tasks, answered, spent = zip(*found, strict=True)
    # whatever the checksums and tasks are, no quote or backslash may be among their letters
    plain = b"".join((*sums, *set(tasks))).isalnum()
    if not plain or b"".join(named) != b"".join(keys).hex().encode():
        return None
    try:
        # one call for all: the decoder's start costs more than an answer
        values = json.loads((b"[%b]" % b",".join(answered)).decode())
        results = [*map(_without_values, spent)]
    except (ValueError, RecursionError):
        return None
    return [*zip(results, values, strict=True)] if len(values) == len(starts) else None


@lru_cache(4096)
def _without_values(spent: bytes) -> RowResult:
    """What all answers that used the same have in common. Raises ValueError."""
    result = to_result(json.loads(b'{"k":"","v":{},%b}' % spent), b"")
    if result is None:
        raise ValueError("a forged line")
    return result._replace(values=None)


def to_failure(content: dict[str, Any] | None, key: bytes) -> RowResult | None:
    """The failure in a line's content, with its kind as the error; None if it is no failure."""
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
    usage, sent = _usage(content["usage"]), content["n"]
    if content["k"] == key.hex() and isinstance(sent, int):
        return sent, usage
    raise TypeError("a forged line, or another key's")


def _usage(used: Any) -> Usage:
    """What a line says was used. Raises as _spent."""
    tokens_in, tokens_out, cost = used["in"], used["out"], used.get("cost")
    # lines of earlier versions have none of these
    cached, estimated = used.get("cached", 0), used.get("estimated", 0)
    currency = used.get("currency", "")
    # Anybody can compute a checksum: a wrong type must not surface in the middle of a run.
    if (
        all(isinstance(each, int) for each in (tokens_in, tokens_out, cached, estimated))
        and (cost is None or isinstance(cost, (int, float)))
        and isinstance(currency, str)
    ):
        return usage_of(tokens_in, tokens_out, cost, cached, estimated, currency)
    raise TypeError("a forged usage")


@lru_cache(4096)
def usage_in(text: bytes) -> Usage | None:
    """The usage in the JSON text of a line's ``usage``; None if it is forged."""
    try:
        return _usage(json.loads(text))
    except (ValueError, RecursionError, KeyError, TypeError, AttributeError):
        return None
