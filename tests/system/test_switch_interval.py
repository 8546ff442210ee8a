"""While a run goes, the switch interval is short; afterwards all is as it was."""

from __future__ import annotations

import sys
import threading

import pytest

from llmframe.system.switch_interval import SHORT, SwitchInterval


@pytest.fixture(autouse=True)
def usual():
    before = sys.getswitchinterval()
    sys.setswitchinterval(0.005)
    yield
    sys.setswitchinterval(before)


def test_the_interval_is_short_while_anybody_wants_that():
    interval = SwitchInterval()
    with interval.short():
        with interval.short():
            assert sys.getswitchinterval() == pytest.approx(SHORT)
        assert sys.getswitchinterval() == pytest.approx(SHORT)
    assert sys.getswitchinterval() == pytest.approx(0.005)


def test_a_shorter_interval_of_the_person_stays():
    sys.setswitchinterval(0.0002)
    before = sys.getswitchinterval()
    with SwitchInterval().short():
        assert sys.getswitchinterval() == before
    assert sys.getswitchinterval() == before


def test_what_the_person_sets_meanwhile_stays():
    with SwitchInterval().short():
        sys.setswitchinterval(0.003)
    assert sys.getswitchinterval() == pytest.approx(0.003)


def test_a_forked_child_ends_its_parents_short_interval_and_waits_for_no_thread_of_it():
    interval, holding, enough = SwitchInterval(), threading.Event(), threading.Event()

    def hold():
        with interval._lock:  # private: no other way to hold it where a fork may find it
            holding.set()
            enough.wait(10)

    with interval.short():
        thread = threading.Thread(target=hold)
        thread.start()
        holding.wait(10)
        interval.forget_all()  # what the child does, in which nobody holds the lock any more
        assert sys.getswitchinterval() == pytest.approx(0.005)
        with interval.short():
            assert sys.getswitchinterval() == pytest.approx(SHORT)
        assert sys.getswitchinterval() == pytest.approx(0.005)
        enough.set()
        thread.join()
