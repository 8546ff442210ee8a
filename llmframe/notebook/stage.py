"""Where one run is shown: in the cell that started it, and in every cell that displays it."""

from __future__ import annotations

import logging
import threading
from dataclasses import replace
from typing import TYPE_CHECKING, Protocol

from llmframe.notebook import hosts, make_view
from llmframe.notebook.drawing.card import card_html, card_text
from llmframe.notebook.hosts import bundle, show
from llmframe.notebook.view import Controls
from llmframe.notebook.views.log import LogView

if TYPE_CHECKING:
    from collections.abc import Callable

    from llmframe.notebook import Progress
    from llmframe.notebook.latest_rows import LatestRows
    from llmframe.notebook.view import Ending, View
    from llmframe.report import Snapshot

TICK = 0.2  # seconds between two refreshes of a view
MOST = 3  # live views of one run in addition to the first; each costs its share of a core
logger = logging.getLogger("llmframe")
LAST = 2.0  # seconds in which a view that a thread draws leaves its card, at most
BELOW = "The error of this call, below, says why, what is safe and what to do."
NO_CARD = (
    "llmframe: the run has ended, but its card could not be drawn. lf.last_run() tells how it "
    "ended, lf.last_run().partial() returns the frame."
)
ELSEWHERE = "The run goes on; it is shown in a newer cell."


class ShownRun(Controls, Protocol):
    """What a view needs of a run."""

    def wait(self, timeout: float | None = None) -> bool:
        """Wait for the end; True once the run has ended."""

    def snapshot(self) -> Snapshot:
        """The run at this moment."""


class Stage:
    """All views of one run.

    progress: as the person gave it. latest: the rows that live views show.
    ending: makes the card's values for the run as it is now, under a headline (its status if "").
    """

    def __init__(
        self,
        run: ShownRun,
        *,
        progress: Progress | bool,
        latest: LatestRows | None,
        ending: Callable[[str], Ending],
    ) -> None:
        self._run = run
        self._progress: Progress | bool = progress
        self._latest = latest
        self._ending = ending
        self._cells: set[str] = set()
        self._more: list[OpenView] = []
        self._opened: list[OpenView] = []
        self._had_card = False  # of views that are closed and no longer held

    def open(self, *, blocking: bool, progress: Progress | bool | None = None) -> OpenView:
        """Show the run in the running cell.

        blocking: the cell waits for the run. progress: of a call that joins the run, else its own.
        """
        self._cells.add(hosts.running_cell())
        wanted = self._progress if progress is None else progress
        view = make_view(wanted, controls=self._run, blocking=blocking, latest=self._latest)
        opened = OpenView(self._run, view, self._ending, raises=blocking)
        self._had_card |= any(one.draws_card for one in self._opened if one.closed)
        self._opened = [*(one for one in self._opened if not one.closed), opened]
        return opened

    @property
    def has_card(self) -> bool:
        """Whether the run has a card below some cell, or will have one at its end."""
        return self._had_card or any(one.draws_card for one in self._opened)

    def display(self) -> bool:
        """Show the run in a cell that displays it, once: live while it goes on, else its card.

        False if the run's text is to be shown: outside a notebook, and with ``progress=False``.
        """
        cell = hosts.running_cell()
        if not cell or self._progress is False:
            return False
        if cell in self._cells:  # the cell that started the run ends with it: shown already
            return True
        if self._run.wait(0):
            return _attempted(self._show_card)
        view = self.open(blocking=False)
        view.refresh_in_background()
        self._more = [one for one in (*self._more, view) if not one.closed]
        for old in self._more[:-MOST]:
            old.retire()
        return True

    def _show_card(self) -> None:
        ending = self._ending("")
        show(bundle(card_html(ending), card_text(ending)))

    def settle(self) -> None:
        """Wait until the views that threads draw have left the card of a run that has ended.

        A notebook that ends here must not keep a live view.
        """
        for view in self._opened:
            view.settle(LAST)


def _attempted(draw: Callable[[], None], *, logged: bool = False) -> bool:
    """Whether drawing worked. A failure is logged, unless one was: no view may end a paid run."""
    try:
        draw()
    except Exception:  # a closed comm, a dead page
        if not logged:
            logger.debug("the progress view failed; the run goes on", exc_info=True)
        return False
    return True


class OpenView:
    """One view of a run, from the cell that opens it to the card that stays.

    It cannot hurt the run: what drawing raises is logged once. Log lines replace a view that
    cannot be opened, and a card that cannot be shown.
    raises: its cell shows the error, too, that ends the run.
    """

    def __init__(
        self, run: ShownRun, view: View, ending: Callable[[str], Ending], *, raises: bool
    ) -> None:
        self._run = run
        self._raises = raises
        self._ending = ending
        self._lock = threading.RLock()
        self._retired = threading.Event()
        self._thread: threading.Thread | None = None
        self._ended = False
        self._has_card = True
        self._logged = False
        self.closed = False
        self.view = view if self._try(view.open) else LogView()

    @property
    def draws_card(self) -> bool:
        """Whether a card stays below the cell; False once that has failed."""
        return self._has_card and self.view.draws_card

    def refresh(self) -> None:
        """Draw the run as it is, if that works."""

        def draw() -> None:
            snapshot = self._run.snapshot()
            with self._lock:
                if not self._ended:  # a late refresh must not replace the card
                    self.view.refresh(snapshot)

        self._try(draw)

    def refresh_in_background(self) -> None:
        """Draw the run until it ends, on a thread."""

        def draw() -> None:
            while not self._run.wait(TICK) and not self._retired.is_set():
                if hosts.is_left(self._thread):
                    return
                self.refresh()
            self.close()

        self._thread = hosts.drawing_thread(draw)
        self._thread.start()

    def settle(self, timeout: float) -> None:
        """Wait until the thread that draws it has left the card, at most so many seconds."""
        if self._thread is not None:
            self._thread.join(timeout)

    def retire(self) -> None:
        """Stop drawing, because newer cells show the run, and leave a card that says so."""
        self._retired.set()

    def close(self, headline: str = "", *, sentence: str = "") -> None:
        """Leave the card, or a sentence in its place; a second call does nothing.

        headline: the run's status if empty.
        """
        left = sentence or self._card(headline)
        with self._lock:
            if self._ended:
                return
            self._ended, self._has_card = True, not isinstance(left, str)
            if not self._try(lambda: self.view.close(left)):
                self._has_card = False
                self._try(lambda: self.view.close(NO_CARD))  # no live view may stay
                self._try(lambda: LogView().close(left))
        self.closed = True  # last: a view that is closed is no longer held

    def _card(self, headline: str) -> Ending | str:
        """What the card shows; a sentence where that cannot be found out."""
        made: list[Ending] = []
        if not self._try(lambda: made.append(self._ending(headline))):
            return NO_CARD
        ending = made[0]
        if self._retired.is_set() and not self._run.wait(0):
            ending = replace(ending, next_step=ELSEWHERE)
        if self._raises and ending.snapshot.message:  # else one page shows the same text twice
            ending = replace(ending, snapshot=replace(ending.snapshot, message=BELOW))
        return ending

    def _try(self, draw: Callable[[], None]) -> bool:
        worked = _attempted(draw, logged=self._logged)
        self._logged |= not worked
        return worked
