"""Failed rows in words, what a re-run may mend, one label that took nearly all."""

import ast
from typing import get_args

import pytest

from llmframe.errors import ErrorKind
from llmframe.messages.afterwards import (
    ENOUGH,
    failures,
    kind_words,
    nearly_all,
    next_lines,
    what_a_rerun_mends,
    where_the_time_went,
)

KINDS = get_args(ErrorKind)


def test_failures_are_counted_in_words_the_most_frequent_first():
    counted = {"truncated": 1, "output": 38, "refusal": 19}
    assert failures(counted) == "38 invalid answers, 19 refused by the model, 1 cut off"
    assert failures({}) == ""


def test_many_kinds_are_put_together():
    assert failures({f"kind {n}": 9 - n for n in range(9)}).endswith(", 4 kind 5, 6 other")


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_reads_as_words(kind):
    one, many = kind_words(kind, 1), kind_words(kind, 2)
    assert "_" not in one + many
    assert one
    assert many


def test_a_refusal_is_the_models_alone():
    assert [kind for kind in KINDS if "refus" in kind_words(kind, 2)] == ["refusal"]


def test_what_a_rerun_mends_and_what_it_does_not():
    assert what_a_rerun_mends({"output": 38, "timeout": 2}) == ""
    assert what_a_rerun_mends({"truncated": 1}) == (
        "A re-run alone will not help; this would: 1 cut off (a larger max_output_tokens=)."
    )
    assert what_a_rerun_mends({"output": 38, "refusal": 19, "truncated": 1}) == (
        "A re-run may mend 38 invalid answers; the others need a change: 19 refused by the model "
        "(other instructions, or another model), 1 cut off (a larger max_output_tokens=)."
    )


@pytest.mark.parametrize(
    ("counts", "expected"),
    [
        ({"a": 98, "b": 2}, '98 % are "a"'),
        ({"a": 999, "b": 1}, '99 % are "a"'),  # not 100 %: one is not
        ({"a": 0, "b": 100}, '100 % are "b"'),
        ({"a": 94, "b": 6}, ""),
        ({"a": 100}, ""),  # no choice
        ({"a": ENOUGH - 1, "b": 0}, ""),
        ({"a": 0, "b": 0}, ""),
        ({}, ""),
    ],
)
def test_one_label_that_took_nearly_all_is_told(counts, expected):
    found = nearly_all("intent", counts)
    assert found.startswith(f"intent: {expected}" if expected else "")
    assert bool(found) == bool(expected)


@pytest.mark.parametrize("prefix", ["", "a_", "it's\n"])
@pytest.mark.parametrize("failed", [True, False])
def test_the_next_lines_can_be_run(prefix, failed):
    lines = next_lines("out", prefix=prefix, failed=failed, answered=True)
    assert len(lines) == 1 + failed
    for line in lines:
        ast.parse(line)
        assert line.startswith("out.llm.")
    assert next_lines("out", failed=False, answered=False) == ()


def test_where_the_time_went_is_told_in_words():
    shares = {"latency": 0.82, "pause by you": 0.16, "the first answer": 0.02}
    assert where_the_time_went(shares) == "82 % waiting for answers, 16 % your pause, 2 % other"
    thirds = where_the_time_went({"latency": 1 / 3, "outage": 1 / 3, "pause by you": 1 / 3})
    assert thirds.startswith("34 % waiting for answers, 33 %")
    assert where_the_time_went({}) == ""
