"""The limit: doubling, cuts and slow growth."""

from __future__ import annotations

from llmframe.engine.governor.limiter import CUT_INTERVAL, Limiter


class Rounds:
    """Drives a limiter through rounds that keep it full."""

    def __init__(self, start, ceiling=1000):
        self.limiter = Limiter(start, ceiling)
        self.now = 100.0

    def clean(self, share=1.0):
        """A round of successes, of requests that kept a share of the limit on the wire."""
        for _ in range(max(self.limiter.limit, 4)):
            self.limiter.sent(round(share * self.limiter.limit))
            self.limiter.succeeded(self.now)
        return self.limiter.limit

    def refused(self, after=10.0):
        self.now += after
        self.limiter.refused(self.now, self.now)
        return self.limiter.limit


def test_the_limit_doubles_each_clean_round_until_the_first_refusal():
    rounds = Rounds(20)
    assert [rounds.clean() for _ in range(4)] == [40, 80, 160, 320]


def test_the_limit_ends_at_its_ceiling():
    rounds = Rounds(20, ceiling=50)
    assert [rounds.clean() for _ in range(3)] == [40, 50, 50]
    assert Limiter(80, 50).limit == 50
    assert Limiter(0, 0).limit == 1


def test_a_refusal_leaves_four_fifths_and_growth_is_by_a_tenth_after_it():
    rounds = Rounds(100)
    assert rounds.refused() == 80
    assert [rounds.clean() for _ in range(2)] == [88, 96]


def test_growth_is_by_one_near_the_limit_that_was_refused():
    rounds = Rounds(100)
    rounds.refused()
    assert [rounds.clean() for _ in range(6)] == [88, 96, 97, 98, 99, 100]


def test_a_small_limit_grows_by_one_at_least():
    rounds = Rounds(5)
    assert rounds.refused() == 4
    assert rounds.clean() == 5


def test_a_cut_never_goes_below_one():
    rounds = Rounds(2)
    assert [rounds.refused() for _ in range(5)] == [1, 1, 1, 1, 1]
    assert rounds.clean() == 2


def test_a_round_that_used_less_than_four_fifths_does_not_grow():
    assert Rounds(20).clean(share=0.75) == 20
    assert Rounds(20).clean(share=0.8) == 40


def test_cuts_are_five_seconds_apart():
    rounds = Rounds(100)
    assert rounds.refused() == 80
    assert rounds.refused(after=CUT_INTERVAL - 0.1) == 80
    assert rounds.refused(after=0.2) == 64


def test_a_refusal_of_what_was_sent_before_the_cut_cuts_no_more():
    limiter = Limiter(100, 100)
    limiter.refused(10.0, sent_at=9.0)
    limiter.refused(20.0, sent_at=9.5)
    assert limiter.limit == 80
    limiter.refused(20.0, sent_at=11.0)
    assert limiter.limit == 64


def test_a_success_of_what_was_sent_before_the_cut_does_not_grow_the_limit():
    limiter = Limiter(10, 100)
    limiter.sent(10)
    limiter.refused(10.0, sent_at=9.0)
    limiter.sent(8)
    for _ in range(50):
        limiter.succeeded(sent_at=9.5)
    assert limiter.limit == 8


def test_a_refusal_begins_the_round_anew():
    limiter = Limiter(10, 100)
    limiter.sent(10)
    for _ in range(9):
        limiter.succeeded(1.0)
    limiter.refused(2.0, 1.0)
    limiter.succeeded(2.0)
    assert limiter.limit == 8


def test_a_refused_limit_is_not_raised_by_a_newcomer():
    limiter = Limiter(10, 100)
    limiter.raise_to(50)
    assert limiter.limit == 50
    assert not limiter.refused_before
    limiter.refused(10.0, 9.0)
    limiter.raise_to(50)
    assert limiter.limit == 40
    assert limiter.refused_before


def test_a_newcomer_does_not_lower_the_limit():
    limiter = Limiter(40, 100)
    limiter.raise_to(20)
    assert limiter.limit == 40
