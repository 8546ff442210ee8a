"""OpenAI's Responses API: the same question in its words, and its answer in those of chat.

Everything else in the package knows chat completions alone.
"""

from __future__ import annotations

from typing import Any

RESPONSES_PATH = "/responses"
_CAPS = ("max_completion_tokens", "max_tokens")
_LOGPROBS = "message.output_text.logprobs"


def as_response_request(body: dict[str, Any]) -> dict[str, Any]:
    """The request of a chat completion as one to /responses; what the person added stays."""
    asked = {**body, "input": body["messages"]}
    del asked["messages"]
    caps = [asked.pop(name) for name in _CAPS if name in asked]
    if caps:
        asked.setdefault("max_output_tokens", caps[0])
    if asked.pop("logprobs", None):
        asked["include"] = [*asked.get("include", ()), _LOGPROBS]
    response_format = asked.pop("response_format", None)
    if response_format is not None:
        # here the schema's name and strictness stand beside its type
        flat = {"type": response_format.get("type"), **response_format.get("json_schema", {})}
        asked["text"] = {**asked.get("text", {}), "format": flat}
    return asked


def as_completion(response: dict[str, Any]) -> dict[str, Any]:
    """A response as the chat completion that says the same."""
    output = [item for item in _list(response.get("output")) if isinstance(item, dict)]
    parts = [
        part
        for item in output
        if item.get("type") == "message"
        for part in _list(item.get("content"))
        if isinstance(part, dict)
    ]
    texts = [part for part in parts if part.get("type") == "output_text"]
    refusals = [part["refusal"] for part in parts if isinstance(part.get("refusal"), str)]
    pieces = [piece for part in texts for piece in _list(part.get("logprobs"))]
    message = {
        "content": texts or None,
        "refusal": "".join(refusals) or None,
        "reasoning": [_thoughts(item) for item in output if item.get("type") == "reasoning"],
        "tool_calls": [
            {"function": item} for item in output if item.get("type") == "function_call"
        ],
    }
    choice = {
        "message": message,
        "finish_reason": _finish_reason(response),
        "logprobs": {"content": pieces} if pieces else None,
    }
    return {
        "choices": [choice] if output or response.get("status") == "incomplete" else [],
        "error": response.get("error"),
        "usage": response.get("usage"),
    }


def is_response(data: dict[str, Any]) -> bool:
    """Whether a reply is of the Responses API, and not a chat completion."""
    return "choices" not in data and (
        data.get("object") == "response" or isinstance(data.get("output"), list)
    )


def _finish_reason(response: dict[str, Any]) -> str | None:
    """Why it ended: the reason of an incomplete one, else its status."""
    details = response.get("incomplete_details")
    reason = details.get("reason") if isinstance(details, dict) else None
    return str(reason or response.get("status") or "") or None


def _thoughts(item: dict[str, Any]) -> dict[str, Any]:
    """A reasoning item's text: whole where the endpoint shows it, else its summary."""
    parts = [*_list(item.get("content")), *_list(item.get("summary"))]
    texts = [str(part.get("text") or "") for part in parts if isinstance(part, dict)]
    return {"type": "text", "text": "".join(texts)}


def _list(value: object) -> list[Any]:
    return value if isinstance(value, list) else []
