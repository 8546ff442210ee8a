"""Where we run, and the peculiarities of each host.

Jupyter kernels
    A shell with a ``kernel`` draws rich output. Colab's shell is one of these.
ipykernel >= 7 (subshells)
    A click on a widget can reach the kernel while a cell blocks, if the page made a subshell for
    widgets (JupyterLab >= 4.4 does as soon as a widget exists, unless it is switched off). So a
    blocking cell shows buttons only once there is a subshell: no button is ever dead.
ipykernel 7.4
    Sends a click to the shell that last published on the widget's comm: for a button made in a
    cell that is the blocked main shell. ``free_route`` deletes that note. It uses a private name,
    does nothing if that is missing, and must be called after each change of the button.
ipykernel 6
    No subshells: a click waits until the cell has ended. The interrupt button is the Stop.
VS Code
    Does not deliver clicks while a cell blocks, whatever the kernel; it makes no subshell, so no
    button is shown there. Not tested by us.
Colab
    ipywidgets' own widgets are drawn; the kernel has no subshells. Not tested by us.
marimo
    Has no IPython shell and draws no ipywidgets: one HTML output is updated in place. It shows a
    cell's last expression instead of that output, so the card stays below a cell that ends with an
    assignment. Only marimo's own threads reach its page.
nbclient, papermill, ``jupyter execute``
    A kernel without a page. The view's display handle is what they keep, hence the card.
"""

from __future__ import annotations

import ast
import sys
import threading
from typing import Any, NamedTuple, cast

from llmframe.system.host import kernel, marimo, shell

__all__ = ["kernel", "marimo", "shell"]


def running_cell() -> str:
    """An id of the running cell, new each time that it runs; empty outside a kernel."""
    get_parent = getattr(kernel(), "get_parent", None)
    parent = get_parent("shell") if callable(get_parent) else None
    return str((parent or {}).get("header", {}).get("msg_id", ""))


class Assignment(NamedTuple):
    """``name = ....call(...)`` in the running cell."""

    name: str = ""
    call: str = ""


def assigned_here() -> Assignment:
    """What the running cell calls the result of its one call; empty where that is not plain."""
    cells = getattr(shell(), "user_ns", {}).get("In") or [""]
    try:
        statements = ast.walk(ast.parse(str(cells[-1])))
    except (SyntaxError, ValueError):
        return Assignment()
    found = []
    for one in statements:
        match one:
            case ast.Assign(
                targets=[ast.Name(name)],
                value=(
                    ast.Call(func=ast.Attribute(attr=call))
                    | ast.Await(value=ast.Call(func=ast.Attribute(attr=call)))
                ),
            ) if call in ("tag", "atag", "start", "embed", "preview"):
                found.append(Assignment(name, call))
    return found[0] if len(found) == 1 else Assignment()


def has_ipywidgets() -> bool:
    """Whether ipywidgets can be imported here."""
    try:
        import ipywidgets  # noqa: F401 - only a test
    except ImportError:
        return False
    return True


def in_terminal() -> bool:
    """Whether a text bar can be drawn without a kernel: in IPython's terminal, or any other."""
    return shell() is not None or (sys.stderr is not None and sys.stderr.isatty())


def has_subshell(kernel: Any) -> bool:
    """Whether a click can reach this kernel while a cell blocks it."""
    manager = getattr(getattr(kernel, "shell_channel_thread", None), "manager", None)
    listing = getattr(manager, "list_subshell", None)
    return bool(listing()) if callable(listing) else False


def free_route(widget: Any) -> None:
    """Let clicks on this widget go to the page's own subshell (ipykernel 7.4)."""
    getattr(getattr(widget, "comm", None), "__dict__", {}).pop("_reply_subshell_id", None)


def close_widget(widget: Any) -> None:
    """Close a widget with its layout and style, which would be saved with the notebook."""
    for part in (widget, widget.layout, getattr(widget, "style", None)):
        if part is not None:
            part.close()


def bundle(html: str, text: str) -> dict[str, str]:
    """The data of a display, for viewers with and without HTML."""
    return {"text/html": html, "text/plain": text}


def show(data: dict[str, Any]) -> Any:
    """Display a bundle in the running cell; returns the handle that updates it."""
    if (module := marimo()) is not None:
        return MarimoDisplay(module, data)
    from IPython import display

    handle = cast("Any", display).DisplayHandle()
    handle.display(data, raw=True)
    return handle


def show_widget(widget: Any, text: str) -> Any:
    """Display a widget, with a text for viewers that draw none; returns the same handle."""
    reference = {"version_major": 2, "version_minor": 0, "model_id": widget.model_id}
    return show({**bundle(text, text), "application/vnd.jupyter.widget-view+json": reference})


class MarimoDisplay:
    """One HTML output of a marimo cell, with the methods of IPython's display handle."""

    def __init__(self, module: Any, data: dict[str, Any]) -> None:
        self._module = module
        self._shown = module.Html(data["text/html"])
        module.output.append(self._shown)

    def update(self, data: dict[str, Any], *, raw: bool) -> None:
        """Show other HTML in its place; what else the cell shows stays."""
        del raw  # it is always a bundle
        from marimo._runtime.output._output import flush  # as marimo's own progress bar does

        # the text of an Html has no setter, and another Html would come after the cell's others
        self._shown.__init__(data["text/html"])
        flush()


def drawing_thread(draw: Any) -> threading.Thread:
    """A thread that may update what the running cell shows; it ends with the process."""
    module = marimo()
    kind = threading.Thread if module is None else module.Thread
    return cast("threading.Thread", kind(target=draw, name="llmframe-view", daemon=True))


def is_left(thread: object) -> bool:
    """Whether the cell that began a drawing thread was run again or deleted (marimo)."""
    return bool(getattr(thread, "should_exit", False))
