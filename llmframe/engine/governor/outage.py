"""Nothing gets through at all: when to believe it, and how often to look again."""

from __future__ import annotations

LEAST = 5  # results in a row that must have been bad
FEW = 2  # the same where that is more than there are rows left to tell
LONGEST_LOOK = 15.0  # seconds between two looks, at most
STEPS = 20  # doublings, after which the longest is reached: an outage may last for days
ROW_LOOKS = 4  # every so many looks one is a row's: ours may be what is not liked


class Outage:
    """The last results: all bad means an outage, until one is good.

    A look is one request alone, mostly one of our own, so that no row is lost to find out.
    The first follows at once; only when it is lost too is the outage sure, and not the rows'
    own fault. streak: counts the times that nothing got through, short or long.
    """

    def __init__(self) -> None:
        self._bad = 0
        self._looks = 0
        self._sure: set[int] = set()
        self._first_sent: float | None = None  # when the first of the streak was sent
        self.since: float | None = None
        self.streak = 0

    @property
    def is_on(self) -> bool:
        """Whether only looks may leave."""
        return self.since is not None

    @property
    def is_sure(self) -> bool:
        """Whether a look was lost: what is lost now is no fault of its row."""
        return self._looks > 1

    @property
    def is_ours(self) -> bool:
        """Whether the look that is due is a request of our own, not a row's."""
        return self.is_on and self._looks % ROW_LOOKS != 0

    def got_through(self, sent_at: float) -> None:
        """Something that was sent then was answered, if only with a refusal.

        What was sent before the first that was lost does not end the streak: it belongs to
        the time before.
        """
        if self._first_sent is not None and sent_at > self._first_sent:
            self._first_sent = None
            self.streak += 1
        self._bad = 0
        self._looks = 0
        self.since = None

    def failed(
        self, now: float, sent_at: float, limit: int, left: float, *, answered: bool
    ) -> bool:
        """A request that was sent then is lost; tells whether an outage begins with it.

        It does when the last max(5, limit / 2) results were lost; where fewer rows are left,
        as many as these: two at least, or five as long as nothing was ever answered.
        """
        self._bad += 1
        if self._first_sent is None:
            self._first_sent = sent_at
        enough = min(max(LEAST, limit // 2), max(FEW if answered else LEAST, left))
        if self.is_on or self._bad < enough:
            return False
        self.since = now
        return True

    def was_sure(self, streak: int) -> bool:
        """Whether what was lost in that streak turned out to be lost in an outage."""
        return streak in self._sure

    def next_look(self) -> float:
        """Seconds until the next look: none, then 1, 2, 4 and so on up to 15."""
        if self._looks:
            self._sure.add(self.streak)
        steps = min(self._looks, STEPS)
        seconds = min(LONGEST_LOOK, 2.0 ** (steps - 1)) if steps else 0.0
        self._looks += 1
        return seconds
