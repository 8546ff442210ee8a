"""Where the texts of a completion stand, in whichever form an endpoint sends it."""

from __future__ import annotations

import json
from typing import Any

_TEXTS = (None, "text", "output_text")  # types of a content part that is no thought
_THOUGHTS = ("reasoning_content", "reasoning", "thinking", "reasoning_details")
_INNER = ("text", "thinking", "json", "input", "arguments", "content", "summary")


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
