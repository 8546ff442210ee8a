"""How much a provider takes at a time: the limits of one batch, and whether its queue is full."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

from llmframe.providers.batch_limits import DEFAULT

if TYPE_CHECKING:
    from llmframe.providers.batch_limits import BatchLimits

SHORTEST, LONGEST = 30.0, 600.0  # seconds until a full queue is tried again
FEWEST = 10  # requests of a batch that is made smaller because the queue is full


class Room:
    """The room for further batches of one run.

    requests, size: of one batch, at most; size in bytes. reason: why the provider took no more,
    in its own words. until: when to try again, by the run's clock.
    """

    def __init__(self, limits: BatchLimits = DEFAULT) -> None:
        self.requests, self.size = limits.requests, limits.size
        self.reason = ""
        self.until = 0.0
        self._often = 0

    def accepted(self) -> None:
        """A batch was created."""
        self.reason, self._often = "", 0

    def refused(
        self, reason: str, now: float, *, requests: int, halve: bool, at_least: float = 0.0
    ) -> None:
        """A batch of so many requests was refused; halve: make smaller ones from now on.

        at_least: seconds that the provider asks to wait.
        """
        pause = jittered(min(LONGEST, SHORTEST * 2 ** min(self._often, 10)))
        self.reason, self._often = reason, self._often + 1
        self.until = now + max(at_least, pause)
        if halve:
            self.requests = min(self.requests, max(FEWEST, requests // 2))

    def too_many(self, requests: int) -> None:
        """A batch of so many requests was refused for their number."""
        self.requests = max(1, requests // 2)

    def too_large(self) -> None:
        """A file was refused for its size."""
        self.size = max(1, self.size // 2)


def jittered(seconds: float) -> float:
    """About so many seconds: what began together must not come back together."""
    return seconds * random.uniform(0.8, 1.2)  # noqa: S311 - no secret
