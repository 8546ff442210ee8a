"""The legs of a row: what is sent at each, and what a reply means."""

from __future__ import annotations

import pytest

from llmframe.engine.asking.asking import MAX_PAID, Asker
from llmframe.engine.row import Row
from llmframe.options.settings import Settings
from llmframe.providers.dialect import FULL_DIALECT, Dialect
from llmframe.results import Usage
from tests.kits.engine import GOOD, PROMPT, reply

BAD = '{"intent": "elsewhere"}'


def new_asker(streams=False, **options):
    return Asker(PROMPT, Settings(model="m", **options), nonce="n0", streams=streams)


def new_row():
    each = Row(3, b"k", "a parcel")
    each.note_sent(10.0, FULL_DIALECT)
    return each


def read(asker, row, response, *, final=False):
    """Read a reply and, where one more leg is needed, send it."""
    row.note_back(10.0, 12.0)
    result = asker.read(row, response, final=final)
    if result is None:
        row.note_sent(12.0, FULL_DIALECT)
    return result


def legs(*replies, **options):
    """Send one row until it has a result; that, and the bodies of its requests."""
    asker, row = new_asker(**options), new_row()
    bodies = [asker.body(row, FULL_DIALECT)]
    for number, response in enumerate(replies, 1):
        result = read(asker, row, response)
        if result is not None:
            assert number == len(replies), "the row was done before its last reply"
            return result, bodies
        bodies.append(asker.body(row, FULL_DIALECT))
    raise AssertionError("the row is not done")


# -- the request ----


def test_a_request_asks_for_the_schema_and_fences_the_row():
    body = new_asker().body(new_row(), FULL_DIALECT)
    assert body["model"] == "m"
    assert body["messages"] == PROMPT.messages("a parcel", "n0")
    assert body["response_format"] == PROMPT.response_format("json_schema")
    assert body["temperature"] == 0.0
    assert set(body) == {"model", "messages", "response_format", "temperature"}


def test_what_the_person_gave_is_sent():
    body = new_asker(
        temperature=0.7, seed=5, max_output_tokens=99, extra_body={"top_p": 0.5, "user": "me"}
    ).body(new_row(), FULL_DIALECT)
    assert body["temperature"] == 0.7
    assert body["seed"] == 5
    assert body["max_completion_tokens"] == 99
    assert (body["top_p"], body["user"]) == (0.5, "me")


def test_what_another_run_has_dropped_is_sent_where_the_person_gave_it():
    lower = Dialect(dropped=frozenset({"temperature", "seed", "logprobs"}))
    assert "temperature" not in new_asker().body(new_row(), lower)
    body = new_asker(temperature=0.0, seed=5, confidence="logprob").body(new_row(), lower)
    assert (body["temperature"], body["seed"]) == (0.0, 5)
    assert "logprobs" not in body  # there are answers without them


def test_one_row_does_not_change_the_request_of_another():
    asker = new_asker()
    first = new_row()
    read(asker, first, reply(BAD))
    assert len(asker.body(first, FULL_DIALECT)["messages"]) == 4
    assert len(asker.body(new_row(), FULL_DIALECT)["messages"]) == 2


# -- the first reply ----


def test_a_good_reply_is_the_result():
    result, bodies = legs(reply(GOOD))
    assert (result.status, result.values, result.error) == ("ok", {"intent": "refund"}, None)
    assert (result.attempts, result.usage, result.seconds) == (1, Usage(10, 3), 2.0)
    assert result.raw is None
    assert len(bodies) == 1


def test_the_last_reply_is_kept_where_it_is_asked_for():
    result, _ = legs(reply(BAD), reply(GOOD), details=True)
    assert result.raw == GOOD
    result, _ = legs(reply(BAD), reply("no json"), details=True)
    assert (result.status, result.raw) == ("failed", "no json")


@pytest.mark.parametrize("content", [None, "", " \n"])
def test_a_refusal_fails_the_row_at_once(content):
    result, _ = legs(reply(content, refusal="I'm sorry"))
    assert str(result.error) == 'refusal: the model refused to answer: "I\'m sorry"'
    assert result.usage == Usage(10, 3)


def test_an_answer_beside_a_refusal_counts():
    assert legs(reply(GOOD, refusal="but"))[0].status == "ok"


def test_a_withheld_answer_fails_the_row_at_once():
    result, _ = legs(reply(GOOD, "content_filter"))
    assert str(result.error) == "content_filter: the provider's filter withheld the answer"


# -- the one re-ask ----


def test_a_reply_that_is_not_valid_is_put_to_the_model_once():
    result, bodies = legs(reply(BAD), reply(GOOD))
    assert (result.status, result.attempts, result.usage) == ("ok", 2, Usage(20, 6))
    first, second = (body["messages"] for body in bodies)
    assert second[:2] == first
    assert [message["role"] for message in second[2:]] == ["assistant", "user"]
    assert second[2]["content"] == BAD
    assert "intent" in second[3]["content"]


def test_a_second_reply_that_is_not_valid_fails_the_row():
    result, _ = legs(reply(BAD), reply("{}"))
    assert result.status == "failed"
    assert str(result.error).startswith("output: ")
    assert (result.attempts, result.usage) == (2, Usage(20, 6))


# -- one larger cap ----


def test_a_cut_answer_is_asked_for_once_more_with_a_larger_cap():
    result, bodies = legs(reply('{"inte', "length"), reply(GOOD), max_output_tokens=700)
    assert result.status == "ok"
    assert [body["max_completion_tokens"] for body in bodies] == [700, 1400]
    assert len(bodies[1]["messages"]) == 2


@pytest.mark.parametrize(
    ("given", "used", "larger"),
    [(None, 3, 1024), (10, 10, 1024), (512, 512, 1024), (600, 600, 1200), (None, 4096, 8192)],
)
def test_the_larger_cap_is_twice_what_was_used_and_a_thousand_at_least(given, used, larger):
    asker, row = new_asker(max_output_tokens=given), new_row()
    cut = reply("{", "length")
    asker.read(row, cut.__class__("{", "length", None, Usage(10, used), {}), final=False)
    assert asker.body(row, FULL_DIALECT)["max_completion_tokens"] == larger


def test_an_answer_that_is_cut_again_fails_the_row():
    result, _ = legs(reply("{", "length"), reply("{", "length"), max_output_tokens=20)
    assert str(result.error) == "truncated: the answer was cut off; raise max_output_tokens"
    result, _ = legs(reply("{", "length"), reply("{", "length"))
    assert str(result.error).endswith("by the endpoint's own cap; give max_output_tokens=")


def test_a_cut_answer_is_never_taken_even_if_it_reads_well():
    result, _ = legs(reply(GOOD, "length"), reply(GOOD, "length"))
    assert result.status == "failed"


def test_the_larger_cap_stays_for_a_re_ask():
    result, bodies = legs(reply("{", "length"), reply(BAD), reply(GOOD))
    assert result.status == "ok"
    assert bodies[2]["max_completion_tokens"] == bodies[1]["max_completion_tokens"]
    assert len(bodies[2]["messages"]) == 4


# -- blank once more ----


@pytest.mark.parametrize("blank", [None, "", "   \n"])
def test_a_blank_answer_is_asked_for_once_more_as_it_was(blank):
    result, bodies = legs(reply(blank), reply(GOOD))
    assert (result.status, result.attempts) == ("ok", 2)
    assert bodies[0] == bodies[1]


def test_an_answer_that_is_blank_again_is_put_to_the_model_and_then_fails():
    result, bodies = legs(reply(None), reply(None), reply(None))
    assert str(result.error).startswith("output: ")
    assert (result.attempts, result.usage) == (3, Usage(30, 9))
    assert [len(body["messages"]) for body in bodies] == [2, 2, 4]


# -- never more than three ----


@pytest.mark.parametrize(
    "responses",
    [
        [reply(BAD), reply(None), reply("{", "length"), reply(GOOD)],
        [reply("{", "length"), reply(BAD), reply(None), reply(GOOD)],
        [reply(None), reply("{", "length"), reply(BAD), reply(GOOD)],
    ],
)
def test_three_paid_replies_are_the_end(responses):
    asker, row = new_asker(), new_row()
    results = [read(asker, row, each) for each in responses[:MAX_PAID]]
    assert results[:2] == [None, None]
    assert results[2].status == "failed"
    assert results[2].usage == Usage(30, 9)


@pytest.mark.parametrize(
    ("response", "error"),
    [(reply(BAD), "output"), (reply(None), "output"), (reply("{", "length"), "truncated")],
)
def test_where_no_attempt_is_left_the_first_reply_is_the_last(response, error):
    result = read(new_asker(), new_row(), response, final=True)
    assert str(result.error).startswith(f"{error}: ")


def test_a_good_reply_to_the_last_attempt_counts():
    assert read(new_asker(), new_row(), reply(GOOD), final=True).status == "ok"


def test_costs_are_summed_over_all_legs():
    result, _ = legs(reply(BAD, cost=0.25), reply(GOOD, cost=0.5))
    assert result.usage == Usage(20, 6, 0.75)


def test_a_failed_row_records_what_it_cost():
    row = new_row()
    row.usage = Usage(7, 8)
    result = row.failed("server", "it broke")
    assert (result.status, result.values, str(result.error)) == ("failed", None, "server: it broke")
    assert (result.attempts, result.usage) == (1, Usage(7, 8))
