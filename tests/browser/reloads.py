"""A page that is left in mid-run: what its cell shows when somebody comes back to it.

``python -m tests.browser.reloads``: in JupyterLab and Notebook 7, blocking and in the background,
loaded again and saved, closed and opened again; prints how often the panel or the card was found
in the cell. Pages keep only what was saved: what no save has seen, no page brings back.
"""

from __future__ import annotations

import argparse
import itertools
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from llmframe import testing
from tests.browser.lab import Lab, launch, until
from tests.kits.kernels import search_path
from tests.kits.scripts import BEGIN

if TYPE_CHECKING:
    from playwright.sync_api import Browser

APPS = {"JupyterLab": "doc/tree", "Notebook 7": "notebooks"}
CALLS = {
    "blocking": 'out = frame({}).llm.tag("text", FIELDS)',
    "background": 'run = frame({}).llm.start("text", FIELDS)',
}
WAYS = ("reload", "save and reopen")
ROWS = 150
PATIENCE = 90.0  # seconds; a page loads in ten of them on a busy machine


def come_back(lab: Lab, browser: Browser, name: str, app: str, way: str) -> list[str]:
    """Leave a page in mid-run and come back; what is seen in the cell until its card is there."""
    page = lab.open(browser, name, app=APPS[app])
    page.run(0)
    page.send(1)
    until(lambda: f"of {ROWS} rows" in page.shown(1), PATIENCE, "the panel")
    page.save()
    if way == "reload":
        page.reload(ready=False)
    else:
        page.close()
        page = lab.open(browser, name, app=APPS[app], ready=False)
    seen: list[str] = []

    def is_at_its_end() -> bool:
        seen.append(page.shown(1))
        return f"{ROWS} rows in" in seen[-1]

    try:
        until(is_at_its_end, PATIENCE, "the card")
    finally:
        page.close()
    return seen


def is_kept(seen: list[str]) -> bool:
    """Whether the cell never told of a lost widget, and has the card at the end."""
    return not any("not found" in text for text in seen) and "finished" in seen[-1]


def write(lab: Lab, name: str, url: str, call: str, kernel: str = "ipykernel7") -> None:
    """Put a notebook of this call into the folder."""
    begin = BEGIN.replace('os.environ["LOOPBACK"], progress=False', repr(url))
    lab.write(name, [begin, CALLS[call].format(ROWS)], kernel)


def main() -> None:
    """Print what was found, case by case, and the sum."""
    from playwright.sync_api import sync_playwright

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--times", type=int, default=5, help="each of the cases")
    times = parser.parse_args().times
    kept = tried = 0
    with (
        testing.serve(latency=0.7) as server,
        tempfile.TemporaryDirectory() as place,
        Lab(Path(place), {"ipykernel7": search_path("7")}) as lab,
        sync_playwright() as playwright,
        launch(playwright) as browser,
    ):
        for number, case in enumerate(itertools.product(APPS, CALLS, WAYS, range(times))):
            app, call, way, _ = case
            write(lab, f"{number}/0.ipynb", server.url, call)
            try:
                found = is_kept(come_back(lab, browser, f"{number}/0.ipynb", app, way))
            except AssertionError as error:
                print(error)
                found = False
            tried, kept = tried + 1, kept + found
            print(f"{app}, {call}, {way}: {'kept' if found else 'LOST'}", flush=True)
    print(f"{kept} of {tried}")


if __name__ == "__main__":
    main()
