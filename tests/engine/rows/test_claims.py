"""A key is claimed by one run and awaited by all others."""

from __future__ import annotations

from llmframe.engine.rows.claims import InFlight
from llmframe.results import RowResult


def test_a_key_is_claimed_by_one_and_awaited_by_all_others():
    in_flight = InFlight()
    assert in_flight.claim(b"k") is None
    waiting = [in_flight.claim(b"k") for _ in range(3)]
    result = RowResult("ok", {})
    in_flight.resolve(b"k", result)
    assert [each.result(0) for each in waiting] == [result] * 3
    assert in_flight.claim(b"k") is None


def test_resolving_twice_or_what_nobody_claimed_is_no_error():
    in_flight = InFlight()
    in_flight.resolve(b"k", None)
    in_flight.claim(b"k")
    in_flight.resolve(b"k", None)
    in_flight.resolve(b"k", None)


def test_a_forked_child_asks_none_of_what_its_parent_asks():
    in_flight = InFlight()
    in_flight.claim(b"k")
    in_flight.forget_all()
    assert in_flight.claim(b"k") is None
