"""The live view of a notebook: ipywidgets with buttons, replaced at the end by the card."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from llmframe.notebook.card import card_html, card_text
from llmframe.notebook.hosts import free_route, has_subshell
from llmframe.notebook.html_view import STARTING, bundle, show
from llmframe.notebook.live import INTERRUPT_HINT, live_html

if TYPE_CHECKING:
    from collections.abc import Callable

    from llmframe.engine.report import Snapshot
    from llmframe.notebook.view import Controls, Ending

_WIDGET = "application/vnd.jupyter.widget-view+json"
_LEFT_OPEN = (
    "llmframe: this run was not seen to end; if the kernel is gone, run the cell again to go on"
)


class PanelView:
    """One HTML widget that is set as a whole, and a row of buttons.

    The buttons are made once and never changed while the run goes (see hosts: a change would
    send their clicks to the blocked shell); which of them are shown is a trait of their row.
    """

    def __init__(self, *, controls: Controls | None, blocking: bool, kernel: Any) -> None:
        self._controls = controls
        self._blocking = blocking
        self._kernel = kernel
        self._clickable = not blocking
        self._shown = ""

    def open(self) -> None:
        """Make the widgets and display them in the running cell."""
        import ipywidgets

        self.body = ipywidgets.HTML(STARTING)
        self.row = ipywidgets.HBox([])
        self.box = ipywidgets.VBox([self.body, self.row])
        self.buttons: dict[str, Any] = {}
        if self._controls is not None:
            for name, action in _actions(self._controls):
                self.buttons[name] = _button(ipywidgets, name, action)
        self._handle = show({**bundle(_LEFT_OPEN, _LEFT_OPEN), _WIDGET: _reference(self.box)})
        for button in self.buttons.values():
            free_route(button)

    def refresh(self, snapshot: Snapshot) -> None:
        """Set the HTML and the row of buttons where they changed."""
        if not self._clickable and self.buttons:
            self._clickable = has_subshell(self._kernel)
        self._show_buttons(snapshot.status)
        waiting_for_buttons = bool(self.buttons) and snapshot.seconds < 1
        silent = self._clickable or not self._blocking or waiting_for_buttons
        html = live_html(snapshot, "" if silent else INTERRUPT_HINT)
        if html != self._shown:
            self._shown = html
            self.body.value = html

    def _show_buttons(self, status: str) -> None:
        names = {"running": ("Pause", "Stop"), "paused": ("Resume", "Stop")}.get(status, ())
        wanted = tuple(self.buttons[name] for name in names if self._clickable and self.buttons)
        if self.row.children != wanted:
            self.row.children = wanted

    def close(self, ending: Ending) -> None:
        """Close every widget and put the card in their place."""
        try:
            for widget in (self.box, self.row, self.body, *self.buttons.values()):
                _close(widget)
        finally:
            self._handle.update(bundle(card_html(ending), card_text(ending)), raw=True)


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
