"""How a run is shown: a panel in a notebook, a bar in a terminal, log lines elsewhere."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Literal, get_args

from llmframe.errors import PlanError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from llmframe.notebook.latest_rows import LatestRows
    from llmframe.notebook.view import Controls, View

Progress = Literal["auto", "widget", "tqdm", "log"]


def make_view(
    progress: Progress | bool,
    *,
    controls: Controls | None,
    blocking: bool,
    latest: LatestRows | None = None,
) -> View:
    """The view that fits where we run.

    progress: "auto" or True picks one; "widget", "tqdm" and "log" ask for one kind, or the next
        best if that is not available; False shows nothing.
    controls: what the buttons do; None draws no buttons.
    blocking: the cell waits for the run.
    latest: the rows to show; None shows none.
    Raises PlanError for anything else.
    """
    # a script must not pay for what only a notebook needs, so each view is imported when chosen
    if progress is False:
        from llmframe.notebook.view import View

        return View()
    wanted = "auto" if progress is True else progress
    if wanted not in get_args(Progress):
        raise PlanError(
            f"progress={progress!r} is none of the choices: 'auto', 'widget', 'tqdm', 'log', False"
        )
    from llmframe.notebook import hosts

    kernel, in_marimo = hosts.kernel(), hosts.marimo() is not None
    if wanted in ("auto", "widget") and (in_marimo or kernel is not None):
        if not in_marimo and hosts.has_ipywidgets():
            from llmframe.notebook.views.panel import PanelView

            return PanelView(controls, blocking=blocking, kernel=kernel, latest=latest)
        from llmframe.notebook.views.html_view import HtmlView

        return HtmlView(blocking=blocking, controllable=controls is not None, latest=latest)
    if wanted == "tqdm" or (wanted != "log" and hosts.in_terminal()):
        from llmframe.notebook.views.bar import TextBar

        return TextBar(latest)
    from llmframe.notebook.views.log import LogView

    return LogView(latest)


@contextlib.contextmanager
def announced(progress: Progress | bool, text: str) -> Iterator[None]:
    """Say what a call does while it has no run to show yet; a notebook removes it afterwards."""
    from llmframe.notebook import hosts

    if progress is False:
        yield
    elif progress in ("tqdm", "log") or not (hosts.kernel() or hosts.marimo()):
        from llmframe.notebook.views.log import log_line

        log_line(text)
        yield
    else:
        from llmframe.notebook.drawing.escape import html

        display = hosts.show(hosts.bundle(f"<div>{html(text)}</div>", text))
        try:
            yield
        finally:
            display.update(hosts.bundle("", ""), raw=True)
