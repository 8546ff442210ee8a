"""The live view of a notebook: ipywidgets with buttons, replaced by the card at the end.

The card is put in two places. The display of the cell becomes plain HTML, which a saved notebook
keeps. A page that was loaded again in mid-run has lost the way to that display and knows only the
widget, so the widget stays alive with the card in it.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Any

from llmframe.notebook.drawing import style
from llmframe.notebook.drawing.card import card_html, card_text
from llmframe.notebook.drawing.escape import html
from llmframe.notebook.drawing.live import INTERRUPT_HINT, live_html
from llmframe.notebook.drawing.rows import answers_html, failures_html
from llmframe.notebook.hosts import bundle, close_widget, free_route, has_subshell, show_widget
from llmframe.notebook.latest_rows import MORE, NEWEST
from llmframe.notebook.view import View
from llmframe.notebook.views.html_view import STARTING, latest_html

if TYPE_CHECKING:
    from collections.abc import Callable

    from llmframe.notebook.latest_rows import LatestRows
    from llmframe.notebook.view import Controls, Ending
    from llmframe.report import Snapshot

COUNTS_STAY = 0.35  # seconds; of five refreshes a second every other one is sent
ROWS_STAY = 2.0  # seconds that single rows stay, so that they can be read
MORE_STAY = 10.0  # seconds that the longer list of answers stays
_ICONS = {"Pause": "pause", "Resume": "play", "Stop": "stop"}
KEPT = 20  # widgets of ended runs that stay alive; each is five small models in the kernel
RELOADED = (
    "This page was loaded again during the run, so the notebook's file does not hold this card "
    "yet: run the cell once more before the kernel ends; nothing is paid for again."
)
_ended: deque[Any] = deque()  # their boxes, the oldest first
_LEFT_OPEN = (
    "llmframe: the end of this run was not recorded here; if the kernel is gone, run the cell "
    "again to continue"
)


class PanelView(View):
    """HTML widgets, a row of buttons, and the last failures in an accordion.

    blocking: the cell waits for the run. latest: the rows to show.
    The page alone opens an accordion, so it opens in a cell that blocks, too, and it stays open
    when its rows change.
    """

    draws_card = True

    def __init__(
        self,
        controls: Controls | None,
        *,
        blocking: bool,
        kernel: Any,
        latest: LatestRows | None = None,
    ) -> None:
        self._controls = controls
        self._blocking = blocking
        self._kernel = kernel
        self._latest = latest
        self._clickable = not blocking
        self._status = ""
        self._due = self._rows_due = self._more_due = 0.0  # seconds of the run

    def open(self) -> None:
        """Make the widgets and display them in the running cell."""
        import ipywidgets

        self.body = ipywidgets.HTML(STARTING)
        self.row = ipywidgets.HBox([])
        self.answers = ipywidgets.HTML("")
        self.more = ipywidgets.HTML("")
        self.failures = ipywidgets.HTML("")
        self.folded_more = _folded(self.more, "more answers")
        self.folded = _folded(self.failures, "the last failures")
        self.box = ipywidgets.VBox([self.body, self.row, self.answers])
        # The buttons are made once and never changed, because a change would send their clicks
        # to the blocked shell (see hosts); their row decides which of them are shown.
        self.buttons: dict[str, Any] = {}
        if (run := self._controls) is not None:
            actions = {"Pause": run.pause, "Resume": run.resume, "Stop": run.stop}
            self.buttons = {name: _button(name, action) for name, action in actions.items()}
        self._handle = show_widget(self.box, _LEFT_OPEN)
        for button in self.buttons.values():
            free_route(button)

    def refresh(self, snapshot: Snapshot) -> None:
        """Send what has changed: a new status immediately, counts and rows less often.

        A message costs half a millisecond.
        """
        if not self._clickable and self.buttons:
            self._clickable = has_subshell(self._kernel)
        self._show_buttons(snapshot.status)
        if snapshot.status == self._status and snapshot.seconds < self._due:
            return
        self._status, self._due = snapshot.status, snapshot.seconds + COUNTS_STAY
        # in the first second the page may still be making its subshell
        waiting_for_buttons = bool(self.buttons) and snapshot.seconds < 1
        no_hint = self._clickable or not self._blocking or waiting_for_buttons
        rates = self._latest.rates() if self._latest is not None else ()
        self.body.value = live_html(snapshot, "" if no_hint else INTERRUPT_HINT, rates)
        if self._latest is not None and snapshot.seconds >= self._rows_due:
            self._show_rows(self._latest, snapshot.seconds)

    def _show_buttons(self, status: str) -> None:
        names = {"running": ("Pause", "Stop"), "paused": ("Resume", "Stop")}.get(status, ())
        wanted = tuple(self.buttons[name] for name in names if self._clickable and self.buttons)
        if self.row.children != wanted:
            self.row.children = wanted

    def _show_rows(self, latest: LatestRows, now: float) -> None:
        self.answers.value = latest_html(latest)
        if latest.live is not None:  # it is read while it is written
            return
        self.failures.value = failures_html(latest.failures())
        if self.answers.value or self.failures.value:
            self._rows_due = now + ROWS_STAY
        if self.answers.value and now >= self._more_due:
            self._more_due = now + MORE_STAY
            more = latest.newest(MORE)
            self.more.value = answers_html(more, "the last answers") if len(more) > NEWEST else ""
        folded = ((self.more, self.folded_more), (self.failures, self.folded))
        shown = tuple(fold for content, fold in folded if content.value)
        if len(self.box.children) != 3 + len(shown):
            self.box.children = (self.body, self.row, self.answers, *shown)

    def close(self, ending: Ending | str) -> None:
        """Put the card in the place of the widgets."""
        card, text = card_html(ending), card_text(ending)
        try:
            self.body.value = card + style.line(style.soft(html(RELOADED)))
            self.box.children = (self.body,)
            folded = (self.folded_more, self.more, self.folded, self.failures)
            for widget in (self.row, self.answers, *folded, *self.buttons.values()):
                close_widget(widget)
            _keep(self.box)
        finally:
            self._handle.update(bundle(card, text), raw=True)


def _keep(box: Any) -> None:
    """Keep the box of an ended run alive, instead of the oldest one."""
    _ended.append(box)
    if len(_ended) > KEPT:
        oldest = _ended.popleft()
        for widget in (*oldest.children, oldest):
            close_widget(widget)


def _folded(content: Any, title: str) -> Any:
    import ipywidgets

    return ipywidgets.Accordion([content], titles=[title], layout={"max_width": style.WIDTH})


def _button(name: str, action: Callable[[], None]) -> Any:
    import ipywidgets

    button = ipywidgets.Button(description=name, icon=_ICONS[name], layout={"width": "auto"})
    button.on_click(lambda _: action())
    return button
