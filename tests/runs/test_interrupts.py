"""An interrupt ends a call at once; the end of the process and a fork lose nothing."""

from __future__ import annotations

import signal
import time

import pandas as pd
import pytest

import llmframe as lf
from llmframe.runs.cell import DRAIN
from llmframe.runs.thread import EXIT_CLOSE, EXIT_DRAIN, POLL
from tests.kits import scripts
from tests.kits.scripts import Program, until

FIELDS = {"intent": ["refund", "delivery", "other"]}


def frame(n=20):
    return pd.DataFrame({"text": [f"record {i}" for i in range(n)]})


def all_ok(out):
    return (out["llm_status"] == "ok").all()


# -- interrupts: a real SIGINT to a real process ----------------------------------------------

BUSY = 10.0  # seconds more that a busy machine may take; who waits for a request that hangs, 60


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
    """Interrupt a program amidst its requests; what it reported, and when it was interrupted."""
    with Program(server, INTERRUPTED.format(call=call, before=before, after=after)) as program:
        until(lambda: len(server.ledger) >= 30)
        at = program.interrupt()
        for _ in range(times - 1):
            program.interrupt()
        reported = program.report()
        late = [call for call in server.ledger.since(at) if call.at < reported["at"]]
        again = program.report() if after else {}
        assert program.end() == ""
    assert len(late) <= 30  # ten on their way and those that they let in; ten more each 0.1 s
    assert reported["restored"]
    assert reported["at"] - at <= DRAIN + BUSY
    return reported, again


@pytest.mark.parametrize("runner", ["thread", "nest"])
@pytest.mark.parametrize("shape", ["{}", IN_LOOP], ids=["script", "loop"])
def test_an_interrupt_ends_the_call_keeps_what_is_done_and_sends_nothing_more(slow, runner, shape):
    reported, again = interrupted(slow, shape.format(BLOCKED.format(runner)))
    assert reported["status"] in ("stopping", "stopped")
    assert 20 <= reported["partial"]["ok"] < 200
    assert reported["partial"]["ok"] + reported["partial"]["pending"] == 200
    assert again["again"] == {"ok": 200}
    assert again["reused"] >= reported["partial"]["ok"]
    assert len(slow.ledger) == 200
    assert slow.ledger.billed_twice() == []


def test_an_interrupted_atag_is_a_keyboard_interrupt_of_asyncio_run(slow):
    call = """async def main():
        await frame(200).llm.atag("text", FIELDS)
    asyncio.run(main())"""
    reported, again = interrupted(slow, call)
    assert reported["status"] == "stopped"
    assert again["again"] == {"ok": 200}
    assert len(slow.ledger) == 200


def test_two_seconds_are_promised_for_the_call_and_four_for_the_end_of_the_process():
    assert DRAIN + POLL < 2.0
    assert EXIT_DRAIN + EXIT_CLOSE < 4.0


def test_requests_that_hang_do_not_hold_up_an_interrupt(slow):
    slow.update(fault_rows={"record": "hang"})
    with Program(slow, INTERRUPTED.format(call=BLOCKED.format("thread"), before="", after="")) as p:
        until(lambda: len(slow.ledger) >= 10)
        at = p.interrupt()
        reported = p.report()["at"]
        assert reported - at <= DRAIN + BUSY
        assert p.end() == ""  # at the exit they are given up
        assert time.monotonic() - reported < EXIT_DRAIN + EXIT_CLOSE + BUSY


HEARD = """
from llmframe.runs import cell
cell.DRAIN = 60.0
frame(1, "warm").llm.tag("text", FIELDS)

def hear():
    while lf.last_run().status != "stopping":
        time.sleep(0.01)
    tell(heard=True)

threading.Thread(target=hear).start()
"""


def test_a_second_interrupt_ends_the_waiting_at_once(slow):
    slow.update(fault_rows={"record": "hang"})
    code = INTERRUPTED.format(call=BLOCKED.format("thread"), before=HEARD, after="")
    with Program(slow, code) as p:
        until(lambda: len(slow.ledger) > 10)
        p.interrupt()
        assert p.report() == {"heard": True}  # two at once would count as one
        at = p.interrupt()
        reported = p.report()
        assert reported["at"] - at <= BUSY
        assert reported["restored"]
        assert p.end() == ""


def test_a_handler_of_the_persons_own_is_restored_and_not_called(slow):
    before = "signal.signal(signal.SIGINT, custom)"
    reported, again = interrupted(slow, BLOCKED.format("thread"), before=before)
    assert "custom" not in reported
    assert again["again"] == {"ok": 200}


def test_where_interrupts_are_ignored_they_stay_ignored(slow):
    code = """
signal.signal(signal.SIGINT, signal.SIG_IGN)
tell(ok=counts(frame(100).llm.tag("text", FIELDS)))
"""
    with Program(slow, code) as program:
        until(lambda: len(slow.ledger) >= 30)
        program.interrupt()
        assert program.report() == {"ok": {"ok": 100}}
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
from llmframe.calls import opening
opened = opening.open_checkpoint
def interrupted(*args, **options):
    os.kill(os.getpid(), signal.SIGINT)
    return opened(*args, **options)
opening.open_checkpoint = interrupted
try:
    frame(20).llm.tag("text", FIELDS, checkpoint="mine.jsonl")
except KeyboardInterrupt:
    opening.open_checkpoint = opened
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
        ended = program.report()["at"]
        assert program.end() == ""
        assert time.monotonic() - ended < EXIT_DRAIN + EXIT_CLOSE + BUSY
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
    reported = scripts.run(slow, code)
    assert reported == {"status": 0, "ok": {"ok": 100}}
