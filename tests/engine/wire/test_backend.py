"""One call to the endpoint: the transports, and a person's own client."""

from __future__ import annotations

import asyncio
import functools
import json
import sys

import httpx2
import openai
import pytest

from llmframe import testing
from llmframe.engine.wire import backend
from llmframe.engine.wire.backend import Backend, open_backend
from llmframe.engine.wire.client import check_client, has_default_transport, make_client
from llmframe.errors import PlanError
from llmframe.providers.endpoint import Endpoint

BODY = {"model": "test-model", "messages": [{"role": "user", "content": "a parcel"}]}
COMPLETION = {
    "choices": [{"message": {"content": "hello"}, "finish_reason": "stop"}],
    "usage": {"prompt_tokens": 12, "completion_tokens": 5},
}


# -- over the wire ----


def aiohttp_is_used(client):
    return "Aio" in type(client._client).__name__


async def send_all(endpoint, n=1, connections=5):
    running = await open_backend(endpoint, connections=connections)
    try:
        return await asyncio.gather(*(running.send(BODY) for _ in range(n)))
    finally:
        await running.close()


def test_a_request_is_answered(server):
    (reply,) = asyncio.run(send_all(Endpoint(server.url, "k")))
    assert json.loads(reply.content) == {}
    assert reply.finish_reason == "stop"
    assert reply.usage.tokens_in > 0


def test_our_own_client_has_the_aiohttp_transport_no_retry_and_time_to_connect(server):
    async def inspect():
        running = await open_backend(Endpoint(server.url, "k"), connections=70)
        client = running.client
        limits = client._client._transport.limits  # private: the SDK shows them nowhere
        await running.close()
        return client, limits

    client, limits = asyncio.run(inspect())
    assert aiohttp_is_used(client)
    assert client.max_retries == 0
    assert client.timeout == httpx2.Timeout(None, connect=15.0)
    assert limits.max_connections == limits.max_keepalive_connections == 80
    assert client._client.is_closed


def test_connections_are_kept_and_are_no_more_than_what_is_in_flight():
    opened, ten_at_once = set(), None

    async def count(reader, writer):
        opened.add(writer.get_extra_info("peername"))
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                size = int(head.lower().split(b"content-length: ")[1].split(b"\r\n")[0])
                await reader.readexactly(size)
                await ten_at_once.wait()
                body = json.dumps(COMPLETION).encode()
                writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n%b" % (len(body), body))
        except asyncio.IncompleteReadError:
            writer.close()

    async def main():
        nonlocal ten_at_once
        ten_at_once = asyncio.Barrier(10)
        served = await asyncio.start_server(count, "127.0.0.1", 0)
        url = f"http://127.0.0.1:{served.sockets[0].getsockname()[1]}/v1"
        running = await open_backend(Endpoint(url, "k"), connections=10)
        ten = asyncio.Semaphore(10)

        async def one():
            async with ten:
                await running.send(BODY)

        await asyncio.gather(*(one() for _ in range(100)))
        await running.close()
        served.close()
        await served.wait_closed()

    asyncio.run(main())
    assert len(opened) <= 12


def test_without_its_aiohttp_extra_the_default_transport_is_used(server, monkeypatch):
    def missing(**options):
        raise RuntimeError("you must have installed the package with the `aiohttp` extra")

    monkeypatch.setattr(openai, "DefaultAioHttpClient", missing)
    monkeypatch.setitem(sys.modules, "aiohttp", None)
    used = []
    new_client = backend.new_client
    monkeypatch.setattr(
        backend, "new_client", lambda *a, **k: used.append(new_client(*a, **k)) or used[0]
    )
    replies = asyncio.run(send_all(Endpoint(server.url, "k"), n=3))
    assert len(replies) == 3
    assert not aiohttp_is_used(used[0])
    assert used[0].timeout == httpx2.Timeout(None, connect=15.0)


def test_a_failed_request_raises_what_the_sdk_raises_and_is_sent_once(server):
    server.update(faults={"500": 1.0})
    with pytest.raises(openai.InternalServerError):
        asyncio.run(send_all(Endpoint(server.url, "k")))
    assert len(server.ledger) == 1


def test_an_endpoint_is_printed_without_its_key():
    assert repr(Endpoint("http://x/v1", "sk-secret")) == "Endpoint('http://x/v1')"


# -- a person's own client ----


def test_a_client_on_the_default_transport_is_copied_with_ours():
    async def main(url):
        theirs = openai.AsyncOpenAI(
            api_key="sk-theirs", base_url=url, organization="org", default_headers={"x-mine": "1"}
        )
        running = await open_backend(Endpoint(url, "sk-theirs", theirs), connections=5)
        ours = running.client
        await running.send(BODY)
        await running.close()
        assert aiohttp_is_used(ours)
        assert (ours.api_key, ours.organization, ours.max_retries) == ("sk-theirs", "org", 0)
        assert ours.default_headers["x-mine"] == "1"
        assert ours.timeout == httpx2.Timeout(None, connect=15.0)
        assert not theirs.is_closed()
        assert theirs.max_retries == 2
        await theirs.close()

    with testing.serve(key="sk-theirs") as server:
        asyncio.run(main(server.url))


def test_a_client_with_a_transport_of_its_own_is_used_as_it_is_and_left_open(server):
    async def main():
        mine = openai.DefaultAsyncHttpxClient(timeout=7.0)
        theirs = openai.AsyncOpenAI(api_key="k", base_url=server.url, http_client=mine)
        running = await open_backend(Endpoint(server.url, "k", theirs, owned=False), connections=5)
        assert running.client._client is mine
        assert running.client.max_retries == 0
        await running.send(BODY)
        await running.close()
        assert not mine.is_closed
        await theirs.close()

    asyncio.run(main())
    assert len(server.ledger) == 1


def test_a_client_that_a_callable_made_gets_our_transport_unless_it_has_its_own():
    async def main():
        made = Endpoint("http://x/v1", "k", client(), owned=True)
        running = await open_backend(made, connections=5)
        await running.close()
        return running.client

    assert aiohttp_is_used(asyncio.run(main()))


def test_a_client_that_a_callable_made_is_ours_to_close(server):
    async def main():
        mine = openai.DefaultAsyncHttpxClient()
        made = openai.AsyncOpenAI(api_key="k", base_url=server.url, http_client=mine)
        running = await open_backend(Endpoint(server.url, "k", made, owned=True), connections=5)
        await running.send(BODY)
        await running.close()
        assert mine.is_closed

    asyncio.run(main())


def test_an_azure_client_sends_to_its_deployment():
    async def main(url):
        theirs = openai.AsyncAzureOpenAI(
            api_key="k", azure_endpoint=url.removesuffix("/v1"), api_version="2024-10-21"
        )
        running = await open_backend(Endpoint(url, "k", theirs), connections=5)
        reply = await running.send(BODY)
        await running.close()
        await theirs.close()
        return reply

    with testing.serve() as server:
        assert asyncio.run(main(server.url)).content == "{}"


def client():
    return openai.AsyncOpenAI(api_key="k", base_url="http://127.0.0.1:9/v1")


def own_transport():
    return openai.AsyncOpenAI(
        api_key="k", base_url="http://127.0.0.1:9/v1", http_client=openai.DefaultAsyncHttpxClient()
    )


def test_the_sdks_own_transport_is_known():
    assert has_default_transport(client())
    assert not has_default_transport(own_transport())


@pytest.mark.parametrize("given", [None, client, own_transport, client()])
@pytest.mark.parametrize("private_loop", [True, False])
def test_a_client_that_can_be_used_is_accepted(given, private_loop):
    check_client(given, private_loop=private_loop)


def test_a_client_bound_to_a_loop_is_refused_on_another():
    check_client(own_transport(), private_loop=False)
    with pytest.raises(PlanError, match="lambda"):
        check_client(own_transport(), private_loop=True)


@pytest.mark.parametrize("given", ["sk-key", 3, openai.OpenAI(api_key="k")])
def test_what_is_no_async_client_is_refused(given):
    with pytest.raises(PlanError, match=f"not {type(given).__name__}"):
        check_client(given, private_loop=False)


def test_a_callable_is_called_where_the_client_is_used():
    where = []

    def call(function):
        where.append("there")
        return function()

    assert isinstance(make_client(client, call)[0], openai.AsyncOpenAI)
    assert where == ["there"]
    assert isinstance(make_client(client, None)[0], openai.AsyncOpenAI)
    given = client()
    assert make_client(given, call) == (given, False)
    assert where == ["there"]


def test_a_callable_that_makes_something_else_is_a_mistake_of_the_caller():
    with pytest.raises(PlanError, match="returned OpenAI"):
        make_client(lambda: openai.OpenAI(api_key="k"), None)


def test_a_backend_is_closed_only_if_it_is_ours():
    async def main():
        theirs, ours = own_transport(), own_transport()
        await Backend(theirs, owned=False).close()
        await Backend(ours, owned=True).close()
        assert (theirs.is_closed(), ours.is_closed()) == (False, True)
        await theirs.close()

    asyncio.run(main())


def test_only_a_client_that_nobody_else_holds_is_ours_to_close():
    kept, transport = client(), openai.DefaultAsyncHttpxClient()

    def over_a_shared_transport():
        return openai.AsyncOpenAI(api_key="k", base_url="http://x/v1", http_client=transport)

    assert make_client(own_transport, None)[1]
    assert not make_client(lambda: kept, None)[1]
    assert not make_client(functools.lru_cache(own_transport), None)[1]
    assert not make_client(over_a_shared_transport, None)[1]
    assert not make_client(lambda: kept.with_options(timeout=3.0), None)[1]


def test_a_client_that_fails_to_close_ends_no_run(server, caplog):
    class Stubborn(openai.AsyncOpenAI):
        async def close(self):
            await super().close()
            raise OSError("it does not close")

    async def main():
        stubborn = Stubborn(api_key="k", base_url=server.url)
        running = Backend(stubborn, owned=True)
        await running.send(BODY)
        await running.close()

    asyncio.run(main())
    assert "could not be closed" in caplog.text
