"""Composed replies: a few here, ten thousand with ``python -m tests.strangers.composed``."""

from __future__ import annotations

import random

from tests.strangers.composed import Figures, run, try_one
from tests.strangers.composing import compose, record

EXAMPLES = 300


def test_no_composed_reply_brings_a_wrong_value_a_draft_or_a_crash():
    figures = run(EXAMPLES, seed=random.randrange(10**6))
    assert figures.is_good, "\n".join(figures.failures)
    assert figures.examples == EXAMPLES
    assert figures.first_reply_was_enough >= figures.sure_at_first > EXAMPLES / 5


def test_a_draft_that_is_taken_is_noticed(monkeypatch):
    """The oracle can fail: with a reader that takes the first object that it finds."""
    from llmframe.task import parse
    from llmframe.task.objects import find_objects
    from tests.strangers.composed import PROMPT

    def careless(content, fields, elsewhere=()):
        found = [one.value for one in find_objects(content or "") if one.value]
        values = found[0] if found else {}
        return {name: values.get(name) for name in PROMPT.fields.names}, content

    monkeypatch.setattr(parse, "read_answer", careless)
    figures, rng = Figures(), random.Random(0)
    for _ in range(50):
        try_one(rng, figures)
    assert figures.drafts_taken or figures.wrong_values


def test_composed_replies_are_of_many_kinds():
    rng = random.Random(0)
    made = [compose(record(rng), rng) for _ in range(200)]
    assert {(each.sure, each.holds) for each in made} == {
        (True, True),
        (False, True),
        (False, False),
    }
