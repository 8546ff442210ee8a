"""What limits a run, in words: at any time, and over the whole run."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from llmframe.engine.governor import Binding
from llmframe.engine.limited_by import LimitHistory, cause, pace, words
from llmframe.engine.wire.verdict import Verdict

FREE = Binding(
    pause=0.0, outage=False, on_wire=3, limit=20, requests=0.0, tokens=0.0, rpm=None, tpm=None,
    named=False, probing=False,
)  # fmt: skip


@pytest.mark.parametrize(
    ("change", "cap", "text"),
    [
        ({}, None, "latency"),
        ({"on_wire": 20}, None, "concurrency 20, found so far"),
        ({"on_wire": 20}, 50, "concurrency 20, found so far"),
        ({"on_wire": 20}, 20, "concurrency 20"),
        ({"on_wire": 20, "is_cap": True}, 50, "20 at once, the provider's cap"),
        ({"on_wire": 8, "is_cap": True}, 8, "concurrency 8"),
        ({"on_wire": 8}, 8, "concurrency 8"),
        ({"requests": 0.1, "rpm": 600.0, "named": True}, None, "RPM 600 (header)"),
        ({"requests": 0.1, "rpm": 600.0}, None, "RPM 600 (yours)"),
        ({"requests": 0.1, "tokens": 2.0, "rpm": 600.0, "tpm": 90_000.0}, None,
         "TPM 90,000 (yours)"),
        ({"pause": 12.0, "requests": 5.0, "rpm": 6.0}, None, "provider pause, 12 s left"),
        ({"pause": 540.0}, None, "provider pause, 9 min left"),
        ({"pause": 12.0, "outage": True}, None, "outage, next check in 12 s"),
        ({"outage": True, "on_wire": 1}, None, "outage, checking"),
        ({"probing": True}, None, "the first answer"),
    ],
)  # fmt: skip
def test_what_binds_is_written_in_words(change, cap, text):
    assert words(replace(FREE, **change), cap=cap, held=False) == text


@pytest.mark.parametrize(
    ("seconds", "shown"), [(3540, "59 min left"), (7200, "2.0 h left"), (90_000, "25.0 h left")]
)
def test_a_long_wait_names_the_hour_at_which_it_is_over(seconds, shown):
    text = words(replace(FREE, pause=float(seconds)), cap=None, held=False)
    end = (datetime.now() + timedelta(seconds=seconds)).strftime("%H:%M")
    later = (datetime.now() + timedelta(seconds=seconds + 60)).strftime("%H:%M")
    assert text.startswith(f"provider pause, {shown}, until ")
    assert text.endswith((end, later))
    assert (f"{datetime.now() + timedelta(seconds=seconds):%B}" in text) == (seconds == 90_000)


def test_a_bound_that_the_server_sets_is_not_called_the_persons():
    full = replace(FREE, on_wire=4)
    assert cause(full, cap=4, held=False, own=False) == "the server's slots"
    told = pace(full, cap=4, held=False, own=False)
    assert told == "4 requests at a time, as many as the server works on"


def test_the_persons_own_pause_comes_before_all():
    assert words(replace(FREE, pause=5.0), cap=None, held=True) == "pause by you"


def test_the_cause_is_the_same_word_for_as_long_as_it_is_the_same_thing():
    for change in ({"pause": 5.0}, {"pause": 5.0, "outage": True}, {"on_wire": 20}):
        early, late = replace(FREE, **change), replace(FREE, **change)
        late = replace(late, pause=late.pause and 2.0, limit=25, on_wire=late.on_wire + 5)
        causes = [cause(each, cap=None, held=False) for each in (early, late)]
        assert causes[0] == causes[1]


def test_shares_of_the_time_sum_to_one_largest_first():
    history = LimitHistory()
    assert (history.most, history.shares) == ("", {})
    for text, seconds in (("latency", 1.0), ("outage", 6.0), ("latency", 3.0)):
        history.note(text, seconds, at=0.0, limit=20)
    assert history.most == "outage"
    assert list(history.shares.items()) == [("outage", 0.6), ("latency", 0.4)]


def test_the_limits_history_is_kept_by_its_changes():
    history = LimitHistory()
    for at, limit in ((0.0, 20), (0.25, 20), (0.5, 40), (0.75, 32), (1.0, 32)):
        history.note("latency", 0.25, at=at, limit=limit)
    assert history.limits == [(0.0, 20), (0.5, 40), (0.75, 32)]


def test_a_wait_says_why_in_the_provider_s_words():
    long, short = replace(FREE, pause=60.0), replace(FREE, pause=5.0)
    said = words(long, cap=None, held=False, refusal="50 a day")
    assert said == "provider pause, 60 s left: 50 a day"
    assert words(short, cap=None, held=False, refusal="50 a day") == "provider pause, 5 s left"


DOWN = Verdict("retry", "server", "overloaded", status=503)


@pytest.mark.parametrize(
    ("change", "cap", "lost", "sentence"),
    [
        ({}, None, None, "how fast the model answers sets the pace"),
        ({"on_wire": 20}, 20, None, "20 requests at a time, the most that concurrency= allows"),
        ({"on_wire": 20}, None, None,
         "20 requests at a time; more are tried as long as the provider takes them"),
        ({"on_wire": 20, "is_cap": True}, 50, None, "the provider takes 20 requests at a time"),
        ({"requests": 0.1, "rpm": 600.0, "named": True}, None, None,
         "the provider allows 600 requests a minute"),
        ({"tokens": 2.0, "tpm": 90_000.0}, None, None, "you allow 90,000 tokens a minute"),
        ({"pause": 12.0}, None, None,
         "the provider asked for a pause: 12 s left; nothing is lost"),
        ({"pause": 4.0, "outage": True}, None, DOWN,
         'the provider is down, HTTP 503 ("overloaded"): tried again in 4 s; nothing is lost'),
        ({"outage": True}, None, replace(DOWN, message=""),
         "the provider is down, HTTP 503: being tried again now; nothing is lost"),
        ({"pause": 2.0, "outage": True}, None, Verdict("retry", "connection", ""),
         "the provider cannot be reached: tried again in 2 s; nothing is lost"),
        ({"pause": 2.0, "outage": True}, None, Verdict("retry", "timeout", ""),
         "the provider does not answer: tried again in 2 s; nothing is lost"),
        ({"pause": 2.0, "outage": True}, None, None,
         "the provider is down: tried again in 2 s; nothing is lost"),
        ({"probing": True}, None, None, "waiting for the first answer before more is sent"),
    ],
)  # fmt: skip
def test_what_sets_the_pace_is_a_plain_sentence(change, cap, lost, sentence):
    assert pace(replace(FREE, **change), cap=cap, held=False, lost=lost) == sentence


def test_a_pause_says_why_in_the_provider_s_own_words_and_the_person_s_own_comes_first():
    long = replace(FREE, pause=60.0)
    assert pace(long, cap=None, held=False, refusal="50 a day") == (
        "the provider asked for a pause (50 a day): 60 s left; nothing is lost"
    )
    assert pace(long, cap=None, held=True).startswith("paused by you")


def test_long_words_of_an_endpoint_are_cut():
    told = replace(DOWN, message="x" * 1000)
    sentence = pace(replace(FREE, outage=True), cap=None, held=False, lost=told)
    assert len(sentence) < 200
