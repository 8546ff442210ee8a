"""A text leaves redacted, within its length, or not at all."""

from __future__ import annotations

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmframe.engine.asking.outgoing import NO_RULES, TextRules
from llmframe.results import SKIPPED, RowResult
from llmframe.task.text import shows_nothing


class PanicError(BaseException):
    """As a library in Rust raises it: no Exception."""


@pytest.mark.parametrize("error", [PanicError, asyncio.CancelledError, SystemExit, ValueError])
def test_whatever_redact_raises_fails_its_row_only(error):
    def redact(text):
        raise error

    result = TextRules(redact).prepare("text")
    assert result.status == "failed"
    assert str(result.error) == f"redact: {error.__name__} in redact=; nothing was sent"


@given(st.text(st.characters(exclude_categories=["Cs"])))
def test_without_rules_every_text_leaves_as_it_is(text):
    assert NO_RULES.prepare(text) == text


def test_a_row_without_text_is_skipped():
    assert NO_RULES.prepare(None) is SKIPPED


@given(st.text(st.characters(exclude_categories=["Cs"]), min_size=1), st.integers(1, 20))
def test_no_text_is_longer_than_it_may_be(text, most):
    kept = TextRules(max_tokens=most, truncate=True).prepare(text)
    if isinstance(kept, RowResult):
        assert shows_nothing(text.encode()[: 4 * most].decode(errors="ignore"))
    else:
        assert text.startswith(kept)
        assert 4 * most - 3 <= len(kept.encode()) <= 4 * most or kept == text


@given(st.text(st.characters(exclude_categories=["Cs"]), min_size=1), st.integers(1, 20))
def test_where_nothing_is_cut_a_text_is_sent_whole_or_not_at_all(text, most):
    sent = TextRules(max_tokens=most).prepare(text)
    assert sent == text if len(text.encode()) <= 4 * most else sent.status == "failed"


def test_five_megabytes_are_written_in_words():
    result = TextRules(max_tokens=1000).prepare("x" * 5_000_000)
    assert str(result.error) == (
        "context_length: the text has about 1,250,000 tokens, more than "
        "max_input_tokens=1,000; nothing was sent"
    )


@pytest.mark.parametrize("text", ["äöüß" * 10, "订单号码" * 10, "😀" * 10])
def test_no_character_is_cut_in_two(text):
    assert set(TextRules(max_tokens=3, truncate=True).prepare(text)) <= set(text)


def test_a_beginning_of_nothing_but_blanks_is_not_sent():
    assert TextRules(max_tokens=1, truncate=True).prepare(" " * 100 + "x").status == "failed"
