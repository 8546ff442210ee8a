"""How long an endpoint's enums may be is found out by few rows, however many are on the wire."""

from __future__ import annotations

from collections import deque

import pytest

from llmframe.providers.dialect import FEATURES, Dialect
from llmframe.providers.dialect_search import DialectSearch
from llmframe.task.labels.enums import EnumSize

OURS = frozenset(FEATURES)
BIG, SMALL = EnumSize(860, 9000), None
LESS, MORE = EnumSize(90, 900), EnumSize(2000, 9000)
ENDLESS = EnumSize(10**6, 10**6)
LIMITS = (EnumSize(100, 10**6), EnumSize(500, 10**6), EnumSize(10**6, 800))


class Endpoint:
    """Refuses enums that hold more, in its own way; counts what is lost."""

    def __init__(self, limit=LIMITS[1], *, way="named", lacks=()):
        self.limit, self.way, self.lacks = limit, way, frozenset(lacks)
        self.lost = 0

    def outcome(self, dialect, size):
        """What becomes of a request: "answered", "broke", "silent", or a refusal's words."""
        if any(dialect.has(feature) for feature in self.lacks):
            self.lost += 1
            return "quux"
        if size is None or not dialect.lists_labels or size.fits_in(self.limit):
            return "answered"
        self.lost += 1
        return {"named": "too many enum values in response_format", "unnamed": "quux"}.get(
            self.way, self.way
        )


def run(search, endpoint, size, *, rows=200, at_once=50):
    """Send rows, many at once, until all are answered; dialects of the answers, in order.

    Until the first answer one row alone is on the wire, as the gate does it.
    """
    waiting = deque((None, ()) for _ in range(rows))
    wire, answers = deque(), []
    while waiting or wire:
        while waiting and len(wire) < (at_once if search.known else 1):
            rewritten, tried = waiting.popleft()
            wire.append((search.next(rewritten, tried, enums=size), tried))
        dialect, tried = wire.popleft()
        outcome = endpoint.outcome(dialect, size)
        tried = (*tried, dialect)
        if outcome == "answered":
            search.succeeded(dialect, tried[:-1], enums=size)
            answers.append(dialect)
            continue
        if outcome in ("broke", "silent"):
            search.lost(dialect, enums=size)
            lower = search.broke(tried, enums=size, silent=outcome == "silent")
        else:
            lower = search.refused(tried, None, outcome, features=OURS, enums=size)
            assert lower is not None
        waiting.appendleft((lower, tried if lower else tried[:-1]))
        assert endpoint.lost < 50
    return answers


WAYS = ("named", "unnamed", "broke", "silent")


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("limit", LIMITS)
def test_a_long_enum_that_is_refused_is_left_out_and_nothing_else(way, limit):
    search, endpoint = DialectSearch(), Endpoint(limit, way=way)
    assert set(run(search, endpoint, BIG)) == {Dialect(enums=False)}
    assert endpoint.lost <= 3
    lost = endpoint.lost
    assert set(run(search, endpoint, BIG)) == {Dialect(enums=False)}  # the next run knows
    assert endpoint.lost == lost
    assert run(search, endpoint, SMALL) == [Dialect()] * 200


@pytest.mark.parametrize("way", WAYS)
def test_at_an_endpoint_that_is_known_already_one_row_tries_for_all(way):
    search, endpoint = DialectSearch(), Endpoint(way=way)
    run(search, endpoint, SMALL)
    assert set(run(search, endpoint, BIG)) == {Dialect(enums=False)}
    assert endpoint.lost <= 3


def test_what_is_accepted_keeps_its_enum_beside_what_is_refused():
    search, endpoint = DialectSearch(), Endpoint()
    run(search, endpoint, BIG)
    assert run(search, endpoint, LESS)[-100:] == [Dialect()] * 100
    lost = endpoint.lost
    run(search, endpoint, MORE)  # more than was refused is not tried
    assert endpoint.lost == lost


def test_after_the_trial_all_rows_have_the_enum_that_is_accepted():
    search, endpoint = DialectSearch(), Endpoint(ENDLESS)
    assert run(search, endpoint, BIG) == [Dialect()] * 200
    assert endpoint.lost == 0


@pytest.mark.parametrize(
    "lacks", [("json_schema",), ("json_schema", "json_object"), ("temperature",)]
)
@pytest.mark.parametrize("limit", [0, 10**6])
def test_other_features_that_are_refused_are_found_beside_it(lacks, limit):
    search, endpoint = DialectSearch(), Endpoint(EnumSize(limit, limit), lacks=lacks, way="unnamed")
    answers = run(search, endpoint, BIG)
    has_schema = "json_schema" not in lacks
    wanted = Dialect().simplest(frozenset(lacks))
    assert answers[-1] == (
        Dialect(dropped=wanted.dropped, enums=limit > 0) if has_schema else wanted
    )
    assert endpoint.lost <= 6


def test_a_server_that_breaks_by_chance_keeps_the_enum():
    search, endpoint = DialectSearch(), Endpoint(ENDLESS)
    first = search.next(enums=BIG)
    search.lost(first, enums=BIG)
    assert search.broke((first,), enums=BIG) == Dialect(enums=False)
    assert run(search, endpoint, BIG)[-1] == Dialect()


def test_rows_that_are_refused_in_any_way_leave_the_enum_in_question_only():
    search, endpoint = DialectSearch(), Endpoint(ENDLESS)
    run(search, endpoint, SMALL)
    for _ in range(3):
        dialect = search.next(enums=BIG)
        lower = search.refused((dialect,), None, "bad row", features=OURS, enums=BIG)
        assert lower == Dialect(enums=False)
        assert search.refused((dialect, lower), None, "bad row", features=OURS, enums=BIG) is None
    assert run(search, endpoint, BIG)[-1] == Dialect()


def test_an_endpoint_that_takes_less_than_before_is_noticed_after_three_rows():
    search, endpoint = DialectSearch(), Endpoint(ENDLESS)
    run(search, endpoint, BIG)
    endpoint.limit = EnumSize(100, 1000)
    answers = run(search, endpoint, BIG, at_once=1)
    assert set(answers) == {Dialect(enums=False)}
    assert endpoint.lost == 3
    assert search.dialect == Dialect()


def test_a_batch_holds_long_enums_only_where_they_are_known_to_be_accepted():
    search, endpoint = DialectSearch(), Endpoint()
    assert search.next(enums=BIG, may_try=False) == Dialect(enums=False)
    run(search, endpoint, LESS)
    assert search.next(enums=LESS, may_try=False) == Dialect()
    assert search.next(enums=BIG, may_try=False) == Dialect(enums=False)
