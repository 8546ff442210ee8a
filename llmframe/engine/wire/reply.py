"""A response with status 200, read once: a completion, or BadReply with what came instead."""

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

    from llmframe.task.confidence import Token

TOO_MUCH = 1e15  # tokens or money; what is above is junk


@dataclass(frozen=True, slots=True)
class Reply:
    """One completion as it came.

    content: the message's text, None where there is none. refusal: the model's own words.
    finish_reason: as the endpoint says it. headers: of the response. tokens: the content's
    pieces with their logarithmic probabilities, None where the endpoint does not tell.
    """

    content: str | None
    finish_reason: str | None
    refusal: str | None
    usage: Usage
    headers: Mapping[str, str]
    tokens: tuple[Token, ...] | None = None


def read_reply(response: httpx2.Response) -> Reply:
    """The completion in a response; BadReply where there is none."""
    data = read_json(response)
    error = data.get("error") if isinstance(data, dict) else data
    usage = _read_usage(data.get("usage")) if isinstance(data, dict) else Usage()
    if error or not isinstance(data, dict):
        raise BadReply("the endpoint answered with no completion", error=error, usage=usage)
    choices = data.get("choices")
    if not isinstance(choices, list) or not choices or not isinstance(choices[0], dict):
        said = "the endpoint answered without a choice"
        raise BadReply(said, usage=usage, foreign="choices" not in data)
    choice = choices[0]
    if choice.get("finish_reason") == "error":
        said = "the endpoint ended the answer with an error"
        raise BadReply(said, error=choice.get("error"), usage=usage)
    message = choice.get("message")
    message = message if isinstance(message, dict) else {}
    return Reply(
        content=_text(message.get("content")),
        finish_reason=_text(choice.get("finish_reason")),
        refusal=_text(message.get("refusal")),
        usage=usage,
        headers=response.headers,
        tokens=_read_tokens(choice.get("logprobs")),
    )


def _read_tokens(told: object) -> tuple[Token, ...] | None:
    """The pieces of a reply with their logprobs; None where any is not as it should be."""
    pieces = told.get("content") if isinstance(told, dict) else None
    if not isinstance(pieces, list) or not pieces:
        return None
    try:
        return tuple((_bytes(piece), float(piece["logprob"])) for piece in pieces)
    except (KeyError, TypeError, ValueError):
        return None


def _bytes(piece: Any) -> bytes:
    """A token's bytes; a character may be split between two, so its text is only second best."""
    told = piece.get("bytes")
    text: str = piece["token"]
    return bytes(told) if isinstance(told, list) else text.encode(errors="replace")


def read_json(response: httpx2.Response) -> Any:
    """A response's JSON, whatever it is; BadReply where there is none."""
    try:
        return from_json(response.content)
    except ValueError:
        pass
    try:
        return json.loads(response.content)  # knows lone surrogates and byte order marks, too
    except (ValueError, RecursionError):
        raise _no_json(response) from None


def _no_json(response: httpx2.Response) -> BadReply:
    """What came in place of JSON."""
    kind = response.headers.get("content-type", "no content type")
    if not response.content.strip():
        return BadReply("the endpoint answered with an empty body")
    if "json" in kind:
        return BadReply("the endpoint answered with broken JSON")
    said = f"the endpoint answered with {kind}{page_title(response.text)} instead of JSON"
    return BadReply(said, foreign=True)


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
