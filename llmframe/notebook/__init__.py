"""How a run is shown: a panel in a notebook, a bar in a terminal, log lines elsewhere."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, get_args

from llmframe.errors import PlanError

if TYPE_CHECKING:
    from llmframe.notebook.view import Controls, Peek, View

Progress = Literal["auto", "widget", "tqdm", "log"]


def make_view(
    progress: Progress | bool,
    *,
    controls: Controls | None,
    blocking: bool,
    peek: Peek | None = None,
) -> View:
    """The view that fits the place we run in.

    progress: "auto" or True looks for itself; "widget", "tqdm" and "log" ask for one kind, and
        the next best is taken where it cannot be had; False shows nothing.
    controls: what the buttons do; None draws none.
    blocking: the cell waits for the run.
    peek: tells of single rows; None shows none.
    Raises PlanError for anything else.
    """
    if progress is False:
        from llmframe.notebook.view import SilentView

        return SilentView()
    wanted = "auto" if progress is True else progress
    if wanted not in get_args(Progress):
        raise PlanError(
            f"progress={progress!r} is none of the choices: 'auto', 'widget', 'tqdm', 'log', False"
        )
    from llmframe.notebook.views.guard import GuardedView

    return GuardedView(_view(wanted, controls=controls, blocking=blocking, peek=peek))


def _view(wanted: str, *, controls: Controls | None, blocking: bool, peek: Peek | None) -> View:
    from llmframe.notebook import hosts

    kernel = hosts.kernel()
    if kernel is not None and wanted in ("auto", "widget"):
        if hosts.has_ipywidgets():
            from llmframe.notebook.views.panel import PanelView

            return PanelView(controls=controls, blocking=blocking, kernel=kernel, peek=peek)
        from llmframe.notebook.views.html_view import HtmlView

        return HtmlView(blocking=blocking, controllable=controls is not None, peek=peek)
    if wanted == "tqdm" or (wanted != "log" and hosts.in_terminal()):
        from llmframe.notebook.views.bar import TextBar

        return TextBar()
    from llmframe.notebook.views.log import LogView

    return LogView()
