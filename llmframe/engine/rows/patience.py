"""How long and how often to try one row."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from tenacity import RetryCallState, Retrying, stop_after_attempt, wait_random_exponential

if TYPE_CHECKING:
    pass

if TYPE_CHECKING:
    from llmframe.engine.row import Row


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
        return (
            self.timeout if self.deadline is None else min(self.timeout, self.deadline - row.busy)
        )

    def is_over(self, row: Row) -> bool:
        """Whether the row's deadline is over."""
        return self.deadline is not None and row.busy >= self.deadline


class RetryPolicy:
    """When and how long to wait before the next attempt of one row.

    max_attempts: requests in all, the first included; refusals are not counted.
    wait_max: seconds, the longest pause. Waits are exponential with full jitter.
    """

    def __init__(self, max_attempts: int = 5, *, wait_max: float = 30.0) -> None:
        self.max_attempts = max_attempts
        self._retrying = Retrying(
            stop=stop_after_attempt(max_attempts),
            wait=wait_random_exponential(multiplier=0.5, max=wait_max),
        )

    def is_over(self, attempts: int) -> bool:
        """Whether no attempt is left after so many."""
        return attempts >= self.max_attempts

    def wait(self, attempts: int) -> float | None:
        """Seconds to wait after so many attempts; None when there is none left."""
        state = self._state(attempts)
        return None if self._retrying.stop(state) else float(self._retrying.wait(state))

    def backoff(self, attempts: int) -> float:
        """Seconds to wait after so many attempts, however many are left."""
        return float(self._retrying.wait(self._state(attempts)))

    def _state(self, attempts: int) -> RetryCallState:
        state = RetryCallState(self._retrying, None, (), {})
        state.attempt_number = attempts
        return state
