"""A prepared request is the SDK's own: the same leaves, and the same comes of what returns."""

from __future__ import annotations

import asyncio
import functools
import gzip
import inspect
import itertools
import json
import re
import socket
import zlib

import openai
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic_core import to_json

from llmframe.engine.wire.backend import open_backend
from llmframe.engine.wire.prepared import Prepared
from llmframe.engine.wire.verdict import classify
from llmframe.providers.endpoint import Endpoint
from llmframe.providers.responses.scrubber import Scrubber
from tests.kits.raw import CLOSE, Raw, completion, good, http
from tests.kits.ways import on_both_ways

BODY = {
    "model": "m",
    "messages": [{"role": "user", "content": 'äöü \u2028 漢字 "quoted" 😀 </record>'}],
    "temperature": 0.0,
    "response_format": {"type": "json_schema", "json_schema": {"schema": {"enum": [1, 1.5, None]}}},
}
OK = json.dumps(completion("{}")).encode()


async def send(url, client=None, n=1):
    """The last of so many replies, asked for one after the other."""
    running = await open_backend(Endpoint(url, "sk-0123456789ab", client), connections=2)
    try:
        return [await running.send(BODY) for _ in range(n)][-1]
    finally:
        await running.close()


def asked(make=None, *, n=1, script=good):
    """The last of the requests that a client of this kind sends to a server."""
    with Raw(script) as server:
        asyncio.run(send(server.url, make and make(base_url=server.url), n))
        request = server.asked[-1]
    request.headers.pop("host")  # each server has a port of its own
    return request.line, request.headers, request.body


@pytest.fixture
def prepared(monkeypatch):
    """The bodies that were sent the prepared way."""
    bodies = []
    post = Prepared.post

    def note(self, body, growing=None):
        bodies.append(body)
        return post(self, body, growing)

    monkeypatch.setattr(Prepared, "post", note)
    return bodies


# -- what leaves ----

plain = functools.partial(openai.AsyncOpenAI, api_key="sk-theirs-123456")
PLAIN = {
    "ours": None,
    "plain": plain,
    "organisation": functools.partial(plain, organization="org-1", project="proj-2", timeout=33.0),
    "headers": functools.partial(plain, default_headers={"X-Mine": "a  b;c", "User-Agent": "me/1"}),
    "another key": functools.partial(
        plain, default_headers={"Authorization": "Basic x", "api-key": "k2", "Cookie": "a=b"}
    ),
    "query": functools.partial(plain, default_query={"api-version": "2024-10-21", "a": "b c&d"}),
}


@pytest.mark.parametrize("kind", PLAIN)
def test_address_headers_and_body_are_those_of_the_sdk(kind, prepared):
    first, second = on_both_ways(lambda: asked(PLAIN[kind]))
    assert first == second
    assert len(prepared) == 1


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"])),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(max_size=5).filter(str.isascii), inner),
    max_leaves=10,
)  # fmt: skip


@given(JSON)
def test_a_body_is_written_with_the_same_meaning_as_the_sdks(value):
    assert json.loads(to_json(value)) == json.loads(json.dumps(value))


class Mine(openai.AsyncOpenAI):
    """A subclass, which may do anything."""


def azure(*, base_url):
    site = base_url.removesuffix("/v1")
    return openai.AsyncAzureOpenAI(api_key="k", azure_endpoint=site, api_version="2024-10-21")


def of_own_transport(*, base_url):
    http_client = openai.DefaultAsyncHttpxClient()
    return plain(base_url=base_url, http_client=http_client)


def of_token_provider(*, base_url):
    tokens = itertools.count()

    async def token():
        return f"token-{next(tokens)}"

    return openai.AsyncOpenAI(api_key=token, base_url=base_url)


@pytest.mark.parametrize(
    "make", [functools.partial(Mine, api_key="k"), azure, of_own_transport, of_token_provider]
)
def test_every_other_client_goes_the_sdks_way(make, prepared):
    assert asked(make)[2] == BODY
    assert prepared == []


def test_a_key_that_is_made_for_each_request_is_made_for_each_request():
    assert asked(of_token_provider, n=3)[1]["authorization"] == "Bearer token-2"


def wrapped(method):
    """A method as a tracer leaves it."""

    @functools.wraps(method)
    def traced(*args, **kwargs):
        traced.calls += 1
        return method(*args, **kwargs)

    traced.calls = 0
    return traced


@pytest.mark.parametrize("name", ["post", "request", "_send_request"])
def test_a_tracer_of_the_sdk_goes_on_seeing_every_request(name, monkeypatch, prepared):
    traced = wrapped(inspect.getattr_static(openai.AsyncOpenAI, name))
    monkeypatch.setattr(openai.AsyncOpenAI, name, traced)
    asked(plain, n=3)
    assert prepared == []
    assert traced.calls == 3


def test_a_header_that_a_new_sdk_adds_comes_along(monkeypatch, prepared):
    headers = openai.AsyncOpenAI.platform_headers
    monkeypatch.setattr(
        openai.AsyncOpenAI, "platform_headers", lambda self: headers(self) | {"x-new": "1"}
    )
    assert asked()[1]["x-new"] == "1"
    assert len(prepared) == 1


def test_a_header_that_differs_between_requests_is_not_sent_twice(monkeypatch, prepared):
    headers, numbers = openai.AsyncOpenAI.platform_headers, itertools.count()

    def numbered(self):
        return headers(self) | {"idempotency-key": str(next(numbers))}

    monkeypatch.setattr(openai.AsyncOpenAI, "platform_headers", numbered)
    with Raw(good) as server:
        asyncio.run(send(server.url, n=5))
        assert len({request.headers["idempotency-key"] for request in server.asked}) == 5
    assert prepared == []


def test_what_the_sdk_refuses_to_send_is_refused_for_each_row():
    def refused():
        with pytest.raises(TypeError, match="Header value") as caught:
            asked(functools.partial(plain, default_headers={"Authorization": None}))
        return str(caught.value)

    first, second = on_both_ways(refused)
    assert first == second


def test_cookies_are_sent_back_on_both_ways():
    def script(request):
        return http(completion(request.content), set_cookie="session=7; Path=/")

    first, second = on_both_ways(lambda: asked(n=2, script=script))
    assert first[1]["cookie"] == second[1]["cookie"] == "session=7"


# -- what returns ----


def outcome(script):
    """What comes of an answer: the reply, or the error with what it says, and its verdict."""
    with Raw(script) as server:
        try:
            reply = asyncio.run(send(server.url))
        except Exception as exc:  # noqa: BLE001 - whatever it is, it is compared
            return error_facts(exc)
    return reply.content, reply.usage, reply.headers.multi_items()


def error_facts(exc):
    verdict = classify(exc, timeout=60.0, scrub=Scrubber())
    if not isinstance(exc, openai.APIStatusError):
        return re.sub(r":[0-9]{4,5}/", "/", verdict.message), verdict.action, verdict.kind
    names = ("status_code", "code", "param", "type", "message", "body", "request_id")
    facts = [getattr(exc, name) for name in names]
    return type(exc), str(exc), facts, exc.response.headers.raw, verdict


ERROR = {"error": {"message": "No such thing", "code": "c", "param": "p", "type": "t"}}
PACKED = {"gzip": gzip.compress, "deflate": zlib.compress}
STATUSES = [201, 204, 300, 304, 307, 400, 401, 403, 404, 409, 418, 422, 429, 500, 503, 599]
BODIES = {
    "json": ERROR,
    "list": [ERROR],
    "page": b"<title>Down</title>",
    "text": b"\xe4\xff",
    "none": b"",
}


@pytest.mark.parametrize("status", STATUSES)
@pytest.mark.parametrize("body", BODIES)
def test_a_status_becomes_the_sdks_own_error(status, body):
    more = {"retry_after": "3", "x_request_id": "r1", "location": "/elsewhere"}
    content = BODIES[body] if status not in (204, 304) else b""
    first, second = on_both_ways(lambda: outcome(lambda _: http(content, f"{status} x", **more)))
    assert first == second


@pytest.mark.parametrize("packing", PACKED)
def test_a_packed_error_is_unpacked(packing):
    content = PACKED[packing](json.dumps(ERROR).encode())
    answer = http(content, "429 x", content_encoding=packing)
    first, second = on_both_ways(lambda: outcome(lambda _: answer))
    assert first == second
    assert "No such thing" in first[1]


def chunked(body):
    head = (
        b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n"
    )
    return head + b"%x\r\n%s\r\n0\r\n\r\n" % (len(body), body)


ANSWERS = {
    "plain": http(OK),
    "gzip": http(gzip.compress(OK), content_encoding="gzip"),
    "deflate": http(zlib.compress(OK), content_encoding="deflate"),
    "raw deflate": http(zlib.compress(OK, wbits=-15), content_encoding="deflate"),
    "twice": http(gzip.compress(zlib.compress(OK)), content_encoding="deflate, gzip"),
    "identity": http(OK, content_encoding="identity"),
    "unknown": http(OK, content_encoding="rot13"),
    "br": http(b"\x8b\x05\x80{}\x03", content_encoding="br"),
    "gzip that is none": http(OK, content_encoding="gzip"),
    "gzip cut": http(gzip.compress(OK)[:-20], content_encoding="gzip"),
    "chunked": chunked(OK),
    "HTTP/1.0": http(OK).replace(b"HTTP/1.1", b"HTTP/1.0"),
    "until the end": b"HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n" + OK,
    "hints": b"HTTP/1.1 103 Early Hints\r\nlink: </x>\r\n\r\n" + http(OK),
    "utf-8 header": http(OK).replace(b"\r\n\r\n", "\r\nx-name: Zürich\r\n\r\n".encode(), 1),
    "latin-1 header": http(OK).replace(b"\r\n\r\n", b"\r\nx-name: Z\xfcrich\r\n\r\n", 1),
    "headers twice": http(OK).replace(b"\r\n\r\n", b"\r\nx-a: 1\r\nx-a: 2\r\n\r\n", 1),
    "page": http(b"<title>Z\xfcrich</title>", content_type="text/html; charset=latin-1"),
    "latin-1 json": http(b'{"choices": "Z\xfcrich"}'),
    "not HTTP": [b"220 smtp.example ESMTP ready\r\n", CLOSE],
    "cut in the headers": [b"HTTP/1.1 200 OK\r\ncontent-ty", CLOSE],
    "cut in the body": [http(OK, content_length="9999"), CLOSE],
    "last chunk missing": [chunked(OK)[:-5], CLOSE],
    "chunk of no size": [chunked(OK).replace(b"\r\n\r\n", b"\r\n\r\nxyz\r\n", 1), CLOSE],
    "length is no number": [http(OK, content_length="many"), CLOSE],
    "a huge length": [http(OK, content_length="9" * 12), CLOSE],
    "a huge packed length": [http(OK, content_length="9" * 8, content_encoding="gzip"), CLOSE],
    "a long header": http(OK, x_long="x" * 9000),
    "closed at once": [CLOSE],
}  # fmt: skip


@pytest.mark.parametrize("how", ANSWERS)
def test_an_answer_of_any_form_means_the_same(how):
    first, second = on_both_ways(lambda: outcome(lambda _: ANSWERS[how]))
    assert first == second


def test_a_refused_connection_means_the_same():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        url = f"http://127.0.0.1:{taken.getsockname()[1]}/v1"

    def refused():
        with pytest.raises(openai.APIConnectionError) as caught:
            asyncio.run(send(url))
        return error_facts(caught.value)

    first, second = on_both_ways(refused)
    assert first == second
    assert "Connect call failed" in first[0]


def test_the_errors_are_those_of_the_sdk():
    for answer in ([CLOSE], [http(OK, content_length="9999"), CLOSE]):
        with Raw(lambda _, answer=answer: answer) as server:
            with pytest.raises(openai.APIConnectionError) as caught:
                asyncio.run(send(server.url))
            assert str(caught.value.request.url) == f"{server.url}/chat/completions"
            assert caught.value.__cause__ is not None


@pytest.mark.usefixtures("way")
def test_a_request_that_is_cancelled_while_it_is_read_gives_up_its_connection():
    def script(request):
        return [http(OK)[:-40], 5.0] if request.number == 0 else good(request)

    async def main(url):
        running = await open_backend(Endpoint(url, "k"), connections=1)
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.2):
                await running.send(BODY)
        reply = await running.send(BODY)
        await running.close()
        return reply

    with Raw(script) as server:
        assert asyncio.run(main(server.url)).content == "{}"
        assert len({request.peer for request in server.asked}) == 2
