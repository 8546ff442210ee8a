"""A tag call works wherever it is made: on our loop, the caller's, or the notebook's re-entered."""

from __future__ import annotations

import asyncio
import itertools
import sys
import threading

import openai
import pandas as pd
import pytest

import llmframe as lf
from llmframe.errors import PlanError
from llmframe.runs import here
from tests.kits import scripts
from tests.kits.until import turns, until, until_true

FIELDS = {"intent": ["refund", "delivery", "other"]}


def frame(n=20, name="record"):
    return pd.DataFrame({"text": [f"{name} {i}" for i in range(n)]})


def all_ok(out):
    return (out["llm_status"] == "ok").all()


async def asked(server, n):
    """Wait until the server was asked n times, without holding up the loop."""
    await asyncio.to_thread(until, lambda: len(server.ledger) >= n)


# -- where a blocking call is made ------------------------------------------------------


def test_a_tag_call_works_in_a_plain_script_twice_in_a_row(configured):
    assert all_ok(frame().llm.tag("text", FIELDS))
    assert all_ok(frame(30).llm.tag("text", FIELDS))
    assert len(configured.ledger) == 30


def test_a_tag_call_works_inside_a_running_loop_and_between_two_others(configured):
    async def cell(name):
        return frame(name=name).llm.tag("text", FIELDS)

    assert all_ok(asyncio.run(cell("first")))
    assert all_ok(frame(name="second").llm.tag("text", FIELDS))
    assert all_ok(asyncio.run(cell("third")))


def test_a_tag_call_works_in_a_worker_thread(configured):
    async def cell():
        return await asyncio.to_thread(frame().llm.tag, "text", FIELDS)

    assert all_ok(asyncio.run(cell()))


@pytest.mark.skipif(sys.platform == "win32", reason="uvloop is not made for Windows")
def test_a_tag_call_works_under_uvloop(configured):
    import uvloop

    async def cell():
        blocked = frame().llm.tag("text", FIELDS)
        awaited = await frame(30).llm.atag("text", FIELDS)
        return all_ok(blocked) and all_ok(awaited)

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        assert runner.run(cell())


def test_two_threads_tag_at_the_same_time_and_buy_nothing_twice(slow):
    outs = []
    threads = [
        threading.Thread(target=lambda n=n: outs.append(frame(n).llm.tag("text", FIELDS)))
        for n in (40, 50)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert all(map(all_ok, outs))
    assert sorted(map(len, outs)) == [40, 50]
    assert len(slow.ledger) == 50


def test_a_call_on_llmframes_own_loop_is_refused(configured):
    def factory():
        frame(5, "inner").llm.tag("text", FIELDS)
        return openai.AsyncOpenAI(api_key="k", base_url=configured.url)

    with pytest.raises(PlanError, match="own loop"):
        frame().llm.tag("text", FIELDS, client=factory)
    assert len(configured.ledger) == 0


def test_a_blocking_call_that_would_hold_up_a_run_of_its_loop_is_refused(slow):
    async def cell():
        first = asyncio.create_task(frame(50).llm.atag("text", FIELDS))
        await asked(slow, 1)
        with pytest.raises(PlanError, match="hold it up"):
            frame(50).llm.tag("text", FIELDS)
        with pytest.raises(PlanError, match="await run"):
            lf.last_run().result()
        return await first

    assert all_ok(asyncio.run(cell()))


# -- atag ---------------------------------------------------------------------------------


def test_atag_runs_beside_other_tasks_of_its_loop(slow):
    async def cell():
        tag = asyncio.create_task(frame(50).llm.atag("text", FIELDS))
        ticks = itertools.count()
        await until_true(lambda: next(ticks) and tag.done())
        return tag.result(), next(ticks)

    out, ticks = asyncio.run(cell())
    assert all_ok(out)
    assert ticks > 3  # once while each of its five rounds is on its way, at least


def test_a_cancelled_atag_keeps_what_comes_back_within_its_grace(slow, monkeypatch):
    monkeypatch.setattr(here, "GRACE", 60.0)  # however busy the machine is, all come back in it

    async def cell():
        tag = asyncio.create_task(frame(100).llm.atag("text", FIELDS))
        await asked(slow, 30)
        tag.cancel()
        with pytest.raises(asyncio.CancelledError):
            await tag

    asyncio.run(cell())
    paid = len(slow.ledger)
    run = lf.last_run()
    assert run.status == "stopped"
    assert run.report.ok == paid == sum(call.billed for call in slow.ledger.calls) < 100
    assert all_ok(frame(100).llm.tag("text", FIELDS))
    assert len(slow.ledger) == 100


def test_atag_inside_wait_for_ends_a_second_after_the_time_is_over(configured):
    assert here.GRACE == 1.0
    configured.update(fault_rows={"record": "hang"})

    async def cell():
        loop = asyncio.get_running_loop()
        began = loop.time()
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(frame().llm.atag("text", FIELDS), 0.3)
        return loop.time() - began

    assert 0.3 + 0.9 < asyncio.run(cell()) < 15  # and not the 60 s of a request that hangs
    assert lf.last_run().status == "stopped"


def test_a_second_cancel_ends_the_grace(configured, monkeypatch):
    monkeypatch.setattr(here, "GRACE", 60.0)
    configured.update(fault_rows={"record": "hang"})

    async def cell():
        tag = asyncio.create_task(frame().llm.atag("text", FIELDS))
        await asked(configured, 1)
        began = asyncio.get_running_loop().time()
        tag.cancel()
        await turns()
        tag.cancel()
        with pytest.raises(asyncio.CancelledError):
            await tag
        return asyncio.get_running_loop().time() - began, asyncio.all_tasks()

    seconds, left = asyncio.run(cell())
    assert seconds < 15
    assert len(left) == 1
    assert lf.last_run().status == "stopped"


def test_stop_ends_an_atag_with_pending_rows_and_one_warning(slow):
    async def cell():
        tag = asyncio.create_task(frame(100).llm.atag("text", FIELDS))
        await asked(slow, 30)
        lf.last_run().stop()
        return await tag

    with pytest.warns(lf.errors.IncompleteWarning, match="rows are pending") as caught:
        out = asyncio.run(cell())
    assert len(caught) == 1
    assert 0 < (out["llm_status"] == "pending").sum() < 100


# -- nest: in a process of its own, because nest-asyncio patches it ---------------------------

NEST = """
async def sibling(ticks):
    while True:
        await asyncio.sleep(0.01)
        ticks.append(1)

async def cell():
    ticks = []
    other = asyncio.create_task(sibling(ticks))
    await asyncio.sleep(0)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", RuntimeWarning)
        out = frame(50).llm.tag("text", FIELDS, runner="nest")
        before = len(ticks)
        again = frame(60).llm.tag("text", FIELDS, runner="nest")
    other.cancel()
    said = [str(w.message) for w in caught if w.category is RuntimeWarning]
    files = {w.filename for w in caught if w.category is RuntimeWarning}
    tell(ok=counts(out), again=counts(again), ticks=before, warnings=said, files=list(files))
"""


def test_nest_lets_the_other_tasks_of_the_loop_go_on(slow):
    reported = scripts.run(slow, NEST + "asyncio.run(cell())")
    assert (reported["ok"], reported["again"]) == ({"ok": 50}, {"ok": 60})
    assert reported["ticks"] > 3  # 50 rows, ten at once: five rounds of 0.1 s
    assert reported["warnings"] == []
    assert len(slow.ledger) == 60


def test_nest_needs_no_running_loop(slow):
    code = 'tell(ok=counts(frame(5).llm.tag("text", FIELDS, runner="nest")))'
    assert scripts.run(slow, code + NEST + "asyncio.run(cell())")["ok"] == {"ok": 5}


@pytest.mark.parametrize(
    ("how", "reason"),
    [
        pytest.param(
            "import uvloop; asyncio.Runner(loop_factory=uvloop.new_event_loop).run(cell())",
            "uvloop",
            marks=pytest.mark.skipif(sys.platform == "win32", reason="no uvloop there"),
        ),
        ("t = threading.Thread(target=asyncio.run, args=(cell(),)); t.start(); t.join()", "thread"),
        (
            "import types; sys.modules['nest_asyncio2'] = None; "
            "sys.modules['ipykernel'] = types.SimpleNamespace(__version__='7.4.0'); "
            "asyncio.run(cell())",
            "ipykernel 7",
        ),
    ],
)
def test_where_nest_is_unsound_the_thread_is_used_and_each_call_says_so(slow, how, reason):
    reported = scripts.run(slow, NEST + how)
    assert (reported["ok"], reported["again"]) == ({"ok": 50}, {"ok": 60})
    assert [reason in said for said in reported["warnings"]] == [True, True]
    assert reported["files"] == ["<string>"]  # it points at the person's own line


def test_nest_uses_a_client_of_the_loop_as_it_is(slow):
    code = """
import httpx2, openai
async def cell():
    client = openai.AsyncOpenAI(
        api_key="k", base_url=os.environ["LOOPBACK"], http_client=httpx2.AsyncClient())
    await client.models.list()
    try:
        frame(5).llm.tag("text", FIELDS, client=client)
    except lf.errors.PlanError as error:
        refused = str(error)
    out = frame(5).llm.tag("text", FIELDS, client=client, runner="nest")
    await client.models.list()
    await client.close()
    tell(refused=refused, ok=counts(out))
asyncio.run(cell())
"""
    reported = scripts.run(slow, code)
    assert "http_client of its own" in reported["refused"]
    assert reported["ok"] == {"ok": 5}
