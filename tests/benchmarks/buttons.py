"""How soon the panel's buttons act on a real JupyterLab page.

``python -m tests.benchmarks.buttons``: for a cell that blocks (ipykernel 7) and a background run
(both), seconds from the click to what it does, and the requests that began later than they may.
A provider takes 0.2 s for an answer; 10 are in flight.
"""

from __future__ import annotations

import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

from playwright.sync_api import sync_playwright

from llmframe import testing
from tests.browser.lab import Lab, Page, launch, until
from tests.kits.kernels import search_path
from tests.kits.scripts import BEGIN

if TYPE_CHECKING:
    from llmframe.testing import Server

HELD = 3.0  # seconds between Pause and Resume
IN_FLIGHT = 10
CALLS = {"blocking": "tag", "background": "start"}


def measure(page: Page, server: Server, how: str) -> str:
    """One line of the table: Pause, three seconds, Resume, Stop."""
    page.send(1)
    until(lambda: len(server.ledger) >= 50)
    paused = page.click("Pause", 1)
    pause = _seen(page, "paused", paused)
    time.sleep(HELD)
    while_paused = len(server.ledger.since(paused))
    resumed = page.click("Resume", 1)
    until(lambda: server.ledger.since(resumed))
    resume = time.monotonic() - resumed
    until(lambda: len(server.ledger.since(resumed)) >= 50)
    stopped = page.click("Stop", 1)
    stop = _seen(page, "stopped", stopped)
    page.finish(1)
    ended = time.monotonic() - stopped
    time.sleep(2.0)
    late = len(server.ledger.since(stopped + 1.0))
    return (
        f"{how:11} {pause:8.2f} {while_paused:20} {resume:9.2f} {stop:8.2f} {ended:11.2f} {late:9}"
    )


def _seen(page: Page, word: str, since: float) -> float:
    until(lambda: word in page.shown(1))
    return time.monotonic() - since


def main() -> None:
    """Print the table."""
    print("seconds from the click to what it does; requests that began after it")
    print(f"{'kernel':10} {'run':11} {'Pause':>8} {'sent while paused':>20} {'Resume':>9}", end="")
    print(f" {'Stop':>8} {'cell ended':>11} {'> 1 s on':>9}")
    with (
        tempfile.TemporaryDirectory() as folder,
        Lab(Path(folder), {f"ipykernel{w}": search_path(w) for w in "76"}) as lab,
        sync_playwright() as playwright,
        launch(playwright) as browser,
    ):
        for kernel, how in (("7", "blocking"), ("7", "background"), ("6", "background")):
            with testing.serve(latency=0.2) as server:
                begin = BEGIN.replace('os.environ["LOOPBACK"], progress=False', repr(server.url))
                cell = f'_ = frame(2_000).llm.{CALLS[how]}("text", FIELDS)'
                name = f"{how}{kernel}/0.ipynb"
                lab.write(name, [begin, cell], f"ipykernel{kernel}")
                page = lab.open(browser, name)
                page.run(0)
                print(f"{kernel:10} {measure(page, server, how)}", flush=True)
                page.end_kernel()
                page.close()


if __name__ == "__main__":
    main()
