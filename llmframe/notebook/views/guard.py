"""A view that cannot hurt a run: a failure to draw is logged once, and the card still comes."""

from __future__ import annotations

import logging
import threading
from typing import TYPE_CHECKING

from llmframe.notebook.view import View
from llmframe.notebook.views.log import LogView

if TYPE_CHECKING:
    from collections.abc import Callable

    from llmframe.notebook.view import Ending
    from llmframe.report import Snapshot

logger = logging.getLogger("llmframe")
NO_CARD = (
    "llmframe: the run has ended, but its card could not be drawn. lf.last_run() tells how it "
    "ended, lf.last_run().partial() returns the frame."
)


class GuardedView(View):
    """Calls a view's methods, one at a time, and catches what they raise.

    Log lines replace a view that cannot be opened, and a card that cannot be shown.
    """

    def __init__(self, view: View) -> None:
        self.view = view
        self._lock = threading.RLock()
        self._closed = False
        self._has_card = True
        self._logged = False

    @property
    def draws_card(self) -> bool:  # type: ignore[override]
        """Whether the view that is open leaves a card; False once that has failed."""
        return self._has_card and self.view.draws_card

    def open(self) -> None:
        """Open the view, or replace it by log lines."""
        with self._lock:
            if not self._try(self.view.open):
                self.view = LogView()

    def refresh(self, snapshot: Snapshot) -> None:
        """Draw, if that works."""
        with self._lock:
            if not self._closed:  # a late refresh must not replace the card
                self._try(lambda: self.view.refresh(snapshot))

    def close(self, ending: Ending | str) -> None:
        """Show the card or the sentence, or log it; a second call does nothing."""
        with self._lock:
            if self._closed:
                return
            self._closed, self._has_card = True, not isinstance(ending, str)
            if not self._try(lambda: self.view.close(ending)):
                self._has_card = False
                self._try(lambda: self.view.close(NO_CARD))  # no live view may stay
                self._try(lambda: LogView().close(ending))

    def _try(self, draw: Callable[[], None]) -> bool:
        try:
            draw()
        except Exception:  # a closed comm or a dead page must not end a paid run
            if not self._logged:
                logger.debug("the progress view failed; the run goes on", exc_info=True)
            self._logged = True
            return False
        return True
