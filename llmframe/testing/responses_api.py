"""The Responses API of the server: its requests as chat requests, its answers from completions."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from llmframe.testing import wire

if TYPE_CHECKING:
    from llmframe.testing.faults import Completion

_LOGPROBS = "message.output_text.logprobs"
_REASONS = {"length": "max_output_tokens", "content_filter": "content_filter"}


def as_chat(body: dict[str, Any]) -> dict[str, Any]:
    """The chat request that asks the same; KeyError or TypeError where it is none."""
    asked = {**body, "messages": body["input"], "max_tokens": body.get("max_output_tokens")}
    if isinstance(body["input"], str):
        asked["messages"] = [{"role": "user", "content": body["input"]}]
    if body.get("instructions"):
        system = {"role": "system", "content": body["instructions"]}
        asked["messages"] = [system, *asked["messages"]]
    asked["logprobs"] = _LOGPROBS in body.get("include", ()) or None
    form = body.get("text", {}).get("format")
    if form is not None:
        schema = {"json_schema": form} if "schema" in form else {}
        asked["response_format"] = {"type": form["type"], **schema}
    return asked


def response(
    number: int,
    model: str,
    used: dict[str, Any] | None,
    choice: Completion | None,
    headers: dict[str, str],
    *,
    logprobs: bool = False,
) -> wire.Reply:
    """A response; without a choice its output is empty. used: its usage, None for none."""
    output, reason = [], None
    if choice:
        reason = _REASONS.get(choice.finish_reason)
        output.append({
            "type": "message", "id": f"msg_{number}", "role": "assistant",
            "status": "incomplete" if reason else "completed", "content": _parts(choice, logprobs),
        })  # fmt: skip
    body = {
        "id": f"resp_{number}",
        "object": "response",
        "created_at": wire.started(),
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
    return wire.Reply(200, wire.dump(body), headers, billed=choice is not None)


def _parts(choice: Completion, logprobs: bool) -> list[dict[str, Any]]:
    """What the message consists of."""
    if choice.refusal:
        return [{"type": "refusal", "refusal": choice.refusal}]
    if choice.content is None:
        return []
    pieces = wire.token_logprobs(choice.content)["content"] if logprobs else []
    return [{"type": "output_text", "text": choice.content, "annotations": [], "logprobs": pieces}]
