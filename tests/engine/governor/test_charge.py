"""What a provider counts for a request, learnt from the steps of what remains."""

from __future__ import annotations

import pytest

from llmframe.engine.governor.tokens import Charge, Count

LIMIT, SIZE = 300_000.0, 5_000.0  # a minute, and what the bucket holds: a second's worth
PROMPT, CAP, OUT = 100.0, 500, 20.0


class Bucket:
    """Counts so much for each request of a sender who keeps the rate by what is expected.

    early: it says what is left when a request arrives, not when it is answered, a second later.
    """

    def __init__(self, counted, *, cap=CAP, early=False):
        self.counted, self.cap, self.early = counted, cap, early
        self.charge = Charge()
        self.left = SIZE
        self.sent = Count(0.0, 0.0, 0.0)
        self.waiting = []
        self.debt = 0.0

    def go(self, seconds):
        """Send for so long; how many were refused, and what is expected then."""
        refused, end = 0, self.sent.at + seconds
        while self.sent.at < end:
            weight = PROMPT + self.charge.expect(OUT, self.cap)
            at = self.sent.at + (weight + self.debt) / (LIMIT / 60 * 0.97)
            self.left = min(SIZE, self.left + (at - self.sent.at) * LIMIT / 60)
            self.sent, self.debt = Count(at, self.sent.requests + 1, self.sent.tokens + weight), 0.0
            if self.left < self.counted:
                refused += 1
                self.debt = self.charge.see(LIMIT, self.left, self.sent, self.sent)
                self.sent = Count(at, self.sent.requests - 1, self.sent.tokens - weight)
            else:
                self.left -= self.counted
                self.waiting.append((self.left, self.sent))
            while self.waiting and self.waiting[0][1].at + 1.0 <= at:
                left, sent = self.waiting.pop(0)
                left = left if self.early else self.left
                self.debt += self.charge.see(LIMIT, left, sent, self.sent)
        return refused, self.charge.expect(OUT, self.cap)


@pytest.mark.parametrize("early", [True, False])
def test_a_cap_that_is_counted_stays_expected_and_hardly_any_is_refused(early):
    refused, expected = Bucket(PROMPT + CAP, early=early).go(120.0)
    assert refused <= 8  # of 1,000
    assert expected == pytest.approx(CAP, rel=0.3)


@pytest.mark.parametrize("early", [True, False])
def test_a_cap_that_is_not_counted_is_forgotten_within_seconds(early):
    bucket = Bucket(PROMPT + OUT, early=early)
    bucket.go(20.0)
    _, expected = bucket.go(10.0)
    assert expected == pytest.approx(OUT, rel=0.3)
    assert bucket.charge.is_usage


@pytest.mark.parametrize("early", [True, False])
def test_what_is_counted_above_usage_is_learnt_without_a_cap(early):
    bucket = Bucket(4 * (PROMPT + OUT), cap=None, early=early)
    bucket.go(10.0)
    refused, expected = bucket.go(60.0)
    assert expected == pytest.approx(4 * (PROMPT + OUT) - PROMPT, rel=0.3)
    assert refused <= 15  # of 600
    assert not bucket.charge.is_usage


def test_a_cap_counts_for_nothing_where_nobody_says_what_remains():
    charge = Charge()
    assert charge.expect(OUT, CAP) == OUT
    assert charge.is_usage


def test_a_provider_that_counts_usage_teaches_nothing():
    bucket = Bucket(PROMPT + OUT, cap=None)
    bucket.go(60.0)
    assert bucket.charge.is_usage


def test_steps_of_a_bucket_that_holds_hardly_a_request_are_not_looked_at():
    charge, sent = Charge(), Count(0.0, 0.0, 0.0)
    for left in (400.0, 0.0) * 50:
        sent = Count(sent.at + 0.2, sent.requests + 7, sent.tokens + 7 * 300.0)
        charge.see(LIMIT, left, sent, sent)
    assert charge.expect(OUT, CAP) == CAP
