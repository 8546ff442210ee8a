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
from llmframe.messages.endings import how_to_go_on
from llmframe.report import RunReport

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
    assert what_a_rerun_mends({"truncated": 1}) == "1 was cut off: raise max_output_tokens=."
    assert what_a_rerun_mends({"output": 1, "content_filter": 11}) == (
        "1 invalid answer may succeed on a re-run. 11 were blocked by the content filter: try "
        "another model or provider."
    )
    assert what_a_rerun_mends({"output": 38, "timeout": 2, "input": 2, "redact": 1}) == (
        "40 may succeed on a re-run (38 invalid answers, 2 timed out). 2 unreadable cells: put a "
        "text there. 1 failed in redact=: let its function take these texts."
    )


@pytest.mark.parametrize("kind", KINDS)
def test_no_advice_to_run_again_where_that_cannot_help(kind):
    report = RunReport(
        rows=9, ok=6, failed=3, skipped=0, pending=0, done=6, reused=0, shared=0, requests=9,
        retries=0, refusals=0, tokens_in=0, tokens_out=0, cost=None, seconds=1.0,
        rows_per_second=1.0, limited_by="", errors_by_kind={kind: 3}, checkpoint="c.jsonl",
    )  # fmt: skip
    advice = how_to_go_on(report)
    assert bool(what_a_rerun_mends({kind: 3})) != ("again to retry" in advice)
    assert "again" not in what_a_rerun_mends({kind: 3})


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
