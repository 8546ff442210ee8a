"""The live view of a notebook without ipywidgets: one HTML display that is updated in place."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from llmframe.notebook.drawing import style
from llmframe.notebook.drawing.card import card_html, card_text
from llmframe.notebook.drawing.live import BACKGROUND_HINT, INTERRUPT_HINT, live_html, live_text
from llmframe.notebook.drawing.preview import rows_html
from llmframe.notebook.drawing.rows import answers_html, shares_html
from llmframe.notebook.hosts import bundle, show
from llmframe.notebook.view import View

if TYPE_CHECKING:
    from llmframe.notebook.latest_rows import LatestRows
    from llmframe.notebook.view import Ending
    from llmframe.report import Snapshot

STARTING = "llmframe: starting"


def latest_html(latest: LatestRows) -> str:
    """The rows of a live preview; of any other run the shares of labels and the newest answers."""
    if latest.live is not None:
        return style.frame((rows_html(latest.live.rows()),))
    return shares_html(latest.labels()) + answers_html(latest.newest())


class HtmlView(View):
    """One display handle. blocking: the cell waits for the run, so only an interrupt stops it."""

    draws_card = True

    def __init__(
        self, *, blocking: bool, controllable: bool, latest: LatestRows | None = None
    ) -> None:
        self._hint = INTERRUPT_HINT if blocking else BACKGROUND_HINT if controllable else ""
        self._latest = latest
        self._handle: Any = None
        self._shown = ""

    def open(self) -> None:
        """Display the handle in the running cell."""
        self._handle = show(bundle(STARTING, STARTING))

    def refresh(self, snapshot: Snapshot) -> None:
        """Update the handle if anything has changed."""
        latest = self._latest
        page = live_html(snapshot, self._hint, latest.rates() if latest is not None else ())
        if latest is not None:
            page += latest_html(latest)
        if page != self._shown:
            self._shown = page
            self._handle.update(bundle(page, live_text(snapshot)), raw=True)

    def close(self, ending: Ending | str) -> None:
        """Replace it by the card."""
        self._handle.update(bundle(card_html(ending), card_text(ending)), raw=True)
