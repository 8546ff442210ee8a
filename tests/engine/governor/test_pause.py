"""The pause: how long it lasts, and how it ends with one request and a ramp."""

from __future__ import annotations

import pytest

from llmframe.engine.governor.pause import ACCEPTED, Pause
from tests.kits.governor import whole


def test_a_pause_lasts_as_long_as_the_provider_asks():
    pause = Pause(whole)
    assert pause.wait(0.0, 100) == 0
    assert pause.refused(10.0, 0, 7.0, 0.1)
    assert pause.left(10.0) == 7.0
    assert pause.wait(16.5, 10) == 0.5
    assert pause.wait(17.0, 10) == 0


def test_a_pause_ends_with_one_request_and_the_others_follow_evenly_once_it_is_answered():
    pause = Pause(whole)
    pause.refused(0.0, 0, 1.0, 0.1)
    assert pause.wait(1.0, 10) == 0
    pause.sent(1.0)
    assert pause.wait(1.0, 10) > 0
    pause.succeeded(1, 1.25, 1.0)  # an answer takes a second: ten requests in one second
    left = []
    now = 1.25
    while now < 2.2:
        now += pause.wait(now, 10)
        left.append(now)
        pause.sent(now)
    assert left == pytest.approx([1.25 + 0.1 * n for n in range(11)])
    assert pause.wait(2.3, 10) == 0


def test_a_hair_before_its_end_a_pause_lets_no_more_through_than_after_it():
    pause = Pause(whole)
    pause.refused(0.0, 0, 30.0, 0.1)
    early = 30.0 - 1e-9
    assert pause.wait(early, 10) == 0
    pause.sent(early)
    assert pause.wait(early, 10) > 0


def test_a_request_that_is_not_refused_in_the_usual_time_counts_as_accepted():
    pause = Pause(whole)
    pause.refused(0.0, 0, 1.0, 0.5)
    pause.sent(1.0)
    assert pause.wait(1.0, 10) == ACCEPTED * 0.5
    assert pause.wait(2.6, 10) == 0


def test_a_probe_after_an_outage_must_be_answered():
    pause = Pause(whole)
    assert pause.probe_in(2.0, 0.0, 0)
    assert not pause.probe_in(2.0, 0.0, 0)  # the others of that time say the same
    assert pause.wait(0.0, 10) == 2.0
    pause.sent(2.0)
    assert pause.wait(1000.0, 10) == float("inf")
    pause.succeeded(1, 1000.0, 1.0)
    assert pause.wait(1000.0, 10) == 0


def test_a_probe_that_ends_without_an_answer_makes_room_for_another():
    pause = Pause(whole)
    pause.probe_in(2.0, 0.0, 0)
    pause.sent(2.0)
    pause.taken_off(0)  # one of before
    assert pause.wait(3.0, 10) == float("inf")
    pause.taken_off(1)
    assert pause.wait(3.0, 10) == 0


def test_without_a_header_the_first_refusal_warns_and_the_second_pauses():
    pause = Pause(whole)
    assert not pause.refused(0.0, 0, None, 0.1)
    assert pause.wait(0.0, 10) == 0
    assert pause.refused(0.0, 0, None, 0.1)
    assert pause.left(0.0) == 0.5


def test_a_success_between_takes_the_warning_back():
    pause = Pause(whole)
    for _ in range(3):
        assert not pause.refused(0.0, 0, None, 0.1)
        pause.succeeded(0, 0.0, 1.0)


def test_pauses_without_a_header_double_up_to_a_minute_while_the_one_request_is_refused():
    pause = Pause(whole)
    pause.refused(0.0, 0, None, 0.1)
    waits = []
    for epoch in range(9):
        assert pause.refused(1000.0 * epoch, epoch, None, 0.1)
        waits.append(pause.left(1000.0 * epoch))
    assert waits == [0.5, 1, 2, 4, 8, 16, 32, 60, 60]


def test_a_success_begins_the_doubling_anew():
    pause = Pause(whole)
    for epoch in (0, 0, 1, 2):
        pause.refused(0.0, epoch, None, 0.1)
    pause.succeeded(3, 90.0, 1.0)
    pause.refused(100.0, 3, None, 0.1)
    pause.refused(100.0, 3, None, 0.1)
    assert pause.left(100.0) == 0.5


def test_jitter_is_between_nothing_and_the_whole():
    def first_wait(_):
        pause = Pause()
        pause.refused(0.0, 0, None, 0.1)
        pause.refused(0.0, 0, None, 0.1)
        return pause.left(0.0)

    waits = [first_wait(n) for n in range(300)]
    assert 0 <= min(waits) < 0.1
    assert 0.4 < max(waits) <= 0.5


def test_refusals_of_before_a_pause_do_not_make_it_grow():
    pause = Pause(whole)
    for _ in range(2):
        pause.refused(0.0, 0, None, 0.1)
    for _ in range(50):
        assert not pause.refused(0.1, 0, None, 0.1)
    assert pause.epoch == 1
    assert pause.left(0.1) == 0.4
    assert pause.refused(0.5, 1, None, 0.1)
    assert pause.left(0.5) == 1.0


def test_successes_of_before_a_pause_do_not_open_it():
    pause = Pause(whole)
    pause.probe_in(1.0, 0.0, 0)
    pause.sent(1.0)
    for _ in range(50):
        pause.succeeded(0, 1.0, 1.0)
    assert pause.wait(1.0, 10) == float("inf")


def test_a_straggler_may_prolong_a_pause():
    pause = Pause(whole)
    pause.refused(0.0, 0, 1.0, 0.1)
    assert not pause.refused(0.5, 0, 60.0, 0.1)
    assert pause.left(0.5) == 60.0
    assert not pause.refused(0.6, 0, 1.0, 0.1)
    assert pause.left(0.5) == 60.0


def test_a_pause_that_a_straggler_began_ends_half_open_too():
    pause = Pause(whole)
    pause.refused(0.0, 0, 1.0, 0.1)
    pause.sent(1.0)
    pause.succeeded(1, 1.1, 0.1)
    assert pause.wait(10.0, 10) == 0
    assert not pause.refused(10.0, 0, 30.0, 0.1)
    assert pause.epoch == 1
    assert pause.wait(40.0, 10) == 0
    pause.sent(40.0)
    assert pause.wait(40.0, 10) > 0


def test_retry_after_of_nothing_still_ends_half_open():
    pause = Pause(whole)
    assert pause.refused(5.0, 0, 0.0, 0.1)
    assert pause.wait(5.0, 10) == 0
    pause.sent(5.0)
    assert pause.wait(5.0, 10) > 0


@pytest.mark.parametrize("word", [0.0, 1.0])
def test_a_time_that_has_proved_too_short_is_doubled_as_without_a_header(word):
    pause = Pause(whole)
    waits = []
    for epoch in range(7):
        pause.refused(100.0 * epoch, epoch, word, 0.1)
        waits.append(pause.left(100.0 * epoch))
    assert waits == [word, *(max(word, each) for each in (0.5, 1, 2, 4, 8, 16))]


def test_a_minute_after_the_first_refusal_a_limit_a_minute_is_tried():
    pause = Pause(whole)
    now = 0.0
    for epoch in range(8):
        pause.refused(now, epoch, 0.0, 0.1)
        now = now + pause.left(now)
    assert now == pytest.approx(60.5)
