"""One request for embeddings: what it asks, why it is refused, and the vectors that it gets.

A vector is the sum of its words' vectors, each made from a hash of the word, at length 1: the
same on every machine, and near to those of texts with the same words.
"""

from __future__ import annotations

import base64
import math
import re
from array import array
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from hashlib import shake_128
from typing import Any

from llmframe.testing import wire
from llmframe.testing.faults import VECTORS, ApiError


@dataclass(frozen=True, slots=True)
class EmbeddingRules:
    """What the endpoint takes and gives.

    dimensions: numbers of a vector, and the most that may be asked for. texts, tokens: of one
    request, at most; text_tokens: of one text. base64: False answers with lists of numbers
    whatever was asked for. shortens: False ignores ``dimensions``. status: of a refusal because
    of texts or tokens.
    """

    dimensions: int = 64
    texts: int = 2048
    tokens: int = 300_000
    text_tokens: int = 8192
    base64: bool = True
    shortens: bool = True
    status: int = 400

    @classmethod
    def of(cls, given: Mapping[str, Any]) -> EmbeddingRules:
        """The rules, where some are given; ValueError for one that does not exist."""
        try:
            return cls(**given)
        except TypeError as exc:
            names = ", ".join(cls.__dataclass_fields__)
            raise ValueError(f"embeddings={dict(given)}; there are {names}") from exc


class EmbeddingAsk:
    """One parsed request for embeddings; ValueError or the like for a body that is none."""

    is_response = False
    cap = 0

    def __init__(self, body: dict[str, Any], authorization: str) -> None:
        given = body["input"]
        self.texts = [given] if isinstance(given, str) else [*given]
        if not all(isinstance(text, str) for text in self.texts):
            raise TypeError("input is no text and no list of texts")
        self.body = body
        self.authorization = authorization
        self.model = str(body.get("model"))
        self.row = self.prompt = "\n".join(self.texts)
        self.prompt_tokens = sum(map(wire.tokens, self.texts))

    def problem(self, rules: EmbeddingRules) -> ApiError | None:
        """Why the endpoint does not take it; None if it does."""
        size = self.body.get("dimensions")
        longest = max(map(wire.tokens, self.texts), default=0)
        if not self.texts or "" in self.texts:
            return _error(400, "'input' cannot be an empty string.")
        if len(self.texts) > rules.texts:
            said = f"Invalid 'input': {len(self.texts)} items, the maximum is {rules.texts}."
            return _error(rules.status, said)
        if longest > rules.text_tokens:
            return _error(
                400, f"This model's maximum context length is {rules.text_tokens} tokens, "
                f"however you requested {longest} tokens. Please reduce your prompt."
            )  # fmt: skip
        if self.prompt_tokens > rules.tokens:
            said = f"Requested {self.prompt_tokens} tokens, max {rules.tokens} tokens per request"
            return _error(rules.status, said, "max_tokens_per_request")
        if size is not None and rules.shortens and not 0 < size <= rules.dimensions:
            return _error(400, f"'dimensions' must be 1 to {rules.dimensions}.", "dimensions")
        return None

    def reply(
        self,
        number: int,
        used: dict[str, Any] | None,
        rules: EmbeddingRules,
        headers: dict[str, str],
        *,
        fault: str | None,
        spoils: Mapping[str, str],
    ) -> wire.Reply:
        """The vectors, spoilt by the fault if there is one. spoils: part of a text -> fault."""
        size = rules.dimensions
        if rules.shortens:
            size = self.body.get("dimensions") or size
        parts = [part for part, name in spoils.items() if name == fault]
        bad = [any(part in text for part in parts) for text in self.texts]
        if fault in VECTORS and not any(bad):
            bad[0] = True
        as_base64 = rules.base64 and self.body.get("encoding_format") == "base64"
        data = [
            {
                "object": "embedding",
                "index": at,
                "embedding": _value(text, size, fault if is_bad else None, as_base64=as_base64),
            }
            for at, (text, is_bad) in enumerate(zip(self.texts, bad, strict=True))
            if not (is_bad and fault == "left_out")
        ]
        if fault == "unordered":
            data.reverse()
        if fault == "unnumbered":
            data = [{"embedding": one["embedding"]} for one in data]
        body: dict[str, Any] = {"object": "list", "data": data, "model": self.model}
        body["id"] = f"embd-{number}"
        if used is not None:
            body["usage"] = {k: v for k, v in used.items() if "completion" not in k}
        return wire.Reply(200, wire.dump(body), headers, billed=True)


def parse_embedding(body: Any, authorization: str) -> EmbeddingAsk | None:
    """The request, None where the body is none."""
    try:
        return EmbeddingAsk(body, authorization)
    except (ValueError, TypeError, KeyError, AttributeError):
        return None


def embedding(text: str, size: int = 64) -> list[float]:
    """The vector that the server gives to a text, at length 1."""
    words = re.findall(r"\w+", text.lower()) or [text]
    totals = [0.0] * size
    for word in words:
        totals = [a + b for a, b in zip(totals, _word(word, size), strict=True)]
    length = math.sqrt(sum(total * total for total in totals)) or 1.0
    return [total / length for total in totals]


@lru_cache(maxsize=100_000)
def _word(word: str, size: int) -> tuple[float, ...]:
    digest = shake_128(word.encode("utf-8", "surrogatepass")).digest(size)
    return tuple(byte / 127.5 - 1.0 for byte in digest)


def _value(text: str, size: int, fault: str | None, *, as_base64: bool) -> Any:
    if fault == "no_vector":
        return None
    numbers = array("f", embedding(text, size + (fault == "other_size")))
    if fault == "nan_vector":
        numbers[0] = math.nan
    return base64.b64encode(numbers.tobytes()).decode() if as_base64 else numbers.tolist()


def _error(status: int, message: str, code: str | None = None) -> ApiError:
    return ApiError(status, message, "invalid_request_error", code, "input")
