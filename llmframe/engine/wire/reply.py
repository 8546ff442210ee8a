"""A response with status 200, read once: a completion, or BadReply."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pydantic_core import from_json

from llmframe.engine.wire.verdict import BadReply, page_title
from llmframe.results import Usage

if TYPE_CHECKING:
    from collections.abc import Mapping

    import httpx2

    from llmframe.engine.wire.prepared import Received
    from llmframe.task.confidence import Token

TOO_MUCH = 1e15  # tokens or money; what is above is junk


@dataclass(frozen=True, slots=True)
class Reply:
    """One completion as it came.

    content: the message's text. refusal: the model's own words. finish_reason: as it came.
    headers: of the response. tokens: the content's pieces with their logprobs, if it has any.
    """

    content: str | None
    finish_reason: str | None
    refusal: str | None
    usage: Usage
    headers: Mapping[str, str]
    tokens: tuple[Token, ...] | None = None


def read_reply(response: Received | httpx2.Response) -> Reply:
    """The completion in a response; BadReply where there is none."""
    data = read_json(response)
    error = data.get("error") if isinstance(data, dict) else data
    usage = _read_usage(data.get("usage")) if isinstance(data, dict) else Usage()
    if error or not isinstance(data, dict):
        raise BadReply("the endpoint answered with no completion", error=error, usage=usage)
    choices = data.get("choices")
    if not isinstance(choices, list) or not choices or not isinstance(choices[0], dict):
        message = "the endpoint answered without a choice"
        raise BadReply(message, usage=usage, foreign="choices" not in data)
    choice = choices[0]
    if choice.get("finish_reason") == "error":
        message = "the endpoint ended the answer with an error"
        raise BadReply(message, error=choice.get("error"), usage=usage)
    answer = choice.get("message")
    answer = answer if isinstance(answer, dict) else {}
    return Reply(
        content=_text(answer.get("content")),
        finish_reason=_text(choice.get("finish_reason")),
        refusal=_text(answer.get("refusal")),
        usage=usage,
        headers=response.headers,
        tokens=_read_tokens(choice.get("logprobs")),
    )


def _read_tokens(logprobs: object) -> tuple[Token, ...] | None:
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
            tokens.append((whole, float(piece["logprob"])))
    except (AttributeError, KeyError, TypeError, ValueError):
        return None
    return tuple(tokens)


def read_json(response: Received | httpx2.Response) -> Any:
    """A response's JSON, whatever it is; BadReply where there is none."""
    try:
        return from_json(response.content)
    except ValueError:
        pass
    try:
        return json.loads(response.content)  # slower, but reads lone surrogates and a BOM
    except (ValueError, RecursionError):
        pass
    kind = response.headers.get("content-type", "no content type")
    if not response.content.strip():
        raise BadReply("the endpoint answered with an empty body")
    if "json" in kind:
        raise BadReply("the endpoint answered with broken JSON")
    message = f"the endpoint answered with {kind}{page_title(response.text)} instead of JSON"
    raise BadReply(message, foreign=True)


def _text(value: object) -> str | None:
    """A text, or the text parts of a list joined, as some endpoints send them."""
    if isinstance(value, list):
        parts = [part.get("text") for part in value if isinstance(part, dict)]
        return "".join(part for part in parts if isinstance(part, str))
    return value if isinstance(value, str) else None


def _read_usage(usage: object) -> Usage:
    if not isinstance(usage, dict):
        return Usage()
    cost = _amount(usage.get("cost"))
    return Usage(
        tokens_in=int(_amount(usage.get("prompt_tokens")) or 0),
        tokens_out=int(_amount(usage.get("completion_tokens")) or 0),
        cost=None if cost is None else float(cost),
    )


def _amount(value: object) -> int | float | None:
    """A number from 0; None for all else, infinity and not-a-number included."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return value if 0 <= value < TOO_MUCH else None
