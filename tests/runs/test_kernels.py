"""The person's side in real Jupyter kernels, ipykernel 7 and 6: run, queue, interrupt, go on."""

from __future__ import annotations

import json
import re
import sys

import pytest

from llmframe import testing
from llmframe.runs.cell import DRAIN
from tests.kits.kernels import Kernel
from tests.kits.scripts import BEGIN, until

pytestmark = [
    pytest.mark.kernel,
    pytest.mark.skipif(sys.platform == "win32", reason="signals are sent as on Unix"),
]
SILENT = BEGIN  # progress=False
SHOWN = BEGIN.replace("progress=False, ", "")
RUNNERS = ["thread", "nest"]


@pytest.fixture
def server():
    with testing.serve(latency=0.1) as running:
        yield running


@pytest.fixture(params=["7", "6"], ids=["ipykernel7", "ipykernel6"])
def kernel(request, server, tmp_path, monkeypatch):
    """A kernel in a folder of its own that knows the server."""
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path / "ipython"))
    monkeypatch.setenv("JUPYTER_RUNTIME_DIR", str(tmp_path / "runtime"))
    with Kernel(request.param, {"LOOPBACK": server.url}) as running:
        version = running.ask("import ipykernel; print(ipykernel.__version__)")
        assert version.startswith(request.param)
        yield running


def tag(n, runner="thread", name="record"):
    return f'out = frame({n}, "{name}").llm.tag("text", FIELDS, runner="{runner}")'


def cards(cell):
    """The bundles with a card that a cell shows."""
    return [data for data in cell.shown if "llmframe" in data.get("text/plain", "")]


def assert_only_a_card_is_left(kernel):
    """A page that is loaded again finds the card in the widget, and no button of a dead panel."""
    models = {state.get("_model_name") for state in kernel.widgets.values()}
    assert models <= {"VBoxModel", "LayoutModel", "HTMLModel", "HTMLStyleModel"}


# -- cells that run --------------------------------------------------------------------------


def test_importing_is_quick_and_prints_nothing(kernel):
    kernel.ask("import time")
    spent = {
        name: kernel.ask(f"t = time.thread_time(); import {name}; print(time.thread_time() - t)")
        for name in ("pandas", "llmframe")  # in this order: llmframe loads pandas
    }
    assert float(spent["llmframe"]) <= 0.7 * float(spent["pandas"])  # 0.3 on a quiet machine


@pytest.mark.parametrize("runner", RUNNERS)
def test_a_small_notebook_runs(kernel, server, runner):
    assert kernel.run(SHOWN).status == "ok"
    cell = kernel.run(tag(50, runner) + "; out")
    assert (cell.status, cell.streams) == ("ok", {})
    [card] = cards(cell)
    assert "finished, 50 rows" in card["text/plain"]
    assert card["text/html"].startswith("<div")
    assert_only_a_card_is_left(kernel)
    assert not any("widget-view" in mime for data in cell.shown for mime in data)
    assert "record 49" in cell.shown[-1]["text/html"]
    again = kernel.run(tag(50, runner) + "; tell(ok=counts(out))")
    assert json.loads(again.printed) == {"ok": {"ok": 50}}
    assert len(server.ledger) == 50


@pytest.mark.parametrize("runner", RUNNERS)
def test_queued_cells_run_one_after_the_other(kernel, runner):
    kernel.ask(SILENT)
    sent = [kernel.send(f"{tag(30, runner, name)}; tell(ok=counts(out))") for name in "abc"]
    for one in sent:
        cell = kernel.finish(one)
        assert (cell.status, json.loads(cell.printed)) == ("ok", {"ok": {"ok": 30}})


def test_a_call_in_an_async_cell_and_an_awaited_one_work(kernel):
    kernel.ask(SILENT)
    code = "await asyncio.sleep(0); " + tag(30) + "; tell(ok=counts(out))"
    assert json.loads(kernel.ask(code)) == {"ok": {"ok": 30}}
    code = 'out = await frame(40).llm.atag("text", FIELDS); tell(ok=counts(out))'
    assert json.loads(kernel.ask(code)) == {"ok": {"ok": 40}}


def test_nest_lets_tasks_of_the_notebook_go_on(kernel):
    kernel.ask(SILENT)
    kernel.ask("""
ticks = []
async def tick():
    while True:
        ticks.append(1)
        await asyncio.sleep(0.01)
other = asyncio.create_task(tick())""")
    kernel.ask("before = len(ticks); " + tag(50, "nest"))
    assert int(kernel.ask("print(len(ticks) - before)")) > 3  # five rounds of 0.1 s


# -- interrupts --------------------------------------------------------------------------------


def interrupted(kernel, server, code, after):
    """Interrupt a cell when the server has been asked so often; the cell, and seconds it took."""
    sent = kernel.send(code)
    until(lambda: len(server.ledger) >= after)
    at = kernel.interrupt()
    cell = kernel.finish(sent)
    late = [call for call in server.ledger.since(at) if call.at < cell.replied]
    assert len(late) <= 30  # ten on their way and those that they let in; ten more each 0.1 s
    assert cell.replied - at <= DRAIN + 10  # on a busy machine; requests that hang take 60 s
    return cell


@pytest.mark.parametrize("runner", RUNNERS)
def test_an_interrupt_ends_the_cell_and_the_next_one_goes_on(kernel, server, runner):
    kernel.run(SHOWN)
    cell = interrupted(kernel, server, tag(200, runner), after=50)
    assert (cell.status, cell.error) == ("error", "KeyboardInterrupt")
    assert cell.streams == {}
    [card] = cards(cell)
    assert "interrupted" in card["text/plain"]
    assert_only_a_card_is_left(kernel)
    partial = kernel.run("tell(**counts(lf.last_run().partial()))")
    kept = json.loads(partial.printed)
    assert 40 <= kept["ok"] < 200
    assert kept["ok"] + kept["pending"] == 200
    again = kernel.run(tag(200, runner) + "; tell(ok=counts(out))")
    assert (again.status, json.loads(again.printed)) == ("ok", {"ok": {"ok": 200}})
    assert again.streams.keys() == {"stdout"}
    assert len(server.ledger) == 200
    assert server.ledger.billed_twice() == []


@pytest.mark.parametrize("runner", RUNNERS)
def test_five_interrupts_in_a_row_leave_a_kernel_that_works(kernel, server, runner):
    kernel.ask(SILENT)
    for n in range(1, 6):
        cell = interrupted(kernel, server, tag(300, runner), after=45 * n)
        assert (cell.error, cell.streams) == ("KeyboardInterrupt", {})
    assert json.loads(kernel.ask(tag(300, runner) + "; tell(ok=counts(out))")) == {
        "ok": {"ok": 300}
    }
    assert kernel.ask("await asyncio.sleep(0.01); print('awake')") == "awake\n"
    assert len(server.ledger) == 300


@pytest.mark.parametrize("runner", RUNNERS)
def test_an_interrupt_of_requests_that_hang_is_as_quick(kernel, server, runner):
    server.update(fault_rows={"record": "hang"})
    kernel.ask(SILENT)
    cell = interrupted(kernel, server, tag(20, runner), after=10)
    assert (cell.error, cell.streams) == ("KeyboardInterrupt", {})
    assert kernel.ask("print(1)") == "1\n"


def test_an_interrupted_await_ends_as_python_ends_it(kernel, server):
    kernel.ask(SILENT)
    cell = interrupted(kernel, server, 'out = await frame(200).llm.atag("text", FIELDS)', after=50)
    assert cell.error in ("CancelledError", "KeyboardInterrupt")
    assert json.loads(kernel.ask(tag(200) + "; tell(ok=counts(out))")) == {"ok": {"ok": 200}}
    assert len(server.ledger) == 200


def test_a_click_on_stop_ends_a_blocked_cell_where_the_kernel_can_take_it(kernel, server):
    kernel.run(SHOWN)
    subshell = kernel.new_subshell()
    if subshell is None:
        pytest.skip("this kernel has no subshells: the interrupt button stops it")
    sent = kernel.send(tag(1000))
    until(lambda: kernel.listen(0.05) or _has_button(kernel, "Stop"))
    until(lambda: len(server.ledger) >= 50)
    kernel.click("Stop", subshell)
    cell = kernel.finish(sent)
    assert cell.status == "ok"
    assert cell.streams == {}  # no red box: the card says it
    assert "stopped" in cards(cell)[0]["text/plain"]
    assert 50 <= len(server.ledger) < 1000


def _has_button(kernel, description):
    """Whether a button is on the page: it is in a row of buttons."""
    rows = [state.get("children", ()) for state in kernel.widgets.values()]
    shown = {child.removeprefix("IPY_MODEL_") for row in rows for child in row}
    return any(
        comm in shown and state.get("description") == description
        for comm, state in kernel.widgets.items()
    )


# -- in the background -------------------------------------------------------------------------

START = 'run = frame(200).llm.start("text", FIELDS); print("started")'
BUSY = """
before, end = run.report.ok, time.monotonic() + 60
while run.report.ok < before + 50 and time.monotonic() < end:
    sum(range(1000))
tell(rows=run.report.ok - before)
"""


def test_a_background_run_goes_on_while_another_cell_computes(kernel, server):
    kernel.run(SHOWN)
    sent = kernel.send(START)
    started = kernel.finish(sent)
    assert started.printed == "started\n"
    until(lambda: len(server.ledger) >= 20)
    busy = kernel.run(BUSY)
    assert json.loads(busy.printed)["rows"] >= 50  # those in flight before were ten
    last = kernel.run("out = run.result(); tell(ok=counts(out))")
    assert json.loads(last.printed) == {"ok": {"ok": 200}}
    kernel.listen(0.5)
    assert "finished, 200 rows" in cards(started)[0]["text/plain"]
    assert_only_a_card_is_left(kernel)
    for cell in (busy, last):
        assert (cell.outputs, cell.streams.keys()) == ([], {"stdout"})


def test_an_interrupt_of_another_cell_leaves_the_background_run_alone(kernel, server):
    kernel.run(SHOWN)
    assert kernel.run(START).status == "ok"
    sent = kernel.send("time.sleep(30)")
    until(lambda: len(server.ledger) >= 50)
    kernel.interrupt()
    assert kernel.finish(sent).error == "KeyboardInterrupt"
    assert json.loads(kernel.run("tell(ok=counts(run.result()))").printed) == {"ok": {"ok": 200}}


def test_a_blocking_cell_joins_the_background_run_and_shows_it(kernel, server):
    kernel.run(SHOWN)
    kernel.run(START)
    cell = kernel.run(tag(200) + "; tell(same=lf.last_run() is run, ok=counts(out))")
    assert json.loads(cell.printed) == {"same": True, "ok": {"ok": 200}}
    assert "finished, 200 rows" in cards(cell)[0]["text/plain"]
    assert len(server.ledger) == 200


# -- errors ----------------------------------------------------------------------------------

UNREADABLE = """
from unittest import mock
from llmframe.system.files import SYSTEM
open("c.jsonl", "w").close()
mock.patch.object(SYSTEM, "open", side_effect=PermissionError(13, "no")).start()
lf.read_checkpoint("c.jsonl")"""
ERRORS = {
    "PlanError": ("", 'frame(1).llm.tag("text", {"intent": ["refund"]})'),
    "RunAborted": ("quota", 'frame(3).llm.tag("text", FIELDS)'),
    "CheckpointError": ("", UNREADABLE),
    "CallError": ("content_filter", 'frame(1).llm.tag("text", FIELDS, on_error="raise")'),
}


@pytest.mark.parametrize("kind", ERRORS)
def test_an_error_is_shown_once_with_the_persons_line_and_no_frame_of_ours(kernel, server, kind):
    fault, code = ERRORS[kind]
    server.update(faults={fault: 1.0} if fault else {})
    kernel.ask(SILENT)
    cell = kernel.run(code)
    shown = re.sub("\x1b\\[[0-9;]*m", "", cell.traceback)
    assert cell.error == kind
    assert shown.count("Traceback (most recent call last)") == 1
    assert code.splitlines()[-1][:20] in shown
    assert "site-packages" not in shown
    assert not re.search(r"llmframe/\w+(/\w+)*\.py", shown)
