"""What other people's errors and endings mean, by their class and not by one spelling."""

from __future__ import annotations

import time

import pytest

from llmframe.engine.wire.error_reply import reply_in_error
from llmframe.engine.wire.verdict import classify_status
from llmframe.providers.responses.finish_reason import ending
from llmframe.providers.responses.scrubber import Scrubber
from tests.kits.engine import status_error


def judge(status, body, headers=None, own=()):
    return classify_status(status, body, headers or {}, Scrubber(), own)


TOO_LONG = [  # gemini-cli#12214, MoonshotAI-Cookbook#18, and the providers' own
    "The input token count (1189000) exceeds the maximum number of tokens allowed (1048576).",
    "Your request exceeded model token limit: 8192",
    "Range of input length should be [1, 30720]",
    "input length and `max_tokens` exceed context limit: 199000 + 20000 > 200000",
    "`inputs` tokens + `max_new_tokens` must be <= 4096",
    "length of prompt_tokens (40000) must be less than max_seq_len (32768).",
    "Prompt 超长",
    "prompt is too long: 209000 tokens > 200000 maximum",
    "the request exceeds the available context size",
]


@pytest.mark.parametrize("words", TOO_LONG)
def test_a_text_that_is_too_long_is_no_mistake_of_the_call(words):
    assert judge(400, {"message": words}).kind == "context_length"


TOO_LONG_SCHEMA = [
    {"message": "The total length of enum values exceeds 15000"},
    {"message": "total string length exceeds 15000", "param": "response_format"},
    {"message": "grammar is too large"},
]


@pytest.mark.parametrize("body", TOO_LONG_SCHEMA)
@pytest.mark.parametrize("status", [400, 413])
def test_a_schema_that_is_too_long_is_not_the_row_s_fault(status, body):
    verdict = judge(status, {"error": body})
    assert verdict.may_be_dialect


WITHHELD = [
    (403, {"error": "Content violates usage guidelines. Failed check: BIO"}),  # inspect_ai#2267
    (400, {"code": "data_inspection_failed", "message": "x"}),  # qwen-code#2905
    (400, {"message": "Content Exists Risk"}),  # BettaFish#108
    (400, {"code": "1301", "message": "系统检测到输入或生成内容可能包含不安全或敏感内容"}),
]


@pytest.mark.parametrize(("status", "body"), WITHHELD)
def test_a_text_that_a_filter_refuses_fails_its_row_at_once(status, body):
    verdict = judge(status, body)
    assert (verdict.action, verdict.kind) == ("fail_row", "content_filter")


@pytest.mark.parametrize("status", [400, 403, 429])
def test_a_throttle_is_no_text_that_is_too_long(status):
    words = "Too many tokens, please wait before trying again."  # earendil-works/pi#2699
    assert judge(status, {"message": words}).action == "refused"


def test_words_that_are_the_row_s_own_are_not_read():
    text = "my account has insufficient balance and the content policy flagged it"
    assert judge(400, {"message": f"cannot read: {text}"}, own=(text,)).action == "suspect"
    assert judge(400, {"message": f"cannot read: {text[:30]}"}, own=(text,)).action == "suspect"
    assert judge(400, {"message": "insufficient balance"}, own=("balance",)).action == "suspect"


WAITS = [  # (body, headers, seconds)
    ({"details": [{"retryDelay": "39.5s"}]}, {}, 39.5),  # atomic-agent#106
    ({"message": "Please try again in 9m38.016s."}, {}, 578.016),  # continue#10920
    ({"message": "Please retry in 12.5s."}, {}, 12.5),
    ({"message": "Try again in 114h18m0s."}, {}, 411480),
    ({"message": "retry after 30 seconds"}, {}, 30),
    ({"message": "wait 2 minutes and 5 seconds"}, {}, 125),
    ({"message": "try again in 9m38.016s"}, {"retry-after": "7"}, 7),
    ({}, {"x-ratelimit-remaining-requests": "0", "x-ratelimit-reset-requests": "6m0s"}, 360),
    ({}, {"x-ratelimit-remaining-requests": "5", "x-ratelimit-reset-requests": "6m0s"}, None),
    ({"message": "no wait at all"}, {}, None),
    ({"message": "try again later"}, {}, None),
]


@pytest.mark.parametrize(("body", "headers", "seconds"), WAITS)
def test_a_wait_is_read_wherever_it_stands(body, headers, seconds):
    assert judge(429, body, headers).retry_after == seconds


def test_a_day_s_quota_waits_until_it_is_renewed():
    reset = str(int((time.time() + 6 * 3600) * 1000))  # openclaude#936
    named = {"X-RateLimit-Limit": "50", "X-RateLimit-Remaining": "0", "X-RateLimit-Reset": reset}
    wanted = pytest.approx(6 * 3600, abs=60)
    assert judge(429, {"metadata": {"headers": named}}).retry_after == wanted
    assert judge(429, {}, named).retry_after == wanted


ENDINGS = {
    "whole": [None, "", "stop", "end_turn", "STOP", "eos", "complete", "tool_calls"],
    "cut": ["length", "MAX_TOKENS", "max_tokens", "model_length", "max_output_tokens",
            "model_context_window_exceeded"],  # any-llm#1204, inspect_ai#5143
    "withheld": ["content_filter", "SAFETY", "PROHIBITED_CONTENT", "RECITATION", "sensitive",
                 "content_filter: SAFETY", "refusal", "BLOCKLIST"],  # dify#7559, litellm#24373
    "broken": ["error", "insufficient_system_resource", "network_error", "abort",
               "MALFORMED_FUNCTION_CALL"],  # genkit#6259, vllm#57082
}  # fmt: skip


@pytest.mark.parametrize(("found", "words"), ENDINGS.items())
def test_an_answer_s_ending_is_read_by_its_class(found, words):
    assert [ending(word) for word in words] == [found] * len(words)


def test_an_error_about_the_answer_is_read_as_the_answer():
    # amurex-backend#38, 9router#972
    bad = {"code": "json_validate_failed", "message": "x", "failed_generation": '{"a": 1,}'}
    assert reply_in_error(status_error(400, {"error": bad})).content == '{"a": 1,}'
    cut = {"message": "Could not finish the message because the output limit was reached."}
    assert reply_in_error(status_error(400, {"error": cut})).finish_reason == "length"
    assert reply_in_error(status_error(400, {"error": {"message": "no"}})) is None
    assert reply_in_error(status_error(500, {"error": bad})) is None


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ({"message": "Provider returned error", "metadata": {
            "raw": '{"error": {"message": "bad schema", "param": "x"}}'}}, "bad schema"),
        ({"message": 'AnthropicException - {"error":{"message":"bad keys"}}'}, "bad keys"),
        ({"detail": [{"loc": ["body", "seed"], "msg": "Extra inputs"}]}, "body.seed: Extra inputs"),
        ({"message": {"detail": "no"}}, "no"),
        ({"status_msg": "insufficient"}, "insufficient"),
    ],
)  # fmt: skip
def test_the_innermost_message_is_shown(body, message):
    assert judge(400, body).message == message


@pytest.mark.parametrize(
    "body",
    [
        {"details": [{"violations": [{"quotaId": "GenerateRequestsPerDayPerProject"}]}]},
        {"message": "Rate limit exceeded: free-models-per-day. Add credits"},
        {"message": "Rate limit reached on tokens per day (TPD): Limit 100000, Used 97050"},
    ],
)
def test_a_limit_of_a_day_is_called_so(body):
    assert judge(429, body).message.startswith("the limit of a day is used up")
    assert "day" not in judge(429, {"message": "slow down"}).message
