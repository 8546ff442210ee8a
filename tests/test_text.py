"""Text of any origin can be encoded, and shown in little room."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from llmframe.text import clean_text, cut, percents


def test_only_half_a_character_is_replaced():
    assert clean_text("ok 退 😀 \ud83d.") == "ok 退 😀 \ufffd."


@given(st.text(st.characters(codec=None)))
def test_cleaned_text_can_be_encoded_and_good_text_is_kept(text):
    cleaned = clean_text(text)
    cleaned.encode()
    assert cleaned == text or "\ufffd" in cleaned


def test_a_cut_text_ends_in_an_ellipsis_within_its_limit():
    assert cut("abcd", 4) == "abcd"
    assert cut("abcde", 4) == "abc…"


@given(st.lists(st.integers(0, 10**6), max_size=40))
def test_shares_in_percent_sum_to_100_and_are_never_off_by_one(numbers):
    shares = percents(numbers)
    total = sum(numbers)
    assert sum(shares) == (100 if total else 0)
    assert all(
        abs(share - 100 * number / total) < 1 for share, number in zip(shares, numbers, strict=True)
        if total
    )  # fmt: skip
