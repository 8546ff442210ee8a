"""What a live view shows of rows: the newest answers, the last failures, labels, the pace."""

from __future__ import annotations

import base64
import threading
import time
from array import array
from collections import Counter, deque
from typing import TYPE_CHECKING

from llmframe.engine.events import RowsDone
from llmframe.notebook.view import LabelCounts, ShownRow

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence

    from llmframe.engine.events import Event
    from llmframe.engine.row import Rows
    from llmframe.notebook.view import LiveRows

NEWEST = 3  # answers shown
MORE = 20  # answers shown to whoever asks for more
UNCOUNTED = 5_000  # answers whose labels wait to be counted, at most
DISTINCT = 500  # labels of one field that are counted one by one
FAILED = 3  # failures shown of one kind
KINDS = 4  # kinds of failures shown
FIRST = 2  # numbers shown of a vector
BINS = 60  # of the pace, at most; a long run has wider bins
BIN_WIDTH = 1.0  # seconds, at the start of a run


class LatestRows:
    """The latest rows of one run, noted from the engine's events.

    rows: the texts of the frame's rows, for events without one. label: the index label of a
    position. labelled: the fields whose labels are counted. vectors: the fields that hold one.
    live: of a live preview, whose rows are shown in place of the newest answers.
    Events come on the run's loop, one at a time; views read from any thread, without a lock,
    because copying a deque or a dict's values is one step of the interpreter.
    """

    def __init__(
        self,
        rows: Rows,
        label: Callable[[int], object],
        labelled: Sequence[str] = (),
        *,
        vectors: Collection[str] = (),
        live: LiveRows | None = None,
    ) -> None:
        self.live = live
        self._rows = rows
        self._labels = Labels(labelled)
        self._label = label
        self._vectors = vectors
        self._pace = Pace()
        self._newest: deque[RowsDone] = deque(maxlen=MORE)
        self._failed: dict[str, deque[RowsDone]] = {}

    def __call__(self, event: Event) -> None:
        """Note rows that were answered just now; those of the checkpoint are old news."""
        if not isinstance(event, RowsDone) or event.source not in ("request", "shared"):
            return
        self._pace.count(len(event.positions))
        result = event.result
        if result.status == "ok":
            self._newest.append(event)
            self._labels.note(result.values or {}, len(event.positions))
        elif result.status == "failed":
            kind = result.error.kind if result.error else ""
            self._failed.setdefault(kind, deque(maxlen=FAILED)).append(event)

    def newest(self, most: int = NEWEST) -> list[ShownRow]:
        """The newest answers, the newest first."""
        return [self._shown(event) for event in [*self._newest][: -most - 1 : -1]]

    def labels(self) -> list[LabelCounts]:
        """How often each label was answered so far, by field."""
        return self._labels.counts()

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
            label_text(self._label, position),
            text=text if isinstance(text, str) else "",
            values=result.values and self._readable(result.values),
            error=str(result.error or ""),
        )

    def _readable(self, values: Mapping[str, object]) -> Mapping[str, object]:
        """The values with words in place of vectors."""
        if not self._vectors:
            return values
        return {
            name: vector_words(value) if name in self._vectors else value
            for name, value in values.items()
        }


def label_text(label: Callable[[int], object], position: int) -> str:
    """A row's label of the frame's index as text."""
    try:
        return str(label(position))
    except Exception:  # noqa: BLE001 - the code of somebody's class, or a date of no year
        return f"row {position}"


class Labels:
    """Counts labels when they are asked for; until then answers are only noted, which is cheap."""

    def __init__(self, names: Sequence[str]) -> None:
        self._counts: dict[str, Counter[str]] = {name: Counter() for name in names}
        self._noted: deque[tuple[Mapping[str, object], int]] = deque()
        self._counting = threading.Lock()  # several views may ask

    def note(self, values: Mapping[str, object], rows: int) -> None:
        """Note the answer of so many equal rows."""
        if self._counts:
            self._noted.append((values, rows))
            if len(self._noted) > UNCOUNTED:  # nobody looks: the memory must not grow
                self.counts()

    def counts(self) -> list[LabelCounts]:
        """The labels of each field, the most frequent first."""
        with self._counting:
            for _ in range(len(self._noted)):
                values, rows = self._noted.popleft()
                for name, counter in self._counts.items():
                    _count(counter, values.get(name), rows)
            return [
                LabelCounts(name, labels=tuple(counter.most_common()))
                for name, counter in self._counts.items()
                if counter
            ]


def vector_words(value: object) -> str:
    """How many numbers a vector has, and the first of them. value: base64 of float32."""
    try:
        numbers = array("f", base64.b64decode(str(value)))
    except ValueError:  # an answer that somebody has put into the checkpoint
        return "no vector"
    shown = ", ".join(f"{number:.3g}" for number in numbers[:FIRST])
    return f"{len(numbers):,} numbers: {shown}{', ...' if len(numbers) > FIRST else ''}"


def _count(counter: Counter[str], value: object, rows: int) -> None:
    for label in value if isinstance(value, list) else (value,):
        if isinstance(label, str | int):  # a bool is an int
            text = str(label)
            if text in counter or len(counter) < DISTINCT:
                counter[text] += rows


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
