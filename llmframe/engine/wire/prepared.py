"""A request that is prepared once: the SDK says what it would send, and aiohttp sends it.

The SDK builds every request anew, which is three quarters of a row's CPU, although only the
body differs. Here it is asked for two requests before the first row, with no network behind it;
where these are equal but for the body, all requests of a run are sent alike. A response that is
no success is given to the SDK to judge, so the exceptions are the SDK's own.
"""

from __future__ import annotations

import asyncio
import inspect
from contextvars import ContextVar
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import aiohttp
import httpx2
import openai
from multidict import CIMultiDict
from pydantic_core import to_json

from llmframe.engine.wire.reply_size import MOST, check_length, limit_size, limited

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from llmframe.providers.responses.streamed import GrowingText

LAST_CHUNKS = 2.0  # seconds that the end of a stream is awaited, once the answer is there
PART = 2**14  # bytes of a reply that are unpacked at once
_TRACED = ("post", "request", "_send_request")  # what a tracer wraps, to see every request


@dataclass
class _Exchange:
    """One call of the SDK without a network: the response it gets, and what it sent for it."""

    response: httpx2.Response
    request: httpx2.Request | None = None
    proxy: httpx2.Proxy | None = None


_exchange: ContextVar[_Exchange] = ContextVar("_exchange")


class _NoNetwork(httpx2.AsyncBaseTransport):
    """Stands where a transport would send: notes the request and returns the response."""

    def __init__(self, proxy: httpx2.Proxy | None = None) -> None:
        self._proxy = proxy

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        exchange = _exchange.get()
        exchange.request, exchange.proxy = request, self._proxy
        return exchange.response


class _NoNetworkClient(httpx2.AsyncClient):
    """An HTTP client without a network, which chooses a proxy as every other client does.

    It overrides what the SDK's own client on aiohttp overrides.
    """

    def _init_transport(self, *_: Any, **__: Any) -> httpx2.AsyncBaseTransport:
        return _NoNetwork()

    def _init_proxy_transport(
        self, proxy: httpx2.Proxy, *_: Any, **__: Any
    ) -> httpx2.AsyncBaseTransport:
        return _NoNetwork(proxy)


class _Rehearsal:
    """A copy of the SDK's client, called without a network."""

    def __init__(self, client: openai.AsyncOpenAI, url: str, *, trust_env: bool) -> None:
        no_network = _NoNetworkClient(trust_env=trust_env)
        self._sdk = client.copy(http_client=no_network, timeout=client.timeout)
        self._url = url

    async def send(self, body: dict[str, Any]) -> _Exchange:
        """What the SDK sends for this body."""
        exchange = _Exchange(httpx2.Response(200, json={}))
        await self._call(exchange, body)
        return exchange

    async def judge(self, response: httpx2.Response) -> httpx2.Response:
        """What the SDK makes of a response: it returns it or raises one of its errors."""
        return await self._call(_Exchange(response), {})

    async def _call(self, exchange: _Exchange, body: dict[str, Any]) -> httpx2.Response:
        token = _exchange.set(exchange)
        try:
            return await self._sdk.post(
                self._url, body=body, cast_to=httpx2.Response, options={"follow_redirects": False}
            )
        finally:
            _exchange.reset(token)


@dataclass(frozen=True, slots=True)
class Received:
    """A successful response, not packed; httpx2's own takes ten times as long to make."""

    content: bytes
    headers: httpx2.Headers

    @property
    def text(self) -> str:
        """The content as text."""
        return httpx2.Response(200, headers=self.headers, content=self.content).text


class Prepared:
    """Sends chat completions whose address and headers are known; used and closed on one loop.

    request, proxy: what the SDK would send, and by which proxy. connector: closed with it.
    """

    def __init__(
        self,
        rehearsal: _Rehearsal,
        *,
        request: httpx2.Request,
        proxy: httpx2.Proxy | None,
        connector: aiohttp.BaseConnector,
    ) -> None:
        self._rehearsal = rehearsal
        self._request = request
        self._url = str(request.url)
        headers = dict(request.headers)
        del headers["content-length"]  # of the rehearsed body
        connect = request.extensions["timeout"]["connect"]
        self._session = aiohttp.ClientSession(
            connector=connector,
            timeout=aiohttp.ClientTimeout(sock_connect=connect),
            auto_decompress=False,  # httpx2 unpacks, as it does for the SDK
            cookie_jar=aiohttp.CookieJar(unsafe=True),  # of hosts without a name too, as httpx2's
        )
        # given with each request: a session's own headers would go to the proxy too, key and all
        self._options: dict[str, Any] = {"headers": CIMultiDict(headers), "allow_redirects": False}
        if proxy is not None:
            auth = None if proxy.auth is None else aiohttp.BasicAuth(*proxy.auth)
            self._options |= {
                "proxy": str(proxy.url), "proxy_auth": auth, "proxy_headers": proxy.headers,
            }  # fmt: skip

    async def post(
        self, body: dict[str, Any], growing: GrowingText | None = None
    ) -> Received | httpx2.Response:
        """Send one chat completion; raises what the SDK raises, and BadReply for a huge reply.

        growing: gets the parts of a streamed answer as they come.
        """
        try:
            async with self._session.post(self._url, data=to_json(body), **self._options) as raw:
                if 200 <= raw.status < 300 and "Content-Encoding" not in raw.headers:
                    content = await (_read(raw) if growing is None else _read_parts(raw, growing))
                    return Received(content, httpx2.Headers(raw.raw_headers))
                response = httpx2.Response(raw.status, headers=raw.raw_headers, stream=_Body(raw))
                await limit_size(response)
                await response.aread()
        except TimeoutError as exc:
            raise openai.APITimeoutError(request=self._request) from exc
        except (aiohttp.ClientError, httpx2.RequestError, OSError, EOFError) as exc:
            raise openai.APIConnectionError(request=self._request) from exc
        return response if response.is_success else await self._rehearsal.judge(response)

    async def close(self) -> None:
        """Close its connections."""
        await self._session.close()


async def _read(response: aiohttp.ClientResponse) -> bytes:
    """The body of a response that is not packed; BadReply where it is too large."""
    if response.content_length is None:
        parts = [part async for part in limited(response.content.iter_any(), MOST)]
        return b"".join(parts)
    check_length(response.headers["Content-Length"], MOST)
    return await response.read()


async def _read_parts(response: aiohttp.ClientResponse, growing: GrowingText) -> bytes:
    """The body of a streamed response; a stream that breaks or stalls after its answer has ended.

    What is written is paid for, so an answer that is whole is never asked for again.
    """
    now = asyncio.get_running_loop().time
    try:
        async with asyncio.timeout(None) as limit:
            async for part in limited(response.content.iter_any(), MOST):
                growing.add(part)
                limit.reschedule(now() + LAST_CHUNKS if growing.is_whole else None)
    except (TimeoutError, aiohttp.ClientError, OSError):
        if not growing.is_whole:
            raise
    return growing.finish()


class _Body(httpx2.AsyncByteStream):
    """The body of aiohttp's response as a stream of httpx2."""

    def __init__(self, response: aiohttp.ClientResponse) -> None:
        self._content = response.content

    async def __aiter__(self) -> AsyncIterator[bytes]:
        async for part in self._content.iter_chunked(PART):
            yield part


async def prepare(
    client: openai.AsyncOpenAI,
    url: str,
    *,
    connect: Callable[[], aiohttp.BaseConnector],
    trust_env: bool,
) -> Prepared | None:
    """The client's requests to a URL, prepared; None where they must go through the SDK.

    connect: makes what its connections are kept in. trust_env: the environment may name a proxy.
    """
    if not is_plain(client):
        return None
    rehearsal = _Rehearsal(client, url, trust_env=trust_env)
    bodies = {"row": 1}, {"row": 2}
    try:
        one, two = [await rehearsal.send(body) for body in bodies]
    except Exception:  # noqa: BLE001 - every row's own request will raise it too, and be judged
        return None
    request, other = one.request, two.request
    if request is None or other is None or _sent(request) != _sent(other):
        return None  # a header that is made for each request must not be sent twice
    if [request.content, other.content] != [to_json(body) for body in bodies]:
        return None
    return Prepared(rehearsal, request=request, proxy=one.proxy, connector=connect())


def is_plain(client: openai.AsyncOpenAI) -> bool:
    """Whether a client is the SDK's own, with a fixed key, and nobody looks at its requests."""
    if type(client) is not openai.AsyncOpenAI or getattr(client, "workload_identity", None):
        return False
    methods = [getattr(type(client), name) for name in _TRACED]
    traced = any(not inspect.isfunction(m) or hasattr(m, "__wrapped__") for m in methods)
    return bool(client.api_key) and not traced  # a key that a callable gives is empty at first


def _sent(request: httpx2.Request) -> tuple[object, ...]:
    """All that a request sends but its body."""
    return request.method, str(request.url), request.headers.multi_items()
