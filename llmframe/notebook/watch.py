"""The single rows of a run that its live views show: the newest answers, the last failures."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from llmframe.engine.events import RowsDone
from llmframe.notebook.pace import Pace

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from llmframe.engine.book import Rows
    from llmframe.engine.events import Event
    from llmframe.engine.results import RowResult

NEWEST = 3  # answers shown
FAILED = 3  # failures shown of one kind
KINDS = 4  # kinds of failures whose rows are shown


@dataclass(frozen=True, slots=True)
class Sample:
    """One row as a view shows it; all of it is foreign text.

    label: of the frame's index. text: what was asked about.
    values: field name -> JSON value, None for a row that failed. error: ``kind: message``,
    empty for a row that was answered.
    """

    label: str
    text: str
    values: Mapping[str, Any] | None = None
    error: str = ""


class Peek(Protocol):
    """What tells a view about single rows; may be called from any thread, and must be cheap."""

    def newest(self) -> Sequence[Sample]:
        """The newest answers, the newest first."""

    def failures(self) -> Sequence[Sample]:
        """The last failures of the most frequent kinds, the newest of each kind first."""

    def rates(self) -> Sequence[float]:
        """Rows a second since the start, in bins of equal time, the oldest first."""


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
            kind = (result.error or "").partition(":")[0]
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
        return Sample(label, text or "", result.values, result.error or "")
