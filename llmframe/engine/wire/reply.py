"""A response with status 200, read once: a completion, or BadReply."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pydantic_core import from_json

from llmframe.engine.wire.responses_api import as_completion, is_response
from llmframe.engine.wire.verdict import BadReply
from llmframe.providers.responses.completion import content_text, texts_elsewhere
from llmframe.providers.responses.error_body import read_error
from llmframe.providers.responses.finish_reason import ending
from llmframe.providers.responses.streamed import join_stream
from llmframe.providers.responses.usage import read_usage
from llmframe.providers.responses.web_page import page_title
from llmframe.results import Usage
from llmframe.task.confidence import read_alternatives, read_tokens

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import httpx2

    from llmframe.engine.wire.prepared import Received
    from llmframe.errors import OutputError
    from llmframe.task.confidence import Token
    from llmframe.task.parse import Answer

# words in the error of a good answer
_NO_ERROR = {"", "0", "200", "ok", "success", "succeeded", "successful", "none", "null"}


@dataclass(frozen=True, slots=True)
class Reply:
    """One completion as it came.

    content: the message's text. refusal: the model's own words. finish_reason: as it came.
    headers: of the response. thoughts: UTF-8 bytes that the model wrote beside the content, read
    only where the usage does not state its tokens. tokens: the content's pieces with their
    logprobs, if it has any. alternatives: to each of them. elsewhere: texts that may hold the
    answer, where the content is blank. vectors: of a reply with embeddings, as they came.
    parsed: its answer, or what is wrong with it, where that was found out elsewhere.
    """

    content: str | None
    finish_reason: str | None
    refusal: str | None
    usage: Usage
    headers: Mapping[str, str]
    tokens: tuple[Token, ...] | None = None
    alternatives: tuple[tuple[Token, ...], ...] = ()
    thoughts: int = 0
    elsewhere: tuple[str, ...] = ()
    vectors: Sequence[object] = ()
    parsed: Answer | OutputError | None = None

    @property
    def written(self) -> int:
        """UTF-8 bytes that the model wrote, as far as they came back."""
        texts = (self.content or "", self.refusal or "")
        return self.thoughts + sum(len(text.encode(errors="replace")) for text in texts)


def read_reply(response: Received | httpx2.Response) -> Reply:
    """The completion in a response; BadReply where there is none."""
    return as_reply(read_json(response), response.headers)


def as_reply(data: Any, headers: Mapping[str, str]) -> Reply:
    """The completion in a response's JSON; BadReply where there is none."""
    if isinstance(data, dict) and is_response(data):
        data = as_completion(data)
    error = data.get("error") if isinstance(data, dict) else data
    usage = read_usage(data.get("usage")) if isinstance(data, dict) else Usage()
    if not isinstance(data, dict) or (error and not (data.get("choices") and _is_empty(error))):
        raise BadReply("the endpoint answered with no completion", error=error, usage=usage)
    choices = data.get("choices")
    if not isinstance(choices, list) or not choices or not isinstance(choices[0], dict):
        message = "the endpoint answered without a choice"
        said = data if read_error(data).message else None  # an error that is not called so
        raise BadReply(message, error=said, usage=usage, foreign="choices" not in data)
    choice = choices[0]
    reason = _text(choice.get("finish_reason"))
    if choice.get("error") or ending(reason) == "broken":
        message = f"the endpoint broke the answer off: {reason or 'with an error'}"
        raise BadReply(message, error=choice.get("error"), usage=usage, broken_off=True)
    answer = choice.get("message")
    answer = answer if isinstance(answer, dict) else {}
    content = content_text(answer.get("content"))
    return Reply(
        content=content,
        finish_reason=reason,
        refusal=_text(answer.get("refusal")),
        usage=usage,
        headers=headers,
        tokens=read_tokens(choice.get("logprobs")),
        alternatives=read_alternatives(choice.get("logprobs")),
        thoughts=0 if usage.tokens_out else _thoughts(answer),
        elsewhere=() if content and content.strip() else texts_elsewhere(choice, answer),
    )


def read_embeddings(response: Received | httpx2.Response) -> Reply:
    """The vectors in a response, as they are; BadReply where there are none."""
    data = read_json(response)
    body = data if isinstance(data, dict) else {}
    # text-embeddings-inference and llama.cpp send the bare list from addresses of their own
    items = data if isinstance(data, list) else body.get("data", body.get("embeddings"))
    usage = read_usage(body.get("usage"))
    if not isinstance(items, list) or (not items and not _is_empty(body.get("error"))):
        foreign = "error" not in body and items is None
        message = "the endpoint answered with no embeddings"
        raise BadReply(message, error=body.get("error"), usage=usage, foreign=foreign)
    return Reply(None, "stop", None, usage, response.headers, vectors=items)


def _thoughts(answer: dict[str, Any]) -> int:
    """UTF-8 bytes of a message's reasoning, by both of its usual names."""
    texts = (content_text(answer.get(name)) or "" for name in ("reasoning_content", "reasoning"))
    return max(len(text.encode(errors="replace")) for text in texts)


def _text(value: object) -> str | None:
    """A text or a list of text parts; of any other type it costs only itself."""
    if isinstance(value, str):
        return value
    return content_text(value) if isinstance(value, list) else None


def _is_empty(error: object) -> bool:
    """Whether an error has nothing to say, as gateways put it beside a good answer."""
    if isinstance(error, dict | list):
        return all(map(_is_empty, error.values() if isinstance(error, dict) else error))
    if isinstance(error, str):
        return error.strip().casefold() in _NO_ERROR
    return error in (None, 0, 200, False)


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
    stream = join_stream(response.content)
    if stream is not None:
        return stream
    kind = response.headers.get("content-type", "no content type")
    if not response.content.strip():
        raise BadReply("the endpoint answered with an empty body")
    if "json" in kind:
        raise BadReply("the endpoint answered with broken JSON")
    message = f"the endpoint answered with {kind}{page_title(response.text)} instead of JSON"
    raise BadReply(message, foreign=True)
