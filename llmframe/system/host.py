"""Where the code runs, as far as more than the views have to know it."""

from __future__ import annotations

import sys
from typing import Any


def shell() -> Any | None:
    """IPython's running shell, None in plain Python. Never imports IPython."""
    ipython = sys.modules.get("IPython")
    return None if ipython is None else ipython.get_ipython()


def kernel() -> Any | None:
    """The Jupyter kernel we run in, None in a terminal or a script."""
    return getattr(shell(), "kernel", None)


def marimo() -> Any | None:
    """The module marimo while one of its notebooks runs in this thread, else None."""
    module = sys.modules.get("marimo")
    return module if module is not None and module.running_in_notebook() else None


def what_to_repeat() -> str:
    """What a person runs again here: "the cell" in a notebook, "the same call" elsewhere."""
    return "the cell" if kernel() is not None or marimo() is not None else "the same call"
