"""The live view says what a person wants to know while the cell runs."""

import re
from dataclasses import replace

import pytest

from llmframe.notebook.drawing.counts import kinds
from llmframe.notebook.drawing.live import live_html, live_text, percent, projected_cost
from llmframe.notebook.drawing.spending import seconds_left
from llmframe.report import TaskBudget
from llmframe.results import Usage
from tests.kits.notebook_cases import BEGIN, FINISHED, RUNNING, Seen


def text(snapshot, hint=""):
    return Seen(live_html(snapshot, hint)).text.replace("\xa0", " ")


def widths(source):
    return [float(width) for width in re.findall(r"width:([\d.]+)%;min-width:5px", source)]


@pytest.mark.parametrize(
    "words",
    [
        "6,214 of 10,000 rows",
        "48.7 rows/s",
        "1:18 left",
        "6,118 ok",
        "1,200 reused",
        "57 failed",
        "39 skipped (blank)",
        "50 of 50 in flight",
        "4 rows waiting to retry",
        "1.74 M tokens in",
        "61 % of input cached",
        "200 k tokens out",
        "$0.41 of about $0.72",
        "112 retries, 3 rate-limited (429)",
        "limited by the provider's pause",
        "failed 41 too long for the model, 16 invalid answers",
    ],
)
def test_the_view_says(words):
    assert words in text(RUNNING)


def test_the_bar_has_a_part_for_each_status_as_wide_as_its_share():
    assert widths(live_html(RUNNING)) == [61.18, 0.57, 0.39]


def test_empty_parts_are_not_drawn():
    assert widths(live_html(BEGIN)) == []
    assert widths(live_html(replace(BEGIN, rows=0))) == []


def test_a_row_reused_beyond_the_ok_ones_breaks_no_bar():
    assert widths(live_html(replace(BEGIN, reused=10, ok=0))) == [0.1]


def test_before_all_rows_are_looked_at_the_count_is_a_lower_bound():
    assert "at least 0 of 10,000 rows" in text(BEGIN)
    assert live_text(BEGIN).startswith("at least 0 of 10,000 rows")
    assert "at least" not in text(RUNNING)


def test_a_run_that_is_not_running_says_so_instead_of_its_speed():
    paused = replace(RUNNING, status="paused")
    assert "paused" in text(paused)
    assert "rows/s" not in text(paused)
    assert ", paused, " in live_text(paused)


def test_without_an_estimate_no_time_is_promised():
    assert "left" not in text(BEGIN)
    assert "left" not in live_text(BEGIN)


def test_without_a_price_no_cost_is_shown():
    assert "$" not in text(replace(RUNNING, usage=Usage(10, 10)))


def test_a_cost_is_projected_over_the_rows_that_are_left():
    assert projected_cost(RUNNING) == pytest.approx(0.41 * (4_975 + 3_786) / 4_975)


@pytest.mark.parametrize(
    "snapshot",
    [
        replace(RUNNING, usage=Usage(10, 10)),
        replace(RUNNING, planned=False),
        replace(RUNNING, ok=1_205, failed=0),
    ],
)
def test_a_cost_is_not_projected_from_too_little(snapshot):
    assert projected_cost(snapshot) is None


def test_a_cost_without_a_projection_is_the_cost_so_far():
    assert "$0.41 so far" in text(replace(RUNNING, planned=False))


BUDGET = TaskBudget(max_cost=0.5, max_tokens=None, cost=0.45, tokens=9, currency="USD")


@pytest.mark.parametrize(
    ("budget", "words"),
    [
        (BUDGET, "max_cost stops it at about row 6,800"),  # 607 rows for what is left
        (replace(BUDGET, max_cost=9.0, max_tokens=1_000_000, tokens=990_000), "max_tokens stops"),
        (replace(BUDGET, max_cost=9.0), ""),
        (replace(BUDGET, max_cost=0.4), "stops it at about row 6,214"),
        (None, ""),
    ],
)
def test_a_limit_that_will_stop_the_run_is_told_and_bounds_the_time_left(budget, words):
    limited = replace(RUNNING, budget=budget)
    for shown in (text(limited), live_text(limited)):
        assert words in shown
        assert ("stops it" in shown) == bool(words)
        assert ("1:18 left" in shown) == (not words)
    seconds = seconds_left(limited)
    assert seconds == 78.0 if not words else seconds < 78.0 * 607 / 3_786 + 0.1


def test_a_stop_that_is_expected_is_said_until_the_answers_of_the_run_show_it():
    early = replace(BEGIN, expected_stop="max_cost=1 may stop this call")
    for shown in (text(early), live_text(early)):
        assert "max_cost=1 may stop this call" in shown
    later = replace(RUNNING, expected_stop="max_cost=1 may stop this call")
    assert "may stop" not in text(later) + live_text(later)


def test_a_limit_is_not_projected_from_too_little():
    assert "stops it" not in text(replace(RUNNING, budget=BUDGET, ok=1_205, failed=0))
    assert "stops it" not in text(replace(RUNNING, budget=BUDGET, planned=False))


@pytest.mark.parametrize(
    ("change", "pace"),
    [
        ({}, "reading the rows and saved answers"),
        ({"planned": True}, ""),
        ({"requests": 4, "limited_by": "latency"}, "waiting for the first answer"),
        ({"requests": 4, "limited_by": "outage, checking", "pace": "it is down"}, "it is down"),
    ],
)
def test_before_the_first_answer_no_speed_is_told(change, pace):
    begun = replace(BEGIN, **change)
    for shown in (text(begun), live_text(begun)):
        assert pace in shown
        assert "rows/s" not in shown
        assert "sets the pace" not in shown


def test_a_message_and_a_hint_have_lines_of_their_own():
    words = text(replace(RUNNING, message="The key was refused."), hint="Press it.")
    assert "The key was refused." in words
    assert "Press it." in words


def test_the_line_for_a_log_ends_with_the_message():
    line = live_text(replace(RUNNING, message="Waiting for the provider."))
    assert line == (
        "6,214 of 10,000 rows (62 %), 48.7 rows/s, 1:18 left, 57 failed, $0.41, limited by the "
        "provider's pause, 112 retries, 1,200 answers reused. Waiting for the provider."
    )


def test_it_says_who_answers_since_when_and_how_much_is_done():
    words = text(replace(RUNNING, model="deepseek-chat", endpoint="api.deepseek.com"))
    assert "deepseek-chat at api.deepseek.com, 1:42 so far" in words
    assert "62 %" in words


def test_it_says_why_requests_are_sent_again():
    reasons = {("server", 503): 1, ("rate_limit", 429): 9, ("timeout", None): 2}
    retried = replace(RUNNING, retry_reasons=reasons)
    words = (
        "9 rate limits (HTTP 429), 2 answers that did not come in time, 1 server error (HTTP 503)"
    )
    assert f"sent again because of {words}" in text(retried)
    assert f"112 retries ({words})" in live_text(retried)


def test_a_sentence_on_the_pace_replaces_the_short_words():
    down = replace(RUNNING, pace="the provider is down, HTTP 503: tried again in 4 s")
    assert "the provider is down, HTTP 503: tried again in 4 s" in text(down)
    assert "limited by" not in text(down) + live_text(down)


def test_the_percent_is_rounded_down_and_not_said_of_no_rows():
    assert percent(replace(BEGIN, ok=9_999)) == "99 %"
    assert percent(replace(BEGIN, rows=0)) == ""


def test_the_most_frequent_failures_are_named_and_the_rest_counted():
    assert kinds({f"kind{i}": i for i in range(1, 10)}) == (
        "9 kind9, 8 kind8, 7 kind7, 6 kind6, 5 kind5, 4 kind4, 6 other"
    )
    assert kinds({}) == ""


def test_typesetting_is_switched_off_inside():
    assert 'class="llmframe tex2jax_ignore mathjax_ignore"' in live_html(FINISHED.snapshot)


def test_what_is_estimated_is_said_to_be():
    estimated = replace(RUNNING, usage=Usage(1_740_000, 200_000, 0.41, estimated=12))
    assert "about $0.41 of $0.72" in text(estimated)
    assert "12 replies did not state the tokens used" in text(estimated)
    assert "estimated" not in text(RUNNING)
    assert "cached" not in text(estimated)


def test_another_currency_has_its_own_sign():
    assert "€0.41 of about €0.72" in text(replace(RUNNING, currency="EUR"))
    assert "0.41 SEK" in text(replace(RUNNING, currency="SEK"))
    assert "<i>" not in live_html(replace(RUNNING, currency="<i>"))
