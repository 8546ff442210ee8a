"""How many requests a provider takes at once, where it refuses one more.

A refusal (429) can mean two things. Too many at once: as soon as one request has come back,
one more is accepted. Too many a minute: only time helps. What happens next tells them apart:
after a refusal nothing leaves until a request has come back, then one leaves, the trial.
"""

from __future__ import annotations

from enum import Enum

GROWTH = 0.25  # seconds in which the number at once grows by e beyond what was ever accepted
SLOWEST_GROWTH = 0.5  # the same where an answer takes long: a quarter of that
FEW = 5  # up to so many at once there is time for each to be refused
REFUSAL = 0.12  # seconds
TRY_AFTER = 250  # answers until more than the cap is tried again: 0.4 % of refusals
TRY_SOON = 2  # rounds until it is tried for the first time: the trial may have been lucky
LEAST_ROUND = 8  # answers
TRY_PAUSE = 2.0  # seconds between two such tries, at least
NEAR = 0.8  # of the cap; a refusal from here on shows it a little lower
SLIPS = 1  # such refusals, at most
DOUBTS = 1  # doubts about a known cap; at the next it is the rate
HALF = 2  # what a known cap is divided by when the trial is refused too
DOUBT_AGAIN = 30.0  # seconds until another refusal is examined, after one was for the rate
LONGEST_DOUBT = 240.0  # the same after many such
# A request counts as accepted when it is not refused in three times the usual time.
QUICK = 0.1  # seconds, at least
ACCEPTED = 3.0
FADE = 0.2  # weight of the last refusal, if it came faster than usual
ANSWERS = 2.0  # times that an answer takes, after which no trial is waited for any more


class Step(Enum):
    """What a request shows when it is accepted or refused."""

    WITHIN = "as many at once were accepted before"
    BEYOND = "one more at once than ever"
    TRIAL = "one has come back since the refusal"


class Wall:
    """The most requests at once that were accepted, and whether that is the provider's cap.

    most: requests on the wire at once. is_cap: one more was refused and one instead accepted.
    """

    def __init__(self) -> None:
        self.most = 0
        self.is_cap = False
        self._next_at = float("-inf")  # from when one more than the most may leave
        self._growing = False  # more than the cap seems to be accepted
        # What left instead of one that came back is refused by a cap only if it
        # has moved, for a rate again and again.
        self._top = 0  # the cap as it was found or confirmed
        self._slips = 0  # requests that were refused just below it since then
        self._doubts = 0  # doubts since the cap was confirmed last
        self._answers_due = 0  # answers until more than the cap is tried
        self._refused_at = float("-inf")
        self._accepted = 0.0  # seconds after which a request counts as accepted
        self._answer = 0.0  # seconds that one takes
        self._in_doubt = False
        self._doubt_ends = 0.0
        self._trial_at: float | None = None
        self._sure_until = float("-inf")  # until then every refusal is for the rate
        self._sure_for = DOUBT_AGAIN

    def wait(self, on_wire: int, now: float) -> float:
        """Seconds until time alone may allow one more; inf if only an answer can."""
        if not self._in_doubt:
            return 0.0 if on_wire < self.most else max(0.0, self._next_at - now)
        if self._trial_at is not None:
            return max(0.0, self._trial_at + self._accepted - now)
        return 0.0 if on_wire < self.most else max(0.0, self._doubt_ends - now)

    def advance(self, now: float) -> bool:
        """Let time pass; True if a doubt ends because nothing has come back for too long."""
        if not self._in_doubt:
            return False
        if self._trial_at is not None and self._trial_at + self._accepted <= now:
            self._found_cap()
        elif self._trial_at is None and self._doubt_ends <= now:
            self._in_doubt, self._next_at = False, now
            return True
        return False

    def sent(self, on_wire: int, now: float, answer: float) -> Step:
        """A request leaves beside so many; answer: seconds that one takes."""
        if self._in_doubt:
            self._trial_at = now
            return Step.TRIAL
        if on_wire < self.most:
            return Step.WITHIN
        self.most = on_wire + 1
        if self.is_cap and not self._growing:  # the first beyond a cap is probably refused
            self._growing, self._next_at = True, now + self._accepted
        else:
            growth = min(0.4 * answer, max(GROWTH, min(answer / 4, SLOWEST_GROWTH)))
            gap = growth / self.most
            self._next_at = now + (max(gap, min(REFUSAL, answer / 4)) if self.most <= FEW else gap)
        return Step.BEYOND

    def taken_off(self, step: Step) -> None:
        """A request is off the wire; if it was the trial, another may leave."""
        if step is Step.TRIAL:
            self._trial_at = None

    def answered(self, step: Step, now: float) -> None:
        """A request was accepted."""
        if step is Step.TRIAL and self._in_doubt:
            self._found_cap()
        self._answers_due -= 1
        if self.is_cap and self._answers_due == 0:
            # not beside the one that replaces this one: for a rate these two would be too many
            gap = self._answer / (2 * max(self.most, 1))
            self._next_at = max(now + gap, self._refused_at + TRY_PAUSE)

    def refused(
        self, step: Step, now: float, *, sent_at: float, others: int, asked: float, answer: float
    ) -> bool:
        """A request was refused; True if for the rate, False if only because of the others.

        others: requests that it left beside. asked: seconds that the provider asks to wait. answer:
        seconds that one takes.
        """
        known = sent_at < self._refused_at  # it left before the last refusal was known
        self._refused_at, self._answer = now, answer
        took = now - sent_at
        self._accepted = max(QUICK, ACCEPTED * took, (1 - FADE) * self._accepted)
        if others == 0:
            self._in_doubt = False
            return True
        if self._in_doubt:
            if step is Step.TRIAL:
                return self._trial_refused(now)
            self.most = min(self.most, others)
        elif self.is_cap and step is Step.BEYOND and not known:
            self._confirmed(others)
        elif self.is_cap and (known or self._is_near(others)):
            self._slips += not known
            self._hold(min(self.most, others), TRY_AFTER)
        elif now < self._sure_until or self._doubts >= DOUBTS:
            return self._is_rate(now)
        else:
            self._doubts += self.is_cap
            self._hold(others, TRY_AFTER)
            self._in_doubt, self._trial_at = True, None
            self._doubt_ends = now + max(asked, ANSWERS * answer)
        return False

    def _is_near(self, others: int) -> bool:
        """Whether the cap may just be a little lower than it seemed."""
        return self._slips < SLIPS and others >= NEAR * self._top

    def _confirmed(self, others: int) -> None:
        """One beyond the cap was refused, as was to be expected."""
        has_moved, slipped = others > self._top, self._slips > 0
        if not (has_moved or slipped):
            self._doubts, self._sure_for = 0, DOUBT_AGAIN
        self._hold(min(self.most, others), TRY_AFTER)
        if has_moved and not slipped:  # it may go on doing so
            self._answers_due = TRY_SOON * max(self.most, LEAST_ROUND)
        self._top, self._slips = self.most, 0

    def _trial_refused(self, now: float) -> bool:
        if self.is_cap and self.most >= HALF:  # it may have moved far down
            self._hold(self.most // HALF, TRY_AFTER)
            return False
        return self._is_rate(now)

    def _is_rate(self, now: float) -> bool:
        if now >= self._sure_until:
            self._sure_until = now + self._sure_for
            self._sure_for = min(2 * self._sure_for, LONGEST_DOUBT)
        self._in_doubt = self.is_cap = False
        self._next_at, self._doubts = now, 0
        return True

    def _found_cap(self) -> None:
        self._in_doubt, self.is_cap = False, True
        self._top, self._slips = self.most, 0
        self._hold(self.most, TRY_SOON * max(self.most, LEAST_ROUND))

    def _hold(self, most: int, answers: int) -> None:
        """No more than so many at once, until so many answers have come."""
        self.most, self._answers_due = most, answers
        self._growing, self._next_at = False, float("inf")
