"""The person's side on a real JupyterLab page: the bar moves, buttons work, the card stays."""

from __future__ import annotations

import itertools
import json
import os
import re
import sys
import time

import pytest

from tests.browser.lab import DARK, LIGHT, missing, until
from tests.kits.scripts import BEGIN

if (lacking := missing()) and not os.environ.get("CI"):  # there they are never skipped
    pytest.skip(lacking, allow_module_level=True)

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(sys.platform != "linux", reason="Debian's Chromium is driven"),
]
BOTH = pytest.mark.parametrize("kernel", ["ipykernel7", "ipykernel6"])
OLD = pytest.mark.parametrize("kernel", ["ipykernel6"])
NEW = pytest.mark.parametrize("kernel", ["ipykernel7"])  # clicks reach a cell that blocks
TAG = 'out = frame({}).llm.tag("text", FIELDS)'
START = 'run = frame({}).llm.start("text", FIELDS)'
TELL = "tell(**counts(out))"
PARTIAL = "tell(**counts(lf.last_run().partial()))"
TICK = 0.25  # seconds after which what was on its way to the server has come
BUSY = 10.0  # seconds that a click may take on a busy machine; 1,000 rows take twice as long


@pytest.fixture
def notebook(opened, server, kernel):
    """Opens a notebook whose first cell, which is run, prepares the others."""

    def open_(*cells):
        begin = BEGIN.replace('os.environ["LOOPBACK"], progress=False', repr(server.url))
        page = opened([begin, *cells], kernel)
        page.run(0)
        assert page.outputs(0) == []
        return page

    return open_


def done(page, index):
    """How many rows the panel below a cell says are done, None while there is no panel."""
    found = re.match(r"(?:at least )?([\d,]+) of [\d,]+ rows", page.shown(index))
    return int(found[1].replace(",", "")) if found else None


def reported(page, index):
    """The values that a cell reported, by name."""
    [output] = [o for o in page.outputs(index) if o.get("name") == "stdout"]
    return json.loads(output["text"])


@BOTH
def test_the_bar_moves_while_the_cell_runs_and_a_card_takes_its_place(
    notebook, server, kernel, kept
):
    page = notebook(TAG.format(1_000), TELL)
    page.send(1)
    seen = [until(lambda: done(page, 1))]
    for _ in range(4):
        seen.append(until(lambda: (now := done(page, 1)) and now > seen[-1] and now))
    page.picture(kept("panel"), page.cell(1), page.area(1))
    assert page.is_running(1)
    server.update(latency=0.0)  # all has been seen
    page.finish(1)
    until(lambda: page.shown(1).startswith("1,000 rows in"))
    assert "finished" in page.shown(1)
    page.run(2)
    assert reported(page, 2) == {"ok": 1_000}


@NEW
def test_stop_ends_a_cell_that_blocks(notebook, server, kernel):
    page = notebook(TAG.format(1_000), TELL)
    page.send(1)
    until(lambda: len(server.ledger) >= 50)
    at = page.click("Stop", 1)
    page.finish(1)
    assert time.monotonic() - at <= BUSY
    assert_quiet(server)
    page.run(2)
    rows = reported(page, 2)
    assert rows["ok"] >= 40
    assert rows["ok"] + rows["pending"] == 1_000
    assert "stopped" in page.shown(1)
    assert [output["output_type"] for output in page.outputs(1)] == ["display_data"]


@NEW
def test_a_cell_that_blocks_can_be_held_and_goes_on(notebook, server, kernel):
    page = notebook(TAG.format(1_000))
    page.send(1)
    hold_and_go_on(page, server)
    server.update(latency=0.0)
    page.finish(1)
    until(lambda: page.shown(1).startswith("1,000 rows in"))
    assert len(server.ledger) == 1_000


def assert_quiet(server):
    """Nothing is sent any more, once what was on its way has come: 50 a second were."""
    time.sleep(TICK)
    sent = len(server.ledger)
    time.sleep(2 * TICK)
    assert len(server.ledger) == sent


def hold_and_go_on(page, server):
    """Pause and Resume, below the second cell."""
    until(lambda: len(server.ledger) >= 30)
    page.click("Pause", 1)
    until(lambda: "paused" in page.shown(1))
    assert_quiet(server)
    at = page.click("Resume", 1)
    until(lambda: server.ledger.since(at))


@BOTH
def test_the_interrupt_button_ends_the_cell_and_the_next_one_works(notebook, server, kernel, kept):
    page = notebook(TAG.format(1_000), PARTIAL)
    page.send(1)
    until(lambda: len(server.ledger) >= 50)
    if kernel == "ipykernel6":  # no click would reach it
        until(lambda: "press the interrupt button" in page.shown(1))
        assert page.area(1).locator(".jupyter-button").count() == 0
        page.picture(kept("panel"), page.cell(1), page.area(1))
    at = page.interrupt()
    page.finish(1)
    assert time.monotonic() - at <= BUSY
    assert page.outputs(1)[-1]["ename"] == "KeyboardInterrupt"
    assert "interrupted" in page.shown(1)
    assert_quiet(server)
    page.run(2)
    rows = reported(page, 2)
    assert rows["ok"] >= 40
    assert rows["ok"] + rows["pending"] == 1_000


COMPUTE = """\
before, begun = run.report.ok, time.monotonic()
while run.report.ok < before + 200 and time.monotonic() < begun + 20:
    sum(range(1000))
tell(rate=(run.report.ok - before) / (time.monotonic() - begun))"""


@BOTH
def test_a_background_run_goes_on_and_is_shown_while_another_cell_computes(
    notebook, server, kernel
):
    page = notebook(START.format(1_000), COMPUTE)
    page.run(1)
    before = until(lambda: (done(page, 1) or 0) > 30 and done(page, 1))
    page.send(2)
    until(lambda: done(page, 1) > before + 50)
    assert page.is_running(2)
    page.finish(2)
    assert reported(page, 2)["rate"] >= 0.2 * 50  # of 50 rows a second; 0.6 on a quiet machine
    page.click("Stop", 1)
    until(lambda: "stopped" in page.shown(1))
    assert_quiet(server)


@BOTH
def test_a_background_run_can_be_held_goes_on_and_is_stopped(notebook, server, kernel):
    page = notebook(START.format(1_000), "out = run.result(); " + TELL)
    page.run(1)
    hold_and_go_on(page, server)
    at = page.click("Stop", 1)
    page.run(2)
    assert time.monotonic() - at <= BUSY
    assert_quiet(server)
    assert reported(page, 2)["ok"] >= 30


@BOTH
def test_the_card_is_there_when_a_saved_notebook_is_opened_again(notebook, kernel, kept):
    page = notebook(TAG.format(50))
    page.run(1)
    until(lambda: page.shown(1).startswith("50 rows in"))
    page.save()
    page.end_kernel()
    page.reload()
    until(lambda: page.shown(1).startswith("50 rows in"))
    everything = page.page.locator(".jp-Notebook").inner_text()
    assert not re.search("model not found|loading widget", everything, re.IGNORECASE)
    page.picture(kept("reopened"), page.cell(1), page.area(1))


@BOTH
def test_two_queued_cells_run_one_after_the_other(notebook, server, kernel):
    second = TAG.replace("({})", "({}, 'other')")
    page = notebook(TAG.format(40), second.format(30), TELL)
    for index in (1, 2, 3):
        page.send(index)
    page.finish(3)
    assert page.shown(1).startswith("40 rows in")
    assert page.shown(2).startswith("30 rows in")
    assert reported(page, 3) == {"ok": 30}


@BOTH
def test_a_cell_that_is_run_again_pays_nothing_twice(notebook, server, kernel):
    page = notebook(TAG.format(60))
    page.run(1)
    until(lambda: page.shown(1).startswith("60 rows in"))
    page.run(1)
    until(lambda: "60 reused" in page.shown(1))
    assert len(server.ledger) == 60


@OLD  # where a click reaches the page alone
def test_answers_and_failures_are_seen_while_the_cell_blocks(notebook, server, kernel, kept):
    server.update(fault_rows={"record 7": "content_filter"})
    page = notebook(TAG.format(1_000))
    page.send(1)
    until(lambda: "newest answers" in page.shown(1))
    assert "record" in page.shown(1)
    folds = page.area(1).locator(".jupyter-widget-Collapse-header")
    folds.filter(has_text="the last failures").click()  # beside "more answers"; waits for it
    until(lambda: "content_filter:" in page.shown(1))
    until(lambda: page.area(1).locator("svg polyline").count())
    time.sleep(2.5)  # the rows were set anew, and are still open
    assert "content_filter:" in page.shown(1)
    page.picture(kept("panel"), page.cell(1), page.area(1))
    assert page.is_running(1)
    page.interrupt()
    page.finish(1)
    until(lambda: "interrupted" in page.shown(1))
    assert "newest answers" not in page.shown(1)


@BOTH
def test_a_run_that_another_cell_displays_is_live_there_too(notebook, server, kernel, kept):
    page = notebook(START.format(1_000) + "; run", "run", "run")
    page.run(1)
    page.run(2)
    assert page.area(1).locator(".jupyter-button").count() <= 2  # not shown twice by its own cell
    before = until(lambda: done(page, 2))
    until(lambda: done(page, 2) > before)
    page.picture(kept("twice"), page.cell(1), page.area(2))
    page.click("Stop", 2)
    until(lambda: "stopped" in page.shown(1))
    until(lambda: "stopped" in page.shown(2))
    page.run(3)
    until(lambda: "stopped" in page.shown(3))


# -- how it looks ------------------------------------------------------------------------------

VIEWS = """\
import pandas as pd
from IPython.display import HTML, display
from tests.kits.notebook_cases import FINISHED, HOSTILE, RUNNING
from tests.kits.notebook_cases import Rows, hostile_ending, hostile_snapshot
from tests.kits.notebook_screen import Clicks
from llmframe.notebook import make_view
from llmframe.notebook.drawing.card import card_html
from llmframe.quality.distribution import distribution
from llmframe.quality.summary import Summary

def panel(snapshot, text):
    view = make_view("widget", controls=Clicks(), blocking=False, latest=Rows(text))
    view.open()
    view.refresh(snapshot)

def summary(text):
    labels = pd.Series(pd.Categorical([text or "-"] * 3))
    counts = dict.fromkeys(("ok", "failed", "skipped", "pending"), 3)
    fields = (distribution(text, labels),)
    return Summary(12, counts=counts, errors={text: 3}, fields=fields, model=text)
"""
SHOW = """\
panel(RUNNING, "I ordered shoes two weeks ago and they have not arrived")
display(HTML(card_html(FINISHED)), summary("delivery"))"""
HOSTILE = """\
for text in HOSTILE:
    panel(hostile_snapshot(text), text)
    known = summary(text.encode("utf-8", "replace").decode())  # a frame holds no lone surrogates
    display(HTML(card_html(hostile_ending(text)) + known._repr_html_()))"""


@NEW
def test_on_any_page_nothing_is_wider_than_its_place(notebook, kernel, kept):
    page = notebook(VIEWS, SHOW)
    page.run(1)
    page.run(2)
    for folded in page.area(2).locator(".jupyter-widget-Collapse-header").all():
        folded.click()
    boxes = page.area(2).locator(".llmframe")
    assert boxes.count() == 6
    for theme, width in itertools.product((LIGHT, DARK), (420, 1500)):
        page.look(theme, width)
        page.picture(kept(f"{theme.split()[1]}-{width}"), page.cell(2), page.area(2))
        room, seen = page.area(2).bounding_box(), [box.bounding_box() for box in boxes.all()]
        assert all(box["x"] + box["width"] <= room["x"] + room["width"] for box in seen)
        cut = "boxes => boxes.filter(box => box.scrollWidth > box.clientWidth).length"
        assert boxes.evaluate_all(cut) == 0


@NEW
def test_hostile_texts_are_only_text_on_a_page(notebook, kernel):
    page = notebook(VIEWS, HOSTILE)
    said = []
    page.page.on("dialog", lambda dialog: said.append(dialog.dismiss()))
    page.run(1)
    page.run(2)
    assert page.outputs(2)[-1]["output_type"] != "error"
    shown = page.area(2)
    assert shown.locator(".llmframe").count() >= 3 * 24
    page.page.wait_for_timeout(500)  # for what would be typeset or loaded
    for tag in ("script", "img", "iframe", "style", "h1", "a", "mjx-container"):
        assert shown.locator(f".llmframe {tag}, .widget-accordion {tag}").count() == 0, tag
    assert said == []
