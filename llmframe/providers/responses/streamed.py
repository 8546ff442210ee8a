"""A streamed answer: its chunks joined to the completion that they make, and its text so far."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from pydantic_core import from_json, to_json

from llmframe.providers.responses.completion import content_text

if TYPE_CHECKING:
    from collections.abc import Callable

_DONE = "[DONE]"
MOST_CALLS = 100  # tool calls of an answer that are read
_LINES = re.compile(r"\r\n|\n|\r")  # texts may hold what else Python takes for a line's end
_FIELDS = ("event:", "id:", "retry:", ":")  # of server-sent events, without data
# thoughts have two names
_STREAMED = ("content", "reasoning_content", "reasoning", "refusal")
# of the Responses API: a piece of the text, and the whole response at the end
_DELTA = "response.output_text.delta"
_WHOLE = ("response.completed", "response.incomplete", "response.failed")


class GrowingText:
    """The text of a streamed answer while it is written.

    on_growth: called with the text so far whenever there is more of it.
    """

    def __init__(self, on_growth: Callable[[str], None]) -> None:
        self._on_growth = on_growth
        self._parts: list[bytes] = []
        self._line = b""  # the beginning of the next one
        self._text = ""
        self._has_ended = False  # the model says so
        self._is_stream = self._is_response = False

    @property
    def is_whole(self) -> bool:
        """Whether the answer is complete: what else may come, such as the usage, can be missed."""
        return self._has_ended or _is_object(self._text)

    def add(self, part: bytes) -> None:
        """Read another part of the response, cut anywhere."""
        self._parts.append(part)
        *lines, self._line = (self._line + part).split(b"\n")
        before = self._text
        for line in lines:
            self._read(line)
        if self._text != before:
            self._on_growth(self._text)

    def finish(self) -> bytes:
        """The response as ``join_stream`` reads it, with the end that a broken stream lacks."""
        body, last = b"".join(self._parts), self._line.strip()
        if self._is_stream and not self._read(last) and not last.endswith(_DONE.encode()):
            body = body.removesuffix(self._line)  # the stream broke off in the middle of a chunk
        # the JSON is closed, so only the end of the stream is missing: write one
        if self._has_ended or not self.is_whole:
            return body
        delta = {"content": self._text} if self._is_response else {}
        end = {"choices": [{"index": 0, "delta": delta, "finish_reason": "stop"}]}
        return body + b"\ndata: " + to_json(end) + b"\n"

    def _read(self, line: bytes) -> bool:
        """Read one line; False for one that is no chunk."""
        # an endpoint may ignore "stream" and send one whole completion
        self._is_stream |= line.startswith(b"data:")
        try:
            chunk = from_json(line.strip().removeprefix(b"data:"))
        except ValueError:
            return False
        if not isinstance(chunk, dict):
            return False
        kind, choice = chunk.get("type"), _choice(chunk)
        if kind == _DELTA and isinstance(chunk.get("delta"), str):
            self._text += chunk["delta"]
            self._is_response = True
        delta = choice.get("delta")
        if isinstance(delta, dict) and choice.get("index") in (0, None):
            self._text += content_text(delta.get("content")) or ""
            self._has_ended |= bool(choice.get("finish_reason"))
        self._has_ended |= kind in _WHOLE
        return True


def _is_object(text: str) -> bool:
    """Whether a text is one JSON object, from its first to its last character."""
    text = text.strip()
    if not (text.startswith("{") and text.endswith("}")):
        return False
    try:
        from_json(text)
    except ValueError:
        return False
    return True


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
    if response := _response(chunks):
        return response
    if len(chunks) == 1 and not _choice(chunks[0]).get("delta"):
        return chunks[0]  # a whole completion, with the end of a stream behind it
    return _joined(chunks, ended=ended) if chunks else None


def _payloads(text: str) -> list[str]:
    """The data of each line; of all lines together where one of them is no JSON object."""
    lines = [line for line in _LINES.split(text) if line.strip() and not line.startswith(_FIELDS)]
    datas = [line.strip().removeprefix("data:").strip() for line in lines]
    datas = [data for data in datas if data]  # an empty one keeps the connection alive
    if all(data == _DONE or data.startswith("{") for data in datas):
        return datas
    # JSON over several lines
    ended = bool(datas) and datas[-1] == _DONE
    return ["\n".join(datas[:-1]), _DONE] if ended else ["\n".join(datas)]


def _response(chunks: list[dict[str, Any]]) -> dict[str, Any] | None:
    """The response that the last event of a stream of the Responses API holds; None without one."""
    held = [chunk.get("response") for chunk in chunks if chunk.get("type") in _WHOLE]
    return held[-1] if held and isinstance(held[-1], dict) else None


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
        # one answer is asked for; whatever else a server sends is not read
        if part.get("index") not in (0, None):
            continue
        choice["finish_reason"] = part.get("finish_reason") or choice["finish_reason"]
        _add_tokens(choice, part.get("logprobs"))
        # some servers put a whole message in their only chunk
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
            index = call.get("index")
            # a forged index must neither fill the memory nor fail the row
            at = min(max(index, 0), MOST_CALLS - 1) if isinstance(index, int) else 0
            while len(joined) <= at:
                joined.append({"function": {"arguments": ""}})
            joined[at]["function"]["arguments"] += function["arguments"]
