"""The garbage collector takes an abandoned run at any moment, within a lock's block too.

It then ends that run there and then, in the thread that holds the lock already.
"""

from __future__ import annotations

import asyncio
import threading

import pytest

from llmframe.engine.governor import Governor
from llmframe.engine.rows.claims import InFlight
from llmframe.notebook.view import View
from llmframe.notebook.views.guard import GuardedView
from llmframe.system.loops import Loops
from llmframe.system.switch_interval import SwitchInterval


# A collector cannot be made to run within a lock's block, so each test takes the lock itself.
def of_keys():
    keys = InFlight()
    keys.claim(b"key")
    return keys._lock, lambda: keys.resolve(b"key", None)


def of_loops():
    loops, loop = Loops(), asyncio.new_event_loop()
    loop.close()
    return loops._lock, lambda: loops._runs_again(loop)


def of_switch_interval():
    interval = SwitchInterval()
    return interval._lock, lambda: interval.short().__enter__()


def of_governor():
    governor = Governor()
    return governor._lock, governor.binding


def of_view():
    view = GuardedView(View())
    return view._lock, lambda: view.refresh(None)


@pytest.mark.parametrize("what", [of_keys, of_loops, of_switch_interval, of_governor, of_view])
def test_what_ends_a_collected_run_is_let_in_where_its_thread_holds_the_lock(what):
    lock, end = what()

    def collected_within():
        with lock:
            end()

    thread = threading.Thread(target=collected_within, daemon=True)
    thread.start()
    thread.join(5)
    assert not thread.is_alive()


def test_keys_may_be_freed_while_the_gone_are_looked_for(monkeypatch):
    """A key of a collected run goes between the look at the claims and their end."""
    keys, loop = InFlight(), object()
    for key in (b"first", b"second"):
        keys.claim(key, loop)

    def check_gone(self, loop):
        keys.resolve(b"second", None, loop)
        return True

    monkeypatch.setattr(Loops, "check_gone", check_gone)
    keys.free_abandoned()
    assert keys.count == 0
