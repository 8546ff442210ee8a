"""A time limit of the person's own, told by a signal: it leaves the call and stops the run."""

from __future__ import annotations

import signal

import pytest

from tests.kits import scripts

pytestmark = pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="Windows has no alarm")

AMIDST = """
def amidst(strike):
    def wait():
        while lf.last_run().report.ok < 30:
            time.sleep(0.005)
        strike()
    threading.Thread(target=wait, daemon=True).start()
"""
LIMITED = """
class Limit({base}):
    pass

def over(number, frame):
    raise {raised}

frame(1, "warm").llm.tag("text", FIELDS, checkpoint=False)
signal.signal(signal.{name}, over)
run = None
try:
    {begin}
    {arm}
    {call}
except {raised} as exc:
    at = time.monotonic()
    run = run or lf.last_run()
    restored = signal.getsignal(signal.{name}) is over
    tell(raised=type(exc).__name__, status=run.status, ok=run.report.ok, restored=restored)
    {after}
else:
    tell(raised=None)
"""
AGAIN = """signal.setitimer(signal.ITIMER_REAL, 0)
    run.wait(5)
    tell(again=counts(frame(200).llm.tag("text", FIELDS)))"""
TAG = 'frame(200).llm.tag("text", FIELDS, runner="{}")'
SOON = "signal.setitimer(signal.ITIMER_REAL, {})"
ALARM = f"amidst(lambda: {SOON.format(0.01)})"
KILL = "amidst(lambda: os.kill(os.getpid(), signal.SIGTERM))"

LIMITS = {  # the class that it raises, the signal, and how it comes
    "SIGALRM with TimeoutError": ("Exception", "TimeoutError", "SIGALRM", ALARM),
    "Celery's soft limit": ("Exception", "Limit", "SIGALRM", ALARM),
    "a subclass of TimeoutError": ("TimeoutError", "Limit", "SIGALRM", ALARM),
    "Airflow's and pytest-timeout's": ("BaseException", "Limit", "SIGALRM", ALARM),
    "SIGTERM with SystemExit": ("Exception", "SystemExit", "SIGTERM", KILL),
}  # fmt: skip


def limited(server, limit, call, *, begin="pass", after=AGAIN):
    base, raised, name, arm = limit
    code = LIMITED.format(
        base=base, raised=raised, name=name, arm=arm, call=call, begin=begin, after=after
    )
    with scripts.Program(server, AMIDST + code) as program:
        found = program.report()
        again = program.report() if after else {}
        assert program.end() == ""
    return found, again, raised


@pytest.mark.parametrize("runner", ["thread", "nest"])
@pytest.mark.parametrize("limit", LIMITS.values(), ids=LIMITS)
def test_a_time_limit_leaves_the_call_stops_the_run_and_keeps_what_is_paid(slow, runner, limit):
    found, again, raised = limited(slow, limit, TAG.format(runner))
    assert found["raised"] == raised
    assert found["status"] in ("stopping", "stopped")
    assert found["restored"]
    assert 0 < found["ok"] < 200
    assert again["again"] == {"ok": 200}
    assert len(slow.ledger) == 201
    assert slow.ledger.billed_twice() == []


@pytest.mark.parametrize("call", ["run.wait()", "run.result()", "run.wait(30)"])
def test_a_time_limit_ends_the_waiting_for_a_run_and_not_the_run(slow, call):
    begin = 'run = frame(200).llm.start("text", FIELDS)'
    after = "tell(ended=run.wait(30), ok=run.report.ok)"
    found, end, _ = limited(
        slow, LIMITS["SIGALRM with TimeoutError"], call, begin=begin, after=after
    )
    assert found["raised"] == "TimeoutError"
    assert found["status"] == "running"
    assert end == {"ended": True, "ok": 200}


def test_a_time_limit_while_the_call_is_planned_sends_nothing(slow):
    call = (
        """pd.DataFrame({"text": ["x"]}).llm.tag("text", FIELDS, client=lambda: time.sleep(30))"""
    )
    limit = "Exception", "Limit", "SIGALRM", SOON.format(0.5)
    found, *_ = limited(slow, limit, call, after="")
    assert found["raised"] == "Limit"
    assert len(slow.ledger) == 1  # the warm one


def test_a_handler_that_does_not_raise_is_called_and_the_run_goes_on(slow):
    code = """
seen = []
signal.signal(signal.SIGALRM, lambda *args: seen.append(args[0]))
signal.setitimer(signal.ITIMER_REAL, 0.1, 0.1)
out = frame(60).llm.tag("text", FIELDS)
signal.setitimer(signal.ITIMER_REAL, 0)
tell(ok=counts(out), seen=len(seen) > 1)
"""
    assert scripts.run(slow, code) == {"ok": {"ok": 60}, "seen": True}


def test_a_handler_that_another_one_sets_meanwhile_stays(slow):
    code = """
def later(*_):
    pass
signal.signal(signal.SIGALRM, lambda *_: signal.signal(signal.SIGALRM, later))
signal.setitimer(signal.ITIMER_REAL, 0.3)
frame(60).llm.tag("text", FIELDS)
tell(stays=signal.getsignal(signal.SIGALRM) is later)
"""
    assert scripts.run(slow, code) == {"stays": True}


def test_an_exception_that_is_thrown_into_the_waiting_thread_stops_the_run(slow):
    code = """
import ctypes
class Limit(Exception):
    pass
def throw():
    ctypes.pythonapi.PyThreadState_SetAsyncExc(
        ctypes.c_ulong(threading.main_thread().ident), ctypes.py_object(Limit)
    )
frame(1, "warm").llm.tag("text", FIELDS)
try:
    amidst(throw)
    frame(300).llm.tag("text", FIELDS)
except Limit:
    run = lf.last_run()
    tell(ended=run.wait(10), status=run.status)
"""
    assert scripts.run(slow, AMIDST + code) == {"ended": True, "status": "stopped"}
