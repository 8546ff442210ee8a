"""The small line of the speed shows the whole run, however long it is, in few points."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmframe.notebook.drawing.style import sparkline
from llmframe.notebook.latest_rows import BINS, Pace
from tests.kits.notebook_cases import Seen


class Clock:
    """Time that is set."""

    def __init__(self):
        self.now = 100.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


def test_rows_are_counted_in_the_second_they_come(clock):
    pace = Pace(clock)
    for rows in (3, 5, 0, 2):
        pace.count(rows)
        clock.now += 1
    assert pace.rates() == [3, 5, 0, 2]


def test_the_second_that_is_not_over_is_left_out(clock):
    pace = Pace(clock)
    pace.count(7)
    clock.now += 0.9
    assert pace.rates() == []


def test_a_silence_is_seen_as_zeros(clock):
    pace = Pace(clock)
    pace.count(4)
    clock.now += 3
    assert pace.rates() == [4, 0, 0]


@given(st.lists(st.tuples(st.floats(0, 500), st.integers(0, 1000)), max_size=60))
def test_no_row_is_lost_and_the_points_stay_few(arrivals):
    clock = Clock()
    pace, width = Pace(clock), 1.0
    for wait, rows in arrivals:
        clock.now += wait
        pace.count(rows)
    while (clock.now + width - 100) / width > BINS:
        width *= 2
    clock.now = 100 + width * (int((clock.now - 100) / width) + 1)  # the last bin is over
    rates = pace.rates()
    assert len(rates) <= BINS
    seconds = (clock.now - 100) / max(len(rates), 1)
    assert sum(rates) * seconds == pytest.approx(sum(rows for _, rows in arrivals))


def test_the_line_is_a_picture_with_a_name_and_a_point_for_each_rate():
    line = sparkline([1, 2, 3, 4], label="rows per second")
    assert Seen(line).tags == ["svg", "polygon", "polyline"]
    assert 'aria-label="rows per second"' in line
    assert 'points="0.0,16.2 40.0,11.5 80.0,6.8 120.0,2.0"' in line


@pytest.mark.parametrize("rates", [[], [1, 2, 3], [0, 0, 0, 0, 0]])
def test_too_little_draws_no_line(rates):
    assert sparkline(rates, label="x") == ""


def test_the_longest_line_is_small():
    assert len(sparkline([0, 123.456] * (BINS // 2), label="rows per second")) < 2_000
