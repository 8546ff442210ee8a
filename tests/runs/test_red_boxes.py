"""A normal end is no red box in a notebook, and an error is said once."""

from __future__ import annotations

import io
import sys
import threading
import warnings

import pytest

from llmframe import testing
from llmframe.errors import IncompleteWarning, warn
from llmframe.runs.cell import INTERRUPTED
from tests.kits.kernels import Kernel
from tests.kits.scripts import BEGIN
from tests.kits.until import until

BUDGET = 'out = frame(60).llm.tag("text", FIELDS, max_tokens=2_000)'
RAISING = "warnings.simplefilter('error', lf.errors.IncompleteWarning)\n" + BUDGET
RECORDED = """
with warnings.catch_warnings(record=True) as seen:
    warnings.simplefilter("always")
    out = frame(60, "other").llm.tag("text", FIELDS, max_tokens=2_000)
print([one.category.__name__ for one in seen])
"""


@pytest.fixture
def kernel(tmp_path):
    with (
        testing.serve() as server,
        Kernel("7", {"LOOPBACK": server.url}, str(tmp_path)) as running,
    ):
        running.server = server
        running.run(BEGIN.replace("progress=False, ", ""))
        yield running


def texts(cell):
    return [data["text/plain"] for data in cell.shown]


@pytest.mark.kernel
def test_a_spent_budget_is_said_by_the_card_and_every_other_way_to_hear_of_it_stays(kernel):
    cell = kernel.run(BUDGET)
    assert (cell.status, cell.streams) == ("ok", {})
    [card] = texts(cell)
    assert "stopped" in card
    assert "not reached" in card
    assert kernel.ask(RECORDED) == "['IncompleteWarning']\n"
    sent = kernel.send(RAISING.replace("frame(60)", "frame(60, 'third')"))
    assert kernel.finish(sent).error == "IncompleteWarning"
    raising = BUDGET.replace("2_000", '2_000, on_incomplete="raise"').replace("60", "61")
    assert kernel.finish(kernel.send(raising)).error == "IncompleteWarning"


@pytest.mark.kernel
def test_an_interrupt_is_one_line_below_the_card(kernel):
    kernel.server.update(latency=0.2)
    sent = kernel.send('out = frame(2000).llm.tag("text", FIELDS)')
    until(lambda: kernel.listen(0.05) or len(kernel.server.ledger) >= 20)
    kernel.interrupt()
    cell = kernel.finish(sent)
    assert cell.error == "KeyboardInterrupt"
    assert cell.traceback == INTERRUPTED
    assert "interrupted" in texts(cell)[0]


@pytest.mark.kernel
def test_an_error_is_said_by_the_error_and_not_by_the_card_of_the_same_cell(kernel):
    kernel.server.update(faults={"401": 1.0})
    cell = kernel.finish(kernel.send('out = frame(20).llm.tag("text", FIELDS)'))
    assert cell.error == "RunAborted"
    [card] = [text for text in texts(cell) if "aborted" in text]
    assert "the error of this call, below" in card.lower()
    assert "key" not in card


def test_a_warning_beside_a_card_is_not_printed_but_goes_every_other_way(monkeypatch):
    printed = io.StringIO()
    monkeypatch.setattr(sys, "stderr", printed)
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        monkeypatch.setattr(warnings, "showwarning", lambda *shown: sys.stderr.write(str(shown[0])))
        warn(IncompleteWarning("stopped"), printed=False)
        assert printed.getvalue() == ""
        warn(IncompleteWarning("stopped"))
        assert "stopped" in printed.getvalue()
    with pytest.warns(IncompleteWarning):
        warn(IncompleteWarning("stopped"), printed=False)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(IncompleteWarning):
            warn(IncompleteWarning("stopped"), printed=False)


def test_what_other_threads_print_meanwhile_is_printed(monkeypatch):
    printed = io.StringIO()
    monkeypatch.setattr(sys, "stderr", printed)

    def show(message, *args):
        other = threading.Thread(target=lambda: sys.stderr.write("of another thread"))
        other.start()
        other.join()
        sys.stderr.write(str(message))

    with warnings.catch_warnings():
        warnings.simplefilter("always")
        monkeypatch.setattr(warnings, "showwarning", show)
        warn("hidden", printed=False)
    assert printed.getvalue() == "of another thread"
