"""What a row notes: its attempts, its refusals, and what it has cost."""

from __future__ import annotations

from llmframe.engine.row import Row
from llmframe.providers.dialect import FULL_DIALECT
from llmframe.results import Usage


def row(position=0):
    return Row(position, b"k", "text")


def test_a_row_knows_what_it_has_cost():
    each = row()
    each.note_sent(10.0, FULL_DIALECT)
    each.note_back(10.0, 12.0)
    each.note_sent(20.0, FULL_DIALECT)
    each.note_back(20.0, 23.0)
    assert (each.sent, each.charged, each.busy, each.elapsed) == (2, 2, 5.0, 13.0)


def test_a_refusal_uses_up_no_attempt_and_the_first_one_is_remembered():
    each = row()
    for now, successes, alone in ((1.0, 5, True), (2.0, 9, False)):
        each.note_sent(now, FULL_DIALECT)
        each.note_refused(now, alone=alone, successes=successes, refusals=successes + 1)
    assert (each.sent, each.charged, each.refused, each.refused_alone) == (2, 0, 2, 1)
    assert (each.refused_since, each.successes_before, each.refusals_before) == (1.0, 5, 6)


def test_a_bad_reply_with_output_was_paid():
    each = row()
    each.note_paid(Usage(10, 0))
    assert each.paid == 0
    each.note_paid(Usage(10, 3, 0.5))
    assert (each.paid, each.usage) == (1, Usage(20, 3, 0.5))
