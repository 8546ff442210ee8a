"""The live view of a notebook without ipywidgets: one HTML display that is updated in place."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from llmframe.notebook.drawing.card import card_html, card_text
from llmframe.notebook.drawing.live import BACKGROUND_HINT, INTERRUPT_HINT, live_html, live_text
from llmframe.notebook.drawing.samples import answers_html
from llmframe.notebook.hosts import bundle, show

if TYPE_CHECKING:
    from llmframe.engine.report import Snapshot
    from llmframe.notebook.view import Ending, Peek

STARTING = "llmframe: starting"


class HtmlView:
    """One display handle. blocking: the cell waits for the run, so only an interrupt stops it."""

    def __init__(self, *, blocking: bool, controllable: bool, peek: Peek | None = None) -> None:
        self._hint = INTERRUPT_HINT if blocking else BACKGROUND_HINT if controllable else ""
        self._peek = peek
        self._handle: Any = None
        self._shown = ""

    def open(self) -> None:
        """Display the handle in the running cell."""
        self._handle = show(bundle(STARTING, STARTING))

    def refresh(self, snapshot: Snapshot) -> None:
        """Update the handle where anything changed."""
        rates = self._peek.rates() if self._peek is not None else ()
        html = live_html(snapshot, self._hint, rates)
        if self._peek is not None:
            html += answers_html(self._peek.newest())
        if html != self._shown:
            self._shown = html
            self._handle.update(bundle(html, live_text(snapshot)), raw=True)

    def close(self, ending: Ending) -> None:
        """Put the card in its place."""
        self._handle.update(bundle(card_html(ending), card_text(ending)), raw=True)
