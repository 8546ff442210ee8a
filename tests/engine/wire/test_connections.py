"""What a connection that breaks means: real sockets, refused, cut, silent or without TLS."""

from __future__ import annotations

import asyncio
import socket
import ssl
import threading

import httpx2
import openai
import pytest

from llmframe.engine.wire.backend import Backend, open_backend
from llmframe.engine.wire.verdict import classify
from llmframe.providers.endpoint import Endpoint
from llmframe.providers.responses.scrubber import Scrubber
from tests.kits import listening
from tests.kits.engine import lost_connection

KEY = "sk-proj-AbCd1234567890"
SCRUB = Scrubber(KEY)


def judge(exc, timeout=60.0):
    return classify(exc, timeout=timeout, scrub=SCRUB)


def meaning(verdict):
    return verdict.action, verdict.kind


class Listener:
    """A port with a function for each connection."""

    def __init__(self, do) -> None:
        self._socket = socket.create_server(("127.0.0.1", 0))
        self._do = do
        self.port = self._socket.getsockname()[1]
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._socket.accept()
            except OSError:
                return
            with connection:
                self._do(connection)

    def close(self) -> None:
        listening.close(self._socket)


def answering(payload: bytes):
    def do(connection):
        connection.recv(65536)
        connection.sendall(payload)

    return do


def fail_at(url, *, default_transport=False, timeout=60.0):
    """The verdict on one request to a URL."""

    async def attempt():
        if default_transport:
            client = openai.AsyncOpenAI(api_key=KEY, base_url=url, max_retries=0)
            backend = Backend(client, owned=True)
        else:
            backend = await open_backend(Endpoint(url, KEY), connections=2)
        try:
            async with asyncio.timeout(timeout):
                await backend.send({"model": "m", "messages": []})
        except Exception as exc:  # noqa: BLE001 - whatever it is, it is judged
            return judge(exc, timeout)
        finally:
            await backend.close()
        raise AssertionError("it was answered")

    return asyncio.run(attempt())


@pytest.fixture(params=[False, True], ids=["aiohttp", "default"])
def default_transport(request):
    return request.param


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        return taken.getsockname()[1]


def test_a_refused_connection_is_reported_as_one(default_transport):
    verdict = fail_at(f"http://127.0.0.1:{free_port()}/v1", default_transport=default_transport)
    assert meaning(verdict) == ("retry", "connection")
    assert "Connect call failed" in verdict.message


@pytest.mark.parametrize(
    "do",
    [
        lambda connection: None,
        answering(b""),
        answering(b"HTTP/1.1 200 OK\r\ncontent-le"),
        answering(b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nabc"),
        answering(b"this is not http at all\r\n\r\n"),
        answering(b"HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\ncontent-length: 3\r\n\r\nabc"),
    ],
    ids=["at once", "no answer", "cut headers", "cut body", "no HTTP", "no gzip"],
)
def test_a_connection_that_breaks_is_tried_again(do, default_transport):
    listener = Listener(do)
    url = f"http://127.0.0.1:{listener.port}/v1"
    verdict = fail_at(url, default_transport=default_transport)
    listener.close()
    assert meaning(verdict) == ("retry", "connection")
    assert verdict.message.startswith("the connection failed: ")
    assert len(verdict.message) > len("the connection failed: ")


def test_tls_on_a_plain_port_ends_the_run(default_transport):
    listener = Listener(answering(b"HTTP/1.1 400 Bad Request\r\n\r\n"))
    url = f"https://127.0.0.1:{listener.port}/v1"
    verdict = fail_at(url, default_transport=default_transport)
    listener.close()
    assert meaning(verdict) == ("end_run", "connection")
    assert verdict.message.startswith("no secure connection: ")


def test_a_tls_connection_that_breaks_is_tried_again(default_transport):
    listener = Listener(answering(b""))
    url = f"https://127.0.0.1:{listener.port}/v1"
    verdict = fail_at(url, default_transport=default_transport)
    listener.close()
    assert meaning(verdict) == ("retry", "connection")


def test_silence_ends_with_our_own_time_out(default_transport):
    over = threading.Event()
    listener = Listener(lambda connection: over.wait(10))
    url = f"http://127.0.0.1:{listener.port}/v1"
    verdict = fail_at(url, default_transport=default_transport, timeout=0.05)
    over.set()
    listener.close()
    assert meaning(verdict) == ("retry", "timeout")
    assert verdict.message == "no complete reply within 0.05 s"


def test_a_time_out_of_a_clients_own_is_a_time_out():
    async def attempt():
        client = openai.AsyncOpenAI(
            api_key=KEY, base_url=url, max_retries=0,
            http_client=openai.DefaultAioHttpClient(timeout=0.05),
        )  # fmt: skip
        async with client:
            await Backend(client, owned=False).send({"model": "m", "messages": []})

    over = threading.Event()
    listener = Listener(lambda connection: over.wait(10))
    url = f"http://127.0.0.1:{listener.port}/v1"
    with pytest.raises(openai.APITimeoutError) as caught:
        asyncio.run(attempt())
    over.set()
    listener.close()
    assert meaning(judge(caught.value)) == ("retry", "timeout")


def test_a_certificate_that_is_not_trusted_ends_the_run():
    exc = openai.APIConnectionError(request=httpx2.Request("POST", "https://x"))
    exc.__cause__ = ssl.SSLCertVerificationError(1, "self-signed certificate")
    verdict = judge(exc)
    assert meaning(verdict) == ("end_run", "connection")
    assert "self-signed" in verdict.message


def test_the_message_of_a_lost_connection_is_its_first_cause():
    assert judge(lost_connection()).message == (
        "the connection failed: [Errno 111] Connect call failed"
    )


def test_causes_that_go_round_in_a_ring_are_followed_once():
    one, other = OSError("one"), OSError("other")
    one.__cause__, other.__cause__ = other, one
    assert judge(one).message == "the connection failed: other"


def test_a_cause_without_a_message_is_named_by_its_type():
    assert judge(ConnectionResetError()).message == "the connection failed: ConnectionResetError"


@pytest.mark.parametrize("exc", [ConnectionResetError("x"), EOFError("x"), OSError("x")])
def test_a_systems_own_error_is_a_lost_connection(exc):
    assert meaning(judge(exc)) == ("retry", "connection")


@pytest.mark.parametrize("exc", [TypeError(f"no JSON: {KEY}"), RuntimeError("closed")])
def test_what_nobody_foresaw_fails_one_row(exc):
    verdict = judge(exc)
    assert meaning(verdict) == ("fail_row", "bad_request")
    assert verdict.message.startswith(type(exc).__name__)
    assert KEY not in verdict.message
