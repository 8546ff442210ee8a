"""What to do next for a batch: the tables of the pure part."""

import pytest

from llmframe.engine.batch.part import Part
from llmframe.engine.batch.state import (
    DropLines,
    Hopeless,
    Problem,
    Remote,
    SendAgain,
    Wait,
    judge,
    read_remote,
)


def part(*, resumed=False, **known):
    return Part(keys=(b"k",), stored=object() if resumed else None, **known)


def at(status):
    return Remote(id="b", status=status)


@pytest.mark.parametrize(
    ("batch", "step"),
    [
        (part(), "upload"),
        (part(file="f"), "create"),
        # one that may have been created is looked for before another one is
        (part(unsure=True), "match"),
        (part(file="f", unsure=True), "match"),
        (part(file="f", unsure=True, cancel=True), "match"),
        # what an earlier call did not bring so far is begun anew
        (part(resumed=True), "drop"),
        (part(resumed=True, file="f"), "drop"),
        (part(resumed=True, file="f", unsure=True), "match"),
        (part(resumed=True, id="b"), "look"),
        (part(id="b"), "look"),
        (part(id="b", cancel=True), "look"),
        (part(id="b", remote=at("validating")), "look"),
        (part(id="b", remote=at("in_progress")), "look"),
        (part(id="b", remote=at("in_progress"), cancel=True), "cancel"),
        (part(id="b", remote=at("cancelling"), cancel=True), "look"),
        (part(id="b", remote=at("finalizing")), "look"),
        (part(id="b", remote=at("a state of next year")), "look"),
        (part(id="b", remote=at("completed")), "take"),
        (part(id="b", remote=at("completed"), cancel=True), "take"),
        (part(id="b", remote=at("expired")), "take"),
        (part(id="b", remote=at("cancelled")), "take"),
        (part(id="b", remote=at("failed")), "judge"),
    ],
)
def test_the_next_step_depends_on_what_is_known(batch, step):
    assert batch.next_step == step


FULL = Problem(
    "Enqueued token limit reached for gpt-x. Limit: 90,000 tokens", "token_limit_exceeded"
)


@pytest.mark.parametrize(
    ("problems", "alone", "again", "wanted"),
    [
        ([Problem("bad JSON", line=3), Problem("no model", line=1)], False, False,
         DropLines({2: "bad JSON", 0: "no model"})),
        # the lines that are named can be left out, whatever else is said
        ([FULL, Problem("bad JSON", line=3)], True, True, DropLines({2: "bad JSON"})),
        ([FULL], False, False, Wait(FULL.message, halve=False)),
        ([FULL], True, True, Wait(FULL.message, halve=True)),
        ([Problem("The number of enqueued tokens has surpassed the configured limit")], True,
         False, Wait("The number of enqueued tokens has surpassed the configured limit", True)),
        ([Problem("too many tasks")], True, False, Wait("too many tasks", halve=True)),
        ([Problem("it broke")], True, False, SendAgain()),
        ([Problem("it broke")], True, True, Hopeless("it broke")),
        ([], True, True, Hopeless("no reason given")),
        # no money is no matter of waiting
        ([Problem("You exceeded your current quota", "insufficient_quota")], True, False,
         Hopeless("You exceeded your current quota")),
    ],
)  # fmt: skip
def test_a_batch_that_failed_as_a_whole_is_judged_by_what_it_says(problems, alone, again, wanted):
    assert judge(tuple(problems), alone=alone, again=again) == wanted


@pytest.mark.parametrize(("code", "in_a_row"), [("model_not_found", 0), ("invalid_json_line", 2)])
def test_a_fault_of_all_lines_costs_no_batch_for_each_row(code, in_a_row):
    problem = Problem("The model has no batches", code, line=1)
    judged = judge((problem,), alone=True, again=False, in_a_row=in_a_row)
    assert judged == Hopeless("The model has no batches")


def test_a_batch_is_read_in_the_spellings_of_several_providers():
    openai = {
        "id": "batch_1", "status": "in_progress", "input_file_id": "file_1",
        "output_file_id": None, "request_counts": {"total": 7, "completed": 3, "failed": 1},
        "metadata": {"llmframe": "abc"}, "created_at": 17, "errors": None,
    }  # fmt: skip
    assert read_remote(openai) == Remote(
        id="batch_1", status="in_progress", nonce="abc", file="file_1",
        answered=3, created=17,
    )  # fmt: skip
    together = {"job": {"id": "b", "status": "CANCELED", "error": "why", "created_at": "2026-01"}}
    assert read_remote(together) == Remote(id="b", status="cancelled", problems=(Problem("why"),))


def test_errors_are_read_as_a_list_too():
    data = {"id": "b", "status": "failed", "errors": [{"code": "c", "message": "why", "line": 2}]}
    assert read_remote(data).problems == (Problem("why", "c", 2),)


@pytest.mark.parametrize("junk", [None, [], {}, "batch", {"id": 7}, {"job": None}])
def test_what_is_no_batch_is_told(junk):
    with pytest.raises(ValueError, match="no batch object"):
        read_remote(junk)
