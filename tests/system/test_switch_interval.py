"""While a run goes, threads take short turns; afterwards all is as it was."""

from __future__ import annotations

import sys
import threading

import pytest

from llmframe.system.switch_interval import TURN, Turns


@pytest.fixture(autouse=True)
def usual():
    before = sys.getswitchinterval()
    sys.setswitchinterval(0.005)
    yield
    sys.setswitchinterval(before)


def test_turns_are_short_while_anybody_wants_that():
    turns = Turns()
    with turns.short():
        with turns.short():
            assert sys.getswitchinterval() == pytest.approx(TURN)
        assert sys.getswitchinterval() == pytest.approx(TURN)
    assert sys.getswitchinterval() == pytest.approx(0.005)


def test_shorter_turns_of_the_person_stay():
    sys.setswitchinterval(0.0002)
    before = sys.getswitchinterval()
    with Turns().short():
        assert sys.getswitchinterval() == before
    assert sys.getswitchinterval() == before


def test_what_the_person_sets_meanwhile_stays():
    with Turns().short():
        sys.setswitchinterval(0.003)
    assert sys.getswitchinterval() == pytest.approx(0.003)


def test_a_forked_child_ends_its_parents_short_turns_and_waits_for_no_thread_of_it():
    turns, holding, enough = Turns(), threading.Event(), threading.Event()

    def hold():
        with turns._lock:
            holding.set()
            enough.wait(10)

    with turns.short():
        thread = threading.Thread(target=hold)
        thread.start()
        holding.wait(10)
        turns.forget_all()  # what the child does, in which nobody holds the lock any more
        assert sys.getswitchinterval() == pytest.approx(0.005)
        with turns.short():
            assert sys.getswitchinterval() == pytest.approx(TURN)
        assert sys.getswitchinterval() == pytest.approx(0.005)
        enough.set()
        thread.join()
