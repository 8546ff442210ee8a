"""Outages: when to believe in one, and how often to probe for its end."""

from __future__ import annotations

from llmframe.engine.governor.pause import exponential

LEAST = 5  # results in a row that must have been bad
FEW = 2  # the same where that is more than the rows that are left
LONGEST_GAP = 15.0  # seconds between two probes, at most
ROW_PROBES = 4  # every so many probes one is a row: our own request may be what is not liked


class Outage:
    """The last results: all bad means an outage, until one is good.

    A probe is one request alone, mostly one of our own, so that no row is lost to find out.
    The first follows at once; only when it is lost too is the outage sure, and not the rows'
    own fault. streak: the number of the latest series of losses, short or long.
    """

    def __init__(self) -> None:
        self._bad = 0
        self._probes = 0
        self._sure: set[int] = set()
        self._first_sent: float | None = None  # when the first of the streak was sent
        self._since: float | None = None
        self.streak = 0

    @property
    def is_on(self) -> bool:
        """Whether only probes may leave."""
        return self._since is not None

    @property
    def is_sure(self) -> bool:
        """Whether a probe was lost: what is lost now is no fault of its row."""
        return self._probes > 1

    @property
    def is_ours(self) -> bool:
        """Whether the next probe is a request of our own, not a row's."""
        return self.is_on and self._probes % ROW_PROBES != 0

    def lasts(self, now: float) -> float:
        """Seconds since it began; 0 outside one."""
        return 0.0 if self._since is None else now - self._since

    def was_sure(self, streak: int) -> bool:
        """Whether what was lost in that streak turned out to be lost in an outage."""
        return streak in self._sure

    def got_through(self, sent_at: float) -> None:
        """Something that was sent then was answered, if only with a refusal."""
        # What was sent before the first loss belongs to the time before: the streak goes on.
        if self._first_sent is not None and sent_at > self._first_sent:
            self._first_sent = None
            self.streak += 1
        self._bad = self._probes = 0
        self._since = None

    def failed(
        self, now: float, sent_at: float, limit: int, left: float, *, answered: bool
    ) -> bool:
        """A request that was sent then is lost; True if an outage begins with it.

        It does when the last max(5, limit / 2) results were lost; where fewer rows are left,
        as many as these: two at least, or five as long as nothing was ever answered.
        """
        self._bad += 1
        if self._first_sent is None:
            self._first_sent = sent_at
        enough = min(max(LEAST, limit // 2), max(FEW if answered else LEAST, left))
        if self.is_on or self._bad < enough:
            return False
        self._since = now
        return True

    def plan_probe(self) -> float:
        """Count one more probe; seconds until it leaves: none, then 1, 2, 4 and so on up to 15."""
        if self._probes:
            self._sure.add(self.streak)
        seconds = exponential(1.0, self._probes - 1, LONGEST_GAP) if self._probes else 0.0
        self._probes += 1
        return seconds
