"""One call to the endpoint: no policy, no retry, no time-out of its own.

The request goes through the SDK's ``client.post`` and the raw response is read once:
``create`` walks the parameters and builds a model of the answer at more than twice the
CPU, and ``parse`` loses the usage when an answer does not validate.
"""

from __future__ import annotations

import functools
import json
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from pydantic_core import from_json

from llmframe.engine.proxy import proxy_of
from llmframe.engine.results import Usage
from llmframe.engine.retry import BadReply, ServerGone, page_title
from llmframe.errors import PlanError
from llmframe.secret import header_secrets, hide_in_logs, hide_keys

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable, Mapping

    import httpx2
    from openai import AsyncOpenAI

    from llmframe.task.confidence import Token

CONNECT_TIMEOUT = 15.0  # seconds; hundreds of connections opened at once need more than 5
NO_REDIRECTS = {"follow_redirects": False}  # the texts are for the endpoint, and nobody else
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


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where requests go.

    base_url: root of the API, with its ``/v1``. api_key: kept in memory only.
    client: the person's AsyncOpenAI, None for our own. owned: ours to close.
    key_source: where the key was found, for people. is_alive: tells whether a server that we
    have started still runs; None for all others.
    """

    base_url: str
    api_key: str
    client: Any = None
    owned: bool = True
    key_source: str = ""
    is_alive: Callable[[], bool] | None = None

    def __repr__(self) -> str:
        """Without the key."""
        return f"Endpoint({self.base_url!r})"

    @property
    def secrets(self) -> list[str]:
        """The keys that its requests carry, as far as they are known before."""
        headers = {} if self.client is None else self.client.default_headers
        return [self.api_key, *header_secrets(headers)]


class Backend:
    """An open client; made, used and closed on one loop."""

    def __init__(
        self,
        client: AsyncOpenAI,
        *,
        owned: bool,
        is_alive: Callable[[], bool] | None = None,
    ) -> None:
        import httpx2
        import openai

        self._is_alive = is_alive

        self._client = client
        self._owned = owned
        self._keys = header_secrets(client.default_headers)
        self._is_plain = type(client) is openai.AsyncOpenAI
        self._response_type = httpx2.Response
        self._url = _completions_url(client)
        self._options: Any = NO_REDIRECTS

    async def send(self, body: dict[str, Any]) -> Reply:
        """Send one chat completion; a key that comes back in the answer is hidden.

        Raises openai.APIError when the call failed, BadReply when a response with status 200
        is no completion, ServerGone when a server that we have started has ended.
        """
        try:
            response = await self._client.post(
                self._url, body=body, cast_to=self._response_type, options=self._options
            )
        except Exception as exc:
            if self._is_alive is not None and not self._is_alive():
                raise ServerGone("its process has ended") from exc
            raise
        return self._without_keys(read_response(response), response.request.headers)

    def _without_keys(self, reply: Reply, headers: Mapping[str, str]) -> Reply:
        """headers: of the request; a plain client's key is known without reading them."""
        keys = (*self._keys, self._client.api_key) if self._is_plain else header_secrets(headers)
        content = reply.content and hide_keys(reply.content, keys)
        return reply if content == reply.content else replace(reply, content=content)

    async def models(self) -> tuple[str, ...]:
        """The models that the endpoint lists, which costs nothing; raises as ``send`` does."""
        response = await self._client.get(
            "/models", cast_to=self._response_type, options=self._options
        )
        data = _read_json(response)
        listed = data.get("data") if isinstance(data, dict) else data
        found = listed if isinstance(listed, list) else []
        names = (model.get("id") for model in found if isinstance(model, dict))
        return tuple(name for name in names if isinstance(name, str))

    async def close(self) -> None:
        """Close the client, unless it is the person's own."""
        if self._owned:
            await self._client.close()


def _completions_url(client: AsyncOpenAI) -> str:
    """The whole address, which saves the SDK a sixth of a request's CPU in merging URLs.

    Clients of other kinds, such as Azure's, make their own of the path.
    """
    import openai

    path = "/chat/completions"
    return (
        f"{str(client.base_url).rstrip('/')}{path}" if type(client) is openai.AsyncOpenAI else path
    )


def read_response(response: httpx2.Response) -> Reply:
    """The completion in a response with status 200; BadReply where there is none."""
    data = _read_json(response)
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


def _read_json(response: httpx2.Response) -> Any:
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


def open_backend(endpoint: Endpoint, *, connections: int) -> Backend:
    """A backend for the running loop.

    connections: how many requests may be in flight; as many connections are kept alive.
    """
    hide_in_logs(endpoint.secrets)
    given = endpoint.client
    if given is None:
        client = _own_client(endpoint, connections)
        return Backend(client, owned=True, is_alive=endpoint.is_alive)
    if has_default_transport(given):
        http_client = _http_client(connections, endpoint)
        ours = given.copy(http_client=http_client, timeout=http_client.timeout, max_retries=0)
        return Backend(ours, owned=True)
    return Backend(given.with_options(max_retries=0), owned=endpoint.owned)


def make_client(given: Any, call: Callable[[Callable[[], Any]], Any] | None) -> Any:
    """The person's client, made if it is a callable.

    call: calls a function on the loop that will use the client; None if we are on it.
    """
    if _is_client(given):
        return given
    made = given() if call is None else call(given)
    if not _is_client(made):
        raise PlanError(f"client= returned {type(made).__name__}; it must return an AsyncOpenAI")
    return made


def check_client(client: object, *, private_loop: bool) -> None:
    """PlanError unless the client can be used.

    private_loop: the run uses a loop of its own, where a client with its own transport,
        which is bound to the loop that first used it, must be made by a callable.
    """
    if client is None or (callable(client) and not _is_client(client)):
        return
    if not _is_client(client):
        raise PlanError(
            f"client= takes an openai.AsyncOpenAI or a callable that returns one, "
            f"not {type(client).__name__}"
        )
    if private_loop and not has_default_transport(client):
        raise PlanError(
            "this client has an http_client of its own, which belongs to one event loop; "
            "pass client=lambda: AsyncOpenAI(http_client=...) so that it is made where it is "
            'used, or call `await df.llm.atag(...)` or tag(..., runner="nest")'
        )


def _is_client(value: object) -> bool:
    import openai

    return isinstance(value, openai.AsyncOpenAI)


def has_default_transport(client: Any) -> bool:
    """Whether a client still has the transport that the SDK gave it."""
    return type(client._client).__name__ == "AsyncHttpxClientWrapper"  # noqa: SLF001 - no public way


def _own_client(endpoint: Endpoint, connections: int) -> AsyncOpenAI:
    import openai

    return openai.AsyncOpenAI(
        api_key=endpoint.api_key,
        base_url=endpoint.base_url,
        max_retries=0,
        http_client=_http_client(connections, endpoint),
    )


def _http_client(connections: int, endpoint: Endpoint) -> Any:
    """The aiohttp transport where it is installed, else the SDK's default.

    Only connecting has a time-out here: the pipeline ends an attempt as a whole.
    """
    import httpx2
    import openai

    from llmframe.engine.bounded import bound

    options: dict[str, Any] = {
        "timeout": httpx2.Timeout(None, connect=CONNECT_TIMEOUT),
        "limits": httpx2.Limits(
            max_connections=connections + 10,
            max_keepalive_connections=connections + 10,
            keepalive_expiry=60.0,
        ),
        "verify": _ssl_context(),
        "trust_env": proxy_of(endpoint.base_url) is not None,
        "event_hooks": {"response": [bound]},
    }
    try:
        return openai.DefaultAioHttpClient(**options)
    except RuntimeError:  # openai was installed without its aiohttp extra
        return openai.DefaultAsyncHttpxClient(**options)


@functools.cache
def _ssl_context() -> ssl.SSLContext:
    """One for all runs: reading the trusted certificates takes tens of milliseconds."""
    import httpx2

    return httpx2.create_ssl_context()
