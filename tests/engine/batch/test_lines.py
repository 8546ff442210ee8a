"""The lines of a batch's files."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmframe.engine.batch.lines import Outcome, read_outcome, request_line, verdict_on
from llmframe.providers.responses.scrubber import Scrubber

KEY = bytes(range(16))
SCRUB = Scrubber("sk-secret-0123456789")


def line(**content):
    return json.dumps({"custom_id": KEY.hex(), **content}).encode()


def test_a_request_names_its_row_by_its_key():
    made = request_line(KEY, {"model": "m", "messages": [{"content": "é\n"}]}, "/v1/responses")
    assert made.endswith(b"\n")
    assert made.count(b"\n") == 1
    assert json.loads(made) == {
        "custom_id": KEY.hex(),
        "method": "POST",
        "url": "/v1/responses",
        "body": {"model": "m", "messages": [{"content": "é\n"}]},
    }


@pytest.mark.parametrize(
    ("content", "status", "error", "is_answer"),
    [
        ({"response": {"status_code": 200, "body": {}}, "error": None}, 200, "", True),
        ({"response": {"status_code": 400, "body": {}}, "error": None}, 400, "", False),
        (
            {"response": None, "error": {"code": "batch_expired", "message": "late"}},
            0,
            "late",
            False,
        ),
        ({"response": None, "error": {"code": "batch_expired"}}, 0, "batch_expired", False),
        ({"response": {"body": {"choices": []}}}, 200, "", True),
        ({"error": "odd"}, 0, "odd", False),
        ({}, 0, "", False),
    ],
)
def test_an_outcome_is_an_answer_or_says_what_failed(content, status, error, is_answer):
    outcome = read_outcome(line(**content))
    assert (outcome.key, outcome.status, outcome.error) == (KEY, status, error)
    assert outcome.is_answer is is_answer


@given(st.one_of(st.binary(), st.recursive(
    st.none() | st.integers() | st.text(), lambda inner: st.dictionaries(st.text(), inner)
).map(lambda value: json.dumps(value).encode())))  # fmt: skip
def test_no_line_breaks_the_reading(junk):
    outcome = read_outcome(junk)
    assert outcome is None or isinstance(outcome, Outcome)


@pytest.mark.parametrize(
    ("outcome", "action", "kind"),
    [
        (Outcome(KEY, 0, None, "batch_expired"), "retry", "server"),
        (Outcome(KEY, 0, None, ""), "retry", "server"),
        (Outcome(KEY, 0, None, "something odd"), "retry", "server"),
        (Outcome(KEY, 500, None), "retry", "server"),
        (Outcome(KEY, 429, {"error": {"message": "Rate limit reached"}}), "refused", "rate_limit"),
        (Outcome(KEY, 400, {"error": {"code": "content_filter"}}), "fail_row", "content_filter"),
        (Outcome(KEY, 401, {"error": {"message": "no"}}), "end_run", "bad_request"),
    ],
)
def test_a_failed_request_means_what_it_means_live(outcome, action, kind):
    verdict = verdict_on(outcome, SCRUB, ())
    assert (verdict.action, verdict.kind) == (action, kind)


def test_a_key_in_an_error_is_hidden():
    verdict = verdict_on(Outcome(KEY, 0, None, "bad sk-secret-0123456789"), SCRUB, ())
    assert "sk-secret" not in verdict.message
