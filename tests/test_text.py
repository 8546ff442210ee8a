"""Text of any origin can be encoded, and shown in little room."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from llmframe.text import clean_text, cut


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
