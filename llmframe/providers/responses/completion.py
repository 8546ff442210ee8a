"""Where the texts of a completion stand, in whichever form an endpoint sends it."""

from __future__ import annotations

import json
from typing import Any

from pydantic_core import from_json

_TEXTS = (None, "text", "output_text")  # types of a content part that is no thought
_THOUGHTS = ("reasoning_content", "reasoning", "thinking", "reasoning_details")
_INNER = ("text", "thinking", "json", "input", "arguments", "content", "summary")

_DONE = "[DONE]"
_FIELDS = ("event:", "id:", "retry:", ":")  # of server-sent events, without data
_STREAMED = ("content", "reasoning_content", "reasoning", "refusal")


def content_text(content: object) -> str | None:
    """The text of a message's content, in any of its forms; None where there is none.

    A list of parts, as some endpoints send it, is joined without the parts that are thoughts.
    """
    if isinstance(content, str):
        return content
    if isinstance(content, list):
        return "".join(_text_of(part) for part in content if _is_text(part))
    if isinstance(content, dict) and isinstance(content.get("parts"), list):
        return content_text(content["parts"])
    return None


def texts_elsewhere(choice: dict[str, Any], message: dict[str, Any]) -> tuple[str, ...]:
    """Texts in which the answer may stand if the content is blank, the likeliest first."""
    calls = message.get("tool_calls")
    functions = [call.get("function") for call in _parts(calls) if isinstance(call, dict)]
    functions.append(message.get("function_call"))
    given = [each.get("arguments") for each in functions if isinstance(each, dict)]
    arguments = dict.fromkeys(text for each in given for text in _texts(each)[:1])
    content = message.get("content")
    found = [
        *_texts(message.get("parsed")),
        *(arguments if len(arguments) == 1 else ()),  # several calls are several answers
        *_texts(choice.get("text")),
        *(text for name in _THOUGHTS for text in _texts(message.get(name))),
        *(text for part in _parts(content) if isinstance(part, dict) for text in _texts(part)),
    ]
    return tuple(text for text in found if text.strip())


def _is_text(part: object) -> bool:
    if not isinstance(part, dict) or part.get("thought") is True:
        return False
    kind = part.get("type")
    return kind in _TEXTS or not isinstance(kind, str)


def _text_of(part: dict[str, Any]) -> str:
    text = part.get("text")
    text = text.get("value") if isinstance(text, dict) else text
    return text if isinstance(text, str) else ""


def _parts(content: object) -> list[Any]:
    return content if isinstance(content, list) else [content]


def _texts(value: object) -> list[str]:
    """The texts in a value: itself, an object as JSON, and what stands in its usual names."""
    if isinstance(value, str):
        return [value]
    if isinstance(value, list):
        return ["".join(text for part in value for text in _texts(part)[-1:])]
    if not isinstance(value, dict) or not value:
        return []
    inner = [value[name] for name in _INNER if value.get(name)]
    return [json.dumps(value), *(text for each in inner[:1] for text in _texts(each))]


# A stream of chunks that nobody asked for


def join_stream(body: bytes) -> dict[str, Any] | None:
    """The completion in a body of ``data: {...}`` lines; None for any other body.

    A stream without an end has an ``error``, because it may have been cut.
    """
    chunks: list[dict[str, Any]] = []
    ended = False
    try:
        payloads = _payloads(body.decode())
    except UnicodeDecodeError:
        return None
    for payload in payloads:
        if payload == _DONE:
            ended = True
            continue
        try:
            chunk = from_json(payload)
        except ValueError:
            return None
        if not isinstance(chunk, dict):
            return None
        chunks.append(chunk)
    if len(chunks) == 1 and not _choice(chunks[0]).get("delta"):
        return chunks[0]  # a whole completion, with the end of a stream behind it
    return _joined(chunks, ended=ended) if chunks else None


def _payloads(text: str) -> list[str]:
    """The data of each line; a line that is none makes one text of them all."""
    lines = [line for line in text.splitlines() if line.strip() and not line.startswith(_FIELDS)]
    datas = [line.strip().removeprefix("data:").strip() for line in lines]
    datas = [data for data in datas if data]  # an empty one keeps the connection alive
    if all(data == _DONE or data.startswith("{") for data in datas):
        return datas
    # JSON over several lines
    ended = bool(datas) and datas[-1] == _DONE
    return ["\n".join(datas[:-1]), _DONE] if ended else ["\n".join(datas)]


def _choice(chunk: dict[str, Any]) -> dict[str, Any]:
    choices = chunk.get("choices")
    first = choices[0] if isinstance(choices, list) and choices else None
    return first if isinstance(first, dict) else {}


def _joined(chunks: list[dict[str, Any]], *, ended: bool) -> dict[str, Any]:
    message: dict[str, Any] = {}
    choice: dict[str, Any] = {"message": message, "finish_reason": None}
    whole: dict[str, Any] = {"choices": [choice]}
    for chunk in chunks:
        whole |= {key: chunk[key] for key in ("usage", "error") if chunk.get(key)}
        part = _choice(chunk)
        if part.get("index") not in (0, None):
            continue
        choice["finish_reason"] = part.get("finish_reason") or choice["finish_reason"]
        _add_tokens(choice, part.get("logprobs"))
        delta = part.get("delta") or part.get("message")
        if isinstance(delta, dict):
            _add(message, delta)
    if not ended and choice["finish_reason"] is None and "error" not in whole:
        whole["error"] = {"message": "the endpoint's stream broke off"}
    return whole


def _add_tokens(choice: dict[str, Any], logprobs: object) -> None:
    pieces = logprobs.get("content") if isinstance(logprobs, dict) else None
    if isinstance(pieces, list):
        choice.setdefault("logprobs", {"content": []})["content"].extend(pieces)


def _add(message: dict[str, Any], delta: dict[str, Any]) -> None:
    for name in _STREAMED:
        if isinstance(delta.get(name), str):
            message[name] = message.get(name, "") + delta[name]
        elif isinstance(delta.get(name), list):
            message[name] = [*message.get(name, ()), *delta[name]]
    calls = delta.get("tool_calls")
    for call in calls if isinstance(calls, list) else ():
        function = call.get("function") if isinstance(call, dict) else None
        if isinstance(function, dict) and isinstance(function.get("arguments"), str):
            joined = message.setdefault("tool_calls", [])
            at = call.get("index") if isinstance(call.get("index"), int) else 0
            while len(joined) <= min(at, 99):
                joined.append({"function": {"arguments": ""}})
            joined[min(at, 99)]["function"]["arguments"] += function["arguments"]
