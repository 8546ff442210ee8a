"""A row that fails costs no other row; with ``on_error='raise'`` it ends the run."""

from __future__ import annotations

from collections import deque

import pytest

from llmframe.engine.asking.outgoing import TextRules
from llmframe.engine.rows.patience import Patience
from llmframe.engine.wire.verdict import BadReply
from llmframe.errors import CallError, OutputError
from llmframe.results import Usage
from tests.kits.engine import (
    GOOD,
    Provider,
    lost_connection,
    numbered,
    reply,
    status_error,
)
from tests.kits.virtual_pipelines import (
    BAD,
    for_row,
    outcome,
)


@pytest.mark.parametrize(
    ("response", "error", "requests"),
    [
        (status_error(500, {"error": {"message": "broke"}}), "server: broke (after 5 attempts)", 5),
        # it may be chance: such a row is asked again, after all others
        (status_error(400, {"error": {"message": "no"}}), "bad_request: no", 3),
        (status_error(422, {"error": {"message": "no"}}), "bad_request: no", 1),
        (status_error(400, {"error": {"code": "content_filter"}}), "content_filter: ", 1),
        (status_error(400, {"error": {"code": "context_length_exceeded"}}), "context_length: ", 1),
        (status_error(429, {"error": {"message": "Limit 5, Requested 9"}}), "rate_limit: Limit", 1),
        (lost_connection(), "connection: the connection failed", 5),
        (BadReply("the endpoint answered with text/html instead of JSON"), "server: the end", 5),
        (BadReply("without a choice", usage=Usage(9, 1)), "server: without a choice (after 3", 3),
        (ValueError("what is this"), "bad_request: ValueError: what is this", 1),
        (reply(BAD), "output: ", 2),
        (reply(None), "output: ", 3),
        (reply("{", "length"), "truncated: ", 2),
        (reply(None, refusal="no"), "refusal: ", 1),
        (reply(GOOD, "content_filter"), "content_filter: ", 1),
        ((1e9, reply()), "timeout: no complete reply within 60 s (after 5 attempts)", 5),
    ],
)
def test_a_bad_row_fails_with_its_reason_and_costs_no_other(response, error, requests):
    provider = Provider(for_row("row 7", response))
    done = outcome(numbered(30), provider)
    assert done.statuses.count("ok") == 29
    assert done.errors[7].startswith(error)
    assert provider.asked["row 7"] == requests
    assert done.parts.store.results[7].attempts == requests


def test_a_failure_that_passes_is_forgotten():
    responses = deque([status_error(500), lost_connection(), reply(None), reply(GOOD)])
    provider = Provider(for_row("row 3", lambda attempt: responses[attempt]))
    done = outcome(numbered(10), provider)
    assert done.statuses == ["ok"] * 10
    assert done.parts.store.results[3].attempts == 4
    assert done.tally.retries == 3


def test_attempts_are_counted_over_all_legs():
    responses = [status_error(500), status_error(500), reply(BAD), reply(GOOD)]
    provider = Provider(for_row("row 3", lambda attempt: responses[attempt]))
    done = outcome(numbered(10), provider, patience=Patience(max_attempts=3))
    assert provider.asked["row 3"] == 3
    assert done.errors[3].startswith("output: ")


def test_one_attempt_is_one_request():
    provider = Provider(lambda text, attempt: status_error(500))
    done = outcome(numbered(4), provider, patience=Patience(max_attempts=1))
    assert done.tally.requests == 4
    assert done.errors[0] == "server: the endpoint answered HTTP 500"


def test_a_failure_on_a_re_ask_repeats_the_re_ask():
    responses = [reply(BAD), status_error(502), reply(GOOD)]
    provider = Provider(for_row("row 0", lambda attempt: responses[attempt]))
    done = outcome(numbered(1), provider)
    assert done.statuses == ["ok"]
    assert [len(body["messages"]) for body in provider.bodies] == [2, 4, 4]
    assert done.parts.store.results[0].usage == Usage(20, 6)


def test_a_row_records_how_long_all_its_attempts_took():
    responses = [(3.0, status_error(500)), (2.0, reply())]
    done = outcome(numbered(1), Provider(lambda text, attempt: responses[attempt]))
    assert 5.0 <= done.parts.store.results[0].seconds <= 5.5


def test_the_first_row_that_fails_stops_the_run():
    provider = Provider(for_row("row 25", status_error(400, {"error": {"message": "no"}})))
    done = outcome(numbered(100), provider, cap=10, on_error="raise")
    error = done.parts.halt.error
    assert isinstance(error, CallError)
    assert str(error) == "row 25: bad_request: no"
    assert (error.position, error.kind, error.status) == (25, "bad_request", 400)
    assert done.statuses.count("ok") == len(provider.calls) - 1
    assert len(provider.calls) <= 26 + 2 * 9


def test_a_bad_answer_raises_an_output_error():
    done = outcome(numbered(1), Provider(lambda *_: reply(BAD)), on_error="raise")
    assert isinstance(done.parts.halt.error, OutputError)
    assert (done.parts.halt.error.kind, done.parts.halt.error.position) == ("output", 0)


def test_a_row_that_cannot_be_redacted_raises_too():
    def redact(text):
        raise ValueError(text)

    rules = TextRules(redact)
    done = outcome(numbered(10), provider := Provider(), rules=rules, on_error="raise")
    assert done.parts.halt.error.kind == "redact"
    assert provider.calls == []


def test_a_deadline_raises_with_its_own_kind():
    provider = Provider(lambda *_: (9.0, reply()))
    patience = Patience(deadline=3.0)
    done = outcome(numbered(1), provider, patience=patience, on_error="raise")
    assert done.parts.halt.error.kind == "deadline"
