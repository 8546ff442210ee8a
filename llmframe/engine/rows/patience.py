"""How long and how often to try one row."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from tenacity import RetryCallState, Retrying, wait_random_exponential

if TYPE_CHECKING:
    from llmframe.engine.row import Row

# exponential with full jitter, 30 s at most: rows that failed together do not come back together
_BACKOFF = wait_random_exponential(multiplier=0.5, max=30.0)


@dataclass(frozen=True, slots=True)
class Patience:
    """How long to try.

    timeout: seconds, one attempt. deadline: seconds, one row, waiting for the provider
    not counted; None has no end. max_attempts: requests of a row, refusals not counted.
    """

    timeout: float = 60.0
    deadline: float | None = None
    max_attempts: int = 5

    def left(self, row: Row) -> float:
        """Seconds that the row's next attempt may take."""
        if self.deadline is None:
            return self.timeout
        return min(self.timeout, self.deadline - row.busy)

    def is_over(self, busy: float) -> bool:
        """True once a row that has been busy for so many seconds has met its deadline."""
        return self.deadline is not None and busy >= self.deadline

    def is_last(self, attempts: int) -> bool:
        """True when no attempt is left after so many."""
        return attempts >= self.max_attempts

    def backoff(self, attempts: int) -> float:
        """Seconds to wait after so many attempts."""
        state = RetryCallState(_RETRYING, None, (), {})
        state.attempt_number = attempts
        return float(_BACKOFF(state))


_RETRYING = Retrying()  # tenacity wants one besides the number of attempts
