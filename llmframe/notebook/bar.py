"""The live view of a terminal: a tqdm text bar, and the card as text below it."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

from llmframe.notebook.card import card_text
from llmframe.notebook.live import state_words

if TYPE_CHECKING:
    from llmframe.engine.report import Snapshot
    from llmframe.notebook.view import Ending

_FORMAT = "{percentage:3.0f}%|{bar}| {n_fmt}/{total_fmt} rows{postfix}"


class TextBar:
    """A bar on standard error; speed and time left are ours, not tqdm's."""

    def __init__(self) -> None:
        self._bar: Any = None

    def open(self) -> None:
        """Nothing yet: how many rows there are is known at the first refresh."""

    def refresh(self, snapshot: Snapshot) -> None:
        """Draw the bar."""
        if self._bar is None:
            self._bar = _new_bar(snapshot)
        self._bar.n = snapshot.done
        self._bar.set_postfix_str(", ".join(state_words(snapshot)), refresh=False)
        self._bar.refresh()

    def close(self, ending: Ending) -> None:
        """Leave the bar as it ended, red where rows are missing, and print the card."""
        if self._bar is not None:
            report = ending.report
            self._bar.colour = "red" if report.failed or report.pending else "green"
            self.refresh(ending.snapshot)
            self._bar.close()
        sys.stderr.write(card_text(ending) + "\n")


def _new_bar(snapshot: Snapshot) -> Any:
    from tqdm import tqdm

    class Bar(tqdm):  # type: ignore[type-arg]
        monitor_interval = 0  # no watching thread: we draw by our own timer

    return Bar(
        total=snapshot.rows,
        initial=snapshot.done,
        unit="row",
        bar_format=_FORMAT,
        dynamic_ncols=True,
        leave=True,
        file=sys.stderr,
    )
