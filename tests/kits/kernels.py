"""Real Jupyter kernels, old and new, spoken to as a page does."""

from __future__ import annotations

import contextlib
import fcntl
import os
import queue
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from jupyter_client.manager import KernelManager

ROOT = Path(__file__).parents[2]
KERNELS = ROOT / ".kernels"
OLD = "6.31.0"  # the last ipykernel without subshells
PATIENCE = 60.0  # seconds for any one answer of the kernel


def search_path(which: str) -> str:
    """The PYTHONPATH of a kernel: "7" is the environment's own ipykernel, "6" one beside it."""
    places = [str(ROOT), str(ROOT / "tests")]
    return os.pathsep.join(places if which == "7" else [str(old_ipykernel()), *places])


def old_ipykernel() -> Path:
    """Where ipykernel 6 is, fetched if need be; skips where it cannot be had, but not in CI."""
    place = KERNELS / f"ipykernel-{OLD}"
    KERNELS.mkdir(exist_ok=True)
    with (KERNELS / "lock").open("w") as lock:  # tests may run in several processes
        fcntl.flock(lock, fcntl.LOCK_EX)
        _fetch(place)
    return place


def _fetch(place: Path) -> None:
    if not (place / "ipykernel_launcher.py").exists():
        command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps"]
        fetched = subprocess.run(
            [*command, "--target", str(place), f"ipykernel=={OLD}"], capture_output=True, text=True
        )
        if fetched.returncode:
            unavailable = pytest.fail if os.environ.get("CI") else pytest.skip
            unavailable(f"ipykernel {OLD} cannot be fetched here")


@dataclass
class Cell:
    """One cell that was run.

    status: "ok" or "error". error: the exception's name. traceback: as the page shows it.
    outputs: messages of type and content, displays as they are in the end. streams: what was
    printed, by name. replied: when the reply came, in seconds of ``time.monotonic()``.
    """

    status: str = ""
    error: str = ""
    traceback: str = ""
    outputs: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    streams: dict[str, str] = field(default_factory=dict)
    replied: float = 0.0
    idle: bool = False

    @property
    def printed(self) -> str:
        """What the cell printed."""
        return self.streams.get("stdout", "")

    @property
    def shown(self) -> list[dict[str, Any]]:
        """The bundles that it displays, the result included."""
        return [content["data"] for _, content in self.outputs]


class Kernel:
    """A running kernel; leaving the ``with`` block ends it.

    which: "7" or "6". place: its working directory, ours if None.
    widgets: of the widgets that live, the state by comm id.
    """

    def __init__(self, which: str, environment: dict[str, str], place: str | None = None) -> None:
        self._manager = KernelManager(kernel_name="python3")
        self._manager.start_kernel(
            env={**os.environ, **environment, "PYTHONPATH": search_path(which)}, cwd=place
        )
        self._connect()
        self._cells: dict[str, Cell] = {}
        self._displays: dict[str, list[dict[str, Any]]] = {}
        self.widgets: dict[str, dict[str, Any]] = {}

    def __enter__(self) -> Kernel:
        return self

    def __exit__(self, *exc: object) -> None:
        self._client.stop_channels()
        self._manager.shutdown_kernel(now=True)
        self._manager.cleanup_resources()

    def _connect(self) -> None:
        self._client = self._manager.blocking_client()
        self._client.start_channels()
        self._client.wait_for_ready(timeout=PATIENCE)

    def leave_and_come_back(self) -> None:
        """Close the page, and open another when the kernel is ready for one."""
        self._client.stop_channels()
        self._connect()

    def send(self, code: str) -> str:
        """Queue a cell; its id."""
        sent = self._client.execute(code)
        self._cells[sent] = Cell()
        return sent

    def finish(self, sent: str, timeout: float = PATIENCE) -> Cell:
        """Wait until a cell has ended and the kernel has published all of it."""
        cell, end = self._cells[sent], time.monotonic() + timeout
        while not (cell.status and cell.idle):
            self._listen(max(0.0, min(0.02, end - time.monotonic())))
            if time.monotonic() > end:
                pytest.fail(f"the kernel gave no answer within {timeout:g} s")
        return cell

    def run(self, code: str) -> Cell:
        """Run a cell to its end, whatever that is."""
        return self.finish(self.send(code))

    def ask(self, code: str) -> str:
        """What a cell prints that must succeed and say nothing else."""
        cell = self.run(code)
        assert (cell.status, cell.streams.get("stderr", "")) == ("ok", ""), cell
        return cell.printed

    def interrupt(self) -> float:
        """Press the interrupt button; when that was."""
        at = time.monotonic()
        self._manager.interrupt_kernel()
        return at

    def new_subshell(self) -> str | None:
        """The id of a new subshell, which the page makes at its first widget; None in 6."""
        info = self._client.kernel_info(reply=True, timeout=PATIENCE)["content"]
        if "kernel subshells" not in info.get("supported_features", ()):
            return None
        message = self._client.session.msg("create_subshell_request", {})
        self._client.control_channel.send(message)
        return self._client.get_control_msg(timeout=PATIENCE)["content"].get("subshell_id")

    def click(self, description: str, subshell: str | None) -> None:
        """Click on a button."""
        [comm] = [c for c, s in self.widgets.items() if s.get("description") == description]
        data = {"method": "custom", "content": {"event": "click"}}
        message = self._client.session.msg("comm_msg", {"comm_id": comm, "data": data})
        message["header"]["subshell_id"] = subshell
        self._client.shell_channel.send(message)

    def listen(self, seconds: float) -> None:
        """Take what the kernel publishes for a while."""
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            self._listen(left)

    # -- messages ----------------------------------------------------------------------

    def _listen(self, wait: float) -> None:
        with contextlib.suppress(queue.Empty):
            self._publish(self._client.get_iopub_msg(timeout=wait))
        with contextlib.suppress(queue.Empty):
            self._reply(self._client.get_shell_msg(timeout=0))

    def _reply(self, message: dict[str, Any]) -> None:
        cell = self._cells.get(message["parent_header"].get("msg_id"))
        if cell is not None and message["msg_type"] == "execute_reply":
            content = message["content"]
            cell.replied = time.monotonic()
            cell.status = content["status"]
            cell.error = content.get("ename", "")
            cell.traceback = "\n".join(content.get("traceback", ()))

    def _publish(self, message: dict[str, Any]) -> None:
        kind, content = message["msg_type"], message["content"]
        cell = self._cells.get(message["parent_header"].get("msg_id"), Cell())
        match kind:
            case "status":
                cell.idle = content["execution_state"] == "idle"
            case "stream":
                name = content["name"]
                cell.streams[name] = cell.streams.get(name, "") + content["text"]
            case "display_data" | "execute_result":
                cell.outputs.append((kind, content))
                display = content.get("transient", {}).get("display_id")
                self._displays.setdefault(display, []).append(content)
            case "update_display_data":
                for shown in self._displays.get(content["transient"]["display_id"], ()):
                    shown["data"] = content["data"]
            case "comm_open":
                self.widgets[content["comm_id"]] = dict(content["data"].get("state", {}))
            case "comm_msg":
                state = content["data"].get("state", {})
                self.widgets.setdefault(content["comm_id"], {}).update(state)
            case "comm_close":
                self.widgets.pop(content["comm_id"], None)
