"""The single rows of a run that its live views show: the newest answers, the last failures."""

from __future__ import annotations

import time
from collections import deque
from typing import TYPE_CHECKING

from llmframe.engine.events import RowsDone
from llmframe.notebook.view import Sample

if TYPE_CHECKING:
    from collections.abc import Callable
from llmframe.notebook.drawing.pace import BINS, WIDTH

if TYPE_CHECKING:
    from collections.abc import Callable

    from llmframe.engine.events import Event
    from llmframe.engine.row import Rows
    from llmframe.results import RowResult

NEWEST = 3  # answers shown
FAILED = 3  # failures shown of one kind
KINDS = 4  # kinds of failures whose rows are shown


class Watcher:
    """Watches one run for its views: an observer of the engine's events.

    rows: as they are asked. label: the index label of a position.
    Events come on the run's loop, one at a time; the rest may be called from any thread
    (copying a deque or a dict's values is one step of the interpreter).
    """

    def __init__(self, rows: Rows, label: Callable[[int], object]) -> None:
        self._rows = rows
        self._label = label
        self._pace = Pace()
        self._newest: deque[tuple[int, RowResult]] = deque(maxlen=NEWEST)
        self._failed: dict[str, deque[tuple[int, RowResult]]] = {}

    def __call__(self, event: Event) -> None:
        """Take note of rows that were answered just now, not of those in the checkpoint."""
        if not isinstance(event, RowsDone) or event.source not in ("request", "shared"):
            return
        self._pace.count(len(event.positions))
        result = event.result
        seen = (event.positions[0], result)
        if result.status == "ok":
            self._newest.append(seen)
        elif result.status == "failed":
            kind = result.error.kind if result.error else ""
            self._failed.setdefault(kind, deque(maxlen=FAILED)).append(seen)

    def newest(self) -> list[Sample]:
        """The newest answers, the newest first."""
        return [self._sample(*seen) for seen in reversed(list(self._newest))]

    def failures(self) -> list[Sample]:
        """The last failures by kind, the newest first; of the kinds that came first."""
        kinds = [list(seen) for seen in list(self._failed.values())[:KINDS]]
        return [self._sample(*seen) for kind in kinds for seen in reversed(kind)]

    def rates(self) -> list[float]:
        """Rows a second since the start, in bins of equal time, the oldest first."""
        return self._pace.rates()

    def _sample(self, position: int, result: RowResult) -> Sample:
        [text] = self._rows.texts(position, position + 1)
        label = str(self._label(position))
        return Sample(label, text or "", result.values, str(result.error or ""))


class Pace:
    """Rows answered, counted in bins of equal time; counted on one thread, read from any."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._begun = clock()
        self._counted: tuple[float, list[int]] = (WIDTH, [])

    def count(self, rows: int) -> None:
        """So many rows were answered just now."""
        width, bins = self._counted
        at = int((self._clock() - self._begun) / width)
        while at >= BINS:
            width, bins, at = 2 * width, _halved(bins), at // 2
        bins.extend([0] * (at + 1 - len(bins)))
        bins[at] += rows
        self._counted = (width, bins)

    def rates(self) -> list[float]:
        """Rows a second in each bin that is over, the oldest first."""
        width, bins = self._counted
        over = int((self._clock() - self._begun) / width)
        while over > BINS:
            width, bins, over = 2 * width, _halved(bins), over // 2
        known = bins[:over]
        return [rows / width for rows in known] + [0.0] * (over - len(known))


def _halved(bins: list[int]) -> list[int]:
    return [sum(bins[at : at + 2]) for at in range(0, len(bins), 2)]
