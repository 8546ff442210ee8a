"""The person's side in a real marimo notebook: a live panel, and the card that stays."""

from __future__ import annotations

import os
import re
import socket
import subprocess
import sys
import time
from importlib.util import find_spec

import pytest

from tests.browser.lab import PATIENCE, ROOT, missing, until

if (lacking := missing()) and not os.environ.get("CI"):  # there they are never skipped
    pytest.skip(lacking, allow_module_level=True)

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(find_spec("marimo") is None, reason="pip install --group browser"),
]

NOTEBOOK = """
import marimo
app = marimo.App()
@app.cell
def _():
    import os, pandas as pd, llmframe as lf
    df = pd.DataFrame({{"text": [f"record {{i}}" for i in range({rows})]}})
    lf.configure(model="test-model", base_url={url!r}, concurrency=10)
    FIELDS = {{"intent": ["refund", "delivery", "other"]}}
    return FIELDS, df, lf
@app.cell
def _(FIELDS, df, lf):
    {call}
    return
if __name__ == "__main__":
    app.run()
"""
CALLS = pytest.mark.parametrize(
    "call", ["out = df.llm.tag('text', FIELDS)", "run = lf.start(df, 'text', FIELDS)"]
)


@pytest.fixture
def app(tmp_path, server):
    """Serves a notebook of one call over so many rows; its address."""
    running = []

    def serve(call, rows):
        (tmp_path / "nb.py").write_text(NOTEBOOK.format(rows=rows, url=server.url, call=call))
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        command = [sys.executable, "-m", "marimo", "run", "nb.py", "--headless", "--no-token"]
        environment = {**os.environ, "PYTHONPATH": str(ROOT)}
        with (tmp_path / "marimo.log").open("wb") as log:
            running.append(
                subprocess.Popen(
                    [*command, "--port", str(port)],
                    cwd=tmp_path,
                    env=environment,
                    stdout=log,
                    stderr=subprocess.STDOUT,
                )
            )
        until(lambda: answers(port), what="marimo's start")
        return f"http://127.0.0.1:{port}"

    yield serve
    for process in running:
        process.terminate()
        process.wait(PATIENCE)


def answers(port):
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


@CALLS
def test_a_marimo_notebook_shows_the_run_live_and_keeps_the_card(app, browser, server, kept, call):
    page = browser.new_page()
    page.goto(app(call, 1_000))
    panel = page.locator(".llmframe").first
    panel.wait_for(timeout=1000 * PATIENCE)
    seen = [until(lambda: done(panel))]
    for _ in range(3):
        seen.append(until(lambda: (now := done(panel)) and now > seen[-1] and now))
    page.screenshot(path=kept("live"))
    server.update(latency=0.0)  # all has been seen
    until(lambda: "1,000 rows in" in " ".join(panel.inner_text().split()))
    time.sleep(1.0)  # what would come after the card
    assert page.locator(".llmframe").count() == 1
    assert "finished" in panel.inner_text()
    page.screenshot(path=kept("card"))
    page.close()


def done(panel):
    """How many rows the panel says are done."""
    found = re.search(r"([\d,]+) of 1,000 rows", " ".join(panel.inner_text().split()))
    return int(found[1]) if found else None
