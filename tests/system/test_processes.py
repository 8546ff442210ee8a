"""Functions in processes of their own: what comes back, what one dies of, and what is left."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import threading
import types
from pathlib import Path

import psutil
import pytest

from llmframe.errors import PlanError
from llmframe.system.processes import DIED, cores, open_processes, pack
from tests.kits.until import until, until_true

ROOT = Path(__file__).parents[2]


def children():
    """The processes that this one has started and that are there, if only as zombies."""
    return [child.pid for child in psutil.Process().children(recursive=True)]


def call(function, calls):
    """The outcomes of a function, called in processes; none of them is left."""

    async def main():
        async with open_processes({"redact=": pack(function, "redact=")}) as opened:
            return await opened["redact="].map([(each,) for each in calls])

    before = children()
    outcomes = asyncio.run(main())
    assert children() == before
    return outcomes


def test_outcomes_come_in_the_order_of_the_calls():
    assert call(lambda n: n * n, range(100)) == [(n * n, "") for n in range(100)]
    assert call(lambda n: n, []) == []


def test_all_cores_take_part():
    def meet(path):
        """Say who is here, and wait for somebody else."""
        (Path(path) / str(os.getpid())).touch()
        while len([*Path(path).iterdir()]) < 2:
            pass
        return os.getpid()

    if cores() < 2:
        pytest.skip("one core only")
    place = Path("met")
    place.mkdir()
    pids = {pid for pid, _ in call(meet, [str(place)] * 16)}
    assert len(pids) >= 2
    assert os.getpid() not in pids


def test_what_a_notebook_defines_is_copied_with_all_that_it_refers_to():
    main = types.ModuleType("__main__")  # as a cell's names are
    code = "import re\nnames = {'Ann'}\nredact = lambda t: re.sub('|'.join(names), 'X', t)"
    exec(code, main.__dict__)
    assert call(main.redact, ["Ann is here"]) == [("X is here", "")]


@pytest.mark.parametrize(
    "error", [ValueError, SystemExit, KeyboardInterrupt, asyncio.CancelledError, GeneratorExit]
)
def test_an_error_is_named_and_says_nothing_of_the_text(error):
    def fail(text):
        if text == "bad":
            raise error(text)
        return text

    assert call(fail, ["a", "bad", "b"]) == [("a", ""), (None, error.__name__), ("b", "")]


@pytest.mark.parametrize("die", ["exit", "kill"])
def test_a_process_that_dies_costs_only_the_call_that_it_died_of(die):
    def fall(text):
        if text == "bad" and die == "exit":
            os._exit(3)
        if text == "bad":
            os.kill(os.getpid(), signal.SIGKILL)
        return text

    texts = [*map(str, range(20)), "bad", *map(str, range(20, 40))]
    assert call(fall, texts) == [(None, DIED) if text == "bad" else (text, "") for text in texts]


def test_what_cannot_come_back_is_an_error_of_its_call():
    class Odd(str):
        __slots__ = ()

    outcomes = call(lambda text: Odd(text) if text == "a" else threading.Lock(), ["a", "b"])
    assert outcomes == [("a", ""), (None, "TypeError")]
    assert type(outcomes[0][0]) is str


def test_what_the_function_prints_does_not_come_between_the_replies():
    def loud(text):
        print("x" * 10_000)
        os.write(1, b"y" * 10_000)
        return text

    assert call(loud, ["a", "b"]) == [("a", ""), ("b", "")]


def test_a_process_loads_nothing_of_ours():
    def loaded(_):
        return [name for name in ("pandas", "llmframe", "openai") if name in sys.modules]

    assert call(loaded, [0]) == [([], "")]


def test_what_cannot_be_copied_is_said_with_the_cure():
    lock = threading.Lock()
    with pytest.raises(
        PlanError, match=r"copies redact= into other processes.*inside the function"
    ):
        pack(lambda text: text if lock else "", "redact=")


def test_what_another_process_cannot_load_is_said_before_any_call():
    nowhere = types.ModuleType("a_module_of_nowhere")
    exec("def redact(text): return text", nowhere.__dict__)
    sys.modules[nowhere.__name__] = nowhere
    try:
        with pytest.raises(PlanError, match="No module named 'a_module_of_nowhere'"):
            call(nowhere.redact, ["a"])
    finally:
        del sys.modules[nowhere.__name__]


def test_a_cancel_kills_what_is_busy():
    def hang(path):
        Path(path).touch()
        threading.Event().wait()

    async def main():
        async with open_processes({"redact=": pack(hang, "redact=")}) as opened:
            waiting = asyncio.create_task(opened["redact="].map([("begun",)]))
            await until_true(Path("begun").exists)
            waiting.cancel()
            with pytest.raises(asyncio.CancelledError):
                await waiting

    before = children()
    asyncio.run(main())
    until(lambda: children() == before)


def test_a_process_that_answered_just_before_a_cancel_is_ended_too():
    def answer(begun, asked_for):
        Path(begun).touch()
        while not Path(asked_for).exists():
            pass

    def answered():  # while the loop stands still: it has not heard of the answer
        Path("asked for").touch()
        return all(thread.name != "llmframe-call" for thread in threading.enumerate())

    async def main():
        async with open_processes({"redact=": pack(answer, "redact=")}) as opened:
            waiting = asyncio.create_task(opened["redact="].map([("begun", "asked for")]))
            await until_true(Path("begun").exists)
            until(answered)
            waiting.cancel()
            with pytest.raises(asyncio.CancelledError):
                await waiting

    before = children()
    asyncio.run(main())
    assert children() == before


PARENT = """
import asyncio, os, sys, threading
from llmframe.system.processes import open_processes, pack

def hang(_):
    print(os.getpid(), file=sys.stderr, flush=True)
    threading.Event().wait()

async def main():
    async with open_processes({"redact=": pack(hang, "redact=")}) as opened:
        await opened["redact="].map([(0,)])

asyncio.run(main())
"""


def test_a_busy_process_does_not_outlive_a_parent_that_is_killed():
    parent = subprocess.Popen(
        [sys.executable, "-c", PARENT],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stderr=subprocess.PIPE,
        text=True,
    )
    with parent:
        child = psutil.Process(int(parent.stderr.readline()))
        parent.kill()
        until(lambda: not child.is_running() or child.status() == psutil.STATUS_ZOMBIE)


def test_without_cloudpickle_it_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "cloudpickle", None)
    with pytest.raises(PlanError, match=r"pip install cloudpickle"):
        pack(str.upper, "redact=")
