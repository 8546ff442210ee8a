"""The card that stays tells the whole run, in HTML that every viewer can show, and in text."""

import re
from dataclasses import replace

import pytest

from llmframe.notebook.drawing.card import card_html, card_text
from llmframe.notebook.view import Ending
from tests.kits.notebook_cases import FINISHED, REPORT, RUNNING, Seen

STOPPED = Ending(
    snapshot=replace(RUNNING, status="stopped"),
    report=replace(REPORT, ok=6_118, failed=0, pending=3_843, done=6_157, errors_by_kind={}),
    model="deepseek-chat",
    headline="interrupted",
    next_step="Run the cell again to go on.",
    notes=("2 lines of the checkpoint are damaged.",),
)
BARE = replace(
    FINISHED,
    report=replace(
        REPORT, failed=0, skipped=0, reused=0, shared=0, cost=None, errors_by_kind={},
        limited_by="", checkpoint=None,
    ),
    model="",
    next_step="",
)  # fmt: skip

# what JupyterLab leaves of a style attribute in a notebook that it does not trust
KEPT = {
    "background", "border", "border-radius", "box-sizing", "display", "font-family", "font-size",
    "font-weight", "height", "line-height", "margin", "margin-bottom", "margin-left",
    "margin-right", "margin-top", "overflow-wrap",
    "max-width", "min-width", "opacity", "overflow", "padding", "padding-right", "vertical-align",
    "width", "word-wrap", "align-items",
}  # fmt: skip
COSMETIC = {"font-variant-numeric", "flex-wrap", "align-items"}


def text(ending):
    return Seen(card_html(ending)).text.replace("\xa0", " ")


@pytest.mark.parametrize(
    "words",
    [
        "10,000 rows in 3:26",
        "finished",
        "48.5 rows/s",
        "deepseek-chat",
        "9,880 ok",
        "1,200 reused",
        "81 failed",
        "39 skipped (blank)",
        "8,761 requests",
        "310 equal rows",
        "152 retries",
        "9 rate-limited (429)",
        "2.86 M tokens in",
        "61 % of input cached",
        "240 k tokens out",
        "$0.66 spent",
        "failed 60 too long for the model, 21 invalid answers",
        "limited by the provider's 600 requests a minute",
        "Run the cell again to try the 81 once more.",
        ".llmframe/3f9a12c0b7e4.jsonl",
    ],
)
def test_the_card_says(words):
    assert words in text(FINISHED)


def test_the_card_of_a_stopped_run_says_how_far_it_came_and_how_to_go_on():
    words = text(STOPPED)
    assert "6,157 of 10,000 rows in 3:26" in words
    assert "interrupted" in words
    assert "3,843 not reached" in words
    assert "note 2 lines of the checkpoint are damaged." in words
    assert "Run the cell again to go on." in words


def test_what_did_not_happen_is_left_out():
    for words in ("reused", "equal rows", "skipped", "spent", "limited by", "checkpoint", "$"):
        assert words not in text(BARE)
        assert words not in card_text(BARE)
    assert "0 failed" in text(BARE)


def test_the_text_is_the_whole_card():
    assert card_text(FINISHED) == (
        "llmframe: finished, 81 failed, 10,000 rows in 3:26 (48.5 rows/s), deepseek-chat\n"
        "  9,880 ok (1,200 reused, 310 equal rows not sent), 81 failed, 39 skipped (blank)\n"
        "  8,761 requests, 152 retries, 9 rate-limited (429), 2.86 M tokens in (61 % cached), "
        "240 k out, $0.66\n"
        "  failed: 60 too long for the model, 21 invalid answers\n"
        "  limited by: the provider's 600 requests a minute\n"
        "  checkpoint: .llmframe/3f9a12c0b7e4.jsonl\n"
        "  Run the cell again to try the 81 once more."
    )


def test_the_text_of_a_stopped_run_names_what_is_left():
    lines = card_text(STOPPED).split("\n")
    assert lines[0].startswith("llmframe: interrupted, 6,157 of 10,000 rows in 3:26")
    assert lines[1].endswith("39 skipped (blank), 3,843 not reached")
    assert "  note: 2 lines of the checkpoint are damaged." in lines


def test_many_notes_are_cut_and_counted():
    many = replace(FINISHED, notes=tuple(f"note {i}" for i in range(20)))
    assert "and 14 more notes" in text(many)
    assert "note 6" not in card_text(many)


def test_the_card_of_an_aborted_run_says_why():
    why = "the key was refused (401). 0 of 10,000 rows are answered. Set another key."
    aborted = replace(
        FINISHED,
        snapshot=replace(RUNNING, status="aborted", message=why),
        report=replace(REPORT, rows_per_second=0.0),
    )
    assert "rows/s" not in text(aborted)
    assert why in text(aborted)
    assert f"\n  {why}\n" in card_text(aborted)


def test_a_run_of_no_rows_has_a_card():
    empty = replace(REPORT, rows=0, ok=0, failed=0, skipped=0, done=0, seconds=0.0)
    assert "0 rows in 0.0 s" in text(replace(FINISHED, report=empty))


@pytest.mark.parametrize(
    ("status", "pending", "failed", "tint"),
    [
        ("finished", 0, 0, "46,157,106"),
        ("finished", 0, 1, "214,145,20"),
        ("stopped", 5, 0, "214,145,20"),
        ("aborted", 5, 0, "214,73,63"),
    ],
)
def test_the_headline_is_tinted_by_how_the_run_ended(status, pending, failed, tint):
    ending = replace(
        FINISHED,
        snapshot=replace(RUNNING, status=status),
        report=replace(REPORT, pending=pending, failed=failed),
        headline="HEADLINE",
    )
    assert re.search(rf"background:rgba\({tint},0\.\d+\)\">HEADLINE", card_html(ending))


@pytest.mark.parametrize("ending", [FINISHED, STOPPED, BARE])
def test_the_card_needs_nothing_that_a_careful_viewer_takes_away(ending):
    source = card_html(ending)
    assert set(Seen(source).tags) <= {"div", "span", "b"}
    for foreign in ("<style", "<script", "var(", "url(", "http", "prefers-color-scheme"):
        assert foreign not in source
    styles = re.findall(r'style="([^"]*)"', source)
    names = {item.partition(":")[0] for style in styles for item in style.split(";") if item}
    assert names - COSMETIC <= KEPT


def test_no_text_colour_is_set_so_that_any_theme_can_be_read():
    assert not re.search(r"[;\"]color:", card_html(FINISHED))


def test_what_is_estimated_or_was_not_read_is_noted():
    report = replace(
        REPORT, estimated=1, unread=3, unread_tokens=3_120, unread_cost=0.0021, currency="CNY"
    )
    ending = replace(FINISHED, report=report)
    for words in (
        "about ¥0.66",
        "1 reply did not state the tokens used; those are estimated",
        "3 requests left without an answer that could be read",
        "about 3,120 tokens or ¥0.0021 more",
    ):
        assert words in text(ending)
        assert words in card_text(ending)
    assert "without an answer" not in text(FINISHED)
    assert " or " not in card_text(replace(ending, report=replace(report, unread_cost=None)))
