"""Who owns the loop: a tag call works wherever it is made, and an interrupt ends it at once."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import sys
import threading
import time

import openai
import pandas as pd
import pytest

import llmframe as lf
from llmframe.errors import PlanError
from tests.kits import scripts
from tests.kits.scripts import Program, until

FIELDS = {"intent": ["refund", "delivery", "other"]}


def frame(n=20, name="record"):
    return pd.DataFrame({"text": [f"{name} {i}" for i in range(n)]})


def all_ok(out):
    return (out["llm_status"] == "ok").all()


async def asked(server, n):
    """Wait until the server was asked n times, without holding up the loop."""
    await asyncio.to_thread(until, lambda: len(server.ledger) >= n)


@pytest.fixture
def slow(configured):
    """The configured server, a tenth of a second away."""
    configured.update(latency=0.1)
    lf.configure(concurrency=10)
    return configured


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
        ticks = 0
        tag = asyncio.create_task(frame(50).llm.atag("text", FIELDS))
        while not tag.done():
            await asyncio.sleep(0.01)
            ticks += 1
        return tag.result(), ticks

    out, ticks = asyncio.run(cell())
    assert all_ok(out)
    assert ticks > 20


def test_a_cancelled_atag_keeps_what_comes_back_within_its_second_of_grace(slow):
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


def test_atag_inside_wait_for_ends_soon_after_the_time_is_over(configured):
    configured.update(fault_rows={"record": "hang"})

    async def cell():
        loop = asyncio.get_running_loop()
        began = loop.time()
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(frame().llm.atag("text", FIELDS), 0.3)
        return loop.time() - began

    assert 1.2 < asyncio.run(cell()) < 2.0
    assert lf.last_run().status == "stopped"


def test_a_second_cancel_ends_the_grace(configured):
    configured.update(fault_rows={"record": "hang"})

    async def cell():
        tag = asyncio.create_task(frame().llm.atag("text", FIELDS))
        await asked(configured, 1)
        began = asyncio.get_running_loop().time()
        tag.cancel()
        await asyncio.sleep(0.05)
        tag.cancel()
        with pytest.raises(asyncio.CancelledError):
            await tag
        return asyncio.get_running_loop().time() - began, asyncio.all_tasks()

    seconds, left = asyncio.run(cell())
    assert seconds < 0.8
    assert len(left) == 1
    assert lf.last_run().status == "stopped"


def test_stop_ends_an_atag_with_pending_rows_and_one_warning(slow):
    async def cell():
        tag = asyncio.create_task(frame(100).llm.atag("text", FIELDS))
        await asked(slow, 30)
        lf.last_run().stop()
        return await tag

    with pytest.warns(lf.errors.IncompleteWarning, match="rows are pending") as told:
        out = asyncio.run(cell())
    assert len(told) == 1
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
    told = scripts.run(slow, NEST + "asyncio.run(cell())")
    assert (told["ok"], told["again"]) == ({"ok": 50}, {"ok": 60})
    assert told["ticks"] > 20
    assert told["warnings"] == []
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
    told = scripts.run(slow, NEST + how)
    assert (told["ok"], told["again"]) == ({"ok": 50}, {"ok": 60})
    assert [reason in said for said in told["warnings"]] == [True, True]
    assert told["files"] == ["<string>"]  # it points at the person's own line


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
    told = scripts.run(slow, code)
    assert "http_client of its own" in told["refused"]
    assert told["ok"] == {"ok": 5}


# -- interrupts: a real SIGINT to a real process ----------------------------------------------

INTERRUPTED = """
def custom(signum, frame):
    tell(custom=True)
{before}
handler = signal.getsignal(signal.SIGINT)
try:
    {call}
except KeyboardInterrupt:
    now = time.monotonic()
    run = lf.last_run()
    restored = signal.getsignal(signal.SIGINT) is handler
    tell(at=now, restored=restored, status=run.status, partial=counts(run.partial()))
    {after}
else:
    tell(at=time.monotonic(), restored=False, status="not interrupted", partial={{}})
"""
BLOCKED = 'frame(200).llm.tag("text", FIELDS, runner="{}")'
IN_LOOP = """async def main():
        {}
    asyncio.run(main())"""
AGAIN = 'tell(again=counts(frame(200).llm.tag("text", FIELDS)), reused=lf.last_run().report.reused)'


def interrupted(server, call, *, before="", after=AGAIN, times=1):
    """Interrupt a program amidst its requests; what it told, and when it was interrupted."""
    with Program(server, INTERRUPTED.format(call=call, before=before, after=after)) as program:
        until(lambda: len(server.ledger) >= 30)
        at = program.interrupt()
        for _ in range(times - 1):
            program.interrupt()
        told = program.told()
        late = [call for call in server.ledger.since(at + 1.0) if call.at < told["at"]]
        again = program.told() if after else {}
        assert program.end() == ""
    assert late == []
    assert told["restored"]
    assert told["at"] - at <= 2.0
    return told, again


@pytest.mark.parametrize("runner", ["thread", "nest"])
@pytest.mark.parametrize("shape", ["{}", IN_LOOP], ids=["script", "loop"])
def test_an_interrupt_ends_the_call_keeps_what_is_done_and_sends_nothing_more(slow, runner, shape):
    told, again = interrupted(slow, shape.format(BLOCKED.format(runner)))
    assert told["status"] in ("stopping", "stopped")
    assert 20 <= told["partial"]["ok"] < 200
    assert told["partial"]["ok"] + told["partial"]["pending"] == 200
    assert again["again"] == {"ok": 200}
    assert again["reused"] >= told["partial"]["ok"]
    assert len(slow.ledger) == 200
    assert slow.ledger.billed_twice() == []


def test_an_interrupted_atag_is_a_keyboard_interrupt_of_asyncio_run(slow):
    call = """async def main():
        await frame(200).llm.atag("text", FIELDS)
    asyncio.run(main())"""
    told, again = interrupted(slow, call)
    assert told["status"] == "stopped"
    assert again["again"] == {"ok": 200}
    assert len(slow.ledger) == 200


def test_requests_that_hang_do_not_hold_up_an_interrupt(slow):
    slow.update(fault_rows={"record": "hang"})
    with Program(slow, INTERRUPTED.format(call=BLOCKED.format("thread"), before="", after="")) as p:
        until(lambda: len(slow.ledger) >= 10)
        at = p.interrupt()
        told = p.told()["at"]
        assert told - at <= 2.0
        assert p.end() == ""  # at the exit they are given up
        assert time.monotonic() - told < 4.0


def test_a_second_interrupt_ends_the_waiting_at_once(slow):
    slow.update(fault_rows={"record": "hang"})
    with Program(slow, INTERRUPTED.format(call=BLOCKED.format("thread"), before="", after="")) as p:
        until(lambda: len(slow.ledger) >= 10)
        p.interrupt()
        with contextlib.suppress(AssertionError):  # two at once would count as one
            until(lambda: False, 0.3)
        at = p.interrupt()
        told = p.told()
        assert told["at"] - at <= 0.5
        assert told["restored"]
        assert p.end() == ""


def test_a_handler_of_the_persons_own_is_restored_and_not_called(slow):
    before = "signal.signal(signal.SIGINT, custom)"
    told, again = interrupted(slow, BLOCKED.format("thread"), before=before)
    assert "custom" not in told
    assert again["again"] == {"ok": 200}


def test_where_interrupts_are_ignored_they_stay_ignored(slow):
    code = """
signal.signal(signal.SIGINT, signal.SIG_IGN)
tell(ok=counts(frame(100).llm.tag("text", FIELDS)))
"""
    with Program(slow, code) as program:
        until(lambda: len(slow.ledger) >= 30)
        program.interrupt()
        assert program.told() == {"ok": {"ok": 100}}
        assert program.end() == ""


def test_an_interrupt_while_the_call_is_still_planned_sends_nothing(configured):
    code = """
import openai
handler = signal.getsignal(signal.SIGINT)
def client():
    os.kill(os.getpid(), signal.SIGINT)
    time.sleep(0.3)
    return openai.AsyncOpenAI(api_key="k", base_url=os.environ["LOOPBACK"])
try:
    frame(20).llm.tag("text", FIELDS, client=client)
except KeyboardInterrupt:
    tell(restored=signal.getsignal(signal.SIGINT) is handler)
"""
    assert scripts.run(configured, code) == {"restored": True}
    assert len(configured.ledger) == 0


def test_an_interrupt_while_the_checkpoint_is_opened_leaves_it_to_the_next_call(configured):
    code = """
from llmframe.calls import plan as planning
opened = planning.open_checkpoint
def interrupted(*args, **options):
    os.kill(os.getpid(), signal.SIGINT)
    return opened(*args, **options)
planning.open_checkpoint = interrupted
try:
    frame(20).llm.tag("text", FIELDS, checkpoint="mine.jsonl")
except KeyboardInterrupt:
    planning.open_checkpoint = opened
frame(5).llm.tag("text", FIELDS, checkpoint="mine.jsonl")
tell(kept=len(lf.read_checkpoint("mine.jsonl")))
"""
    assert scripts.run(configured, code) == {"kept": 5}
    assert len(configured.ledger) == 5


def test_the_handler_is_restored_after_a_call_that_was_not_interrupted(configured):
    before = signal.getsignal(signal.SIGINT)
    frame().llm.tag("text", FIELDS)
    assert signal.getsignal(signal.SIGINT) is before


# -- the process's end, and forks ---------------------------------------------------------------


def test_a_script_that_ends_while_a_run_goes_on_keeps_what_comes_back(slow):
    code = """
run = lf.start(frame(200), "text", FIELDS)
while run.report.ok < 30:
    time.sleep(0.01)
tell(at=time.monotonic())
"""
    with Program(slow, code) as program:
        ended = program.told()["at"]
        assert program.end() == ""
        assert time.monotonic() - ended < 4.0  # two seconds, and the interpreter's own end
    assert slow.ledger.since(ended + 1.0) == []
    paid = len(slow.ledger)
    assert 30 <= paid < 200
    assert all_ok(frame(200).llm.tag("text", FIELDS))
    assert lf.last_run().report.reused == paid
    assert len(slow.ledger) == 200


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="there is no fork on Windows")
@pytest.mark.parametrize("alive", [True, False], ids=["while a run goes on", "after a run"])
def test_a_forked_child_can_run_its_own(slow, alive):
    code = f"""
run = lf.start(frame(100), "text", FIELDS)
while run.report.ok < {20 if alive else 100}:
    time.sleep(0.01)
{"" if alive else "run.wait()"}
child = os.fork()
if child == 0:
    warnings.simplefilter("ignore")  # that the parent writes the checkpoint
    out = frame(20, "child").llm.tag("text", FIELDS)
    same = frame(20, "record").llm.tag("text", FIELDS)
    os._exit(0 if counts(out) == counts(same) == {{"ok": 20}} else 1)
status = os.waitpid(child, 0)[1]
tell(status=status, ok=counts(run.result()))
"""
    told = scripts.run(slow, code)
    assert told == {"status": 0, "ok": {"ok": 100}}
