"""Pictures of what a person sees, on a real JupyterLab page: ``python -m tests.browser.pictures``.

It makes the README's two, and all views in light and dark, narrow and wide, in
``artifacts/pictures``; ``views`` or ``readme`` behind it makes only these.
"""

from __future__ import annotations

import itertools
import sys
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from playwright.sync_api import sync_playwright

from llmframe import testing
from tests.browser.lab import ARTIFACTS, DARK, LIGHT, ROOT, Lab, launch, until
from tests.kits import view_cases

if TYPE_CHECKING:
    from collections.abc import Iterator

PICTURES = ROOT / "notebooks" / "images"
ROWS = 3_000
FAULTS = {"500": 0.01, "429_after": 0.0006, "content_filter": 0.004}  # shares of the requests
LARGEST = 150_000  # bytes of one picture
WIDTHS = (420, 1500)  # pixels

BEGIN = f"""
import os, pandas as pd, llmframe as lf
from llmframe.testing import records
pd.set_option("display.max_colwidth", 34)
df = pd.DataFrame(records({ROWS}, blanks=0.004))[["text"]]
prices = {{"in": 0.15, "out": 0.60, "currency": "USD"}}  # made up
lf.configure(model="stand-in", base_url=os.environ["LOOPBACK"], prices=prices)
"""
TAG = """\
out = df.llm.tag(
    "text",
    {"intent": ["refund", "delivery", "billing", "account", "praise", "other"],
     "urgency": ["low", "mid", "high"],
     "summary": str},
    instructions="Tag this customer-service record.",
    concurrency=50,
)"""
LOOK = 'out[["text", "intent", "urgency", "summary"]].head(6)'


@contextmanager
def opened(cells: list[str], environment: dict[str, str], **look: Any) -> Iterator[Any]:
    """A notebook with these cells on a page of its own."""
    with (
        tempfile.TemporaryDirectory() as folder,
        Lab(Path(folder), {"records": str(ROOT)}, environment) as lab,
        sync_playwright() as playwright,
        launch(playwright) as browser,
    ):
        lab.write("records.ipynb", cells, "records")
        page = lab.open(browser, "records.ipynb", **look)
        yield page
        page.close()


def readme() -> None:
    """Run the README's cell and take the two pictures."""
    with (
        testing.serve(process=True, latency=(0.2, 0.5), answer="gold", faults=FAULTS) as server,
        opened(
            [BEGIN, TAG, LOOK], {"LOOPBACK": server.url}, width=920, height=1200, scale=1.3
        ) as page,
    ):
        page.run(0)
        page.send(1)
        page.look_at(0)  # no frame around the cell that is pictured
        until(lambda: len(server.ledger) > 0.55 * ROWS)
        page.picture(PICTURES / "panel.png", page.cell(1), page.area(1))
        page.finish(1)
        page.run(2)
        page.look_at(0)
        page.area(2).locator("table").wait_for()
        page.picture(PICTURES / "card.png", page.area(1), page.area(2))
    for picture in PICTURES.glob("*.png"):
        size = picture.stat().st_size
        print(f"{picture.relative_to(ROOT)}: {size:,} bytes")
        assert size <= LARGEST, "too large for a README"


def views() -> None:
    """Every view in both themes and widths."""
    cells = [view_cases.BEGIN, *view_cases.CELLS.values()]
    with opened(cells, {}, width=1500, height=9_000) as page:
        for index in range(len(cells)):
            page.run(index)
        for theme, width in itertools.product((LIGHT, DARK), WIDTHS):
            page.look(theme, width)
            page.look_at(0)
            for index, name in enumerate(view_cases.CELLS, 1):
                page.area(index).scroll_into_view_if_needed()
                picture = ARTIFACTS / "pictures" / f"{name}-{theme.split()[1]}-{width}.png"
                page.picture(picture, page.area(index), page.area(index))
    print(f"look at {ARTIFACTS.relative_to(ROOT)}/pictures")


if __name__ == "__main__":
    wanted = sys.argv[1:] or ["readme", "views"]
    for name in wanted:
        {"readme": readme, "views": views}[name]()
