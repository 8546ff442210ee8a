"""Nothing gets through at all: when to believe it, and how often to look again."""

from __future__ import annotations

LEAST = 5  # results in a row that must have been bad
LONGEST_LOOK = 15.0  # seconds between two probes, at most
PATIENCE = 10  # probes, after which it may be the rows after all, and they are charged again


class Outage:
    """The last results: all bad means an outage, until one is good."""

    def __init__(self) -> None:
        self._bad = 0
        self._looks = 0

    def is_on(self, limit: int) -> bool:
        """Whether the last max(5, limit / 2) results were 5xx, lost connections or time-outs."""
        return self._bad >= max(LEAST, limit // 2)

    @property
    def is_believed(self) -> bool:
        """Whether lost requests are still no fault of their rows."""
        return self._looks <= PATIENCE

    def got_through(self) -> None:
        """Something was answered, if only with a refusal."""
        self._bad = 0
        self._looks = 0

    def failed(self) -> None:
        """A request was lost."""
        self._bad += 1

    def next_look(self) -> float:
        """Seconds until the next probe: 1, 2, 4 and so on up to 15."""
        seconds = min(LONGEST_LOOK, 2.0**self._looks)
        self._looks += 1
        return seconds
