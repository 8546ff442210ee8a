"""The live view of a terminal: a tqdm text bar, and the card as text below it."""

from __future__ import annotations

import shutil
import sys
from typing import TYPE_CHECKING, Any

from llmframe.notebook.drawing.card import card_text
from llmframe.notebook.drawing.escape import SENTENCES, plain
from llmframe.notebook.drawing.live import live_words, where_words
from llmframe.notebook.drawing.rows import doubt_words
from llmframe.notebook.drawing.spending import early_stop_words
from llmframe.notebook.view import View

if TYPE_CHECKING:
    from collections.abc import Iterable

    from llmframe.notebook.latest_rows import LatestRows
    from llmframe.notebook.view import Ending
    from llmframe.report import Snapshot

_FORMAT = "{percentage:3.0f}%|{bar}| {desc}"
_BAR_WIDTH = 20  # columns left for the bar itself
LABELS_STAY = 5.0  # seconds between two looks at the labels
_DIGITS = str.maketrans("", "", "0123456789")


class TextBar(View):
    """A bar on standard error; speed and time left are ours, not tqdm's.

    It begins with the first refresh, which knows how many rows there are.
    """

    def __init__(self, latest: LatestRows | None = None) -> None:
        self._bar: Any = None
        self._written: set[str] = set()
        self._latest = latest
        self._labels_due = LABELS_STAY  # seconds of the run

    def refresh(self, snapshot: Snapshot) -> None:
        """Draw the bar, with a new message above it."""
        if self._bar is None:
            self._bar = _new_bar(snapshot)
            self._write(where_words(snapshot) if snapshot.model else "")
        self._write(plain(early_stop_words(snapshot), limit=SENTENCES))
        self._write(plain(snapshot.message))
        if self._latest is not None and snapshot.seconds >= self._labels_due:
            self._labels_due = snapshot.seconds + LABELS_STAY
            for field in self._latest.labels():
                doubt = doubt_words(field)
                self._write(f"{plain(field.name, limit=40)}: {doubt}" if doubt else "")
        self._bar.n = snapshot.done
        room = shutil.get_terminal_size().columns - _BAR_WIDTH
        self._bar.set_description_str(fitting(live_words(snapshot), room), refresh=False)
        self._bar.refresh()

    def _write(self, line: str) -> None:
        """Write a line above the bar, once, whatever numbers it holds: it may be a countdown."""
        known = line.translate(_DIGITS)
        if known and known not in self._written:
            self._written.add(known)
            self._bar.write(line, file=sys.stderr)

    def close(self, ending: Ending | str) -> None:
        """Leave the bar as it ended, red if rows are missing, and print the card."""
        if self._bar is not None:
            if not isinstance(ending, str):
                report = ending.report
                self._bar.colour = "red" if report.failed or report.pending else "green"
                self.refresh(ending.snapshot)
            self._bar.close()
        sys.stderr.write(card_text(ending) + "\n")


def fitting(words: Iterable[str], room: int) -> str:
    """The words that fit into ``room`` columns, in their order; the first always."""
    text = ""
    for word in words:
        longer = f"{text}, {word}" if text else word
        if not text or len(longer) <= room:
            text = longer
    return text


def _new_bar(snapshot: Snapshot) -> Any:
    from tqdm import tqdm

    class Bar(tqdm):  # type: ignore[type-arg]
        monitor_interval = 0  # no monitoring thread: the run's timer draws

    return Bar(
        total=snapshot.rows,
        initial=snapshot.done,
        bar_format=_FORMAT,
        dynamic_ncols=True,
        leave=True,
        file=sys.stderr,
    )
