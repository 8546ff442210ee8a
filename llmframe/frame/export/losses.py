"""Cells that have no text: they are empty in the file, and reported once."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from llmframe.errors import warn
from llmframe.frame.cells import error_words

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence


class Losses:
    """Counts, by column, the cells of which nothing can be written."""

    def __init__(self) -> None:
        self._found: dict[str, tuple[int, str]] = {}

    def each(self, render: Callable[[Any], Any], cells: Sequence[Any], *, column: str) -> list[Any]:
        """What render makes of each cell; None where it makes nothing."""
        try:
            return [render(cell) for cell in cells]
        except Exception:  # noqa: BLE001 - rare, so that the cells at fault are found only now
            return [self._one(render, cell, column) for cell in cells]

    def _one(self, render: Callable[[Any], Any], cell: Any, column: str) -> Any:
        try:
            return render(cell)
        except Exception as exc:  # noqa: BLE001 - one cell must not cost the file
            count, error = self._found.get(column, (0, error_words(exc)))
            self._found[column] = (count + 1, error)
            return None

    def warn(self) -> None:
        """Warn once of all that was lost."""
        parts = [f"{count:,} in {name!r} ({error})" for name, (count, error) in self._found.items()]
        if parts:
            warn(
                f"cells that cannot be turned into text are empty in the file: {', '.join(parts)}. "
                "All others are written; put a text or a number in their place and export again"
            )
