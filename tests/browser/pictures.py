"""Make the README's pictures from a real JupyterLab page: ``python -m tests.browser.pictures``."""

from __future__ import annotations

import tempfile
from pathlib import Path

from playwright.sync_api import sync_playwright

from llmframe import testing
from tests.browser.lab import ROOT, Lab, launch, until

PICTURES = ROOT / "notebooks" / "images"
ROWS = 3_000
FAULTS = {"500": 0.01, "429_after": 0.0006, "content_filter": 0.004}  # shares of the requests
LARGEST = 150_000  # bytes of one picture

BEGIN = f"""
import os, pandas as pd, llmframe as lf
from llmframe.testing import records
pd.set_option("display.max_colwidth", 34)
df = pd.DataFrame(records({ROWS}, blanks=0.004))[["text"]]
lf.configure(model="stand-in", base_url=os.environ["LOOPBACK"])
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


def main() -> None:
    """Run the cell and take the two pictures."""
    with (
        testing.serve(process=True, latency=(0.2, 0.5), answer="gold", faults=FAULTS) as server,
        tempfile.TemporaryDirectory() as folder,
        Lab(Path(folder), {"records": str(ROOT)}, {"LOOPBACK": server.url}) as lab,
        sync_playwright() as playwright,
        launch(playwright) as browser,
    ):
        lab.write("records.ipynb", [BEGIN, TAG, LOOK], "records")
        page = lab.open(browser, "records.ipynb", width=920, height=1100, scale=1.5)
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
        page.close()
    for picture in PICTURES.glob("*.png"):
        size = picture.stat().st_size
        print(f"{picture.relative_to(ROOT)}: {size:,} bytes")
        assert size <= LARGEST, "too large for a README"


if __name__ == "__main__":
    main()
