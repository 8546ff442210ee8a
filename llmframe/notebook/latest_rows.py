"""What a live view shows of single rows: the newest answers, the last failures, the pace."""

from __future__ import annotations

import time
from collections import deque
from typing import TYPE_CHECKING

from llmframe.engine.events import RowsDone
from llmframe.notebook.view import ShownRow

if TYPE_CHECKING:
    from collections.abc import Callable

    from llmframe.engine.events import Event
    from llmframe.engine.row import Rows

NEWEST = 3  # answers shown
FAILED = 3  # failures shown of one kind
KINDS = 4  # kinds of failures shown
BINS = 60  # of the pace, at most; a long run has wider bins
BIN_WIDTH = 1.0  # seconds, at the start of a run


class LatestRows:
    """The latest rows of one run, noted from the engine's events.

    rows: the texts of the frame's rows, for events without one. label: the index label of a
    position.
    Events come on the run's loop, one at a time; views read from any thread, without a lock,
    because copying a deque or a dict's values is one step of the interpreter.
    """

    def __init__(self, rows: Rows, label: Callable[[int], object]) -> None:
        self._rows = rows
        self._label = label
        self._pace = Pace()
        self._newest: deque[RowsDone] = deque(maxlen=NEWEST)
        self._failed: dict[str, deque[RowsDone]] = {}

    def __call__(self, event: Event) -> None:
        """Note rows that were answered just now; those of the checkpoint are old news."""
        if not isinstance(event, RowsDone) or event.source not in ("request", "shared"):
            return
        self._pace.count(len(event.positions))
        result = event.result
        if result.status == "ok":
            self._newest.append(event)
        elif result.status == "failed":
            kind = result.error.kind if result.error else ""
            self._failed.setdefault(kind, deque(maxlen=FAILED)).append(event)

    def newest(self) -> list[ShownRow]:
        """The newest answers, the newest first."""
        return [self._shown(event) for event in reversed(list(self._newest))]

    def failures(self) -> list[ShownRow]:
        """The last failures of the first kinds that came, the newest of each kind first."""
        kinds = [list(noted) for noted in list(self._failed.values())[:KINDS]]
        return [self._shown(event) for kind in kinds for event in reversed(kind)]

    def rates(self) -> list[float]:
        """Rows per second since the start, in bins of equal time, the oldest first."""
        return self._pace.rates()

    def _shown(self, event: RowsDone) -> ShownRow:
        position, result = event.positions[0], event.result
        text: object = event.text  # what was sent: redact= may have taken something out
        if text is None:
            [text] = self._rows.texts(position, position + 1)
        return ShownRow(
            self._label_text(position),
            text=text if isinstance(text, str) else "",
            values=result.values,
            error=str(result.error or ""),
        )

    def _label_text(self, position: int) -> str:
        try:
            return str(self._label(position))
        except Exception:  # noqa: BLE001 - the code of somebody's class, or a date of no year
            return f"row {position}"


class Pace:
    """Answered rows in bins of equal time; counted on one thread, read from any."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._started = clock()
        # one tuple, replaced as a whole, so that a reader never sees a width without its bins
        self._counted: tuple[float, list[int]] = (BIN_WIDTH, [])

    def count(self, rows: int) -> None:
        """Count rows that were answered just now."""
        width, bins, at = self._fitting(BINS - 1)
        bins.extend([0] * (at + 1 - len(bins)))
        bins[at] += rows
        self._counted = (width, bins)

    def rates(self) -> list[float]:
        """Rows per second in each bin that has ended, the oldest first."""
        width, bins, over = self._fitting(BINS)
        known = bins[:over]
        return [rows / width for rows in known] + [0.0] * (over - len(known))

    def _fitting(self, last: int) -> tuple[float, list[int], int]:
        """The bins, joined in pairs until the current one is at most the given; its number."""
        width, bins = self._counted
        at = int((self._clock() - self._started) / width)
        while at > last:
            width, at = 2 * width, at // 2
            bins = [sum(bins[start : start + 2]) for start in range(0, len(bins), 2)]
        return width, bins, at
