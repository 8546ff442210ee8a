"""A response with status 200, read once: a completion, or BadReply."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pydantic_core import from_json

from llmframe.engine.wire.verdict import BadReply
from llmframe.providers.finish_reason import ending
from llmframe.providers.usage import read_usage
from llmframe.providers.web_page import page_title
from llmframe.results import Usage

if TYPE_CHECKING:
    from collections.abc import Mapping

    import httpx2

    from llmframe.engine.wire.prepared import Received
    from llmframe.task.confidence import Token


@dataclass(frozen=True, slots=True)
class Reply:
    """One completion as it came.

    content: the message's text. refusal: the model's own words. finish_reason: as it came.
    headers: of the response. thoughts: UTF-8 bytes that the model wrote beside the content, read
    only where the usage does not state its tokens. tokens: the content's pieces with their
    logprobs, if it has any.
    """

    content: str | None
    finish_reason: str | None
    refusal: str | None
    usage: Usage
    headers: Mapping[str, str]
    tokens: tuple[Token, ...] | None = None
    thoughts: int = 0

    @property
    def written(self) -> int:
        """UTF-8 bytes that the model wrote, as far as they came back."""
        texts = (self.content or "", self.refusal or "")
        return self.thoughts + sum(len(text.encode(errors="replace")) for text in texts)


def read_reply(response: Received | httpx2.Response) -> Reply:
    """The completion in a response; BadReply where there is none."""
    data = read_json(response)
    error = data.get("error") if isinstance(data, dict) else data
    usage = read_usage(data.get("usage")) if isinstance(data, dict) else Usage()
    if error or not isinstance(data, dict):
        raise BadReply("the endpoint answered with no completion", error=error, usage=usage)
    choices = data.get("choices")
    if not isinstance(choices, list) or not choices or not isinstance(choices[0], dict):
        message = "the endpoint answered without a choice"
        raise BadReply(message, usage=usage, foreign="choices" not in data)
    choice = choices[0]
    reason = _text(choice.get("finish_reason"))
    if choice.get("error") or ending(reason) == "broken":
        message = f"the endpoint broke the answer off: {reason or 'with an error'}"
        raise BadReply(message, error=choice.get("error"), usage=usage, broken_off=True)
    answer = choice.get("message")
    answer = answer if isinstance(answer, dict) else {}
    return Reply(
        content=_text(answer.get("content")),
        finish_reason=reason,
        refusal=_text(answer.get("refusal")),
        usage=usage,
        headers=response.headers,
        tokens=_read_tokens(choice.get("logprobs")),
        thoughts=0 if usage.tokens_out else _thoughts(answer),
    )


def _thoughts(answer: dict[str, Any]) -> int:
    """UTF-8 bytes of a message's reasoning, by both of its usual names."""
    texts = (_text(answer.get(name)) or "" for name in ("reasoning_content", "reasoning"))
    return max(len(text.encode(errors="replace")) for text in texts)


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
