"""What proposed labels show: shares, descriptions and examples, whatever the texts hold."""

from __future__ import annotations

import re

import pandas as pd
import pytest

from llmframe.notebook.proposed_labels import ProposedLabels

HOSTILE = '<script>alert("x")</script> $\\href{javascript:x}{y}$ \x1b[31m \u202e \ud800'


def proposed(labels=None, sample=None, **more):
    labels = {"refund": "Money back.", "delivery": "Parcels."} if labels is None else labels
    if sample is None:
        sample = [(7, "refund", "give it back"), (9, "refund", "again"), (3, "refund", "third")]
        sample += [(4, "delivery", "where is it"), (5, None, "hello")]
    index = pd.Index([row for row, *_ in sample], dtype=object)
    pairs = [(label, text) for _, label, text in sample]
    return ProposedLabels(labels, sample=pairs, index=index, rows=1000, **more)


def test_an_edit_that_is_no_label_is_shown_too():
    labels = proposed()
    del labels["delivery"], labels["refund"]
    assert str(labels).startswith("llmframe: 0 labels, proposed from 5 texts")
    labels[7] = None
    assert str(labels).startswith("llmframe: 1 label, proposed")
    assert "  7: none in the sample" in str(labels)
    labels["both", "words"] = 5
    assert "both" in labels._repr_html_()


def test_the_text_names_every_label_with_its_share_and_examples():
    assert str(proposed()).splitlines() == [
        "llmframe: 2 labels, proposed from 5 texts of 1,000 rows",
        "  refund: 3 (60 %)",
        "    Money back.",
        "    - 7: give it back",
        "    - 9: again",
        "  delivery: 1 (20 %)",
        "    Parcels.",
        "    - 4: where is it",
        '  would be left to "other": 1 (20 %)',
        "    - 5: hello",
        '  Edit it as a dict, then: df.llm.tag(\'text\', {"label": labels}, other="other")',
    ]


def test_the_page_says_the_same():
    page = proposed(unread=30)._repr_html_()
    words = re.sub(r"<[^>]+>", " ", page)
    for part in ("refund", "60 %", "Money back.", "give it back", "hello", "left to", "30 texts"):
        assert part in words
    assert page.count('role="img"') == 3


@pytest.mark.parametrize("where", ["label", "description", "text", "row"])
def test_no_text_of_others_is_markup(where):
    label = HOSTILE if where == "label" else "a"
    labels = {label: HOSTILE if where == "description" else "b", "c": ""}
    sample = [(HOSTILE if where == "row" else 1, label, HOSTILE if where == "text" else "d")]
    page = proposed(labels, sample)._repr_html_()
    assert "<script" not in page
    assert "\x1b" not in page + str(proposed(labels, sample))
    page.encode()


def test_the_sample_is_a_frame_on_the_rows_index():
    sample = proposed().sample
    assert list(sample.index) == [7, 9, 3, 4, 5]
    assert list(sample["label"].dropna()) == ["refund"] * 3 + ["delivery"]
    assert proposed(sample=[]).other == 0
