"""The page of a Jupyter kernel, in this process: what is displayed, and who is clicked."""

from __future__ import annotations

import contextlib
import sys
from types import SimpleNamespace


class Screen:
    """What a page holds: each display under its id, as the last update left it."""

    def __init__(self):
        self.displays = {}

    def publish(self, data, metadata=None, *, transient=None, update=False, **_):
        display = transient["display_id"]
        assert (display in self.displays) == update
        self.displays[display] = data

    @property
    def only(self):
        [data] = self.displays.values()
        return data


class Kernel:
    """Stands where ipykernel's kernel stands; subshells come and go.

    cell: the id of the message that runs a cell.
    """

    def __init__(self):
        self.cell = "cell 1"
        self.subshells = []
        manager = SimpleNamespace(list_subshell=lambda: list(self.subshells))
        self.shell_channel_thread = SimpleNamespace(manager=manager)

    def get_parent(self, channel):
        return {"header": {"msg_id": self.cell}} if channel == "shell" else {}


class Clicks:
    """Controls that note what was asked."""

    def __init__(self):
        self.asked = []

    def stop(self):
        self.asked.append("stop")

    def pause(self):
        self.asked.append("pause")

    def resume(self):
        self.asked.append("resume")


@contextlib.contextmanager
def own_shell():
    """A real IPython shell in this process, without history."""
    from IPython.core.interactiveshell import InteractiveShell
    from traitlets.config import Config

    hook = sys.excepthook
    config = Config()
    config.HistoryManager.enabled = False
    yield InteractiveShell.instance(config=config)
    InteractiveShell.clear_instance()
    sys.excepthook = hook


def page_of(shell) -> Screen:
    """Give the shell a kernel; its page."""
    page = Screen()
    shell.kernel = Kernel()
    shell.display_pub = SimpleNamespace(publish=page.publish, is_publishing=False)
    return page
