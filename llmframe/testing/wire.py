"""Replies as bytes: completions, errors and pages as a provider writes them."""

from __future__ import annotations

import json
import math
import time
from dataclasses import dataclass, field
from email.utils import formatdate
from functools import lru_cache
from typing import TYPE_CHECKING, Any
from zlib import crc32

if TYPE_CHECKING:
    from collections.abc import Iterator

    from llmframe.testing.faults import ApiError, Completion

JSON = "application/json"
STREAMED = 4  # characters of a token in a stream
REASONS = {"length": "max_output_tokens", "content_filter": "content_filter"}
# by the name of the API
PATHS = {"chat": "/chat/completions", "responses": "/responses", "embeddings": "/embeddings"}


@dataclass(frozen=True, slots=True)
class Reply:
    """One HTTP answer. billed: it holds a completion, tokens of which were paid."""

    status: int
    body: bytes
    headers: dict[str, str] = field(default_factory=dict)
    content_type: str = JSON
    billed: bool = False


def dump(value: object) -> bytes:
    """A JSON value as UTF-8. Lone surrogates are escaped."""
    try:
        return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()
    except UnicodeEncodeError:
        return json.dumps(value, separators=(",", ":")).encode()


@lru_cache(maxsize=1)
def started() -> int:
    """The Unix time that stands in every answer."""
    return int(time.time())


def tokens(text: str) -> int:
    """About as many tokens as a text has: its UTF-8 bytes / 4."""
    size = len(text) if text.isascii() else len(text.encode("utf-8", "surrogatepass"))
    return (size + 3) // 4


def answer_tokens(choice: Completion) -> int:
    """The completion tokens of a choice."""
    return tokens(choice.content or choice.refusal or "")


def token_logprobs(content: str) -> dict[str, Any]:
    """The logprobs of a choice: pieces of four bytes, each with its own probability."""
    data = content.encode("utf-8", "surrogatepass")
    pieces = [data[at : at + 4] for at in range(0, len(data), 4)]
    tokens = [
        {
            "token": piece.decode("utf-8", "replace"),
            "bytes": list(piece),
            "logprob": -(crc32(piece) % 100) / 500,
            "top_logprobs": [],
        }
        for piece in pieces
    ]
    return {"content": tokens, "refusal": None}


def usage(
    spelling: str, tokens_in: int, tokens_out: int, *, cached: int, cost: float
) -> dict[str, Any]:
    """What an answer says about its tokens; spelling: one of options.USAGES.

    cached: of tokens_in. cost: what "openrouter" says that it charged.
    """
    is_newer = spelling in ("anthropic", "responses")
    name_in, name_out = ("input", "output") if is_newer else ("prompt", "completion")
    counts: dict[str, Any] = {f"{name_in}_tokens": tokens_in, f"{name_out}_tokens": tokens_out}
    if spelling == "anthropic":  # it counts what is cached beside the rest, and has no total
        counts["input_tokens"] -= cached
        return counts | {"cache_read_input_tokens": cached, "cache_creation_input_tokens": 0}
    counts["total_tokens"] = tokens_in + tokens_out
    if spelling == "deepseek":
        missed = tokens_in - cached
        return counts | {"prompt_cache_hit_tokens": cached, "prompt_cache_miss_tokens": missed}
    if spelling == "responses":  # the SDK reads these as numbers that are always there
        counts["input_tokens_details"] = {"cached_tokens": cached, "cache_write_tokens": 0}
        counts["output_tokens_details"] = {"reasoning_tokens": 0}
    elif cached:
        counts["prompt_tokens_details"] = {"cached_tokens": cached}
    return counts | ({"cost": cost} if spelling == "openrouter" else {})


def completion(
    number: int,
    model: str,
    used: dict[str, Any] | None,
    choice: Completion | None,
    headers: dict[str, str],
    *,
    logprobs: bool = False,
) -> Reply:
    """A chat completion; without a choice its list is empty. used: its usage, None for none."""
    body: dict[str, Any] = {
        "id": f"chatcmpl-{number}",
        "object": "chat.completion",
        "created": started(),
        "model": model,
        "choices": [],
    }
    if used is not None:
        body["usage"] = used
    if choice:
        message = {"role": "assistant", "content": choice.content, "refusal": choice.refusal}
        body["choices"] = [
            {
                "index": 0,
                "message": message,
                "logprobs": token_logprobs(choice.content or "") if logprobs else None,
                "finish_reason": choice.finish_reason,
            }
        ]
    return Reply(200, dump(body), headers, billed=choice is not None)


def response(
    number: int,
    model: str,
    used: dict[str, Any] | None,
    choice: Completion | None,
    headers: dict[str, str],
    *,
    logprobs: bool = False,
) -> Reply:
    """A response; without a choice its output is empty. used: its usage, None for none."""
    output, reason = [], None
    if choice:
        reason = REASONS.get(choice.finish_reason)
        output.append({
            "type": "message", "id": f"msg_{number}", "role": "assistant",
            "status": "incomplete" if reason else "completed", "content": _parts(choice, logprobs),
        })  # fmt: skip
    body = {
        "id": f"resp_{number}",
        "object": "response",
        "created_at": started(),
        "status": "incomplete" if reason else "completed",
        "error": None,
        "incomplete_details": {"reason": reason} if reason else None,
        "model": model,
        "output": output,
        "tools": [],
        "tool_choice": "auto",
        "parallel_tool_calls": False,
    }
    if used is not None:
        body["usage"] = used
    return Reply(200, dump(body), headers, billed=choice is not None)


def _parts(choice: Completion, logprobs: bool) -> list[dict[str, Any]]:
    """What the message consists of."""
    if choice.refusal:
        return [{"type": "refusal", "refusal": choice.refusal}]
    if choice.content is None:
        return []
    pieces = token_logprobs(choice.content)["content"] if logprobs else []
    return [{"type": "output_text", "text": choice.content, "annotations": [], "logprobs": pieces}]


def error(problem: ApiError, *, suffix: str = "", headers: dict[str, str] | None = None) -> Reply:
    """An error answer; ``suffix`` is put behind its message."""
    body = {
        "message": problem.message + suffix,
        "type": problem.type,
        "param": problem.param,
        "code": problem.code,
    }
    return Reply(problem.status, dump({"error": body}), headers or {})


def retry_headers(retry_after: float | str | None, wait: float = 1.0) -> dict[str, str]:
    """The headers that ask to wait.

    retry_after: seconds (both headers); ``"wait"``: as long as it really takes (``wait``
    seconds); ``"date:2"``: an HTTP date 2 s ahead; ``"ms:1500"``: ``retry-after-ms`` alone;
    any other text is sent as ``Retry-After``; None for no header.
    """
    if retry_after is None:
        return {}
    if retry_after == "wait":
        retry_after = wait
    if isinstance(retry_after, str):
        form, _, value = retry_after.partition(":")
        if form == "date":
            return {"Retry-After": formatdate(math.ceil(time.time() + float(value)), usegmt=True)}
        return {"retry-after-ms": value} if form == "ms" else {"Retry-After": retry_after}
    whole = math.ceil(retry_after)
    return {"Retry-After": f"{whole}", "retry-after-ms": f"{math.ceil(retry_after * 1000)}"}


def stream_lines(reply: Reply, *, usage: bool) -> Iterator[tuple[bytes, bool]]:
    """A completion or response as server-sent events, each with whether it holds a token of text.

    usage: say at the end what it took.
    """
    whole = json.loads(reply.body)
    is_response = whole["object"] == "response"
    for chunk, is_text in _events(whole) if is_response else _chunks(whole, usage=usage):
        yield b"data: " + dump(chunk) + b"\n\n", is_text
    if not is_response:
        yield b"data: [DONE]\n\n", False


def _chunks(whole: dict[str, Any], *, usage: bool) -> Iterator[tuple[dict[str, Any], bool]]:
    """(chunk of a chat completion, whether it holds text)."""
    head = {key: whole[key] for key in ("id", "created", "model")}
    head["object"] = "chat.completion.chunk"

    def chunk(delta: dict[str, Any], **more: Any) -> dict[str, Any]:
        return {**head, "choices": [{"index": 0, "delta": delta, "finish_reason": None, **more}]}

    for choice in whole["choices"]:
        message, tokens = choice["message"], choice["logprobs"]
        yield chunk({"role": "assistant", "content": "", "refusal": message["refusal"]}), False
        for piece in _pieces(message["content"] or ""):
            yield chunk({"content": piece}), True
        yield chunk({}, finish_reason=choice["finish_reason"], logprobs=tokens), False
    if usage and "usage" in whole:
        yield {**head, "choices": [], "usage": whole["usage"]}, False


def _events(whole: dict[str, Any]) -> Iterator[tuple[dict[str, Any], bool]]:
    """(event of the Responses API, whether it holds text); the last one always has the usage."""
    yield {"type": "response.created", "response": {**whole, "output": [], "usage": None}}, False
    texts = [part.get("text", "") for item in whole["output"] for part in item["content"]]
    for piece in _pieces("".join(texts)):
        yield {"type": "response.output_text.delta", "delta": piece}, True
    yield {"type": f"response.{whole['status']}", "response": whole}, False


def _pieces(text: str) -> list[str]:
    return [text[at : at + STREAMED] for at in range(0, len(text), STREAMED)]
