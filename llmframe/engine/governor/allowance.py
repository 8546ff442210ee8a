"""One limit a minute, from the person or the provider, and how much of it is used."""

from __future__ import annotations

from typing import TYPE_CHECKING

from llmframe.engine.governor.gcra import SHARE, Gcra

if TYPE_CHECKING:
    from llmframe.providers.responses.limit_headers import Quota

LOW = 0.05  # share of the most ever left, below which the provider's count matters
OTHERS = 0.10  # share of the limit that must be missing from our own count
BRAKE = 0.5  # of the rate, while somebody else spends the key
MINUTE = 60
FEW = 3  # requests a minute, which hardly any limit refuses
# A full bucket lets two minutes' worth through in one minute, and what is refused is counted too.
ABSURD = 0.4  # of what was used in the last minute; a limit below that is a mistake
# A limit that later answers do not repeat was a mistake, or holds no more.
UNNAMED = 5  # times the most answers that ever came between two that gave it
DEEP = 3.0  # seconds' worth of the limit: a bucket that holds more may be emptied faster
PROOF = 11.0  # seconds' worth of the limit that was used above the rate: the bucket is real
USED = 0.5  # seconds of a burst, after which a refusal is about it
TRUSTED = 0.99  # of what remains; the rest is for what is counted late


class LastMinute:
    """How much was used in the last minute, second by second."""

    def __init__(self) -> None:
        self._used = [0.0] * MINUTE
        self._second = [-1] * MINUTE

    def add(self, now: float, weight: float) -> None:
        """Use so much now."""
        second = int(now)
        slot = second % MINUTE
        if self._second[slot] != second:
            self._second[slot], self._used[slot] = second, 0.0
        self._used[slot] += weight

    def total(self, now: float) -> float:
        """What was used in the last minute."""
        first = int(now) - MINUTE
        return sum(u for s, u in zip(self._second, self._used, strict=True) if s > first)


class Pace:
    """The most requests that were answered within one minute."""

    def __init__(self) -> None:
        self._best = self._answered = self._minute = 0

    def answered(self, now: float) -> None:
        """A request was answered."""
        minute = int(now) // MINUTE
        if minute != self._minute:
            self._best = max(self._best, self._answered)
            self._minute, self._answered = minute, 0
        self._answered += 1

    def is_slow(self, sent: float) -> bool:
        """Whether so many requests sent in the last minute exceed no limit a minute.

        The request that is asked about is one of them.
        """
        best = max(self._best, self._answered)
        return sent - 1 <= max(FEW, best // 2)


class Allowance:
    """Requests or tokens a minute: the person's limit, else the provider's."""

    def __init__(self) -> None:
        self._gcra = Gcra()
        self._asked: float | None = None
        self._named: float | None = None
        self._used = LastMinute()
        self._brake_ends: float | None = None
        self._most_left = 0.0
        self._burst_refused = False
        self._is_deep = False  # more is left than the rate needs, so no margin either
        self.sent = 0.0  # in all, without what was refused
        self._largest = 0.0  # weight of a request that was answered
        self._unnamed = 0  # answers since a response gave the limit
        self._gap = 1  # the most answers between two that gave it

    @property
    def per_minute(self) -> float | None:
        """The limit as the person or the provider gives it, None while nothing is known."""
        return self._named if self._asked is None else self._asked

    @property
    def named(self) -> float | None:
        """The provider's limit a minute as it is used, None while it has given none."""
        return None if self._named is None else self._named * (1.0 if self._is_deep else SHARE)

    @property
    def is_named(self) -> bool:
        """Whether the limit is the provider's, not the person's."""
        return self._named is not None and self._asked is None

    def ask(self, per_minute: float | None) -> None:
        """Take the person's limit, which outranks the provider's; None for none."""
        self._asked = per_minute
        if per_minute is not None:
            self._gcra.end_burst()
            self._is_deep = False
        self._retune()

    def name(self, quota: Quota, now: float, sent: float | None = None) -> None:
        """Take the limit of a response; a changed one counts at once.

        sent: as it was when the response's request had left; all of it when None.
        """
        if self._named is not None:
            self._gap = max(self._gap, self._unnamed)
        self._unnamed = 0
        if quota.limit != self._named:
            # what was answered outranks what is said: one wrong word must not jam the endpoint
            if quota.limit < max(self._largest, ABSURD * self.used(now)):
                return
            self._named = quota.limit
            self._retune()
        if quota.remaining is None:
            return
        # What remains is a brake only: very little, while we used much less, means that
        # somebody else spends the same key; then half the rate until the reset.
        self._most_left = max(self._most_left, quota.remaining)  # a bucket may be small
        self._learn_burst(quota, quota.remaining, now, self.sent if sent is None else sent)
        if quota.remaining >= LOW * self._most_left:
            return
        ours = quota.limit - self.used(now)
        braked = self._brake_ends is not None and now < self._brake_ends
        if ours - quota.remaining > OTHERS * quota.limit and not braked:
            self._brake_ends = now + (quota.reset or 1.0)
            self._gcra.keep_within(now, 0.0)
            self._retune()

    def used(self, now: float) -> float:
        """What was used in the last minute, refused or not."""
        return self._used.total(now)

    def spare(self, now: float) -> float:
        """What may be used at once above the rate, because the provider says that it is left."""
        return self._gcra.spare(now)

    def wait(self, now: float) -> float:
        """Seconds until the next request is due."""
        return self._gcra.wait(now)

    def reserve(self, now: float, weight: float) -> None:
        """A request of this weight leaves."""
        if self._brake_ends is not None and self._brake_ends <= now:
            self._brake_ends = None
            self._retune()
        self._gcra.reserve(now, weight)
        self._used.add(now, weight)
        self.sent += weight

    def settle(self, difference: float) -> None:
        """Used minus reserved."""
        self._gcra.settle(difference)

    def answered(self, weight: float) -> None:
        """A request of this weight was answered: no limit is below that."""
        self._largest = max(self._largest, weight)
        self._unnamed += 1
        if self._named is not None and (
            self._named < weight or self._unnamed > UNNAMED * self._gap
        ):
            self._named, self._is_deep = None, False
            self._retune()

    def refused(self, now: float, weight: float) -> None:
        """A request of this weight was refused: was it one of a burst, there is none any more."""
        self.sent -= weight
        if self._gcra.end_burst(now, USED):
            self._burst_refused, self._is_deep = True, False
            self._retune()

    def _learn_burst(self, quota: Quota, remaining: float, now: float, sent: float) -> None:
        """What remains above a few seconds' worth is a bucket, which may be used at once."""
        if self._burst_refused or self._asked is not None:
            return
        second = quota.limit / MINUTE
        self._gcra.keep_within(now, remaining)
        # what has left since then may be counted already or not
        spare = TRUSTED * remaining - max(0.0, self.sent - sent)
        if spare > DEEP * second:
            proven = self._most_left - remaining > PROOF * second
            self._gcra.allow_burst(now, spare, proven=proven)
        self._is_deep = self._gcra.saved > 0 and spare > second
        self._retune()

    def _retune(self) -> None:
        rate = self.named if self._asked is None else self._asked
        if rate is not None and self._brake_ends is not None:
            rate *= BRAKE
        self._gcra.set_rate(rate)
