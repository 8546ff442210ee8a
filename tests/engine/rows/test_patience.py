"""How long and how often a row is tried."""

from __future__ import annotations

import pytest

from llmframe.engine.row import Row
from llmframe.engine.rows.patience import Patience


def test_attempts_count_the_first_request():
    patience = Patience(max_attempts=3)
    assert [patience.is_last(n) for n in (1, 2, 3, 4)] == [False, False, True, True]


def test_waits_grow_to_half_a_minute_with_full_jitter():
    patience = Patience()
    for attempts, top in ((1, 0.5), (2, 1.0), (3, 2.0), (7, 30.0), (50, 30.0)):
        waits = [patience.backoff(attempts) for _ in range(200)]
        assert 0.0 <= min(waits) < 0.2 * top
        assert 0.8 * top < max(waits) <= top


@pytest.mark.parametrize(("deadline", "left"), [(None, 60.0), (100.0, 60.0), (10.0, 3.0)])
def test_an_attempt_ends_with_the_deadline(deadline, left):
    row = Row(0, b"", "text", busy=7.0)
    assert Patience(deadline=deadline).left(row) == left


def test_the_deadline_counts_the_seconds_that_a_row_was_busy():
    patience = Patience(deadline=10.0)
    assert [patience.is_over(busy) for busy in (9.9, 10.0)] == [False, True]
    assert not Patience().is_over(1e9)
