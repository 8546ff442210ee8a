"""The servers of the tests' own leave no thread behind that could serve for another."""

from __future__ import annotations

import threading

import pytest

from tests.kits.raw import Raw, good
from tests.kits.tls import Tunnel
from tests.kits.until import until


@pytest.mark.parametrize("start", [lambda: Raw(good), Tunnel], ids=["Raw", "Tunnel"])
def test_a_server_that_is_closed_leaves_no_thread(start):
    before = {*threading.enumerate()}
    with start():
        until(lambda: {*threading.enumerate()} - before)
        mine = {*threading.enumerate()} - before
    until(lambda: not any(thread.is_alive() for thread in mine), timeout=10)
