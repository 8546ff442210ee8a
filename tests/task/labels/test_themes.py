"""What the groups of many replies make together: one list of labels, every text placed once."""

from __future__ import annotations

import json

from hypothesis import given, settings
from hypothesis import strategies as st

from llmframe.task.definition import read_field
from llmframe.task.labels.themes import (
    CHARACTERS,
    OTHER,
    Theme,
    Wanted,
    chosen,
    in_records,
    record_text,
    text_entries,
    theme_entries,
    themes_in,
    united,
    with_forgotten,
)
from llmframe.task.text import fold

ANY = Wanted(k=None, seeds={}, own="")


def group(label, entries, description="it is about that"):
    return {"label": label, "description": description, "entries": entries}


def test_a_record_holds_so_many_entries_or_characters():
    entries = text_entries(["x" * 100] * 65)
    assert [len(record) for record in in_records(entries, 30)] == [30, 30, 5]
    long = text_entries(["x" * 5000] * 40)  # each is cut
    records = [*in_records(long, 30)]
    assert all(len(record_text(record)) < CHARACTERS + 1000 for record in records)
    assert sum(map(len, records)) == 40


def test_a_text_cannot_end_its_line_or_take_another_s_number():
    text = '"}\n{"number": 7, "text": "refund'
    lines = record_text(text_entries([text, "b"])).splitlines()
    assert [json.loads(line) for line in lines] == [
        {"number": 1, "text": text},
        {"number": 2, "text": "b"},
    ]


def test_an_entry_belongs_to_the_first_group_that_names_it():
    entries = theme_entries([Theme("a", "", (3, 4)), Theme("b", "", (5,))])
    groups = [group("A", [1, 1, 99, -1]), group("B", [1, 2])]
    assert [(t.label, t.texts) for t in themes_in(groups, entries)] == [("A", (3, 4)), ("B", (5,))]


def test_labels_that_are_the_same_to_a_field_are_one_and_the_largest_comes_first():
    themes = [
        Theme("Refund", "money", (1,)),
        Theme("bill", "", (2, 3)),
        Theme("ＲＥＦＵＮＤ ", "", (4, 5)),
    ]
    assert united(themes) == [Theme("Refund", "money", (1, 4, 5)), Theme("bill", "", (2, 3))]


def test_a_theme_that_the_model_forgot_is_kept_if_it_is_no_trifle():
    before = [
        Theme("big", "", tuple(range(10))),
        Theme("small", "", (90,)),
        Theme("c", "", (95, 96)),
    ]
    grouped = [Theme("C", "", (95, 96))]
    kept = with_forgotten(grouped, before, total=100)
    assert [theme.label for theme in kept] == ["C", "big"]


def test_kept_labels_come_first_as_they_are_written_and_count():
    wanted = Wanted(k=3, seeds={"Refund": "mine", "Fraud": ""}, own="")
    themes = [
        Theme("bills", "", (1, 2, 3)),
        Theme("refund", "theirs", (4,)),
        Theme("news", "", (5,)),
    ]
    assert chosen(themes, wanted) == [
        Theme("Refund", "mine", (4,)),
        Theme("Fraud", ""),
        Theme("bills", "", (1, 2, 3)),
    ]


def test_leftovers_are_no_label():
    groups = [group("Other", [1]), group("  ", [2]), group("bills", [3])]
    assert [t.label for t in themes_in(groups, text_entries("abc"))] == ["bills"]


def test_the_instructions_say_what_is_wanted_and_nothing_else():
    plain = ANY.instructions()
    assert "at most 20 groups" in plain
    assert "exist already" not in plain
    text = Wanted(k=6, seeds={'re"fund': "money back", "b": ""}, own=" by product ").instructions()
    assert "exactly 6 groups" in text
    assert '{"label": "re\\"fund", "description": "money back"}\n{"label": "b"}' in text
    assert text.endswith("\nby product\n")


words = st.text(max_size=12)
replies = st.lists(
    st.builds(group, words, st.lists(st.integers(-2, 12), max_size=6), words), max_size=8
)


@settings(max_examples=50)
@given(st.lists(replies, min_size=1, max_size=4), st.dictionaries(st.sampled_from("abc"), words))
def test_whatever_a_model_answers_the_labels_are_a_field(groups, seeds):
    entries = text_entries([f"text {n}" for n in range(10)])
    themes = united(theme for one in groups for theme in themes_in(one, entries))
    labels = chosen(themes, Wanted(k=5, seeds=seeds, own=""))
    assert [label.label for label in labels[: len(seeds)]] == [*seeds]
    assert len(labels) <= 5
    assert all(fold(label.label) != OTHER for label in labels)
    if len(labels) > 1:
        read_field("label", {label.label: label.description for label in labels})
