"""The garbage collector takes an abandoned run at any moment, within a lock's block too.

It then ends that run there and then, in the thread that holds the lock already.
"""

from __future__ import annotations

import asyncio
import threading
from types import SimpleNamespace

import pytest

from llmframe.engine.governor import Governor
from llmframe.engine.rows.claims import InFlight
from llmframe.notebook.stage import OpenView
from llmframe.notebook.view import View
from llmframe.system.loops import Loops
from llmframe.system.switch_interval import SwitchInterval


def lock_of(owner):
    """No collector can be made to run within a lock's block: the test takes the lock itself."""
    return owner._lock  # private: nobody outside may hold it


def of_keys():
    keys = InFlight()
    keys.claim(b"key")
    return keys, lambda: keys.resolve(b"key", None)


def of_loops():
    loops, loop = Loops(), asyncio.new_event_loop()
    return loops, lambda: (loops.check_gone(loop), loop.close())


def of_switch_interval():
    interval = SwitchInterval()
    return interval, lambda: interval.short().__enter__()


def of_governor():
    governor = Governor()
    return governor, governor.binding


def of_view():
    view = OpenView(SimpleNamespace(snapshot=lambda: None), View(), str, raises=False)
    return view, view.refresh


@pytest.mark.parametrize("what", [of_keys, of_loops, of_switch_interval, of_governor, of_view])
def test_a_collected_run_can_end_while_its_thread_holds_the_lock(what):
    owner, end = what()

    def collected_within():
        with lock_of(owner):
            end()

    thread = threading.Thread(target=collected_within, daemon=True)
    thread.start()
    thread.join(5)
    assert not thread.is_alive()


def test_keys_may_be_freed_while_abandoned_ones_are_searched(monkeypatch):
    """A key of a collected run goes while the claims of gone loops are collected."""
    keys, loop = InFlight(), object()
    for key in (b"first", b"second"):
        keys.claim(key, loop)

    def check_gone(self, loop):
        keys.resolve(b"second", None, loop)
        return True

    monkeypatch.setattr(Loops, "check_gone", check_gone)
    keys.free_abandoned()
    assert keys.count == 0
