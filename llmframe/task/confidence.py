"""How sure the model was of a label: the probability of the tokens that decided for it."""

from __future__ import annotations

import json
import math
import re
from typing import TYPE_CHECKING

from llmframe.task.fields import FieldSet, FieldSpec, Kind

if TYPE_CHECKING:
    from collections.abc import Sequence

Token = tuple[bytes, float]
"""A piece of the reply as UTF-8, and the natural logarithm of its probability."""

_OBJECT = re.compile(r'\{\s*(?=")')
_NAME = re.compile(r'\s*("(?:[^"\\]|\\.)*")\s*:\s*', re.DOTALL)
_COMMA = re.compile(r"\s*,")
_DECODER = json.JSONDecoder(strict=False)


def confidences(tokens: Sequence[Token], fields: FieldSet) -> dict[str, float]:
    """Field name -> probability from 0 to 1, for each choice whose value is found.

    tokens: the whole reply. The probability covers the tokens from the beginning of the value
    to the one after which no other label was possible. Later tokens were no choice any more,
    and a schema may have forced them.
    """
    content = b"".join(text for text, _ in tokens).decode(errors="replace")
    spans = _value_spans(content)
    return {
        spec.name: _probability(tokens, content, spans[spec.name], spec)
        for spec in fields.specs
        if is_choice(spec) and spec.name in spans
    }


def is_choice(spec: FieldSpec) -> bool:
    """Whether a few tokens decide a field's value: a closed choice, true or false."""
    return spec.kind in (Kind.CHOICE, Kind.BOOLEAN)


def _value_spans(content: str) -> dict[str, tuple[int, int]]:
    """Name -> begin and end of its value in the first object, as far as it can be read."""
    spans: dict[str, tuple[int, int]] = {}
    found = _OBJECT.search(content)
    while found and (name := _NAME.match(content, found.end())):
        try:
            key = json.loads(name[1], strict=False)
            _, end = _DECODER.raw_decode(content, name.end())
        except (ValueError, RecursionError):
            break  # the reply ends within this value: those before it still count
        spans[key] = (name.end(), end)
        found = _COMMA.match(content, end)
    return spans


def _probability(
    tokens: Sequence[Token], content: str, span: tuple[int, int], spec: FieldSpec
) -> float:
    begin, end = (len(content[:at].encode()) for at in span)  # tokens are counted in bytes
    value = content.encode()[begin:end]
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
    return min(1.0, math.exp(total))


def _possible(prefix: bytes, spec: FieldSpec) -> int:
    """How many labels begin with prefix, a part of a value's JSON."""
    begun = prefix.decode(errors="ignore").casefold()
    labels = (True, False) if spec.labels is None else spec.labels
    written = [json.dumps(label, ensure_ascii=False).casefold() for label in labels]
    if spec.nullable:
        written.append("null")
    return sum(text.startswith(begun) for text in written)
