"""The person's side on a real JupyterLab page: the bar moves, buttons work, the card stays."""

from __future__ import annotations

import json
import os
import re
import sys
import time

import pytest
from lab import missing, until
from scripts import BEGIN

if (lacking := missing()) and not os.environ.get("CI"):  # there they are never skipped
    pytest.skip(lacking, allow_module_level=True)

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(sys.platform != "linux", reason="Debian's Chromium is driven"),
]
BOTH = pytest.mark.parametrize("kernel", ["ipykernel7", "ipykernel6"])
NEW = pytest.mark.parametrize("kernel", ["ipykernel7"])  # clicks reach a cell that blocks
OLD = pytest.mark.parametrize("kernel", ["ipykernel6"])
TAG = 'out = frame({}).llm.tag("text", FIELDS)'
START = 'run = frame({}).llm.start("text", FIELDS)'
TELL = "tell(**counts(out))"
PARTIAL = "tell(**counts(lf.last_run().partial()))"
TICK = 0.25  # seconds after which what was on its way to the server has come


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


def told(page, index):
    """What a cell told, by name."""
    [output] = [o for o in page.outputs(index) if o.get("name") == "stdout"]
    return json.loads(output["text"])


@BOTH
def test_the_bar_moves_while_the_cell_runs_and_a_card_takes_its_place(notebook, kept, kernel):
    page = notebook(TAG.format(200), TELL)
    page.send(1)
    seen = [until(lambda: done(page, 1))]
    for _ in range(4):
        seen.append(until(lambda: (now := done(page, 1)) and now > seen[-1] and now))
    page.picture(kept("panel"), page.cell(1), page.area(1))
    assert page.is_running(1)
    page.finish(1)
    until(lambda: page.shown(1).startswith("200 rows in"))
    assert "finished" in page.shown(1)
    page.run(2)
    assert told(page, 2) == {"ok": 200}


@NEW
def test_stop_ends_a_cell_that_blocks(notebook, server, kernel):
    page = notebook(TAG.format(1_000), TELL)
    page.send(1)
    until(lambda: len(server.ledger) >= 50)
    at = page.click("Stop", 1)
    page.finish(1)
    assert time.monotonic() - at <= 2.0
    time.sleep(TICK)
    assert server.ledger.since(at + 1.0) == []
    page.run(2)
    rows = told(page, 2)
    assert rows["ok"] >= 40
    assert rows["ok"] + rows["pending"] == 1_000
    assert "stopped" in page.shown(1)
    assert "IncompleteWarning" in page.shown(1)


@NEW
def test_a_cell_that_blocks_can_be_held_and_goes_on(notebook, server, kernel):
    page = notebook(TAG.format(150))
    page.send(1)
    hold_and_go_on(page, server)
    page.finish(1)
    until(lambda: page.shown(1).startswith("150 rows in"))
    assert len(server.ledger) == 150


def hold_and_go_on(page, server):
    """Pause and Resume, below the second cell."""
    until(lambda: len(server.ledger) >= 30)
    at = page.click("Pause", 1)
    until(lambda: "paused" in page.shown(1), timeout=1.0)
    time.sleep(1.5)
    assert server.ledger.since(at + 1.0) == []
    at = page.click("Resume", 1)
    until(lambda: server.ledger.since(at), timeout=1.0)


@OLD
def test_an_old_kernel_shows_no_dead_button_but_says_what_to_press(notebook, server, kernel, kept):
    page = notebook(TAG.format(200))
    page.send(1)
    until(lambda: "press the interrupt button" in page.shown(1))
    assert page.area(1).locator("button").count() == 0
    page.picture(kept("panel"), page.cell(1), page.area(1))
    page.finish(1)


@BOTH
def test_the_interrupt_button_ends_the_cell_and_the_next_one_works(notebook, server, kernel):
    page = notebook(TAG.format(1_000), PARTIAL)
    page.send(1)
    until(lambda: len(server.ledger) >= 50)
    at = page.interrupt()
    page.finish(1)
    assert time.monotonic() - at <= 2.0
    assert page.outputs(1)[-1]["ename"] == "KeyboardInterrupt"
    assert "interrupted" in page.shown(1)
    assert server.ledger.since(at + 1.0) == []
    page.run(2)
    rows = told(page, 2)
    assert rows["ok"] >= 40
    assert rows["ok"] + rows["pending"] == 1_000


BUSY = """\
before, begun = run.report.ok, time.monotonic()
while time.monotonic() < begun + 3:
    sum(range(1000))
tell(rate=(run.report.ok - before) / (time.monotonic() - begun))"""


@BOTH
def test_a_background_run_goes_on_and_is_shown_while_another_cell_computes(
    notebook, server, kernel
):
    page = notebook(START.format(1_000), BUSY)
    page.run(1)
    before = until(lambda: (done(page, 1) or 0) > 30 and done(page, 1))
    page.send(2)
    until(lambda: done(page, 1) > before + 50)
    assert page.is_running(2)
    page.finish(2)
    assert told(page, 2)["rate"] >= 0.6 * 50
    at = page.click("Stop", 1)
    until(lambda: "stopped" in page.shown(1), timeout=2.0)
    assert server.ledger.since(at + 1.0) == []


@BOTH
def test_a_background_run_can_be_held_goes_on_and_is_stopped(notebook, server, kernel):
    page = notebook(START.format(1_000), "out = run.result(); " + TELL)
    page.run(1)
    hold_and_go_on(page, server)
    at = page.click("Stop", 1)
    page.run(2)
    assert time.monotonic() - at <= 2.0
    assert server.ledger.since(at + 1.0) == []
    assert told(page, 2)["ok"] >= 30


@BOTH
def test_the_card_is_there_after_a_reload_and_with_a_fresh_kernel(notebook, kernel, kept):
    page = notebook(TAG.format(50))
    page.run(1)
    until(lambda: page.shown(1).startswith("50 rows in"))
    page.save()
    page.reload()
    is_kept(page)
    page.end_kernel()
    page.reload()
    is_kept(page)
    page.picture(kept("reopened"), page.cell(1), page.area(1))


def is_kept(page):
    """The card is there and nothing else."""
    until(lambda: page.shown(1).startswith("50 rows in"))
    everything = page.page.locator(".jp-Notebook").inner_text()
    assert not re.search("model not found|loading widget", everything, re.IGNORECASE)


@BOTH
def test_two_queued_cells_run_one_after_the_other(notebook, server, kernel):
    second = TAG.replace("({})", "({}, 'other')")
    page = notebook(TAG.format(80), second.format(60), TELL)
    for index in (1, 2, 3):
        page.send(index)
    page.finish(3)
    assert page.shown(1).startswith("80 rows in")
    assert page.shown(2).startswith("60 rows in")
    assert told(page, 3) == {"ok": 60}


@BOTH
def test_a_cell_that_is_run_again_pays_nothing_twice(notebook, server, kernel):
    page = notebook(TAG.format(60))
    page.run(1)
    until(lambda: page.shown(1).startswith("60 rows in"))
    page.run(1)
    until(lambda: "60 reused" in page.shown(1))
    assert len(server.ledger) == 60
