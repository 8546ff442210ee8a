"""Fault 25: KeyboardInterrupt at any moment. What came back is kept, and the next call works."""

from __future__ import annotations

import asyncio
import collections.abc
import contextlib
import itertools

import pytest

import llmframe as lf
from llmframe.engine.rows.claims import in_flight
from llmframe.journal import shared
from llmframe.runs import thread as runner
from tests.benchmarks import interrupts
from tests.kits import battery as kit
from tests.kits.left_loops import leaves_a_loop
from tests.kits.soak import times

pytestmark = pytest.mark.battery
CONCURRENCY = 4
ROWS = 10


@pytest.fixture(autouse=True)
def nothing_left_standing(left_loops):
    """Loops that were left standing hold their runs: other tests begin as in a new process."""
    yield
    # private: only a new process would free them, and that takes a second for each of many tests
    for store in tuple(shared._stores.values()):
        store.close()
    shared._stores.clear()
    runner._after_fork()


class Steps:
    """Counts the steps of all tasks; raises KeyboardInterrupt at one of them."""

    def __init__(self, at: int) -> None:
        self.taken = itertools.count()
        self.at = at
        self.reached = False

    def interrupts(self) -> bool:
        self.reached = self.reached or next(self.taken) == self.at
        return self.reached and not hasattr(self, "raised")


class Stepper(collections.abc.Coroutine):
    """A coroutine into which an interrupt is raised where it waits."""

    def __init__(self, steps: Steps, inner) -> None:
        self.steps, self.inner = steps, inner

    def send(self, value):
        if self.steps.interrupts():
            self.steps.raised = True
            return self.inner.throw(KeyboardInterrupt())
        return self.inner.send(value)

    def throw(self, *error):
        return self.inner.throw(*error)

    def close(self):
        return self.inner.close()

    def __await__(self):
        return self.inner.__await__()


def interruptible_loop(steps: Steps) -> asyncio.AbstractEventLoop:
    """A loop of which one step of one task, whichever, is interrupted."""
    loop = asyncio.new_event_loop()
    loop.set_task_factory(
        lambda loop, inner, **more: asyncio.Task(Stepper(steps, inner), loop=loop, **more)
    )
    return loop


def tag(server, folder):
    return lf.atag(
        kit.frame(ROWS), "text", kit.FIELDS, **kit.settings(server, folder, concurrency=CONCURRENCY)
    )


def close_at_once(loop):
    """Close it as a careless program does: no task is cancelled."""
    for task in asyncio.all_tasks(loop):
        task._log_destroy_pending = False
    loop.close()


def cancel_and_close(loop):
    """What asyncio.run does."""
    tasks = asyncio.all_tasks(loop)

    async def give_up():
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    with contextlib.suppress(KeyboardInterrupt):  # raised again by who waited for the task
        loop.run_until_complete(give_up())
        loop.run_until_complete(loop.shutdown_asyncgens())
        loop.run_until_complete(loop.shutdown_default_executor())
    close_at_once(loop)


def leave_standing(loop):
    """What a terminal does: the loop is kept for the next line."""


@pytest.fixture(scope="module")
def moments(tmp_path_factory):
    """How many steps an uninterrupted run takes, about."""
    steps = Steps(-1)
    with lf.testing.serve(latency=0.002) as server:
        loop = interruptible_loop(steps)
        loop.run_until_complete(tag(server, tmp_path_factory.mktemp("count")))
        cancel_and_close(loop)
    return next(steps.taken)


def interrupt_at(at, folder, after, wanted):
    """Interrupt at one await, do as the program does, call again; whether it came so far."""
    folder.mkdir()
    steps = Steps(at)
    with lf.testing.serve(latency=0.002) as server:
        loop = interruptible_loop(steps)
        with contextlib.suppress(KeyboardInterrupt):
            loop.run_until_complete(tag(server, folder))
        sent = len(server.ledger)
        after(loop)
        assert len(server.ledger) <= sent + CONCURRENCY, at
        out = kit.tag(kit.frame(ROWS), server, folder, concurrency=CONCURRENCY)
        assert kit.paid_twice(server.ledger) <= CONCURRENCY, at
        kit.assert_same(out, wanted)
    if not loop.is_closed():
        close_at_once(loop)
    assert in_flight.count == 0, at
    return steps.reached


def interrupt_all(tmp_path, moments, after, stride):
    wanted = kit.uninterrupted(kit.frame(ROWS))
    points = range(0, moments, stride)
    tried = sum(interrupt_at(at, tmp_path / str(at), after, wanted) for at in points)
    print(f"\n{tried} interrupts, each at another await, then {after.__name__}: lost 0")
    assert tried > moments / stride / 2


THEN = [(cancel_and_close, 1), (close_at_once, 5), (leave_standing, 12)]


@leaves_a_loop
@pytest.mark.parametrize(("after", "stride"), THEN)
def test_an_interrupt_at_an_await_loses_nothing_and_the_next_call_works(
    tmp_path, moments, after, stride
):
    interrupt_all(tmp_path, moments, after, stride)


@leaves_a_loop
@pytest.mark.soak
@pytest.mark.parametrize("after", [close_at_once, leave_standing])
def test_an_interrupt_at_every_await_loses_nothing(tmp_path, moments, after):
    interrupt_all(tmp_path, moments, after, moments // times(moments, least=moments // 4))


@pytest.mark.kernel
@pytest.mark.parametrize("which", ["7", "6"])
def test_interrupts_at_random_moments_of_a_kernel_are_clean(which):
    figures = interrupts.measure(which, "thread", times=3)
    print("\n" + figures.line("thread"))
    assert figures.clean == 3
    assert (figures.late, figures.lost, figures.twice, figures.last) == (0, 0, 0, "ok")


@pytest.mark.soak
@pytest.mark.kernel
@pytest.mark.parametrize("which", ["7", "6"])
def test_fifty_interrupts_at_random_moments_of_a_kernel_are_clean(which):
    fifty = times(50, least=5)
    figures = interrupts.measure(which, "thread", times=fifty)
    print("\n" + figures.line("thread"))
    assert figures.clean == fifty
    assert (figures.late, figures.lost, figures.twice, figures.last) == (0, 0, 0, "ok")
