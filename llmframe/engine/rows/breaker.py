"""The circuit breaker: when the first ten rows all fail alike, it is the call, not the rows."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from llmframe.engine.row import Row
    from llmframe.results import RowResult

FIRST = 10  # rows
KINDS = frozenset({"output", "bad_request"})


class Breaker:
    """Holds the first failures back until it is clear whose fault they are.

    rows: of the frame; below ten it does nothing. answered: tells whether any row of it has
    an answer, if only an earlier run's; then it is the rows. kinds: of failures that may be the
    call's. has_tripped: ten were held.
    """

    def __init__(
        self,
        rows: int,
        answered: Callable[[], bool] = lambda: False,
        *,
        kinds: frozenset[str] = KINDS,
    ) -> None:
        self._watching = rows >= FIRST
        self._answered = answered
        self._kinds = kinds
        self._kind = ""
        self._held: list[tuple[Row, RowResult]] = []
        self.has_tripped = False

    def holds(self, row: Row, result: RowResult) -> bool:
        """Whether this result is held back; where not, look whether others are released."""
        if not self._watching:
            return False
        kind = (result.error or "").partition(":")[0]
        if kind not in self._kinds or (self._kind and kind != self._kind):
            self._watching = self.has_tripped  # what was in flight then may fail alike too
            return False
        if len(self._held) + 1 == FIRST and self._answered():
            self._watching = False
            return False
        self._kind = kind
        self._held.append((row, result))
        self.has_tripped = self.has_tripped or len(self._held) == FIRST
        return True

    def release(self) -> list[tuple[Row, RowResult]]:
        """What was held back; unless it has tripped, nothing is held from here on."""
        self._watching = self.has_tripped
        held, self._held = self._held, []
        return held
