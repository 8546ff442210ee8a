"""What a failure means, and when a row is tried again."""

from __future__ import annotations

import asyncio
import socket
import ssl
import threading
import time

import httpx2
import openai
import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmframe.engine.wire.backend import Backend, open_backend
from llmframe.engine.wire.scrubber import Scrubber
from llmframe.engine.wire.verdict import BILLING_CODES, BadReply, classify, classify_status
from llmframe.providers.endpoint import Endpoint
from llmframe.results import Usage
from tests.kits.engine import lost_connection, status_error

KEY = "sk-proj-AbCd1234567890"
SCRUB = Scrubber(KEY)


def judge(exc, timeout=60.0):
    return classify(exc, timeout=timeout, scrub=SCRUB)


def of_status(status, error=None, headers=None):
    verdict = judge(status_error(status, {"error": error} if error is not None else {}, headers))
    assert verdict.status == status
    return verdict


def meaning(verdict):
    return verdict.action, verdict.kind


# -- statuses: the facts of the providers, row by row ----


@pytest.mark.parametrize("code", sorted(BILLING_CODES))
@pytest.mark.parametrize("where", ["code", "type"])
def test_no_credit_ends_the_run_wherever_it_is_said(code, where):
    verdict = of_status(429, {where: code, "message": "You exceeded your current quota"})
    assert meaning(verdict) == ("end_run", "rate_limit")
    assert verdict.code == code


@pytest.mark.parametrize(
    ("status", "error", "expected"),
    [
        # OpenAI
        (429, {"code": "rate_limit_exceeded", "message": "Rate limit"}, ("refused", "rate_limit")),
        (429, {"code": "slow_down", "type": "rate_limit_error"}, ("refused", "rate_limit")),
        (503, {"message": "server_is_overloaded"}, ("retry", "server")),
        (401, {"code": "invalid_api_key"}, ("end_run", "bad_request")),
        (403, {"message": "Country or region not supported"}, ("end_run", "bad_request")),
        (404, {"code": "model_not_found"}, ("end_run", "bad_request")),
        (404, {"message": "Unknown request URL"}, ("end_run", "bad_request")),
        (400, {"code": "context_length_exceeded"}, ("fail_row", "context_length")),
        (400, {"code": "string_above_max_length"}, ("fail_row", "context_length")),
        (400, {"code": "invalid_value", "message": "Bad parameter"}, ("fail_row", "bad_request")),
        (422, {"message": "Unprocessable"}, ("fail_row", "bad_request")),
        (500, {"message": "The server had an error"}, ("retry", "server")),
        (502, None, ("retry", "server")),
        (504, None, ("retry", "server")),
        (529, {"message": "Overloaded"}, ("retry", "server")),
        (408, None, ("retry", "timeout")),
        (409, None, ("retry", "server")),
        # Azure
        (429, {"code": "429", "message": "Please retry after 7 s"}, ("refused", "rate_limit")),
        (404, {"code": "DeploymentNotFound"}, ("end_run", "bad_request")),
        (400, {"code": "DeploymentNotFound"}, ("end_run", "bad_request")),
        (400, {"code": "content_filter", "message": "filtered"}, ("fail_row", "content_filter")),
        (400, {"message": "triggered content management policy"}, ("fail_row", "content_filter")),
        # DeepSeek
        (402, {"message": "Insufficient Balance"}, ("end_run", "rate_limit")),
        (429, {"message": "Too many requests in flight"}, ("refused", "rate_limit")),
        # OpenRouter
        (403, {"message": "Input was flagged by moderation"}, ("fail_row", "content_filter")),
        # local servers
        (400, {"message": "exceeds the available context size"}, ("fail_row", "context_length")),
        (400, {"message": "This model's maximum context length"}, ("fail_row", "context_length")),
        (400, {"message": "prompt is too long: 210000 tokens"}, ("fail_row", "context_length")),
        (400, {"message": "Please reduce the length"}, ("fail_row", "context_length")),
        (413, None, ("fail_row", "context_length")),
        # none of these
        (418, None, ("fail_row", "bad_request")),
    ],
)  # fmt: skip
def test_a_status_means_what_the_provider_means(status, error, expected):
    assert meaning(of_status(status, error)) == expected


@pytest.mark.parametrize("status", [429, 503, 402])
def test_who_says_until_when_refuses_and_does_not_fail(status):
    verdict = of_status(status, {"message": "wait"}, {"retry-after": "7"})
    assert meaning(verdict) == ("refused", "rate_limit")
    assert verdict.retry_after == 7.0


@pytest.mark.parametrize(
    "message",
    [
        "Request too large for gpt-4o in organization org-x on tokens per min (TPM): "
        "Limit 30000, Requested 45000. The input or output tokens must be reduced.",
        "Limit 1,000, Requested 36,055",
        "Limit: 1000 / min. Requested: 2000",
        "Request too large",
        "x" * 300 + " Limit 10, Used 0, Requested 11",
    ],
)
def test_more_than_the_whole_limit_fails_the_row(message):
    for headers in ({}, {"retry-after": "1"}):
        assert meaning(of_status(429, {"message": message}, headers)) == ("fail_row", "rate_limit")


@pytest.mark.parametrize(
    "message",
    [
        "Rate limit reached on tokens per min (TPM): Limit 10000, Used 9500, Requested 700.",
        "Limit 10000, Requested 10000",
        "Request too large? No: Limit 100, Requested 50",
        "Limit , Requested ,",
        "",
    ],
)
def test_less_than_the_limit_is_a_refusal_like_any_other(message):
    assert meaning(of_status(429, {"message": message})) == ("refused", "rate_limit")


# -- bodies ----


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ({"error": {"message": "No such thing."}}, "No such thing"),
        ({"error": "No such thing"}, "No such thing"),
        ({"message": "No such thing", "object": "error"}, "No such thing"),
        ({"detail": "No such thing"}, "No such thing"),
        ({"detail": [{"loc": ["x"], "msg": "bad"}]}, "[{'loc': ['x'], 'msg': 'bad'}]"),
        ([{"error": {"message": "No such thing"}}], "No such thing"),
        ([], "the endpoint answered HTTP 400"),
        ({"error": None}, "the endpoint answered HTTP 400"),
        ({"error": {"message": None}}, "the endpoint answered HTTP 400"),
        (b"plain words", "plain words"),
        (
            b"<html><body>Bad gateway</body></html>",
            "the endpoint answered HTTP 400 with a web page",
        ),
        (b"", "the endpoint answered HTTP 400"),
        (b"17", "the endpoint answered HTTP 400"),
    ],
)
def test_the_message_is_found_however_it_is_wrapped(body, message):
    assert judge(status_error(400, body)).message == message


def test_a_code_may_be_a_number():
    assert of_status(500, {"code": 13, "message": "x"}).code == "13"


def test_without_a_code_the_type_is_told():
    assert of_status(500, {"type": "server_error"}).code == "server_error"
    assert of_status(500, {}).code is None


# -- replies with status 200 ----


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (None, ("retry", "server")),
        ({"code": 502, "message": "Provider returned error"}, ("retry", "server")),
        ({"code": 429, "message": "busy"}, ("refused", "rate_limit")),
        ({"code": "429"}, ("refused", "rate_limit")),
        ({"code": 402, "message": "credits"}, ("end_run", "rate_limit")),
        ({"code": 401}, ("end_run", "bad_request")),
        ({"code": 400, "message": "maximum context length"}, ("fail_row", "context_length")),
        ({"code": "insufficient_quota"}, ("end_run", "rate_limit")),
        ({"code": 200}, ("retry", "server")),
        ({"message": "odd"}, ("retry", "server")),
        ("odd", ("retry", "server")),
        ([{"error": {"code": 429}}], ("refused", "rate_limit")),
    ],
)
def test_an_error_under_status_200_means_what_it_says(error, expected):
    assert meaning(judge(BadReply("no completion", error=error))) == expected


def test_a_reply_that_is_no_json_is_tried_again():
    verdict = judge(BadReply("text/html instead of JSON"))
    assert (verdict.action, verdict.kind, verdict.status) == ("retry", "server", 200)
    assert verdict.message == "text/html instead of JSON"


def test_a_reply_that_was_too_large_is_told_as_such_and_not_as_a_lost_connection():
    exc = openai.APIConnectionError(request=httpx2.Request("POST", "https://x"))
    exc.__cause__ = BadReply("the endpoint answered with more than 32 MB")
    verdict = judge(exc)
    assert meaning(verdict) == ("retry", "server")
    assert verdict.message == "the endpoint answered with more than 32 MB"


def test_a_bad_reply_keeps_what_it_cost():
    assert BadReply("x", usage=Usage(3, 4)).usage == Usage(3, 4)


# -- connections, for real ----


class Listener:
    """A port that does to each connection what it is told."""

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
        self._socket.close()


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
            backend = open_backend(Endpoint(url, KEY), connections=2)
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


def test_a_refused_connection_is_told_as_such(default_transport):
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
    listener = Listener(lambda connection: time.sleep(0.3))
    url = f"http://127.0.0.1:{listener.port}/v1"
    verdict = fail_at(url, default_transport=default_transport, timeout=0.05)
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

    listener = Listener(lambda connection: time.sleep(0.3))
    url = f"http://127.0.0.1:{listener.port}/v1"
    with pytest.raises(openai.APITimeoutError) as caught:
        asyncio.run(attempt())
    listener.close()
    assert meaning(judge(caught.value)) == ("retry", "timeout")


def test_a_certificate_that_is_not_trusted_ends_the_run():
    exc = openai.APIConnectionError(request=httpx2.Request("POST", "https://x"))
    exc.__cause__ = ssl.SSLCertVerificationError(1, "self-signed certificate")
    verdict = judge(exc)
    assert meaning(verdict) == ("end_run", "connection")
    assert "self-signed" in verdict.message


def test_the_first_cause_of_a_lost_connection_is_told():
    assert judge(lost_connection()).message == (
        "the connection failed: [Errno 111] Connect call failed"
    )


def test_causes_that_go_round_in_a_ring_are_followed_once():
    one, other = OSError("one"), OSError("other")
    one.__cause__, other.__cause__ = other, one
    assert judge(one).message == "the connection failed: other"


def test_a_cause_without_words_is_told_by_its_name():
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


# -- secrets ----


@pytest.mark.parametrize(
    "said",
    [
        f"Incorrect API key provided: {KEY}. You can find your API key at",
        f"headers: {{'Authorization': 'Bearer {KEY}'}}",
        f"(Authorization: Bearer {KEY})",
        f"bearer\t{KEY}",
        f"api-key={KEY}&x=1",
        f"{KEY}{KEY}",
        f"{'x' * 190} {KEY}",
    ],
)
def test_an_echoed_key_is_taken_out(said):
    for verdict in (
        of_status(401, {"message": said, "code": said}),
        judge(BadReply("x", error={"message": said})),
        judge(BadReply(said)),
        judge(OSError(said)),
    ):
        told = f"{verdict.message} {verdict.code}"
        assert KEY not in told
        assert "AbCd1234567890" not in told


@given(
    st.integers(100, 599),
    st.dictionaries(
        st.sampled_from(["code", "type", "message", "detail"]),
        st.none() | st.text() | st.integers() | st.lists(st.text()),
    ),
    st.dictionaries(st.sampled_from(["retry-after", "retry-after-ms"]), st.text()),
)
def test_any_error_has_a_meaning(status, error, headers):
    verdict = classify_status(status, error, headers, SCRUB)
    assert verdict.action in {"retry", "refused", "fail_row", "end_run"}
    assert verdict.message
