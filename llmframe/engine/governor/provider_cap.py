"""How many requests a provider takes at once, where it refuses one more.

A refusal (429) can mean two things. Too many at once: as soon as one request has come back,
one more is accepted. Too many a minute: only time helps. What happens next tells them apart:
after a refusal nothing leaves until a request has come back, then one leaves, the trial.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

# Beyond what was accepted before, requests leave a little apart, so that few meet an unknown cap.
GROWTH = 0.5  # seconds in which the number at once grows by e; a quarter of an answer if shorter
LEAST_GROWTH = 0.25  # seconds, but for answers that are faster than that
FEW = 5  # up to so many at once there is time for each to be refused
REFUSAL = 0.12  # seconds
TRY_AFTER = 250  # answers until more than the cap is tried again: 0.4 % of refusals
TRY_SOON = 2  # rounds until it is tried for the first time: the trial may have been lucky
LEAST_ROUND = 8  # answers
TRY_PAUSE = 2.0  # seconds between two such tries, at least
MANY = 0.75  # refusals below the cap, above ALLOWED of the answers: then the trials were lucky
ALLOWED = 0.05
SURE = 60.0  # seconds in which every refusal is taken for the rate, after one was
LONGEST_SURE = 240.0  # the same after many such
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


@dataclass(slots=True)
class Doubt:
    """After a refusal, while it is not known what it means.

    room: requests that were accepted at once. is_top: no more ever were. ends: when to wait no
    longer for one to come back. trial_at: when the trial left. trials: that were refused.
    """

    room: int
    is_top: bool
    ends: float
    trial_at: float | None = None
    trials: int = 0


class ProviderCap:
    """The most requests at once that were accepted, and whether that is the provider's cap.

    most: requests on the wire at once. is_known: one more was refused and one instead accepted.
    """

    def __init__(self) -> None:
        self.most = 0
        self.is_known = False
        self._next_at = float("-inf")  # from when one more than the most may leave
        self._beyond = 0  # requests beyond the cap that have left since it held
        self._answers_due = 0  # answers until more than the cap is tried
        self._confirmed_at = 0  # the cap when it was confirmed last
        self._doubt: Doubt | None = None
        self._contradicted = 0.0  # refusals below the cap whose trials were accepted, lately
        self._sure_until = float("-inf")
        self._sure_for = SURE
        self._refused_at = float("-inf")
        self._accepted_after = QUICK  # seconds
        self._answer = 0.0  # seconds that one takes

    def wait(self, on_wire: int, now: float) -> float:
        """Seconds until time alone may allow one more; inf if only an answer can."""
        doubt = self._doubt
        if doubt is None:
            return 0.0 if on_wire < self.most else max(0.0, self._next_at - now)
        if doubt.trial_at is not None:
            return max(0.0, doubt.trial_at + self._accepted_after - now)
        return 0.0 if on_wire < doubt.room else max(0.0, doubt.ends - now)

    def advance(self, now: float) -> bool:
        """Let time pass; True if a doubt ends because nothing has come back for too long."""
        doubt = self._doubt
        if doubt is None:
            return False
        if doubt.trial_at is not None:
            if doubt.trial_at + self._accepted_after <= now:
                self._trial_accepted(doubt)
            return False
        if doubt.ends > now:
            return False
        self._doubt, self._next_at = None, now
        self.most = min(self.most, doubt.room)
        return True

    def sent(self, on_wire: int, now: float, answer: float) -> Step:
        """A request leaves beside so many; answer: seconds that one takes."""
        if self._doubt is not None:
            self._doubt.trial_at = now
            return Step.TRIAL
        if on_wire < self.most:
            return Step.WITHIN
        self.most = on_wire + 1
        growth = min(0.3 * answer, max(LEAST_GROWTH, min(answer / 4, GROWTH)))
        gap = growth / self.most
        if self.is_known:  # the first beyond a cap is probably refused; the others ever less
            self._beyond += 1
            gap = max(gap, self._accepted_after / self._beyond)
        elif self.most <= FEW:
            gap = max(gap, min(REFUSAL, answer / 4))
        self._next_at = now + gap
        return Step.BEYOND

    def taken_off(self, step: Step) -> None:
        """A request is off the wire; if it was the trial, another may leave."""
        if step is Step.TRIAL and self._doubt is not None:
            self._doubt.trial_at = None

    def answered(self, step: Step, now: float) -> None:
        """A request was accepted."""
        if step is Step.TRIAL and self._doubt is not None:
            self._trial_accepted(self._doubt)
        self._contradicted = max(0.0, self._contradicted - ALLOWED)
        self._answers_due -= 1
        if self.is_known and self._answers_due == 0:
            # not beside the one that replaces this one: for a rate these two would be too many
            gap = self._answer / (2 * max(self.most, 1))
            self._next_at = max(now + gap, self._refused_at + TRY_PAUSE)

    def refused(
        self, step: Step, now: float, *, sent_at: float, others: int, asked: float, answer: float
    ) -> bool:
        """A request was refused; True if for the rate, False if only because of the others.

        others: requests that it left beside. asked: seconds that the provider asks to wait.
        answer: seconds that one takes.
        """
        is_late = sent_at < self._refused_at  # it left before the last refusal was known
        took = now - sent_at
        self._refused_at, self._answer = now, answer
        self._accepted_after = max(QUICK, ACCEPTED * took, (1 - FADE) * self._accepted_after)
        doubt = self._doubt
        if others == 0:  # alone
            self._doubt = None
            return True
        if doubt is not None and step is Step.TRIAL:
            return self._trial_refused(doubt, others, now)
        is_top = step is Step.BEYOND or others + 1 >= self.most
        if doubt is not None:
            doubt.room, doubt.is_top = min(doubt.room, others), doubt.is_top or is_top
        elif now < self._sure_until:
            return True
        elif self.is_known and step is Step.BEYOND and not is_late:
            self._confirm(min(self.most, others))
        elif is_late and self.is_known:
            self._hold(min(self.most, others), _soon(others))
        elif self._contradicted > MANY:
            return self._is_rate(now)
        else:
            ends = now + max(asked, ANSWERS * answer)
            self._doubt = Doubt(room=others, is_top=is_top, ends=ends)
        return False

    def _trial_accepted(self, doubt: Doubt) -> None:
        """It was not the rate; where fewer were accepted at once before, it was no cap either."""
        self._doubt = None
        self._contradicted += not doubt.trials and (self.is_known or not doubt.is_top)
        if doubt.is_top:
            soon = _soon(doubt.room)
            due = self._answers_due if self.is_known and self._answers_due > 0 else soon
            self.is_known, self._confirmed_at = True, doubt.room
            self._hold(doubt.room, min(due, soon))

    def _trial_refused(self, doubt: Doubt, others: int, now: float) -> bool:
        """A known cap may have moved far down; else it is the rate."""
        doubt.trials += 1
        if self.is_known:
            doubt.room, doubt.is_top = max(1, others // 2), True
            doubt.ends = now + ANSWERS * self._answer
            return False
        return self._is_rate(now)

    def _is_rate(self, now: float) -> bool:
        self._doubt, self.is_known = None, False
        self._next_at, self._contradicted = now, 0.0
        self._sure_until = now + self._sure_for
        self._sure_for = min(2 * self._sure_for, LONGEST_SURE)
        return True

    def _confirm(self, most: int) -> None:
        """One beyond the cap was refused, as was to be expected; a cap that moves may go on so."""
        has_moved = most > self._confirmed_at
        self._hold(most, _soon(most) if has_moved else TRY_AFTER)
        self._confirmed_at = most

    def _hold(self, most: int, answers: int) -> None:
        """No more than so many at once, until so many answers have come."""
        self.most, self._answers_due = most, answers
        self._beyond, self._next_at = 0, float("inf")


def _soon(most: int) -> int:
    """Answers until more than a cap that was just found is tried."""
    return TRY_SOON * max(most, LEAST_ROUND)
