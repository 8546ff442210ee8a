"""The process around a run: clocks, loops, views that break, and an end at any time.

Faults 24, 26 and 31.
"""

from __future__ import annotations

import asyncio
import gc
import io
import itertools
import json
import logging
import sys
import threading
import time
import types

import pandas as pd
import pytest

import llmframe as lf
from llmframe import testing
from llmframe.errors import RowError
from llmframe.runs.run import session_of
from tests.kits import battery as kit
from tests.kits import scripts
from tests.kits.kernels import Kernel
from tests.kits.notebook_screen import own_shell, page_of

pytestmark = pytest.mark.battery
DAY = 86_400.0


@pytest.fixture
def server():
    """A loopback server a hundredth of a second away."""
    with testing.serve(latency=0.01) as running:
        yield running


# -- fault 24: the clock is set ----


@pytest.mark.parametrize("days", [1, -1])
def test_a_clock_that_is_set_by_a_day_moves_no_wait(tmp_path, monkeypatch, days):
    real, shift = time.time, [0.0]
    monkeypatch.setattr(time, "time", lambda: real() + shift[0])
    seen = []
    with testing.serve(
        process=True, latency=0.01, faults={"429_after": 0.05}, retry_after="date:1"
    ) as server:
        run = kit.start(kit.frame(60), server, tmp_path, concurrency=5)
        kit.until(lambda: run.report.ok >= 10)
        shift[0] = days * DAY
        began = time.monotonic()
        while not run.wait(0.02):
            seen.append(session_of(run).snapshot())
            if time.monotonic() - began > 30.0:
                run.stop()
                pytest.fail(f"it waits: {run.report.limited_by}")
        kit.check(run.result(), kit.frame(60), server)
        refused = [call for call in server.ledger.since(began) if call.fault]
    assert refused
    assert all(each.eta is None or each.eta >= 0 for each in seen)
    assert all(0 <= each.seconds < 60 for each in seen)
    assert all(a.seconds <= b.seconds for a, b in itertools.pairwise(seen))


# -- fault 26: whichever loop there is or was ----


def in_a_loop(server, folder):
    async def cell():
        return kit.tag(kit.frame(30), server, folder)

    return asyncio.run(cell())


def awaited(server, folder):
    async def cell():
        settings = kit.settings(server, folder)
        return await lf.atag(kit.frame(30), "text", kit.FIELDS, **settings)

    return asyncio.run(cell())


def after_a_loop(server, folder):
    asyncio.run(asyncio.sleep(0))
    return kit.tag(kit.frame(30), server, folder)


def with_a_closed_loop(server, folder):
    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    loop.close()
    try:
        return kit.tag(kit.frame(30), server, folder)
    finally:
        asyncio.set_event_loop(None)


def with_another_loop_each_time(server, folder):
    outs = []
    for _ in range(2):
        loop = asyncio.new_event_loop()
        settings = kit.settings(server, folder)
        outs.append(loop.run_until_complete(lf.atag(kit.frame(30), "text", kit.FIELDS, **settings)))
        loop.close()
    return outs[-1]


def under_uvloop(server, folder):
    uvloop = pytest.importorskip("uvloop")

    async def cell():
        settings = kit.settings(server, folder)
        blocked = kit.tag(kit.frame(30), server, folder)
        out = await lf.atag(kit.frame(30), "text", kit.FIELDS, **settings)
        kit.assert_same(out, blocked)
        return out

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(cell())


def in_a_thread(server, folder):
    outs = []
    thread = threading.Thread(
        target=lambda: outs.append(kit.tag(kit.frame(30), server, folder, runner="nest"))
    )
    thread.start()
    thread.join(30)
    return outs[0]


@pytest.mark.parametrize(
    "host",
    [in_a_loop, awaited, after_a_loop, with_a_closed_loop, with_another_loop_each_time,
     under_uvloop, in_a_thread],
)  # fmt: skip
def test_every_host_gives_the_same(tmp_path, server, host):
    kit.check(host(server, tmp_path), kit.frame(30), server)
    assert len(server.ledger) == 30


TOP_LEVEL = """
out = await frame(30).llm.atag("text", FIELDS)
again = frame(30).llm.tag("text", FIELDS)
tell(ok=counts(out), same=out.equals(again))
"""


@pytest.mark.kernel
@pytest.mark.parametrize("which", ["7", "6"])
def test_a_kernel_takes_await_and_a_blocking_call_one_after_the_other(tmp_path, server, which):
    with Kernel(which, {"LOOPBACK": server.url}, str(tmp_path)) as kernel:
        kernel.ask(scripts.BEGIN)
        assert json.loads(kernel.ask(TOP_LEVEL)) == {"ok": {"ok": 30}, "same": True}
    assert len(server.ledger) == 30


# -- fault 31: the view breaks, or nobody looks any more ----


class Broken(io.StringIO):
    """A stream whose other end is gone."""

    def isatty(self):
        return True

    def write(self, text):
        raise BrokenPipeError(32, "Broken pipe")


class BrokenHandler(logging.Handler):
    """A log that cannot be written."""

    def emit(self, record):
        raise OSError(28, "No space left on device")


def fail(*_, **__):
    raise ConnectionError("the comm is closed")


@pytest.mark.parametrize("what", ["widget", "page", "page at the end"])
def test_a_panel_that_cannot_be_drawn_harms_no_row(tmp_path, server, monkeypatch, what):
    with own_shell() as shell:
        page = page_of(shell)
        run = kit.start(kit.frame(200), server, tmp_path, progress="widget")
        kit.until(lambda: run.report.ok >= 20)
        if what == "widget":
            monkeypatch.setattr("ipywidgets.Widget._send", fail)
            monkeypatch.setattr("ipywidgets.Widget.send_state", fail)
        elif what == "page":
            shell.display_pub.publish = fail
            kit.tag(kit.frame(200), server, tmp_path, progress="widget")
        out = run.result()
        shell.display_pub.publish = page.publish if what == "widget" else fail
        time.sleep(0.3)  # the card is made in the background
    kit.check(out, kit.frame(200), server)


def test_a_terminal_that_is_gone_harms_no_row(tmp_path, server, monkeypatch):
    monkeypatch.setattr(sys, "stderr", Broken())
    out = kit.tag(kit.frame(100), server, tmp_path, progress="tqdm")
    monkeypatch.undo()
    kit.check(out, kit.frame(100), server)


def test_a_log_that_cannot_be_written_harms_no_row(tmp_path, server):
    handler = BrokenHandler()
    log = logging.getLogger("llmframe")
    log.addHandler(handler)
    try:
        out = kit.tag(kit.frame(100), server, tmp_path, progress="log")
    finally:
        log.removeHandler(handler)
    kit.check(out, kit.frame(100), server)


@pytest.mark.kernel
def test_a_page_that_is_closed_in_mid_run_harms_no_row(tmp_path, server):
    server.update(latency=0.05)
    with Kernel("7", {"LOOPBACK": server.url}, str(tmp_path)) as kernel:
        kernel.ask(scripts.BEGIN.replace("progress=False, ", ""))
        kernel.send('out = frame(200).llm.tag("text", FIELDS)')
        kit.until(lambda: len(server.ledger) >= 30)
        kernel.leave_and_come_back()
        assert json.loads(kernel.ask("tell(ok=counts(out))")) == {"ok": {"ok": 200}}
    assert len(server.ledger) == 200


# -- the end ----

REDACTED = """
def redact(text):
    time.sleep({seconds})
    return text
run = lf.start(frame({rows}), "text", FIELDS, redact=redact)
while run.report.ok < {wanted}:
    time.sleep(0.01)
time.sleep(0.2)
tell(at=time.monotonic())
"""


@pytest.mark.parametrize(("rows", "seconds", "wanted"), [(6000, 0.005, 20), (200, 0.4, 0)])
def test_a_script_that_ends_while_texts_are_redacted_ends_soon(server, rows, seconds, wanted):
    code = REDACTED.format(rows=rows, seconds=seconds, wanted=wanted)
    with scripts.Program(server, code) as program:  # all texts would take half a minute and more
        ended = program.report()["at"]
        assert program.end() == ""
        assert time.monotonic() - ended < 15.0
    assert server.ledger.since(ended + 3.0) == []
    paid = len(server.ledger)
    server.update(latency=0.0)
    df = pd.DataFrame({"text": [f"record {i}" for i in range(rows)][: paid + 200]})
    settings = {"model": "test-model", "base_url": server.url, "progress": False}
    out = lf.tag(df, "text", {"intent": ["refund", "delivery", "other"]}, **settings)
    assert kit.statuses(out) == {"ok": len(df)}
    assert lf.last_run().report.reused == paid


ENGINE = {"Pipeline", "Attempts", "Planner", "Work", "Checkpoint", "Journal", "Task"}


def reached(root):
    """All objects that an object holds, but for modules, classes, functions, and loops.

    A loop holds what others have left on it.
    """
    code = (type, types.ModuleType, types.FunctionType, types.BuiltinFunctionType)
    skipped = (*code, asyncio.AbstractEventLoop)
    seen, left = {}, [root]
    while left:
        each = left.pop()
        if id(each) not in seen and not isinstance(each, skipped):
            seen[id(each)] = each
            left += gc.get_referents(each)
    return list(seen.values())


def test_a_run_that_is_over_holds_its_results_and_no_engine(tmp_path, server):
    run = kit.start(kit.frame(300), server, tmp_path)
    run.wait()

    def holds_no_engine():  # the loop's thread may have a last step to do
        gc.collect()
        return ENGINE.isdisjoint(type(each).__qualname__ for each in reached(run))

    kit.until(holds_no_engine)
    assert kit.statuses(run.partial()) == {"ok": 300}


# -- on_error="raise": stopped at the first row that fails for good ----


def test_where_all_fail_alike_the_first_failure_is_raised_not_counted(tmp_path, server):
    server.update(faults={"schema": 1.0})
    with pytest.raises(RowError) as caught:
        kit.tag(kit.frame(100), server, tmp_path, on_error="raise")
    run, error = caught.value.run, caught.value
    assert error.kind == "output"
    assert error.index == kit.frame(100).index[error.position]
    assert error.index in run.errors.index  # others that were in flight may have failed too
    assert len(server.ledger) <= 60
    assert run.report.pending >= 70
    with pytest.raises(RowError):
        run.result()
    server.update(faults={})
    out = kit.tag(kit.frame(100), server, tmp_path, on_error="raise")
    kit.assert_same(out, kit.uninterrupted(kit.frame(100)))
