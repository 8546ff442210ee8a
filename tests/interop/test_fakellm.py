"""fakellm: it takes ``response_format`` and answers in plain text all the same."""

from __future__ import annotations

import pandas as pd
import pytest

import llmframe as lf
from llmframe.errors import RunAborted

pytestmark = pytest.mark.interop

FIELDS = {"tone": ["good", "bad"]}


def test_json_in_plain_words_is_found_and_mended(fakellm):
    out = pd.DataFrame({"text": ["a sunny day", "another sunny day"]}).llm.tag("text", FIELDS)
    assert list(out["tone"]) == ["good", "good"]


def test_plain_text_fails_its_row_with_the_reason_after_one_more_try(fakellm):
    out = pd.DataFrame({"text": ["a sunny day", "rain"]}).llm.tag("text", FIELDS)
    assert list(out["llm_status"]) == ["ok", "failed"]
    assert out["llm_error"][1].startswith("output: the reply holds no JSON object")
    assert lf.last_run().report.requests == 3


def test_ten_rows_that_all_fail_so_end_the_run(fakellm):
    df = pd.DataFrame({"text": [f"rain {number}" for number in range(40)]})
    with pytest.raises(RunAborted, match="first ten answers all failed in the same way"):
        df.llm.tag("text", FIELDS)


def test_check_tells_every_line_right(fakellm, capsys):
    check = lf.check()
    assert [line.name for line in check.lines if line.ok is False] == []
    found = {line.name: line.found for line in check.lines}
    assert found["response format"] == (
        "json_schema is accepted, but the answer does not follow it"
    )
    assert found["reachable"] == "it answers"
    assert found["logprobs"] == "no: requested, but none came"
    assert found["rate-limit headers"] == "none; a run finds the limits by itself"
