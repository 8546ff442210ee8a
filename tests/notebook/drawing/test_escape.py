"""Foreign text is shown as text, wherever it stands."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmframe.notebook.drawing.card import card_html, card_text
from llmframe.notebook.drawing.escape import LIMIT, html, plain
from llmframe.notebook.drawing.live import live_html, live_text
from tests.kits.notebook_cases import HOSTILE, Seen, hostile_ending, hostile_snapshot

OURS = {"div", "span", "b"}
ANYTHING = st.text(st.characters(exclude_categories=()))  # lone surrogates too


def assert_only_ours(source: str) -> None:
    seen = Seen(source)
    assert set(seen.tags) <= OURS
    assert not seen.strange
    assert not seen.odd
    assert not seen.open
    for text in seen.texts:
        assert "\\" not in text or text == "\\"
        assert text.count("$") < 2
    source.encode("utf-8")


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_text_is_only_text_in_every_place_of_panel_and_card(text):
    assert_only_ours(live_html(hostile_snapshot(text), hint=text))
    assert_only_ours(card_html(hostile_ending(text)))


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_text_stays_readable_in_panel_and_card(text):
    words = plain(text, limit=20).rstrip("…")
    assert words in Seen(live_html(hostile_snapshot(text))).text
    assert words in Seen(card_html(hostile_ending(text))).text


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_text_drives_no_terminal_and_breaks_no_line(text):
    ending = hostile_ending(text)
    lines = card_text(ending).split("\n")
    for line in [*lines, live_text(hostile_snapshot(text))]:
        assert line.isprintable()
        line.encode("utf-8")
    assert len(lines) <= 16


@pytest.mark.parametrize("text", HOSTILE)
def test_no_message_to_the_page_grows_beyond_twenty_kilobytes(text):
    assert len(json.dumps(live_html(hostile_snapshot(text)))) < 20_000
    assert len(json.dumps(card_html(hostile_ending(text)))) < 20_000


@given(ANYTHING)
def test_any_text_becomes_one_printable_line(text):
    line = plain(text)
    line.encode("utf-8")
    assert "\n" not in line
    assert "\x1b" not in line
    assert len(line) <= LIMIT


@given(ANYTHING)
def test_any_text_is_read_back_from_its_html(text):
    assert_only_ours(html(text))
    assert Seen(html(text)).text == plain(text)


def test_ordinary_text_is_left_alone():
    assert (
        plain("模型 deepseek-chat 😀 50 % of C:\\data") == "模型 deepseek-chat 😀 50 % of C:\\data"
    )
    assert html("a < b & c") == "a &lt; b &amp; c"


def test_a_text_of_nothing_but_markup_is_cut_shorter():
    assert Seen(html("$" * 1_000, limit=70)).text == "$" * 9 + "…"
    assert Seen(html("<" * 30, limit=70)).text == "<" * 30


def test_a_cut_text_says_that_it_was_cut():
    assert plain("abcdefgh", limit=5) == "abcd…"
