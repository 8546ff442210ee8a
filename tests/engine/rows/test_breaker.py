"""The circuit breaker: ten first rows that fail alike are the call's fault, and stay pending."""

from __future__ import annotations

import asyncio

import pytest

from llmframe.engine.row import Row
from llmframe.engine.rows.breaker import FIRST, Breaker
from llmframe.results import RowResult, Usage
from tests.kits import virtual_time
from tests.kits.engine import GOOD, Provider, Texts, numbered, reply, status_error, wire

BAD = reply('{"intent": "joy"}')
BAD_400 = {"error": {"message": "the messages are malformed"}}


def failures(n, kind="output"):
    rows = [Row(i, b"%16d" % i, f"row {i}") for i in range(n)]
    return [(row, row.failed(kind, "no")) for row in rows]


def holds(breaker, results):
    return [breaker.holds(row, result) for row, result in results]


def test_it_holds_the_first_failures_and_trips_at_the_tenth():
    breaker = Breaker(1000)
    failed = failures(FIRST)
    assert holds(breaker, failed[:-1]) == [True] * (FIRST - 1)
    assert not breaker.is_full
    assert breaker.holds(*failed[-1])
    assert breaker.is_full
    assert breaker.trip() == failed  # as a health probe shows
    assert breaker.has_tripped
    assert breaker.holds(*failed[0])  # in flight when it tripped
    assert not breaker.holds(failed[0][0], RowResult("ok", {"a": 1}, None, 1, Usage(), 1.0, None))
    assert not breaker.holds(*failures(1, "content_filter")[0])


def test_it_does_nothing_below_ten_rows():
    assert holds(Breaker(FIRST - 1), failures(FIRST)) == [False] * FIRST


@pytest.mark.parametrize(
    "kind", ["refusal", "content_filter", "context_length", "truncated", "bad_request"]
)
def test_what_is_the_rows_own_fault_never_trips_it(kind):
    assert holds(Breaker(1000), failures(FIRST, kind)) == [False] * FIRST


def test_one_answer_or_another_kind_of_failure_ends_it():
    for last in (RowResult("ok", {"a": 1}, None, 1, Usage(), 1.0, None),
                 failures(1, "bad_request")[0][1]):  # fmt: skip
        breaker = Breaker(1000)
        failed = failures(5)
        holds(breaker, failed)
        assert not breaker.holds(failed[0][0], last)
        assert breaker.release() == failed
        assert holds(breaker, failed) == [False] * 5


def test_where_an_earlier_run_had_answers_it_is_the_rows():
    breaker = Breaker(1000, lambda: True)
    assert holds(breaker, failures(FIRST)) == [True] * (FIRST - 1) + [False]
    assert not breaker.has_tripped


def go(n, answer, **options):
    """A run to its end in virtual time."""

    async def main():
        return await wire(numbered(n), Provider(answer), **options).run()

    return virtual_time.run(main())


@pytest.mark.parametrize(
    "answer", [lambda *_: BAD, lambda *_: status_error(400, BAD_400)], ids=["output", "400"]
)
def test_ten_rows_that_fail_alike_end_the_run_and_leave_all_pending(answer):
    wired = go(500, answer)
    assert set(wired.statuses) == {"pending"}
    assert wired.parts.halt.verdict.action == "end_run"
    assert wired.parts.halt.verdict.message
    # up to three paid replies in three formats for each, and what was in flight
    assert len(wired.provider.calls) <= 3 * (FIRST + 10)
    assert wired.tally.failed == 0


def test_what_was_paid_before_it_tripped_is_in_the_report():
    wired = go(500, lambda *_: BAD)
    assert wired.tally.usage.tokens_in == 10 * len(wired.provider.calls)


def test_a_run_of_nine_rows_fails_them():
    wired = go(9, lambda *_: BAD)
    assert wired.statuses == ["failed"] * 9
    assert wired.parts.halt.verdict is None


def test_one_answer_makes_all_the_failures_before_it_count():
    wired = go(30, lambda text, _: reply(GOOD) if text == "row 9" else BAD)
    assert wired.statuses == ["ok" if n == 9 else "failed" for n in range(30)]
    assert wired.parts.halt.verdict is None
    assert wired.tally.errors_by_kind == {"output": 29}


def test_requests_refused_before_any_answer_leave_their_rows_pending_after_a_stop():
    async def main():
        wired = wire(numbered(50), Provider(lambda *_: status_error(400, BAD_400)), cap=1)
        asyncio.get_running_loop().call_later(4.5, wired.pipeline.stop)
        return await wired.run()

    wired = virtual_time.run(main())
    assert wired.statuses == ["pending"] * 50  # whose fault it is was not known yet


def test_rows_that_share_a_held_row_s_answer_stay_pending_too():
    async def main():
        texts = [f"row {n}" for n in range(FIRST)] * 3
        return await wire(Texts(texts), Provider(lambda *_: BAD)).run()

    assert set(virtual_time.run(main()).statuses) == {"pending"}
