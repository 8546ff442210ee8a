"""The live view where nothing can be drawn: log lines."""

from __future__ import annotations

import logging
import sys
from typing import TYPE_CHECKING

from llmframe.notebook.drawing.card import card_text
from llmframe.notebook.drawing.live import live_text, where_words
from llmframe.notebook.drawing.rows import shares_text
from llmframe.notebook.view import View

if TYPE_CHECKING:
    from llmframe.notebook.latest_rows import LatestRows
    from llmframe.notebook.view import Ending
    from llmframe.report import Snapshot

INTERVAL = 10.0  # seconds between two lines
logger = logging.getLogger("llmframe")


class LogView(View):
    """INFO lines on the logger ``llmframe``: at the start, every ten seconds, and at the end."""

    def __init__(self, latest: LatestRows | None = None) -> None:
        self._next = 0.0
        self._latest = latest
        self._started = False

    def refresh(self, snapshot: Snapshot) -> None:
        """Log the run's state when a line is due."""
        if snapshot.seconds >= self._next:
            self._next = snapshot.seconds + INTERVAL
            log_line(f"llmframe: {live_text(snapshot)}")
            if snapshot.model and not self._started:
                log_line(f"  {where_words(snapshot)}")
            self._started = True
            if self._latest is not None and (shares := shares_text(self._latest.labels())):
                log_line(f"  labels so far: {shares}")

    def close(self, ending: Ending | str) -> None:
        """Log the card, line by line."""
        for line in card_text(ending).splitlines():
            log_line(line)


def log_line(line: str) -> None:
    """Log a line, or print it where nothing would show what is logged."""
    if logger.hasHandlers():
        logger.info("%s", line)
    elif sys.stderr is not None:  # a script without logging wants to see its progress, too
        logging.StreamHandler().handle(
            logger.makeRecord(logger.name, logging.INFO, __file__, 0, "%s", (line,), None)
        )
