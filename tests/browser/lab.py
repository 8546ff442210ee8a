"""A real JupyterLab page: its server, its kernels, and headless Chromium that clicks in it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import nbformat

if TYPE_CHECKING:
    from collections.abc import Callable

    from playwright.sync_api import Browser, Locator, Playwright

ROOT = Path(__file__).parents[2]
ARTIFACTS = ROOT / "artifacts"
CHROMIUM = Path(os.environ.get("CHROMIUM", "/usr/bin/chromium"))
PATIENCE = 90.0  # seconds for anything to happen; marimo needs 30 to begin on a busy machine
LIGHT, DARK = "JupyterLab Light", "JupyterLab Dark"
FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
SETTINGS = {  # nothing is fetched, nothing pops up, the picture ends with the last cell
    "apputils-extension/notification": {"fetchNews": "false", "checkForUpdates": False},
    "docmanager-extension/plugin": {"autosave": False},
}


def missing() -> str:
    """What a browser lacks here and how to get it; empty if nothing."""
    if not CHROMIUM.exists():
        return f"no {CHROMIUM}: apt-get install chromium fonts-noto-cjk (or set CHROMIUM)"
    if find_spec("playwright") is None or find_spec("jupyterlab") is None:
        return "no playwright or no jupyterlab: pip install --group browser"
    return ""


def until(condition: Callable[[], Any], timeout: float = PATIENCE, what: str = "this") -> Any:
    """Look again and again until the condition holds; what it gave."""
    end = time.monotonic() + timeout
    while not (found := condition()):
        assert time.monotonic() < end, f"{what} did not come true within {timeout:g} s"
        time.sleep(0.05)
    return found


def launch(playwright: Playwright) -> Browser:
    """Headless Chromium with an empty profile."""
    return playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)


class Lab:
    """A JupyterLab server with a folder, settings and kernels of its own; ``with`` ends it.

    place: an empty folder. kernels: the PYTHONPATH of each kernel by its name.
    environment: what the kernels get beside ours.
    """

    def __init__(
        self, place: Path, kernels: dict[str, str], environment: dict[str, str] | None = None
    ) -> None:
        self.place = place
        for name, path in kernels.items():
            _write(place / f"data/kernels/{name}/kernel.json", _kernel(name, path))
        for name, values in SETTINGS.items():
            _write(place / f"settings/@jupyterlab/{name}.jupyterlab-settings", values)
        self.notebooks = place / "notebooks"
        self.notebooks.mkdir()
        self._process = _serve(place, environment or {})
        try:
            self.url, self._token = until(self._address, 4 * PATIENCE, "JupyterLab's start")
        except AssertionError:
            self.__exit__()
            raise

    def __enter__(self) -> Lab:
        return self

    def __exit__(self, *exc: object) -> None:
        self._process.terminate()  # it ends its kernels before itself
        try:
            self._process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def _address(self) -> tuple[str, str] | None:
        assert self._process.poll() is None, (self.place / "lab.log").read_text()
        for found in (self.place / "runtime").glob("jpserver-*.json"):
            state = json.loads(found.read_text() or "{}")
            if "url" in state:
                return state["url"], state["token"]
        return None

    def write(self, name: str, cells: list[str], kernel: str) -> None:
        """Put a notebook with these code cells into the folder. name: with a new folder or not."""
        notebook = nbformat.v4.new_notebook(
            cells=[nbformat.v4.new_code_cell(cell) for cell in cells],
            metadata={"kernelspec": {"name": kernel, "display_name": kernel}},
        )
        place = self.notebooks / name
        place.parent.mkdir(exist_ok=True)
        nbformat.write(notebook, place)

    def open(
        self, browser: Browser, name: str, *, app: str = "doc/tree", ready: bool = True, **look: Any
    ) -> Page:
        """Open a notebook on a page of its own. look: as ``Page`` takes it.

        app: "notebooks" for Notebook 7. ready: wait until it can be run.
        """
        url = f"{self.url}{app}/{name}?reset&token={self._token}"
        return Page(browser, url, ready=ready, **look)


class Page:
    """A notebook on a page.

    width, height: of the window, in pixels. scale: pixels of a picture for one of the window.
    ready: wait until the kernel is idle.
    """

    def __init__(
        self,
        browser: Browser,
        url: str,
        *,
        width: int = 1000,
        height: int = 1000,
        scale: float = 1.0,
        ready: bool = True,
    ) -> None:
        self._height = height
        self._context = browser.new_context(
            viewport={"width": width, "height": height}, device_scale_factor=scale
        )
        self.page = self._context.new_page()
        self.page.set_default_timeout(1000 * PATIENCE)
        self.page.goto(url)
        self.page.wait_for_selector(".jp-Notebook .jp-Cell")
        if ready:
            self.page.wait_for_function(_IDLE)

    def close(self) -> None:
        """Close the page."""
        self._context.close()

    def turn_to(self, name: str) -> None:
        """End this notebook's kernel, close it, and open another in its place."""
        self.page.evaluate(_TURN, name)
        self.page.wait_for_selector(".jp-Notebook .jp-Cell")
        self.page.wait_for_function(_IDLE)

    def look(self, theme: str, width: int) -> None:
        """Change the theme, and the window's width in pixels."""
        self.command("apputils:change-theme", {"theme": theme})
        self.page.set_viewport_size({"width": width, "height": self._height})

    def command(self, name: str, args: dict[str, Any] | None = None) -> None:
        """Run one of JupyterLab's commands to its end."""
        self.page.evaluate("([n, a]) => jupyterapp.commands.execute(n, a)", [name, args or {}])

    # -- cells ---------------------------------------------------------------------------

    def send(self, index: int) -> None:
        """Run a cell as Ctrl+Enter does, and do not wait for it."""
        self.page.evaluate(_RUN, index)

    def finish(self, index: int, timeout: float = PATIENCE) -> None:
        """Wait until a cell has ended."""
        self.page.wait_for_function(_ENDED, arg=index, timeout=1000 * timeout)

    def is_running(self, index: int) -> bool:
        """Whether a cell has not ended."""
        return not self.page.evaluate(_ENDED, index)

    def run(self, index: int) -> None:
        """Run a cell to its end."""
        self.send(index)
        self.finish(index)

    def look_at(self, index: int) -> None:
        """Make a cell the active one."""
        self.page.evaluate(_ACTIVATE, index)

    def cell(self, index: int) -> Locator:
        """A cell on the page."""
        return self.page.locator(".jp-Notebook .jp-Cell").nth(index)

    def area(self, index: int) -> Locator:
        """What a cell shows, on the page."""
        return self.cell(index).locator(".jp-Cell-outputArea")

    def shown(self, index: int) -> str:
        """What is seen below a cell, as text; widgets too."""
        area = self.area(index)
        return " ".join(area.inner_text().split()) if area.count() else ""

    def outputs(self, index: int) -> list[dict[str, Any]]:
        """A cell's outputs as the notebook would keep them."""
        return list(self.page.evaluate(_OUTPUTS, index))

    # -- what a person does ----------------------------------------------------------------

    def click(self, name: str, index: int) -> float:
        """Click on a button below a cell, as soon as it is there; when, by ``time.monotonic()``."""
        button = self.cell(index).locator("button.jupyter-button", has_text=name)
        button.wait_for()
        at = time.monotonic()
        button.click()
        return at

    def interrupt(self) -> float:
        """Press the notebook's interrupt button; when, by ``time.monotonic()``."""
        button = self.page.locator('[data-command="notebook:interrupt-kernel"]').first
        at = time.monotonic()
        button.click()
        return at

    def save(self) -> None:
        """Save the notebook."""
        self.command("docmanager:save")

    def reload(self, *, ready: bool = True) -> None:
        """Load the page again; the kernel goes on. ready: wait until it can be run."""
        self.page.reload()
        self.page.wait_for_selector(".jp-Notebook .jp-Cell")
        if ready:
            self.page.wait_for_function(_IDLE)

    def end_kernel(self) -> None:
        """Shut the kernel down."""
        self.command("notebook:shutdown-kernel")

    def picture(self, path: Path, first: Locator, last: Locator, *, margin: int = 4) -> None:
        """A picture from the top of one part of the page to the bottom of another."""
        path.parent.mkdir(parents=True, exist_ok=True)
        top, bottom = first.bounding_box(), last.bounding_box()
        assert top is not None
        assert bottom is not None
        clip = {
            "x": max(min(top["x"], bottom["x"]) - margin, 0),
            "y": max(top["y"] - margin, 0),
            "width": max(top["width"], bottom["width"]) + 2 * margin,
            "height": bottom["y"] + bottom["height"] - top["y"] + 2 * margin,
        }
        self.page.screenshot(path=path, clip=clip, animations="disabled")


_NOTEBOOK = "const panel = jupyterapp.shell.currentWidget;"
_IDLE = (
    "() => { if (typeof jupyterapp === 'undefined') return false;"
    f" {_NOTEBOOK} return panel?.sessionContext?.session?.kernel?.status === 'idle'; }}"
)
_RUN = (
    f"index => {{ {_NOTEBOOK} panel.content.activeCellIndex = index;"
    " jupyterapp.commands.execute('notebook:run-cell'); }"  # its promise ends with the cell
)
_ENDED = (
    f"index => {{ {_NOTEBOOK} const cell = panel.content.widgets[index].model;"
    " return cell.executionCount !== null && cell.executionState === 'idle'; }"
)
_TURN = (
    f"async name => {{ {_NOTEBOOK} await panel.sessionContext.shutdown();"
    " await jupyterapp.commands.execute('docmanager:save');"  # else it asks what to do
    " await jupyterapp.commands.execute('docmanager:open', {path: name, factory: 'Notebook'});"
    " panel.dispose(); }"
)
_ACTIVATE = f"index => {{ {_NOTEBOOK} panel.content.activeCellIndex = index; }}"
_OUTPUTS = f"index => {{ {_NOTEBOOK} return panel.content.widgets[index].model.outputs.toJSON(); }}"


def _kernel(name: str, path: str) -> dict[str, Any]:
    command = [sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}"]
    return {
        "argv": [*command, "--HistoryManager.enabled=False"],
        "display_name": name,
        "language": "python",
        "env": {"PYTHONPATH": path},
    }


def _write(path: Path, value: dict[str, Any]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(value))


def _serve(place: Path, environment: dict[str, str]) -> subprocess.Popen[bytes]:
    """Start the server; it says where it listens in a file in its runtime folder."""
    folders = {
        "JUPYTER_CONFIG_DIR": "config",
        "JUPYTER_DATA_DIR": "data",
        "JUPYTER_RUNTIME_DIR": "runtime",
        "JUPYTERLAB_SETTINGS_DIR": "settings",
        "JUPYTERLAB_WORKSPACES_DIR": "workspaces",
        "IPYTHONDIR": "ipython",
    }
    own = {name: str(place / folder) for name, folder in folders.items()}
    (place / "runtime").mkdir(mode=0o700)
    command = [sys.executable, "-m", "jupyterlab", "--no-browser", "--allow-root", "--port=0"]
    with (place / "lab.log").open("wb") as log:
        return subprocess.Popen(
            [
                *command,
                "--expose-app-in-browser",
                "--JupyterNotebookApp.expose_app_in_browser=True",
                f"--ServerApp.root_dir={place / 'notebooks'}",
            ],
            env={**os.environ, **own, **environment},
            stdout=log,
            stderr=subprocess.STDOUT,
        )
