"""What a failure means, and when a row is tried again."""

from __future__ import annotations

import httpx2
import openai
import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmframe.engine.wire.verdict import BadReply, classify, classify_status
from llmframe.providers.responses.error_words import BILLING_CODES
from llmframe.providers.responses.scrubber import Scrubber
from llmframe.results import Usage
from tests.kits.engine import status_error

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
def test_no_credit_ends_the_run_wherever_the_code_stands(code, where):
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
        (403, {"message": "Country or region not supported"}, ("suspect", "bad_request")),
        (404, {"code": "model_not_found"}, ("suspect", "bad_request")),
        (404, {"message": "Unknown request URL"}, ("suspect", "bad_request")),
        (400, {"code": "context_length_exceeded"}, ("fail_row", "context_length")),
        (400, {"code": "string_above_max_length"}, ("fail_row", "context_length")),
        (400, {"code": "invalid_value", "message": "Bad parameter"}, ("suspect", "bad_request")),
        (422, {"message": "Unprocessable"}, ("suspect", "bad_request")),
        (500, {"message": "The server had an error"}, ("retry", "server")),
        (502, None, ("retry", "server")),
        (504, None, ("retry", "server")),
        (529, {"message": "Overloaded"}, ("retry", "server")),
        (408, None, ("retry", "timeout")),
        (409, None, ("retry", "server")),
        # Azure
        (429, {"code": "429", "message": "Please retry after 7 s"}, ("refused", "rate_limit")),
        (404, {"code": "DeploymentNotFound"}, ("suspect", "bad_request")),
        (400, {"code": "DeploymentNotFound"}, ("suspect", "bad_request")),
        (400, {"code": "content_filter", "message": "filtered"}, ("fail_row", "content_filter")),
        (400, {"message": "triggered content management policy"}, ("fail_row", "content_filter")),
        # DeepSeek
        (402, {"message": "Insufficient Balance"}, ("suspect", "rate_limit")),
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
        (418, None, ("suspect", "bad_request")),
        (499, {"message": "The operation was cancelled."}, ("retry", "server")),
        (498, {"message": "Flex tier capacity exceeded"}, ("retry", "server")),
        (400, {"message": "Too many tokens, please wait"}, ("refused", "rate_limit")),
    ],
)  # fmt: skip
def test_a_status_means_what_the_provider_means(status, error, expected):
    assert meaning(of_status(status, error)) == expected


@pytest.mark.parametrize("status", [429, 503, 402])
def test_an_error_with_a_wait_is_a_refusal_and_no_failure(status):
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
        ({"detail": [{"loc": ["x"], "msg": "bad"}]}, "x: bad"),
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


def test_without_a_code_the_type_is_the_code():
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
        ({"code": 402, "message": "credits"}, ("suspect", "rate_limit")),
        ({"code": 401}, ("end_run", "bad_request")),
        ({"code": 400, "message": "maximum context length"}, ("fail_row", "context_length")),
        ({"code": "insufficient_quota"}, ("end_run", "rate_limit")),
        ({"code": 200}, ("retry", "server")),
        ({"message": "odd"}, ("retry", "server")),
        ("odd", ("retry", "server")),
        ([{"error": {"code": 429}}], ("refused", "rate_limit")),
    ],
)
def test_an_error_under_status_200_is_classified_by_its_content(error, expected):
    assert meaning(judge(BadReply("no completion", error=error))) == expected


def test_a_reply_that_is_no_json_is_tried_again():
    verdict = judge(BadReply("text/html instead of JSON"))
    assert (verdict.action, verdict.kind, verdict.status) == ("retry", "server", 200)
    assert verdict.message == "text/html instead of JSON"


def test_a_reply_that_was_too_large_is_not_reported_as_a_lost_connection():
    exc = openai.APIConnectionError(request=httpx2.Request("POST", "https://x"))
    exc.__cause__ = BadReply("the endpoint answered with more than 32 MB")
    verdict = judge(exc)
    assert meaning(verdict) == ("retry", "server")
    assert verdict.message == "the endpoint answered with more than 32 MB"


def test_a_bad_reply_keeps_what_it_cost():
    assert BadReply("x", usage=Usage(3, 4)).usage == Usage(3, 4)


# -- secrets ----


@pytest.mark.parametrize(
    "echoed",
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
def test_an_echoed_key_is_taken_out(echoed):
    for verdict in (
        of_status(401, {"message": echoed, "code": echoed}),
        judge(BadReply("x", error={"message": echoed})),
        judge(BadReply(echoed)),
        judge(OSError(echoed)),
    ):
        text = f"{verdict.message} {verdict.code}"
        assert KEY not in text
        assert "AbCd1234567890" not in text


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
    assert verdict.action in {"retry", "refused", "fail_row", "suspect", "end_run"}
    assert verdict.message
