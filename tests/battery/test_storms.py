"""Refusals, errors and silence, one after the other and at once: every row is done in the end."""

from __future__ import annotations

import asyncio
import time
from collections import Counter

import pytest

from llmframe import testing
from llmframe.engine.rows.health_probe import TEXT
from llmframe.engine.rows.patience import Patience
from llmframe.errors import RunAborted
from llmframe.runs.run import session_of
from tests.kits import virtual_time
from tests.kits.battery import check, frame, kinds, says, start, statuses, tag, until
from tests.kits.engine import (
    Provider,
    lost_connection,
    numbered,
    refusal,
    reply,
    status_error,
    wire,
)
from tests.kits.histories import chance

pytestmark = pytest.mark.battery

HANG = (1e6, reply())
DOWN = {"error": {"message": "down"}}


def broken():
    return 0.2, status_error(500, DOWN)


def overloaded(seconds):
    return lambda: (0.1, status_error(503, DOWN, {"retry-after": str(seconds)}))


def refused(seconds=None):
    return lambda: (0.1, refusal(seconds))


def lost():
    return 0.01, lost_connection()


def weather(*phases):
    """A provider that answers in a second, but for phases of (from, until, what it does)."""

    def answer(text, attempt):
        now = virtual_time.now() - 1000
        for begin, end, fault in phases:
            if begin <= now < end:
                return fault()
        return 1.0, reply()

    return Provider(answer)


def go(provider, *, rows=600, cap=20, **patience):
    """The run to its end, and the seconds that it took."""

    async def main():
        begun = virtual_time.now()
        wired = await wire(
            numbered(rows), provider, cap=cap, patience=Patience(**patience)
        ).run()  # fmt: skip
        return wired, virtual_time.now() - begun

    return virtual_time.run(main())


def between(provider, begin, end):
    return [text for at, text in provider.calls if begin <= at - 1000 < end]


# -- 6: a storm of refusals ---------------------------------------------------------------------


@pytest.mark.parametrize("cap", [5, 20, 50, None])
@pytest.mark.parametrize("seconds", [None, 1.0, 7.0])
def test_a_storm_of_refusals_fails_no_row_and_is_not_answered_by_a_storm(cap, seconds):
    provider = weather((10, 40, refused(seconds)))
    wired, took = go(provider, rows=2000, cap=cap)
    assert wired.statuses == ["ok"] * 2000
    assert len(between(provider, 10, 11)) <= (cap or 512) + 10  # as many as were on the wire
    assert len(between(provider, 11, 40)) <= 2 * 29  # and then one by one
    assert took < 2000 / (cap or 100) + 30 + 60


# -- 7: Retry-After in all its forms ------------------------------------------------------------


@pytest.mark.parametrize(
    "said", [0.2, "date:1", "ms:200", "-5", "inf", "nan", "soon", "", "1e400", "0", None]
)
def test_whatever_retry_after_says_no_row_fails_and_nobody_waits_for_ever(said, tmp_path):
    faults = {f"record {i} ": "429_after" for i in (3, 8)}

    def fault(row, attempt):
        return "429_after" if attempt == 0 and any(part in row for part in faults) else None

    with testing.serve(faults=fault, retry_after=said, latency=0.002) as server:
        began = time.monotonic()
        out = tag(frame(40), server, tmp_path)
        assert time.monotonic() - began < 30  # a minute is the longest that a pause may be
        assert statuses(out) == {"ok": 40}
        check(out, frame(40), server)


def test_an_hour_long_wait_is_shown_honoured_and_can_be_stopped(tmp_path):
    def fault(row, attempt):  # by the server's count: the run cannot be over before
        return "429_after" if len(server.ledger) > 20 else None

    with testing.serve(latency=0.02, retry_after=3600, faults=fault) as server:
        run = start(frame(60), server, tmp_path)
        view = session_of(run).snapshot
        until(lambda: view().limited_by.startswith("provider pause, 60 min"))
        until(lambda: not view().in_flight)
        quiet = len(server.ledger)
        time.sleep(0.5)
        assert len(server.ledger) == quiet
        run.stop()
        assert run.wait(5.0)
        with pytest.warns(match="rows are pending") as warned:
            out = run.result()
        says(warned[0].message, "safe in", "Run the same call again")
        assert "failed" not in statuses(out)


def test_an_hour_long_wait_ends_with_every_row_done():
    provider = weather((10, 10.5, refused(3600)))
    wired, took = go(provider)
    assert wired.statuses == ["ok"] * 600
    assert 3600 < took < 3700
    assert between(provider, 12, 3600) == []


# -- 8: errors of the server ---------------------------------------------------------------------


@pytest.mark.parametrize("cap", [5, 20, 50, None])
@pytest.mark.parametrize("fault", [broken, lost, lambda: HANG, overloaded(2)],
                         ids=["500", "lost", "hanging", "503 and when"])  # fmt: skip
def test_half_a_minute_of_nothing_but_errors_fails_no_row(cap, fault):
    provider = weather((10, 40, fault))
    wired, took = go(provider, cap=cap, rows=1000, timeout=10.0)
    assert wired.statuses == ["ok"] * 1000
    assert took < 1000 / (cap or 20) + 30 + 40
    begin = 22 if fault() is HANG else 14
    assert len(between(provider, begin, 40)) <= 26


def test_an_outage_of_a_night_charges_no_row_and_is_probed_four_times_a_minute():
    provider = weather((10, 10 + 8 * 3600, broken))
    wired, took = go(provider, rows=400, max_attempts=2)
    assert wired.statuses == ["ok"] * 400
    assert 8 * 3600 < took < 8 * 3600 + 100
    looks = Counter(between(provider, 20, 8 * 3600))
    assert looks.total() <= 4 * 60 * 8 + 10
    assert looks[TEXT] >= 0.7 * looks.total()  # most of them take no row's text along


def test_a_stop_in_an_outage_sends_nothing_more():
    async def main():
        provider = weather((10, 1e9, broken))
        wired = wire(numbered(400), provider, cap=20)
        task = asyncio.create_task(wired.run())
        await asyncio.sleep(7200)
        stopped = virtual_time.now()
        wired.pipeline.stop()
        await task
        assert virtual_time.now() - stopped < 1
        assert provider.calls[-1][0] <= stopped
        assert "failed" not in wired.statuses

    virtual_time.run(main())


def test_rows_that_always_break_get_exactly_their_attempts_even_as_the_last_ones():
    def fault(row, attempt):
        bad = row != TEXT and (int(row.split()[1]) % 50 == 1 or "record 198 " in row)
        return "500" if bad else None

    with testing.serve(faults=fault, latency=0.005) as server:
        out = tag(frame(200), server, None, max_attempts=3, concurrency=50)
        bad = out["text"][out["llm_status"] == "failed"]
        assert len(bad) == 5
        asked = server.ledger.rows()
        assert {asked[row] for row in bad} == {3}
        assert kinds(out) == {"server": 5}
        says(out["llm_error"].dropna().iloc[0], "server had an error", "after 3 attempts")
        check(out, frame(200), server, failed=5)


def test_where_only_rows_are_left_that_always_break_a_probe_shows_that_it_is_their_fault():
    def answer(text, attempt):
        bad = text.startswith("row") and int(text.split()[1]) >= 580
        return broken() if bad else (1.0, reply())

    provider = Provider(answer)
    wired, took = go(provider)
    assert wired.statuses == ["ok"] * 580 + ["failed"] * 20
    assert {provider.asked[f"row {i}"] for i in range(580, 600)} == {5}
    assert 1 <= provider.asked[TEXT] <= 20
    assert took < 200


def test_an_endpoint_that_has_never_answered_anything_ends_the_run_after_two_minutes(monkeypatch):
    monkeypatch.setattr("llmframe.engine.rows.health_probe.NEVER_ANSWERED", 0.5)
    with testing.serve(faults={"500": 1.0}) as server:
        with pytest.raises(RunAborted) as caught:
            tag(frame(50), server, None, max_attempts=2)
        assert len(server.ledger) <= 60
    says(caught.value, "has not answered any request", "HTTP 500", "server had an error")
    says(caught.value, "0 of 50 rows", "50 are pending", "status page")
    assert statuses(caught.value.run.partial()) == {"pending": 50}


# -- all at once --------------------------------------------------------------------------------

MIXED = {
    "a drop while a pause is on": [(10, 10.5, refused(20)), (12, 45, lost)],
    "refusals out of an outage": [(10, 30, broken), (30, 50, refused(None))],
    "refusals with a time out of an outage": [(10, 30, lost), (30, 50, refused(5))],
    "an outage out of refusals": [(10, 30, refused(None)), (30, 60, broken)],
    "silence, then refusals": [(10, 40, lambda: HANG), (40, 60, refused(3))],
    "overload, then a drop, then overload": [
        (10, 20, overloaded(2)), (20, 35, lost), (35, 45, overloaded(1))
    ],
    "again and again": [(t, t + 6, broken) for t in range(10, 150, 12)],
    "an outage at the very end": [(27, 60, lost)],
}  # fmt: skip


@pytest.mark.parametrize("cap", [5, 20, None])
@pytest.mark.parametrize("how", MIXED)
def test_storms_and_outages_in_a_row_fail_nothing(how, cap):
    provider = weather(*MIXED[how])
    wired, took = go(provider, cap=cap, timeout=10.0)
    assert wired.statuses == ["ok"] * 600
    assert took < 420
    trouble = sum(end - begin for begin, end, _ in MIXED[how])
    assert len(provider.calls) <= 600 + 4 * (cap or 60) + 10 * trouble


@pytest.mark.parametrize("cap", [5, 20, None])
def test_every_second_request_may_fail_in_some_way(cap):
    kinds_ = [broken, lost, refused(0.3), overloaded(0.5), refused(None)]

    def answer(text, attempt):
        # the same for each row and attempt, whatever their order, and the same in each process
        draw = chance(text.split()[-1], attempt) % (2 * len(kinds_))
        return kinds_[draw]() if draw < len(kinds_) else (1.0, reply())

    provider = Provider(answer)
    wired, _ = go(provider, cap=cap, rows=300, max_attempts=30)
    assert wired.statuses == ["ok"] * 300


def test_a_storm_on_the_wire_beside_rows_that_hang_loses_nothing(tmp_path):
    def fault(row, attempt):
        if "record 5 " in row:
            return "hang"
        kinds_ = ("429_after", "503_after", "drop", "500", None, None)
        return None if attempt or row == TEXT else kinds_[int(row.split()[1]) % 6]

    with testing.serve(faults=fault, retry_after=0.05, latency=0.002) as server:
        # no answer may come later than that, or it is paid twice
        out = tag(frame(60), server, tmp_path, timeout=2.0, max_attempts=3)
        assert kinds(out) == {"timeout": 1}
        check(out, frame(60), server, failed=1)
