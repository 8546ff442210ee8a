"""Two calls have one key if and only if they send the same requests."""

from __future__ import annotations

import json
from enum import Enum
from typing import Annotated, Literal

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import Field

from llmframe.calls.plan import plan
from llmframe.engine.asking.asking import Asker
from llmframe.engine.row import Row
from llmframe.options.layers import settle
from llmframe.task.keys import normal_form

FRAME = pd.DataFrame({"text": ["x"]})
QUESTION = {
    "version": 1,
    "model": "m",
    "endpoint": "https://api.example.com/v1",
    "instructions": "Tag it.",
    "fields": {"fields": [{"name": "a", "kind": "text"}]},
}


class Tone(Enum):
    GOOD = "good"
    BAD = "bad"


CHOICE = Literal["good", "bad"]
FIELDS = st.sampled_from(
    [
        ["good", "bad"],
        ("good", "bad"),
        ["bad", "good"],
        CHOICE,
        Tone,
        {"good": "", "bad": " "},
        {"good": "glad", "bad": "sad"},
        {"good": "glad\n", "bad": " sad"},
        Annotated[CHOICE, Field(description="")],
        Annotated[CHOICE, Field(description="the tone")],
        Annotated[CHOICE, Field(description=" the tone\n")],
        CHOICE | None,
        str,
        Annotated[int, Field(ge=1)],
        Annotated[int, Field(ge=1.0)],
    ]
)
EXTRA = st.fixed_dictionaries(
    {},
    optional={
        "temperature": st.sampled_from([0, 0.0, 0.5, 1, 1.0]),
        "seed": st.sampled_from([1, 1.0]),
        "top_p": st.sampled_from([0.5, 1, 1.0]),
        "model": st.sampled_from(["m", "n"]),
        "messages": st.just([]),
        "stop": st.sampled_from([["a", 1], ["a", 1.0]]),
    },
)
OPTIONS = st.fixed_dictionaries(
    {"model": st.sampled_from(["m", "n"])},
    optional={
        "temperature": st.sampled_from([None, 0, 0.0, -0.0, 0.5, 1, 1.0]),
        "seed": st.sampled_from([None, 1, 1.0]),
        "max_output_tokens": st.sampled_from([None, 50, 50.0]),
        "extra_body": st.none() | EXTRA,
        "instructions": st.sampled_from(["", " ", "Tag it.", "\nTag it. \n", "Tag  it."]),
        "confidence": st.none(),
    },
)


def asked_and_sent(fields, options):
    """The key of a row and its request's body, in which 1.0 is 1 and parameters have no order."""
    settings = settle({"base_url": "http://127.0.0.1:1/v1", **options})
    job = plan(FRAME, "text", {"tone": fields}, settings).job
    asker = Asker(job.prompt, job.settings, nonce="n")
    body = asker.body(Row(0, b"", "x"), job.dialect)
    plain = json.loads(json.dumps(body), parse_float=_number)
    return job.keys.key("x"), json.dumps(plain, sort_keys=True)


def _number(text):
    value = float(text)
    return int(value) if value.is_integer() else value


@given(FIELDS, OPTIONS, FIELDS, OPTIONS)
def test_keys_are_equal_where_requests_are_and_nowhere_else(fields, options, others, changed):
    one, other = asked_and_sent(fields, options), asked_and_sent(others, changed)
    assert (one[0] == other[0]) == (one[1] == other[1])


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner),
    max_leaves=8,
)


@given(st.dictionaries(st.text(max_size=8), json_values), st.text(max_size=8))
def test_a_normal_form_is_its_own(extra, instructions):
    sampling = {"temperature": 0.0, "extra_body": extra}
    normal = normal_form(QUESTION | {"sampling": sampling, "instructions": instructions})
    assert normal_form(normal) == normal


@pytest.mark.parametrize("sampling", [None, {}, {"temperature": 0.0}, {"extra_body": {}}])
def test_what_changes_no_request_is_no_part_of_the_question(sampling):
    given = QUESTION if sampling is None else QUESTION | {"sampling": sampling}
    assert normal_form(given) == QUESTION


def test_the_normal_form_of_the_usual_spelling_is_that_spelling():
    sampling = {"temperature": 0.5, "seed": 7, "max_output_tokens": 9, "extra_body": {"a": 1}}
    question = QUESTION | {"sampling": sampling}
    assert normal_form(question) == question
