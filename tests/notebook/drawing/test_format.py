"""Numbers are written as people read them."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmframe.notebook.drawing.format import amount, count, money, noun, plural, rate, span


@pytest.mark.parametrize(
    ("number", "text"),
    [
        (0, "0"),
        (9_999, "9,999"),
        (10_000, "10.0 k"),
        (41_234, "41.2 k"),
        (412_345, "412 k"),
        (999_499, "999 k"),
        (999_500, "1.00 M"),
        (1_940_000, "1.94 M"),
        (99_960_000, "100 M"),
        (3_100_000_000, "3.10 B"),
        (1_234_500_000_000, "1,234 B"),
    ],
)
def test_large_amounts_have_three_digits(number, text):
    assert amount(number) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (-1, "0.0 s"),
        (0, "0.0 s"),
        (4.24, "4.2 s"),
        (9.96, "10 s"),
        (59.4, "59 s"),
        (59.6, "1:00"),
        (206, "3:26"),
        (3_599.6, "1:00:00"),
        (3_723, "1:02:03"),
        (48 * 3_600 - 1, "47:59:59"),
        (53 * 3_600, "2 d 5 h"),
        (math.inf, "?"),
        (math.nan, "?"),
    ],
)
def test_times_are_short(seconds, text):
    assert span(seconds) == text


@pytest.mark.parametrize(
    ("speed", "text"),
    [
        (48.7, ("48.7", "rows/s")),
        (1_048.7, ("1,049", "rows/s")),
        (1.0, ("1.00", "rows/s")),
        (0.31, ("18.6", "rows/min")),
        (0.0, ("0", "rows/s")),
        (-1.0, ("0", "rows/s")),
        (math.nan, ("0", "rows/s")),
    ],
)
def test_slow_speeds_are_told_by_the_minute(speed, text):
    assert rate(speed) == text


@pytest.mark.parametrize(
    ("dollars", "text"),
    [
        (0, "$0.00"),
        (0.41, "$0.41"),
        (0.0999, "$0.100"),
        (0.0032, "$0.0032"),
        (0.000012, "$0.000012"),
        (1_234.5, "$1,234.50"),
        (math.nan, "?"),
    ],
)
def test_small_costs_keep_two_digits(dollars, text):
    assert money(dollars, "USD") == text


def test_a_noun_fits_its_count():
    assert plural(1, "row") == "1 row"
    assert plural(10_000, "row") == "10,000 rows"
    assert noun(2, "retry", "retries") == "retries"
    assert noun(1, "retry", "retries") == "retry"
    assert count(1_234_567) == "1,234,567"


@given(st.floats())
def test_no_number_breaks_a_view(number):
    assert span(number)
    assert all(rate(number))
    assert money(number, "USD")


@given(st.integers(min_value=0))
def test_no_count_breaks_a_view(number):
    assert amount(min(number, 10**18))
