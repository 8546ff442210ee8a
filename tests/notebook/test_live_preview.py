"""Fields of an answer that is still being written."""

from __future__ import annotations

import json

import pytest

from llmframe.notebook.live_preview import fields_so_far

NAMES = ("intent", "名", "tags")
ANSWER = {"intent": "refund", "other": {"intent": 1}, "名": "漢字", "tags": ["a", "b"]}
TEXT = json.dumps(ANSWER, ensure_ascii=False)


@pytest.mark.parametrize("end", range(len(TEXT) + 1))
def test_every_beginning_of_an_answer_shows_a_beginning_of_each_field(end):
    found = fields_so_far(TEXT[:end], NAMES)
    assert set(found) <= set(NAMES)
    for name, value in found.items():
        assert ANSWER[name][: len(value)] == value if name != "tags" else value is not None


CASES = [
    ("", {}), ("{", {}), ("Sure! ```json\n{\"intent\": \"re", {"intent": "re"}),
    ("<think>{x} or {\"a\": 1}</think>{\"intent\": \"refund\"", {"intent": "refund"}),
    ("[1, 2]", {}), ("{" * 5000, {}), ('{"intent": {"a": 1', {"intent": {"a": 1}}),
]  # fmt: skip


@pytest.mark.parametrize(("text", "found"), CASES)
def test_what_stands_before_the_answer_is_passed_over(text, found):
    assert fields_so_far(text, NAMES) == found
