"""A screen reader says numbers in words, and eyes see them as everywhere else."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmframe.notebook.drawing.format import amount, rate, span
from llmframe.notebook.drawing.spoken import amount_html, rate_html, span_html
from tests.kits.notebook_cases import Seen

SECONDS = st.floats(0, 1e7)


def said(source):
    labels = re.findall(r'aria-label="([^"]*)"', source)
    return " ".join(labels) or Seen(source).text


@pytest.mark.parametrize(
    ("source", "words"),
    [
        (amount_html(9_999), "9,999"),
        (amount_html(41_200), "41.2 thousand"),
        (amount_html(2_860_000), "2.86 million"),
        (span_html(4.2), "4.2 seconds"),
        (span_html(206), "3 minutes 26 seconds"),
        (span_html(3_660), "1 hour 1 minute"),
        (span_html(200_000), "2 days 7 hours"),
        (span_html(float("nan")), "an unknown time"),
        (rate_html(48.5)[1], "rows per second"),
        (rate_html(0.5)[1], "rows per minute"),
    ],
)
def test_numbers_are_said_in_words(source, words):
    assert said(source) == words


@given(st.integers(0, 10**13), SECONDS, SECONDS)
def test_what_is_seen_stays_the_same(number, seconds, speed):
    assert Seen(amount_html(number)).text == amount(number)
    assert Seen(span_html(seconds)).text == span(seconds)
    assert tuple(Seen(part).text for part in rate_html(speed)) == rate(speed)
