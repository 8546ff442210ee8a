"""What others say is shown in one line, short, and without keys."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmframe.providers.responses.scrubber import MESSAGE_LIMIT, Scrubber

KEY = "sk-proj-AbCd1234567890"


@pytest.mark.parametrize(
    "message",
    [
        "Bearer eyJhbGciOiJIUzI1NiJ9.payload.signature",
        "sk-ant-REDACTED",
        "key gsk_0123456789abcdef",
        "xai-0123456789abcdef",
        "sk-ab***********wxyz",
    ],
)
def test_keys_of_others_are_removed_by_their_form(message):
    text = Scrubber()(message)
    assert "[key]" in text
    for part in ("signature", "0123456789", "wxyz"):
        assert part not in text


def test_a_short_or_missing_key_takes_nothing_out():
    assert Scrubber(None, "", "abc")("abc is said") == "abc is said"


def test_a_message_is_one_line_of_bounded_length():
    text = Scrubber()("a\n\t b" + "c" * 1000)
    assert text.startswith("a b")
    assert len(text) == MESSAGE_LIMIT
    assert text.endswith("…")


@given(st.text())
def test_any_text_is_scrubbed_into_something_that_can_be_written(text):
    text = Scrubber(KEY)(text + KEY)
    assert KEY not in text
    assert len(text) <= MESSAGE_LIMIT
    text.encode()


def test_a_lone_surrogate_is_replaced():
    assert Scrubber()("a\ud800b") == "a?b"
