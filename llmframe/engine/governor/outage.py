"""Nothing gets through at all: when to believe it, and how often to look again."""

from __future__ import annotations

LEAST = 5  # results in a row that must have been bad
FEW = 2  # the same where that is more than there are rows left to tell
LONGEST_LOOK = 15.0  # seconds between two looks, at most


class Outage:
    """The last results: all bad means an outage, until one is good.

    A look is a request of our own, so that no row is lost to find out. The first follows at
    once; only when it is lost too is the outage sure, and not the rows' own fault.
    """

    def __init__(self) -> None:
        self._bad = 0
        self._looks = 0
        self.since: float | None = None

    @property
    def is_on(self) -> bool:
        """Whether only looks may leave."""
        return self.since is not None

    @property
    def is_sure(self) -> bool:
        """Whether a look was lost: what is lost now is no fault of its row."""
        return self._looks > 1

    def got_through(self) -> None:
        """Something was answered, if only with a refusal."""
        self._bad = 0
        self._looks = 0
        self.since = None

    def failed(self, now: float, limit: int, left: float, *, answered: bool) -> bool:
        """A row's request was lost; tells whether an outage begins with it.

        It does when the last max(5, limit / 2) results were lost; where fewer rows are left,
        as many as these: two at least, or five as long as nothing was ever answered.
        """
        self._bad += 1
        enough = min(max(LEAST, limit // 2), max(FEW if answered else LEAST, left))
        if self.is_on or self._bad < enough:
            return False
        self.since = now
        return True

    def next_look(self) -> float:
        """Seconds until the next look: none, then 1, 2, 4 and so on up to 15."""
        seconds = min(LONGEST_LOOK, 2.0 ** (self._looks - 1)) if self._looks else 0.0
        self._looks += 1
        return seconds
