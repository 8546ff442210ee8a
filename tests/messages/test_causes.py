"""Each thing that is wrong for every row has one sentence with its cure, soon and unpaid."""

from __future__ import annotations

import socket
import time
from contextlib import ExitStack
from dataclasses import replace

import pandas as pd
import pytest
from openai import AsyncOpenAI

import llmframe as lf
from llmframe import testing
from llmframe.engine.rows import decisions
from llmframe.engine.wire.verdict import Verdict, classify_status
from llmframe.errors import RunAborted
from llmframe.messages.causes import Address, explain
from llmframe.messages.endings import AGAIN_WITHOUT, aborted, how_to_go_on
from llmframe.providers.responses.scrubber import Scrubber
from tests.kits.foreign import serve_page, serve_raw

KEY = "sk-canary-0123456789"
JSON = "application/json"
BAD_GATEWAY = b"<html><title>502 Bad Gateway</title></html>"


def a_wrong_key(stack):
    server = stack.enter_context(testing.serve(key="sk-the-right-one"))
    return {"base_url": server.url, "api_key": KEY}, server.ledger


def a_wrong_model(stack):
    server = stack.enter_context(testing.serve(faults={"404_model": 1.0}))
    return {"base_url": server.url}, server.ledger


def a_wrong_model_in_a_400(stack):
    body = b'{"error":{"message":"Model Not Exist","type":"invalid_request_error"}}'
    url, _ = stack.enter_context(serve_page(400, body, JSON))
    return {"base_url": f"{url}/v1"}, None


def a_port_where_nothing_listens(stack):
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    return {"base_url": f"http://127.0.0.1:{port}/v1"}, None


def a_port_where_something_else_listens(stack):
    port = stack.enter_context(serve_raw(b"SSH-2.0-OpenSSH_9.2\r\n"))
    return {"base_url": f"http://127.0.0.1:{port}/v1"}, None


def another_service_of_json(stack):
    url, _ = stack.enter_context(serve_page(200, b'{"status":"ok"}', JSON))
    return {"base_url": f"{url}/v1"}, None


def a_proxys_page(stack):
    url, _ = stack.enter_context(serve_page(200))
    return {"base_url": f"{url}/v1"}, None


def a_gateway_without_its_server(stack):
    url, _ = stack.enter_context(serve_page(502, BAD_GATEWAY))
    return {"base_url": f"{url}/v1"}, None


def a_page_at_the_address_of_the_request(stack):
    url, _ = stack.enter_context(serve_page(404))
    # base_url= refuses such an address before anything is sent; a client knows its own
    address = f"{url}/v1/chat/completions"
    return {"client": lambda: AsyncOpenAI(base_url=address, api_key="k")}, None


def no_v1_and_a_page(stack):
    url, _ = stack.enter_context(serve_page(404, b"<html><title>Not Found</title></html>"))
    return {"base_url": url}, None


def no_v1_and_json(stack):
    url, _ = stack.enter_context(serve_page(404, b'{"detail":"Not Found"}', JSON))
    return {"base_url": url}, None


def a_method_that_is_not_allowed(stack):
    url, _ = stack.enter_context(serve_page(405, b'{"detail":"Method Not Allowed"}', JSON))
    return {"base_url": f"{url}/v1"}, None


def https_where_http_is_spoken(stack):
    url, _ = stack.enter_context(serve_page())
    return {"base_url": url.replace("http:", "https:") + "/v1"}, None


CASES = [
    (a_wrong_key, "does not accept the API key", "Give the right api_key= for this endpoint."),
    (a_wrong_model, "has no model 'test-model'", "Check model="),
    (a_wrong_model_in_a_400, "has no model 'test-model'", "Check model="),
    (a_port_where_nothing_listens, "cannot be reached", "Nothing listens on port"),
    (a_port_where_something_else_listens, "cannot be reached", "speaks no HTTP"),
    (another_service_of_json, "does not answer like an API", "another program"),
    (a_proxys_page, 'does not answer like an API.*text/html ("Sign in")', "A proxy, a sign-in"),
    (a_gateway_without_its_server, 'a web page ("502 Bad Gateway")', "the provider's status page"),
    (a_page_at_the_address_of_the_request, "no chat", 'because llmframe adds it: base_url="http'),
    (no_v1_and_a_page, "no chat completions API at", 'usually it ends in /v1: base_url="http'),
    (no_v1_and_json, "no chat completions API at", 'usually it ends in /v1: base_url="http'),
    (a_method_that_is_not_allowed, "no chat completions API at", "Check base_url."),
    (https_where_http_is_spoken, "no secure connection", "may speak plain http://"),
]
each_case = pytest.mark.parametrize(
    ("wrong", "why", "what"), CASES, ids=[c[0].__name__ for c in CASES]
)


def found_in(text, words):
    at = 0
    for part in words.split(".*"):
        at = text.find(part, at)
        if at < 0:
            return False
    return True


@each_case
def test_tag_says_it_in_one_message_and_nothing_is_paid(wrong, why, what, monkeypatch):
    monkeypatch.setattr(decisions, "NEVER_CONNECTED", 0.5)  # seconds, instead of 8
    df = pd.DataFrame({"text": [f"record {number}" for number in range(12)]})
    with ExitStack() as stack:
        options, ledger = wrong(stack)
        with pytest.raises(RunAborted) as caught:
            df.llm.tag("text", ["a", "b"], model="test-model", progress=False, **options)
        said = str(caught.value)
        assert found_in(said, why), said
        assert found_in(said, what), said
        assert "0 of 12 rows are answered; 12 are pending" in said
        assert KEY not in said
        assert ledger is None or not any(call.billed for call in ledger.calls)
    assert caught.value.run.report.pending == 12


def test_a_server_that_asks_for_a_key_is_told_to_where_none_was_found():
    df = pd.DataFrame({"text": ["a", "b"]})
    with testing.serve(key="sk-the-right-one") as server, pytest.raises(RunAborted) as caught:
        df.llm.tag("text", ["a", "b"], model="m", base_url=server.url, progress=False)
    said = str(caught.value)
    assert "asks for an API key, and none was given or found (HTTP 401)" in said
    assert "Give api_key=, or set OPENAI_API_KEY, in the environment or in a .env file." in said
    assert "right api_key" not in said


def test_an_endpoint_that_never_responds_ends_the_run_within_ten_seconds():
    assert decisions.NEVER_CONNECTED + decisions.LONGEST_RECONNECT < 10


@each_case
def test_check_says_it_on_the_line_that_it_belongs_to(wrong, why, what, capsys):
    with ExitStack() as stack:
        options, ledger = wrong(stack)
        began = time.monotonic()
        check = lf.check(model="test-model", **options)
        assert time.monotonic() - began < 10
        assert ledger is None or len(ledger) == 1
    (line,) = [line for line in check.lines if line.ok is False]
    assert found_in(line.found, why), line
    expected = "The endpoint lists 'test-model'" if wrong is a_wrong_model else what
    assert found_in(line.cure, expected), line
    names = [line.name for line in check.lines]
    assert all(line.ok for line in check.lines[: names.index(line.name)])
    assert all(after.found == "not checked" for after in check.lines[names.index(line.name) + 1 :])
    assert not check.ok
    assert KEY not in capsys.readouterr().out


def test_a_page_for_a_single_row_costs_no_other(tmp_path):
    with testing.serve(fault_rows={"record 3 ": "html"}) as server:
        df = pd.DataFrame({"text": [f"record {number} " for number in range(12)]})
        out = df.llm.tag(
            "text", ["a", "b"], model="m", base_url=server.url, progress=False, max_attempts=2
        )
    assert (out["llm_status"] == "ok").sum() == 11
    assert out["llm_error"][3].startswith("server: the endpoint answered with text/html")


# -- the sentences themselves ---------------------------------------------------------------------

HERE = Address("http://localhost:8000/v1", model="m")
ASKING = replace(HERE, key_source="VLLM_API_KEY", keyless=True)
CALLED = Address("https://x/v1/chat/completions/", model="m")
THERE = Address(
    "https://api.example/v1", model="m", key_source="the environment variable X_API_KEY"
)


def lost(message):
    return Verdict("retry", "connection", message)


@pytest.mark.parametrize(
    ("verdict", "address", "words"),
    [
        (lost("[Errno 111] Connect call failed"), HERE, "port 8000 here"),
        (lost("[Errno 111] Connect call failed"), THERE, "server and the network are up"),
        (lost("[Errno -2] Name or service not known"), THERE, "no such host is known"),
        (lost("SSL: CERTIFICATE_VERIFY_FAILED"), THERE, "SSL_CERT_FILE"),
        (Verdict("end_run", "bad_request", "no", 401), THERE, "from the environment variable X_AP"),
        (Verdict("end_run", "bad_request", "no", 401), ASKING, "set VLLM_API_KEY, in the env"),
        (
            Verdict("end_run", "bad_request", "no", 401),
            replace(THERE, url="https://api.moonshot.cn/v1"),
            'A key for api.moonshot.ai needs provider="moonshot-intl".',
        ),
        (Verdict("end_run", "bad_request", "no", 404, about="address"), CALLED, '"https://x/v1"'),
        (Verdict("end_run", "connection", "no", about="gone"), HERE, "to restart it"),
        (
            Verdict("end_run", "bad_request", "no", 302),
            THERE,
            "does not send texts and keys elsewhere",
        ),
    ],
)
def test_the_cure_fits_what_was_seen(verdict, address, words):
    cause, cure = explain(verdict, address)
    assert words in cure
    assert cause


@pytest.mark.parametrize(
    ("status", "body", "about"),
    [
        (404, {"message": "The model `x` does not exist.", "code": "model_not_found"}, "model"),
        (404, {"message": 'model "x" not found, try pulling it first'}, "model"),
        (404, {"code": "DeploymentNotFound", "message": "no such deployment"}, "model"),
        (404, {"message": "Not Found"}, "address"),
        (404, {}, "address"),
        (501, {"message": "Unsupported method ('POST')"}, "address"),
        (400, {"message": "x/y is not a valid model ID"}, "model"),
        (400, {"message": "Invalid model: x", "code": "1500"}, "model"),
        (400, {"message": "Model does not exist. Please check it carefully."}, "model"),
        (400, {"message": "The supported API model names are a or b, but you passed c."}, "model"),
        (400, {"message": "Bad text: 'Model Not Exist'. Model Not Exist"}, ""),
        (400, {"message": "the row says:\ninvalid model: x"}, ""),
    ],
)
def test_a_missing_model_is_told_from_a_missing_api(status, body, about):
    verdict = classify_status(status, body, {}, Scrubber())
    assert verdict.about == about
    assert verdict.action == "suspect"


def test_a_hopeless_run_says_where_its_frame_is_and_to_go_on_after_the_cure(configured):
    pd.DataFrame({"text": ["a", "b"]}).llm.tag("text", ["a", "b"])
    report = replace(lf.last_run().report, ok=1, pending=1)
    refused = Verdict("end_run", "bad_request", "no", 401)
    said = aborted(refused, report, THERE)
    assert (
        "lf.last_run().partial() returns the frame so far. Then run the same call again to" in said
    )
    said = aborted(refused, replace(report, checkpoint=None), THERE)
    assert said.endswith("returns the frame so far. " + AGAIN_WITHOUT)
    gone = Verdict("end_run", "connection", "no", about="gone")
    assert aborted(gone, report, HERE).count("un the same call again") == 1
    assert how_to_go_on(report).startswith("Run the same call again")
    assert how_to_go_on(report, cured=True).startswith("Then run the same call again")


@pytest.mark.parametrize(
    ("said", "status"),
    [
        ("API key not valid. Please pass a valid API key.", 401),
        ("Incorrect API key provided: gs***tF. You can obtain an API key from https://x.ai.", 401),
        ("The text says: API key not valid. Please pass a valid API key.", 400),
    ],
)
def test_a_key_that_is_refused_with_a_400_is_a_wrong_key(said, status):
    verdict = classify_status(400, {"message": said}, {}, Scrubber())
    assert verdict.status == status
    assert (verdict.action == "end_run") == (status == 401)


@pytest.mark.parametrize(
    ("url", "right"),
    [
        ("https://api.groq.com", "https://api.groq.com/openai/v1"),
        ("https://openrouter.ai/v1", "https://openrouter.ai/api/v1"),
        ("https://me.openai.azure.com", "https://me.openai.azure.com/openai/v1"),
        ("https://api.example.com", "https://api.example.com/v1"),
    ],
)
def test_the_address_of_a_provider_is_told_as_it_is(url, right):
    verdict = classify_status(404, {"message": "Not Found"}, {}, Scrubber())
    _, cure = explain(verdict, Address(url, model="m"))
    assert f'base_url="{right}"' in cure


def test_an_endpoint_that_answers_200_is_not_said_to_be_silent():
    address = Address("https://api.example/v1", model="m")
    empty = Verdict("retry", "server", "the endpoint answered without a choice", 200)
    assert explain(empty, address)[0] == f"{address.url} has given no usable answer for two minutes"
    silent = explain(replace(empty, status=503), address)[0]
    assert silent == f"{address.url} has not answered any request for two minutes"
