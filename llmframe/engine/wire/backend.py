"""One call to the endpoint: it has no policy, no retry and no time-out.

A request that ``prepared`` cannot send goes through the SDK's ``client.post``, and the raw
response is read once: ``create`` walks the parameters and builds a model of the answer at more
than twice the CPU, and ``parse`` loses the usage when an answer does not validate.
"""

from __future__ import annotations

import logging
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from llmframe.engine.wire.client import (
    has_default_transport,
    new_client,
    prepare_requests,
    with_our_transport,
)
from llmframe.engine.wire.error_reply import reply_in_error
from llmframe.engine.wire.reply import as_reply, read_embeddings, read_json, read_reply
from llmframe.engine.wire.responses_api import RESPONSES_PATH
from llmframe.engine.wire.verdict import ServerGone
from llmframe.providers.endpoint import Endpoint
from llmframe.secret import header_secrets, hide_in_logs, hide_keys

if TYPE_CHECKING:
    from collections.abc import Callable

    import httpx2
    from openai import AsyncOpenAI

    from llmframe.engine.wire.prepared import Prepared, Received
    from llmframe.engine.wire.reply import Reply
    from llmframe.providers.responses.streamed import GrowingText

_log = logging.getLogger("llmframe")

NO_REDIRECTS = {"follow_redirects": False}  # the texts are for the endpoint, and nobody else
_PATHS = {
    "chat": "/chat/completions",
    "responses": RESPONSES_PATH,
    "embeddings": "/embeddings",
}


class Backend:
    """An open client; made, used and closed on one loop.

    client: the SDK's. path: of the API that is asked. prepared: sends requests in its place.
    """

    def __init__(
        self,
        client: AsyncOpenAI,
        *,
        path: str = _PATHS["chat"],
        owned: bool,
        is_alive: Callable[[], bool] | None = None,
        prepared: Prepared | None = None,
    ) -> None:
        import httpx2
        import openai

        self.client = client
        self._owned = owned
        self._is_alive = is_alive
        self._prepared = prepared
        self._embeds = path == _PATHS["embeddings"]
        self._post = self._post_by_sdk if prepared is None else prepared.post
        self._keys = header_secrets(client.default_headers)
        self._is_plain = type(client) is openai.AsyncOpenAI  # others, as Azure's, make their own
        # the whole address saves the SDK a sixth of a request's CPU in merging URLs
        self._url = _whole_url(client, path) if self._is_plain else path
        self._response_type = httpx2.Response
        self._status_error = openai.APIStatusError
        self._options: Any = NO_REDIRECTS

    async def send(self, body: dict[str, Any], growing: GrowingText | None = None) -> Reply:
        """Send one request; a key that comes back in the answer is hidden.

        growing: gets a streamed answer as it is written, where requests are prepared.
        Raises openai.APIError when the call failed, BadReply when a response with status 200
        is no completion, ServerGone when a server that we have started has ended.
        """
        try:
            response = await self._post(body, growing)
        except Exception as exc:
            if self._is_alive is not None and not self._is_alive():
                raise ServerGone("its process has ended") from exc
            answered = reply_in_error(exc) if isinstance(exc, self._status_error) else None
            if answered is None or self._embeds:
                raise
            return answered
        if self._embeds:
            return read_embeddings(response)
        keys: tuple[str, ...] = ()
        if isinstance(response, self._response_type) and not self._is_plain:
            keys = tuple(header_secrets(response.request.headers))
        return self._without_keys(read_reply(response), keys)

    def read(self, completion: object) -> Reply:
        """The reply in a completion that came in a file; raises BadReply where there is none."""
        return self._without_keys(as_reply(completion, {}))

    def _without_keys(self, reply: Reply, keys: tuple[str, ...] = ()) -> Reply:
        """The reply with every key hidden. keys: of its request; the client's if none."""
        keys = keys or (*self._keys, self.client.api_key)
        content = reply.content and hide_keys(reply.content, keys)
        return reply if content == reply.content else replace(reply, content=content)

    async def _post_by_sdk(
        self, body: dict[str, Any], _: GrowingText | None = None
    ) -> Received | httpx2.Response:
        return await self.client.post(
            self._url, body=body, cast_to=self._response_type, options=self._options
        )

    async def models(self) -> tuple[str, ...]:
        """The models that the endpoint lists, which costs nothing; raises as ``send`` does."""
        response = await self.client.get(
            "/models", cast_to=self._response_type, options=self._options
        )
        data = read_json(response)
        listed = data.get("data") if isinstance(data, dict) else data
        found = listed if isinstance(listed, list) else []
        names = (model.get("id") for model in found if isinstance(model, dict))
        return tuple(name for name in names if isinstance(name, str))

    async def close(self) -> None:
        """Close the client, unless it is the person's own."""
        closing = [self._prepared.close] if self._prepared is not None else []
        for close in [*closing, self.client.close] if self._owned else closing:
            try:
                await close()
            except Exception:  # noqa: BLE001 - the rows are answered: their run must not fail now
                _log.warning("the client of a run could not be closed", exc_info=True)


async def open_backend(endpoint: Endpoint, *, connections: int) -> Backend:
    """A backend for the running loop.

    connections: how many requests may be in flight; as many connections are kept alive.
    """
    hide_in_logs(endpoint.secrets)
    given, url, path = endpoint.client, endpoint.base_url, _PATHS[endpoint.api]
    if given is not None and not has_default_transport(given):
        return Backend(given.with_options(max_retries=0), path=path, owned=endpoint.owned)
    if given is None:
        ours = new_client(url, endpoint.api_key, connections=connections)
    else:
        ours = with_our_transport(given, url, connections=connections)
    prepared = await prepare_requests(ours, _whole_url(ours, path), connections=connections)
    return Backend(ours, path=path, owned=True, is_alive=endpoint.is_alive, prepared=prepared)


def _whole_url(client: AsyncOpenAI, path: str) -> str:
    """The whole address that a client of the SDK's own kind sends to."""
    return str(client.base_url).rstrip("/") + path
