"""The live view where nothing can be drawn: log lines."""

from __future__ import annotations

import logging
import sys
from typing import TYPE_CHECKING

from llmframe.notebook.drawing.card import card_text
from llmframe.notebook.drawing.live import live_text

if TYPE_CHECKING:
    from llmframe.engine.report import Snapshot
    from llmframe.notebook.view import Ending

INTERVAL = 10.0  # seconds between two lines
logger = logging.getLogger("llmframe")


class LogView:
    """INFO lines on the logger ``llmframe``: the begin, one every ten seconds, the end.

    Where the program has set up no logging the lines go to standard error.
    """

    def __init__(self) -> None:
        self._next = 0.0

    def open(self) -> None:
        """Nothing yet: how many rows there are is known at the first refresh."""

    def refresh(self, snapshot: Snapshot) -> None:
        """Log the run's state when a line is due."""
        if snapshot.seconds >= self._next:
            self._next = snapshot.seconds + INTERVAL
            say(f"llmframe: {live_text(snapshot)}")

    def close(self, ending: Ending) -> None:
        """Log the card, a line each."""
        for line in card_text(ending).splitlines():
            say(line)


def say(line: str) -> None:
    """Log one line, or write it to standard error where nobody listens to the logger."""
    if logger.hasHandlers():
        logger.info("%s", line)
    elif sys.stderr is not None:
        logging.StreamHandler().handle(
            logger.makeRecord(logger.name, logging.INFO, __file__, 0, "%s", (line,), None)
        )
