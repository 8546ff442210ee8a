"""How long a person waits in a review: ``python -m tests.benchmarks.review``.

Of a tagged frame of 100,000 rows: the seconds until n=200 rows are drawn and the first is shown,
and the time from a key to the next painted row in a real JupyterLab page; and how many of 60 keys
at 20 a second are counted with the guard off.
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
import time
from pathlib import Path
from statistics import median
from typing import Any

from playwright.sync_api import sync_playwright

from llmframe.quality.drawing import Wish
from llmframe.quality.review_session import Manner, ReviewSession
from tests.browser.lab import Lab, launch, until
from tests.kits.kernels import search_path
from tests.kits.reviews import judge, tagged

BEGIN = """
from tests.kits.reviews import tagged
from llmframe.notebook.review import widget
df = tagged({rows})
"""
REVIEW = 'r = df.llm.review("intent", n={n})'
# the moment at which the page has drawn the changed text, by the page's own clock
_WATCH = """() => {
  window.keyed = 0; window.seconds = [];
  const box = document.querySelector('.llmframe-review');
  document.addEventListener('keydown', () => { window.keyed = performance.now(); }, true);
  new MutationObserver(() => requestAnimationFrame(() => setTimeout(() => {
    if (window.keyed) window.seconds.push((performance.now() - window.keyed) / 1000);
    window.keyed = 0;
  }))).observe(box, {childList: true, subtree: true, characterData: true});
}"""


def drawing(rows: int, n: int) -> str:
    """The time of a draw, the best of three, and of an answer without a page."""
    df = tagged(rows)
    took, first = [], Path.cwd()
    for _ in range(3):
        with tempfile.TemporaryDirectory() as place:
            os.chdir(place)
            begun = time.perf_counter()
            session = ReviewSession(df, "intent", Wish(n, order="design"), Manner())
            session.question()
            took.append(time.perf_counter() - begun)
            begun = time.perf_counter()
            judge(session, df, 50)
            each = (time.perf_counter() - begun) / 50
            os.chdir(first)
    return f"{rows:,} rows, n={n}: drawn in {min(took):.2f} s; an answer takes {1000 * each:.1f} ms"


def keys(rows: int) -> list[str]:
    """The time from a key to the painted row, and the keys that are counted."""
    with (
        tempfile.TemporaryDirectory() as folder,
        Lab(Path(folder), {"k": search_path("7")}) as lab,
        sync_playwright() as playwright,
        launch(playwright) as browser,
    ):
        cells = [BEGIN.format(rows=rows), REVIEW.format(n=200), "widget.GUARD = 0.0"]
        lab.write("r.ipynb", [*cells, "import json; print(json.dumps(r.done))"], "k")
        page = lab.open(browser, "r.ipynb")
        for index in range(2):
            page.run(index)
        box = page.area(1).locator(".llmframe-review input")
        box.focus()
        page.page.evaluate(_WATCH)
        for at in range(50):
            page.page.wait_for_timeout(400)
            page.page.keyboard.press("123"[at % 3])
            until(lambda at=at: len(page.page.evaluate("window.seconds")) > at)
        seconds = sorted(page.page.evaluate("window.seconds"))
        found = f"median {1000 * median(seconds):.0f} ms, p95 {1000 * seconds[47]:.0f} ms"
        page.run(2)
        box.focus()
        page.page.keyboard.type("1" * 60, delay=50)
        page.page.wait_for_timeout(3_000)
        page.run(3)
        counted = json.loads(_printed(page)) - 50
        page.close()
    return [f"a key to the painted row: {found} of 50", f"{counted} of 60 keys at 20 a second"]


def _printed(page: Any) -> str:
    return "".join(one["text"] for one in page.outputs(3) if one.get("name") == "stdout")


def main() -> None:
    """Print the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=100_000)
    rows = parser.parse_args().rows
    print(drawing(rows, 200), flush=True)
    print("\n".join(keys(rows)), flush=True)


if __name__ == "__main__":
    main()
