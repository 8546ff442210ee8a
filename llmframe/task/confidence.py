"""How sure the model was of a label: the probability of the tokens that decided for it."""

from __future__ import annotations

import json
import math
import re
import unicodedata
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


def confidences(
    tokens: Sequence[Token],
    fields: FieldSet,
    answer: str,
    alternatives: Sequence[Sequence[Token]] = (),
) -> dict[str, float]:
    """Field name -> probability from 0 to 1, for each choice whose value is found.

    tokens: of the whole reply, thoughts too. answer: the part of it that holds the values.
    alternatives: for each token those that could have stood in its place. With them it is the
    label's share among all labels. Without them it is the probability of the label's own tokens,
    from the beginning of the value to the one after which no other label was possible: at most
    that share, as the same label in another spelling has a part of it.
    """
    whole = b"".join(text for text, _ in tokens)
    # the last place, because a draft may have the same words
    begin = whole.rfind(answer.encode(errors="replace"))
    if begin < 0 or not answer:
        return {}
    spans = _value_spans(answer, fields)
    found = {}
    for spec in fields.specs:
        if is_choice(spec) and spec.name in spans:
            start, end = (
                begin + len(answer[:at].encode(errors="replace")) for at in spans[spec.name]
            )
            value = whole[start:end]
            share = _share(tokens, alternatives, start, value, spec=spec) if alternatives else None
            found[spec.name] = share or _probability(tokens, start, value, spec=spec)
    return found


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


def read_alternatives(logprobs: object) -> tuple[tuple[Token, ...], ...]:
    """For each piece of a reply those that could have stood there; () without any."""
    pieces = logprobs.get("content") if isinstance(logprobs, dict) else None
    if not isinstance(pieces, list):
        return ()
    given = [piece.get("top_logprobs") if isinstance(piece, dict) else None for piece in pieces]
    # a list of one holds the piece itself, so that nothing is known about others
    if not any(len(_listed(each)) > 1 for each in given):
        return ()
    # one by one: an odd alternative costs itself alone
    listed = [[read_tokens({"content": [one]}) for one in _listed(each)] for each in given]
    return tuple(tuple(token[0] for token in each if token) for each in listed)


def _listed(given: object) -> list[object]:
    return given if isinstance(given, list) else []


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


def _probability(tokens: Sequence[Token], begin: int, value: bytes, *, spec: FieldSpec) -> float:
    """The probability of the tokens that decided for a value. begin: its place among the tokens."""
    total, at = 0.0, 0
    for text, logprob in tokens:
        at, before = at + len(text), at
        if at <= begin or (text.strip() in (b'"', b"") and before <= begin):
            continue  # before the value, or its opening quote alone
        total += logprob
        if before >= begin + len(value):
            break  # the token after a number shows where it ends: 1, and not 10
        if at <= begin + len(value) and _possible(value[: at - begin], spec) > 1:
            continue  # another label could still follow
        break
    return math.exp(min(0.0, total))


def _share(
    tokens: Sequence[Token],
    alternatives: Sequence[Sequence[Token]],
    begin: int,
    value: bytes,
    *,
    spec: FieldSpec,
) -> float | None:
    """A label's share among all labels; None where the value is in the words of no label.

    Each alternative leads away from the value, to the labels that go on as it does: their part
    is its probability after the tokens before it.
    """
    chosen = _folded(value)
    if chosen not in _written(spec):
        return None
    total, at = 0.0, 0
    mine, others = 0.0, 0.0
    for (text, logprob), near in zip(tokens, alternatives, strict=True):
        at, before = at + len(text), at
        if at <= begin:
            continue
        lead, written = text[: max(0, begin - before)], value[: max(0, before - begin)]
        for other, chance in near:
            if other != text:
                labels = _fitting(_folded(written + _without_lead(other, lead)), spec)
                mine += math.exp(total + chance) if labels == [chosen] else 0.0
                others += math.exp(total + chance) if labels and chosen not in labels else 0.0
        total += logprob
        if before >= begin + len(value) or _fitting(_folded(value[: at - begin]), spec) == [chosen]:
            break  # no other label was possible after this token
    mine += math.exp(min(0.0, total))
    return mine / (mine + others)


def _without_lead(token: bytes, lead: bytes) -> bytes:
    """An alternative from the value's beginning on. lead: what stands before it in the token."""
    if token.startswith(lead):
        return token[len(lead) :]
    return token.lstrip() if not lead.strip() else b"\n"  # a line break fits no label


def _folded(written: bytes) -> str:
    """A value, or its beginning, as labels are compared: case, width and blanks do not count."""
    text = unicodedata.normalize("NFKC", written.decode(errors="ignore")).casefold().lstrip()
    return '"' + text[1:].lstrip() if text.startswith('"') else text


def _written(spec: FieldSpec) -> list[str]:
    """The values of a choice as ``_folded`` makes them; texts end in their quote."""
    labels = spec.answers or (True, False)
    values = [*labels, None] if spec.nullable else labels
    return [_folded(json.dumps(value, ensure_ascii=False).encode()) for value in values]


def _fitting(begun: str, spec: FieldSpec) -> list[str]:
    """The values that begin so, or that are complete in it: ``1,`` is 1, and ``10`` is not."""

    def is_complete(value: str) -> bool:
        rest = begun[len(value) :]
        return begun.startswith(value) and (value.endswith('"') or not rest[:1].isalnum())

    return [value for value in _written(spec) if value.startswith(begun) or is_complete(value)]


def _possible(prefix: bytes, spec: FieldSpec) -> int:
    """How many labels begin with prefix, a part of a value's JSON."""
    begun = prefix.decode(errors="ignore").casefold()
    labels = spec.answers or (True, False)
    written = [json.dumps(label, ensure_ascii=False).casefold() for label in labels]
    if spec.nullable:
        written.append("null")
    return sum(text.startswith(begun) for text in written)
