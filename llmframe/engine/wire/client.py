"""The SDK's client: the person's own, checked and made, or one of ours."""

from __future__ import annotations

import functools
import sys
from typing import TYPE_CHECKING, Any

from llmframe.errors import PlanError
from llmframe.providers.address import proxy_of

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable

    from openai import AsyncOpenAI

    from llmframe.engine.wire.prepared import Prepared

KEEP_ALIVE = 60.0  # seconds that a connection is kept unused
SPARE = 10  # connections above the requests in flight
CONNECT_TIMEOUT = 15.0  # seconds; hundreds of connections opened together need more than 5


def make_client(given: Any, call: Callable[[Callable[[], Any]], Any] | None) -> tuple[Any, bool]:
    """The person's client, made if it is a callable; and whether it is ours to close.

    call: calls a function on the loop that will use the client; None if we are on it.
    """
    if _is_client(given):
        return given, False
    make = functools.partial(_make, given)
    made, is_alone = make() if call is None else call(make)
    if not _is_client(made):
        raise PlanError(f"client= returned {type(made).__name__}; it must return an AsyncOpenAI")
    return made, is_alone


def _make(make: Callable[[], Any]) -> tuple[Any, bool]:
    """What the callable returns, and whether nobody else holds it or its http_client.

    ``client=lambda: CLIENT`` returns a client that the next run will need, too.
    """
    made = make()
    held = sys.getrefcount(made), sys.getrefcount(getattr(made, "_client", None))
    return made, max(held) <= _HELD_BY_US


def _fewest_references() -> int:
    """The references to a new object that one local variable holds, as Python counts them."""
    new = object()
    return sys.getrefcount(new)


_HELD_BY_US = _fewest_references()


def check_client(client: object, *, private_loop: bool) -> None:
    """PlanError unless the client can be used.

    private_loop: the run uses its own loop, where a client with its own transport,
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


def new_client(base_url: str, api_key: str, *, connections: int) -> AsyncOpenAI:
    """Our own client, which does not retry by itself."""
    import openai

    transport = _transport(base_url, connections)
    return openai.AsyncOpenAI(
        api_key=api_key, base_url=base_url, max_retries=0, http_client=transport
    )


def with_our_transport(given: Any, base_url: str, *, connections: int) -> Any:
    """A copy of the caller's client, with its key and headers, on our own transport."""
    transport = _transport(base_url, connections)
    return given.copy(http_client=transport, timeout=transport.timeout, max_retries=0)


def _transport(base_url: str, connections: int) -> Any:
    """The aiohttp transport where it is installed, else the SDK's default.

    Only connecting has a time-out here: the pipeline ends an attempt as a whole.
    """
    import httpx2
    import openai

    from llmframe.engine.wire.reply_size import limit_replies  # loads httpx2

    options: dict[str, Any] = {
        "timeout": httpx2.Timeout(None, connect=CONNECT_TIMEOUT),
        "limits": httpx2.Limits(
            max_connections=connections + SPARE,
            max_keepalive_connections=connections + SPARE,
            keepalive_expiry=KEEP_ALIVE,
        ),
        "verify": _ssl_context(),
        "trust_env": proxy_of(base_url) is not None,
        "event_hooks": {"response": [limit_replies]},
    }
    try:
        return openai.DefaultAioHttpClient(**options)
    except RuntimeError:  # openai was installed without its aiohttp extra
        return openai.DefaultAsyncHttpxClient(**options)


async def prepare_requests(client: Any, url: str, *, connections: int) -> Prepared | None:
    """The requests of a client on our transport, prepared; None where the SDK must send them."""
    try:
        import aiohttp

        from llmframe.engine.wire.prepared import prepare
    except ImportError:  # openai was installed without its aiohttp extra
        return None
    connect = functools.partial(
        aiohttp.TCPConnector,
        limit=connections + SPARE,
        keepalive_timeout=KEEP_ALIVE,
        ssl=_ssl_context(),
    )
    return await prepare(client, url, connect=connect, trust_env=proxy_of(url) is not None)


@functools.cache
def _ssl_context() -> ssl.SSLContext:
    """One for all runs: reading the trusted certificates takes tens of milliseconds."""
    import httpx2

    return httpx2.create_ssl_context()
