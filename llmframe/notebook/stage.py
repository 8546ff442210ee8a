"""Where one run is shown: in the cell that started it, and in every cell that displays it."""

from __future__ import annotations

import threading
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Protocol

from llmframe.notebook import hosts, make_view
from llmframe.notebook.drawing.card import card_html, card_text
from llmframe.notebook.hosts import bundle, show
from llmframe.notebook.view import Controls

if TYPE_CHECKING:
    from collections.abc import Callable

    from llmframe.engine.report import Snapshot
    from llmframe.notebook import Progress
    from llmframe.notebook.view import Ending, Peek

TICK = 0.2  # seconds between two refreshes of a view
MOST = 3  # live views of one run beside the first; each costs its share of a core
ELSEWHERE = "The run goes on; it is shown in a newer cell."


class Shows(Controls, Protocol):
    """What a view needs of a run."""

    def wait(self, timeout: float | None = None) -> bool:
        """Wait for the end; whether it has come."""

    def snapshot(self) -> Snapshot:
        """The run at this moment."""


class Stage:
    """All views of one run.

    run: what is shown. progress: as the person asked for it. peek: tells of single rows.
    ending: the run as it is now for the card; its argument is the headline, the status if empty.
    """

    def __init__(
        self,
        run: Shows,
        *,
        progress: Progress | bool,
        peek: Peek | None,
        ending: Callable[[str], Ending],
    ) -> None:
        self._run = run
        self._progress: Progress | bool = progress
        self._peek = peek
        self._ending = ending
        self._cells: set[str] = set()
        self._more: list[Shown] = []

    def open(self, *, blocking: bool, progress: Progress | bool | None = None) -> Shown:
        """Show the run in the cell that runs.

        blocking: the cell waits for the run. progress: of a call that joins the run, else its own.
        """
        self._cells.add(hosts.running_cell())
        wanted = self._progress if progress is None else progress
        view = make_view(wanted, controls=self._run, blocking=blocking, peek=self._peek)
        view.open()
        return Shown(self._run, view, self._ending)

    def display(self) -> bool:
        """Show the run in the cell that displays it: live while it goes on, then its card.

        A cell that shows it already shows it once. False where the run's text is to be shown:
        outside of a notebook, and with ``progress=False``.
        """
        cell = hosts.running_cell()
        if not cell or self._progress is False:
            return False
        if cell in self._cells:
            return True
        if self._run.wait(0):
            ending = self._ending("")
            show(bundle(card_html(ending), card_text(ending)))
            return True
        shown = self.open(blocking=False)
        shown.watch_in_background()
        self._more = [one for one in (*self._more, shown) if not one.closed]
        for old in self._more[:-MOST]:
            old.give_up()
        return True


class Shown:
    """One view of a run, from the cell that opens it to the card that stays."""

    def __init__(self, run: Shows, view: Any, ending: Callable[[str], Ending]) -> None:
        self._run = run
        self._view = view
        self._ending = ending
        self._given_up = threading.Event()
        self.closed = False

    def refresh(self) -> None:
        """Draw the run as it is."""
        self._view.refresh(self._run.snapshot())

    def watch_in_background(self) -> None:
        """Draw the run until it ends, on a thread."""
        threading.Thread(target=self._watch, name="llmframe-view", daemon=True).start()

    def _watch(self) -> None:
        while not self._run.wait(TICK) and not self._given_up.is_set():
            self.refresh()
        self.close()

    def give_up(self) -> None:
        """The run is shown elsewhere: leave a card that says so."""
        self._given_up.set()

    def close(self, headline: str = "") -> None:
        """Leave the card. headline: the run's status if empty."""
        self.closed = True
        ending = self._ending(headline)
        if self._given_up.is_set() and not self._run.wait(0):
            ending = replace(ending, next_step=ELSEWHERE)
        self._view.close(ending)
