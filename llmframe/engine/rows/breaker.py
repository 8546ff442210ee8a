"""The circuit breaker: when the first ten rows all fail alike, it may be the call, not the rows."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from llmframe.engine.row import Row
    from llmframe.results import RowResult

FIRST = 10  # rows
KINDS = frozenset({"output"})


class Breaker:
    """Holds the first failures back until it is clear whose fault they are.

    rows: of the frame; below ten the breaker is off. has_answers: whether any row of the frame
    has an answer, if only an earlier run's; then it is the rows. kinds: of failures that may be
    the call's. is_full: ten are held, and a health probe is to decide. has_tripped: it failed.
    """

    def __init__(
        self,
        rows: int,
        has_answers: Callable[[], bool] = lambda: False,
        *,
        kinds: frozenset[str] = KINDS,
    ) -> None:
        self._watching = rows >= FIRST
        self._has_answers = has_answers
        self._kinds = kinds
        self._kind = ""
        self._held: list[tuple[Row, RowResult]] = []
        self.is_full = False
        self.has_tripped = False

    def holds(self, row: Row, result: RowResult) -> bool:
        """True while this failure is held back; False also means that those held are released."""
        if not self._watching:
            return False
        kind = "" if result.error is None else result.error.kind
        if kind not in self._kinds or (self._kind and kind != self._kind):
            # once it has tripped, what was in flight may go on failing alike
            self._watching = self.has_tripped
            return False
        if len(self._held) + 1 == FIRST and self._has_answers():
            self._watching = False
            return False
        self._kind = kind
        self._held.append((row, result))
        self.is_full = len(self._held) >= FIRST and not self.has_tripped
        return True

    def trip(self) -> list[tuple[Row, RowResult]]:
        """It is the call: what is held, and all that comes, stays pending."""
        self.is_full, self.has_tripped = False, True
        held, self._held = self._held, []
        return held

    def release(self) -> list[tuple[Row, RowResult]]:
        """What was held back; unless it has tripped, nothing is held from here on."""
        self._watching = self.has_tripped
        self.is_full = False
        held, self._held = self._held, []
        return held
