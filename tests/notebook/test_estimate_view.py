"""The estimate as a person sees it: one card, whatever is known and whatever the names hold."""

from dataclasses import replace

import pytest

from llmframe.notebook.estimate_view import Estimate
from tests.kits.notebook_cases import HOSTILE, Seen
from tests.kits.view_cases import ESTIMATE


def words_of(estimate):
    return Seen(estimate._repr_html_()).text, repr(estimate)


def test_cost_time_and_tokens_come_with_their_ranges():
    for words in words_of(ESTIMATE):
        assert "about $0.41, between $0.38 and $0.45" in words
        assert "about 3:24, between 2:42 and 4:48" in words
        assert "412 k in (61 % cached), 31.2 k out" in words
        assert 'mode="batch" would save about $0.20' in words
        assert "measured on 20 answers of this task" in words


def test_a_range_whose_ends_read_the_same_is_one_figure():
    for words in words_of(replace(ESTIMATE, minutes=0.002, minutes_range=(0.0019, 0.0021))):
        assert "about 0.1 s" in words
        assert "0.1 s and 0.1 s" not in words


def test_rows_are_counted_by_what_happens_to_them():
    for words in words_of(ESTIMATE):
        for part in (
            "912 to ask",
            "60 answered already",
            "8 skipped (blank)",
            "18 with the text of others",
        ):
            assert part in words


@pytest.mark.parametrize(
    ("change", "shown", "hidden"),
    [
        ({"cost": None, "cost_range": None}, "price unknown: give prices=", "$"),
        ({"cost": None, "cost_range": None, "is_free": True}, "time", "price"),
        ({"minutes": None}, "between 2:42 and 4:48", "about 3:24"),
        ({"minutes": None, "minutes_range": None, "mode": "batch"}, "within 24 hours", "3:24"),
        ({"requests": 0, "unanswered": 0, "done": 980}, "980 answered already", "between"),
        ({"extend_saves": 0.1}, "without an answer, saves about $0.10", "no such"),
    ],
)
def test_what_is_not_known_is_said_or_left_out(change, shown, hidden):
    saves = {"batch_saves": None} if hidden == "$" else {}
    for words in words_of(replace(ESTIMATE, notes=(), **change, **saves)):
        assert shown in words
        assert hidden not in words


@pytest.mark.parametrize("text", HOSTILE)
def test_foreign_text_is_only_shown(text):
    sample = {"messages": [{"role": "user", "content": text}], "schema": {"enum": [text]}}
    odd = replace(ESTIMATE, model=text, checkpoint=text, notes=(text,), sample=sample)
    seen = Seen(odd._repr_html_())
    assert {*seen.tags} <= {"div", "span", "b", "br", "details", "summary"}


def test_the_value_is_plain_and_frozen():
    assert isinstance(ESTIMATE, Estimate)
    with pytest.raises(AttributeError):
        ESTIMATE.rows = 3
