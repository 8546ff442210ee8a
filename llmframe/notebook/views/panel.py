"""The live view of a notebook: ipywidgets with buttons, replaced at the end by the card."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from llmframe.notebook.drawing import style
from llmframe.notebook.drawing.card import card_html, card_text
from llmframe.notebook.drawing.live import INTERRUPT_HINT, live_html
from llmframe.notebook.drawing.samples import answers_html, failures_html
from llmframe.notebook.hosts import bundle, free_route, has_subshell, show
from llmframe.notebook.views.html_view import STARTING

if TYPE_CHECKING:
    from collections.abc import Callable

    from llmframe.engine.report import Snapshot
    from llmframe.notebook.view import Controls, Ending, Peek

COUNTS_STAY = 0.35  # seconds, so that of five refreshes a second every other one is sent
ROWS_STAY = 2.0  # seconds that single rows stay, so that they can be read
_WIDGET = "application/vnd.jupyter.widget-view+json"
_LEFT_OPEN = (
    "llmframe: this run was not seen to end; if the kernel is gone, run the cell again to go on"
)


class PanelView:
    """HTML widgets that are set as a whole, and a row of buttons.

    The buttons are made once and never changed while the run goes (see hosts: a change would
    send their clicks to the blocked shell); which of them are shown is a trait of their row.
    The last failures are in an accordion: it is opened by the page alone, so it opens in a cell
    that blocks, too, and stays open when its rows change.
    """

    def __init__(
        self, *, controls: Controls | None, blocking: bool, kernel: Any, peek: Peek | None = None
    ) -> None:
        self._controls = controls
        self._blocking = blocking
        self._kernel = kernel
        self._peek = peek
        self._clickable = not blocking
        self._status = ""
        self._due = self._rows_due = 0.0  # seconds of the run

    def open(self) -> None:
        """Make the widgets and display them in the running cell."""
        import ipywidgets

        self.body = ipywidgets.HTML(STARTING)
        self.row = ipywidgets.HBox([])
        self.answers = ipywidgets.HTML("")
        self.failures = ipywidgets.HTML("")
        self.folded = ipywidgets.Accordion(
            [self.failures], titles=["the last failures"], layout={"max_width": style.WIDTH}
        )
        self.box = ipywidgets.VBox([self.body, self.row, self.answers])
        self.buttons: dict[str, Any] = {}
        if self._controls is not None:
            for name, action in _actions(self._controls):
                self.buttons[name] = _button(ipywidgets, name, action)
        self._handle = show({**bundle(_LEFT_OPEN, _LEFT_OPEN), _WIDGET: _reference(self.box)})
        for button in self.buttons.values():
            free_route(button)

    def refresh(self, snapshot: Snapshot) -> None:
        """Send what has changed, at once where the run was paused, resumed or stopped.

        Else less often than this is called: a message costs half a millisecond.
        """
        if not self._clickable and self.buttons:
            self._clickable = has_subshell(self._kernel)
        self._show_buttons(snapshot.status)
        if snapshot.status == self._status and snapshot.seconds < self._due:
            return
        self._status, self._due = snapshot.status, snapshot.seconds + COUNTS_STAY
        waiting_for_buttons = bool(self.buttons) and snapshot.seconds < 1
        silent = self._clickable or not self._blocking or waiting_for_buttons
        rates = self._peek.rates() if self._peek is not None else ()
        self.body.value = live_html(snapshot, "" if silent else INTERRUPT_HINT, rates)
        if self._peek is not None and snapshot.seconds >= self._rows_due:
            self._show_rows(self._peek, snapshot.seconds)

    def _show_rows(self, peek: Peek, now: float) -> None:
        self.answers.value = answers_html(peek.newest())
        self.failures.value = failures_html(peek.failures())
        if self.answers.value or self.failures.value:
            self._rows_due = now + ROWS_STAY
        if self.failures.value:
            self.box.children = (self.body, self.row, self.answers, self.folded)

    def _show_buttons(self, status: str) -> None:
        names = {"running": ("Pause", "Stop"), "paused": ("Resume", "Stop")}.get(status, ())
        wanted = tuple(self.buttons[name] for name in names if self._clickable and self.buttons)
        if self.row.children != wanted:
            self.row.children = wanted

    def close(self, ending: Ending) -> None:
        """Close every widget and put the card in their place."""
        try:
            for widget in (self.box, *self._parts(), *self.buttons.values()):
                _close(widget)
        finally:
            self._handle.update(bundle(card_html(ending), card_text(ending)), raw=True)

    def _parts(self) -> tuple[Any, ...]:
        return self.body, self.row, self.answers, self.folded, self.failures


def _actions(controls: Controls) -> tuple[tuple[str, Callable[[], None]], ...]:
    return (("Pause", controls.pause), ("Resume", controls.resume), ("Stop", controls.stop))


def _button(ipywidgets: Any, name: str, action: Callable[[], None]) -> Any:
    icon = {"Pause": "pause", "Resume": "play", "Stop": "stop"}[name]
    button = ipywidgets.Button(description=name, icon=icon, layout={"width": "auto"})
    button.on_click(lambda _: action())
    return button


def _reference(widget: Any) -> dict[str, Any]:
    """What tells the page which widget to draw."""
    return {"version_major": 2, "version_minor": 0, "model_id": widget.model_id}


def _close(widget: Any) -> None:
    """Close a widget with its layout and style, so that none is saved with the notebook."""
    for part in (widget, widget.layout, getattr(widget, "style", None)):
        if part is not None:
            part.close()
