"""The circuit breaker: when the first ten rows all fail alike, it is the call, not the rows."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from llmframe.engine.results import RowResult
    from llmframe.engine.work import Row

FIRST = 10  # rows
KINDS = frozenset({"output", "bad_request"})


class Breaker:
    """Holds the first failures back until it is clear whose fault they are.

    rows: of the frame; below ten it does nothing.
    """

    def __init__(self, rows: int) -> None:
        self._watching = rows >= FIRST
        self._held: list[tuple[Row, RowResult]] = []

    def holds(self, row: Row, result: RowResult) -> bool:
        """Whether this result is held back; where not, look whether others are released."""
        if not self._watching:
            return False
        kind = (result.error or "").partition(":")[0]
        alike = all(
            held.error is not None and held.error.startswith(kind) for _, held in self._held
        )
        if result.status != "failed" or kind not in KINDS or not alike:
            self._watching = False
            return False
        self._held.append((row, result))
        return True

    @property
    def has_tripped(self) -> bool:
        """Whether ten are held."""
        return len(self._held) >= FIRST

    def release(self) -> list[tuple[Row, RowResult]]:
        """What was held back; nothing is held from here on."""
        self._watching = False
        held, self._held = self._held, []
        return held
