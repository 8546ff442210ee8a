"""A view that cannot hurt a run: what fails to draw is noted once, and the end is still told."""

from __future__ import annotations

import logging
import threading
from typing import TYPE_CHECKING

from llmframe.notebook.views.log import LogView

if TYPE_CHECKING:
    from collections.abc import Callable

    from llmframe.engine.report import Snapshot
    from llmframe.notebook.view import Ending, View

logger = logging.getLogger("llmframe")


class GuardedView:
    """Passes the calls on to a view, one at a time, and takes its failures.

    A view that cannot be opened is replaced by log lines; a card that cannot be shown is logged.
    Once closed it draws nothing more: a late refresh must not replace the card.
    """

    def __init__(self, view: View) -> None:
        self.view = view
        self._lock = threading.RLock()
        self._closed = False
        self._noted = False

    def open(self) -> None:
        """Open the view, or log lines in its stead."""
        with self._lock:
            if not self._works(self.view.open):
                self.view = LogView()

    def refresh(self, snapshot: Snapshot) -> None:
        """Draw, if that works."""
        with self._lock:
            if not self._closed:
                self._works(lambda: self.view.refresh(snapshot))

    def close(self, ending: Ending) -> None:
        """Show the card, or log it; a second call does nothing."""
        with self._lock:
            if self._closed:
                return
            self._closed = True
            if not self._works(lambda: self.view.close(ending)):
                self._works(lambda: LogView().close(ending))

    def _works(self, draw: Callable[[], None]) -> bool:
        try:
            draw()
        except Exception:  # a closed comm or a dead page must not end a paid run
            if not self._noted:
                logger.debug("the progress view failed; the run goes on", exc_info=True)
            self._noted = True
            return False
        return True
