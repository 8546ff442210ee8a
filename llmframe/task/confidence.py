"""How sure the model was of a label: the probability of the tokens that decided for it."""

from __future__ import annotations

import json
import math
import re
from typing import TYPE_CHECKING

from llmframe.task.fields import FieldSet, FieldSpec, Kind
from llmframe.task.repair import match_names

if TYPE_CHECKING:
    from collections.abc import Sequence

Token = tuple[bytes, float]
"""A piece of the reply as UTF-8, and the natural logarithm of its probability."""

MOST_LOGPROB = 0.01  # a little above 0 is a rounded 1; more is no probability

_OBJECT = re.compile(r'\{\s*(?=")')
_NAME = re.compile(r'\s*("(?:[^"\\]|\\.)*")\s*:\s*', re.DOTALL)
_COMMA = re.compile(r"\s*,")
_DECODER = json.JSONDecoder(strict=False)


def confidences(tokens: Sequence[Token], fields: FieldSet, answer: str) -> dict[str, float]:
    """Field name -> probability from 0 to 1, for each choice whose value is found.

    tokens: of the whole reply, thoughts too. answer: the part of it that holds the values. The
    probability covers the tokens from the beginning of the value to the one after which no other
    label was possible. Later tokens were no choice any more, and a schema may have forced them.
    """
    whole = b"".join(text for text, _ in tokens)
    # the last place, because a draft may have the same words
    begin = whole.rfind(answer.encode(errors="replace"))
    if begin < 0 or not answer:
        return {}
    spans = _value_spans(answer, fields)
    return {
        spec.name: _probability(tokens, begin, answer, spans[spec.name], spec=spec)
        for spec in fields.specs
        if is_choice(spec) and spec.name in spans
    }


def read_tokens(logprobs: object) -> tuple[Token, ...] | None:
    """The pieces of a reply with their logprobs; None if any is not as it should be."""
    pieces = logprobs.get("content") if isinstance(logprobs, dict) else None
    if not isinstance(pieces, list) or not pieces:
        return None
    tokens: list[Token] = []
    try:
        for piece in pieces:
            # by bytes where given: a character may be split between two tokens
            raw, text = piece.get("bytes"), piece["token"]
            whole = bytes(raw) if isinstance(raw, list) else text.encode(errors="replace")
            logprob = float(piece["logprob"])
            if not -math.inf < logprob < MOST_LOGPROB:  # not-a-number too
                return None
            tokens.append((whole, logprob))
    except (AttributeError, KeyError, TypeError, ValueError, OverflowError):
        return None
    return tuple(tokens)


def is_choice(spec: FieldSpec) -> bool:
    """Whether a few tokens decide a field's value: a closed choice, true or false."""
    return spec.kind in (Kind.CHOICE, Kind.BOOLEAN)


def _value_spans(answer: str, fields: FieldSet) -> dict[str, tuple[int, int]]:
    """Field name -> begin and end of its value, in the outermost object that has any."""
    found = _OBJECT.search(answer)
    while found:
        spans = _spans_from(answer, found.end())
        keys = match_names(spans, fields.names)
        if keys:
            return {name: spans[key] for name, key in keys.items()}
        found = _OBJECT.search(answer, found.end())
    return {}


def _spans_from(content: str, at: int) -> dict[str, tuple[int, int]]:
    """Name -> begin and end of its value in the object here, as far as it can be read."""
    spans: dict[str, tuple[int, int]] = {}
    while name := _NAME.match(content, at):
        try:
            key = json.loads(name[1], strict=False)
            _, end = _DECODER.raw_decode(content, name.end())
        except (ValueError, RecursionError):
            break  # the reply ends within this value: those before it still count
        spans[key] = (name.end(), end)
        comma = _COMMA.match(content, end)
        if comma is None:
            break
        at = comma.end()
    return spans


def _probability(
    tokens: Sequence[Token], start: int, answer: str, span: tuple[int, int], *, spec: FieldSpec
) -> float:
    """start: where the answer begins among the tokens, which are counted in bytes."""
    begin, end = (start + len(answer[:at].encode(errors="replace")) for at in span)
    value = answer[span[0] : span[1]].encode(errors="replace")
    total, at = 0.0, 0
    for text, logprob in tokens:
        at, before = at + len(text), at
        if at <= begin or (text.strip() in (b'"', b"") and before <= begin):
            continue  # before the value, or its opening quote alone
        total += logprob
        if before >= end:
            break  # the token after a number shows where it ends: 1, and not 10
        if at <= end and _possible(value[: at - begin], spec) > 1:
            continue  # another label could still follow
        break
    return math.exp(min(0.0, total))


def _possible(prefix: bytes, spec: FieldSpec) -> int:
    """How many labels begin with prefix, a part of a value's JSON."""
    begun = prefix.decode(errors="ignore").casefold()
    labels = (True, False) if spec.labels is None else spec.labels
    written = [json.dumps(label, ensure_ascii=False).casefold() for label in labels]
    if spec.nullable:
        written.append("null")
    return sum(text.startswith(begun) for text in written)
