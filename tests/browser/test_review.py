"""A review by keys on a real JupyterLab page: focus, undo, a cell that runs, a killed kernel."""

from __future__ import annotations

import json
import os
import sys

import pytest

from tests.browser.lab import missing, until

if (lacking := missing()) and not os.environ.get("CI"):  # there they are never skipped
    pytest.skip(lacking, allow_module_level=True)

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(sys.platform != "linux", reason="Debian's Chromium is driven"),
]
BOTH = pytest.mark.parametrize("kernel", ["ipykernel7", "ipykernel6"])
BEGIN = """\
import json, os, time
from tests.kits.reviews import tagged
import llmframe as lf
df = tagged(400)
df["text"] = [f"{text}. " + "I ordered shoes two weeks ago, and they have not come. " * 3
              for text in df["text"]]
df["intent_evidence"] = "I ordered shoes two weeks ago"
print(os.getpid())"""
REVIEW = 'r = df.llm.review("intent", n={n})'
TELL = "print(json.dumps([r.done, r.left]))"
WAIT = """\
end = time.monotonic() + 20
while r.done < 5 and time.monotonic() < end:
    time.sleep(0.05)
print(r.done)"""


def review_of(page, index):
    return page.area(index).locator(".llmframe-review")


def progress(page, index):
    """How many rows the review below a cell says are judged."""
    shown = page.shown(index)
    return int(shown.split("intent ", 1)[1].split(" of ", 1)[0]) if " of " in shown else None


def press(page, keys, judged, index=1):
    """Press keys, each once the row before it was judged."""
    for key in keys:
        judged += 1
        page.page.wait_for_timeout(250)  # nobody reads a row in less than the guard
        page.page.keyboard.press(key)
        until(lambda now=judged: progress(page, index) == now)


def status(page):
    return page.page.evaluate(
        "() => jupyterapp.shell.currentWidget.sessionContext.session?.kernel?.status"
    )


def printed(page, index):
    return "".join(o["text"] for o in page.outputs(index) if o.get("name") == "stdout")


@BOTH
def test_rows_are_judged_by_keys_and_a_killed_kernel_loses_none(opened, kernel, kept):
    page = opened([BEGIN, REVIEW.format(n=100), TELL, WAIT], kernel)
    page.run(0)
    page.run(1)  # it returns at once
    until(lambda: progress(page, 1) == 0)
    on, off = (review_of(page, 1).locator(f".llmframe-{each}") for each in ("on", "off"))
    until(on.is_visible)  # the box takes the focus itself
    press(page, "12", 0)
    page.page.keyboard.press("u")
    until(lambda: progress(page, 1) == 1)
    page.page.keyboard.press("Tab")
    page.page.mouse.click(5, 5)
    until(off.is_visible)
    page.click("3 billing", 1)
    until(lambda: progress(page, 1) == 2)
    until(on.is_visible)
    press(page, "41", 2)
    if kernel == "ipykernel7":  # keys are handled while a cell runs
        page.send(3)
        page.page.wait_for_timeout(300)
        review_of(page, 1).locator("input").focus()
        press(page, "2", 4)
        page.finish(3)
        assert printed(page, 3) == "5\n"  # seen while the cell ran
    else:
        review_of(page, 1).locator("input").focus()
        press(page, "2", 4)
    os.kill(int(printed(page, 0)), 9)
    until(lambda: status(page) != "idle")
    until(lambda: status(page) == "idle")
    page.page.locator(".jp-Dialog button", has_text="Ok").click()  # JupyterLab says that it died
    page.run(0)
    page.run(1)
    until(lambda: progress(page, 1) == 5)
    page.run(2)
    assert json.loads(printed(page, 2)) == [5, 95]
