"""Whole runs in virtual time: outages, storms, ladders, budgets; no row pays for another."""

from __future__ import annotations

import asyncio
import itertools
from collections import Counter

import httpx2
import pytest

from llmframe.engine.governor import Governor
from llmframe.engine.governor.outage import LONGEST_GAP
from llmframe.engine.governor.repeats import FLOOR, RESERVE
from llmframe.engine.rows.budget import Budget
from llmframe.engine.rows.health_probe import NEVER_ANSWERED, TEXT
from llmframe.engine.rows.patience import Patience
from llmframe.engine.wire.reply import Reply
from llmframe.providers.prices import Prices
from llmframe.results import Usage
from tests.kits import virtual_time
from tests.kits.engine import (
    GOOD,
    Provider,
    lost_connection,
    numbered,
    refusal,
    reply,
    status_error,
    wire,
)

BROKEN = {"error": {"message": "internal error"}}


def go(n, answer=lambda *_: reply(), *, before=None, latency=1.0, **options):
    """A run of so many rows to its end; before: called with it when it is wired."""

    async def main():
        wired = wire(numbered(n), Provider(answer, latency), **options)
        if before is not None:
            before(wired)
        return await wired.run()

    return virtual_time.run(main())


def during(first, last, response, else_=None):
    """Answers so while the clock is between, seconds since the start, else well."""

    def answer(text, attempt):
        if first <= virtual_time.now() - 1000 < last:
            return response()
        return reply() if else_ is None else else_(text, attempt)

    return answer


def requests_between(wired, first, last):
    return [at for at, _ in wired.provider.calls if first <= at - 1000 < last]


# -- outages ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "response",
    [lambda: status_error(500, BROKEN), lambda: status_error(503, BROKEN),
     lambda: (0.01, lost_connection())],
    ids=["500", "503", "connection"],
)  # fmt: skip
def test_an_outage_of_half_a_minute_fails_no_row(response):
    wired = go(600, during(10, 40, response))
    assert wired.statuses == ["ok"] * 600
    assert wired.parts.halt.verdict is None


def test_in_an_outage_probes_are_few_and_at_most_fifteen_seconds_apart():
    wired = go(600, during(10, 130, lambda: (0.1, status_error(500, BROKEN))))
    assert wired.statuses == ["ok"] * 600
    probes = requests_between(wired, 13, 131)
    assert len(probes) < 20
    gaps = [later - earlier for earlier, later in itertools.pairwise(probes)]
    assert max(gaps) <= LONGEST_GAP + 0.2


def test_rows_that_always_break_get_exactly_their_attempts_and_the_run_ends():
    def answer(text, _):
        bad = int(text.split()[1]) % 50 == 0
        return status_error(500, BROKEN) if bad else reply()

    wired = go(1000, answer, patience=Patience(max_attempts=5))
    bad = [n for n, status in enumerate(wired.statuses) if status == "failed"]
    assert bad == list(range(0, 1000, 50))
    assert {wired.provider.asked[f"row {n}"] for n in bad} == {5}
    assert wired.tally.ok == 980
    assert all("after 5 attempts" in wired.errors[n] for n in bad)


def test_where_nothing_was_ever_answered_the_run_ends_after_two_minutes_and_fails_no_row():
    wired = go(12, lambda *_: status_error(500, BROKEN), patience=Patience(max_attempts=2))
    assert wired.statuses == ["pending"] * 12
    assert (wired.parts.halt.verdict.action, wired.parts.halt.verdict.status) == ("end_run", 500)
    last = wired.provider.calls[-1][0] - 1000
    assert NEVER_ANSWERED < last < NEVER_ANSWERED + 2 * LONGEST_GAP
    assert wired.provider.asked[TEXT] <= 15


def test_four_rows_are_too_few_to_call_it_an_outage_where_nothing_was_ever_answered():
    wired = go(4, lambda *_: status_error(500, BROKEN), patience=Patience(max_attempts=1))
    assert wired.statuses == ["failed"] * 4


def test_nobody_who_ever_answers_ends_the_run_within_ten_seconds():
    wired = go(300, lambda *_: (0.05, lost_connection()))
    assert set(wired.statuses) == {"pending"}
    assert wired.parts.halt.verdict.kind == "connection"
    assert wired.provider.calls[-1][0] - 1000 < 10


# -- errors that no retry cures ----


HOPELESS = [
    (401, {"error": {"message": "wrong key"}}),
    (402, {"error": {"message": "no credit"}}),
    (404, {"error": {"message": "no such model", "code": "model_not_found"}}),
    (429, {"error": {"message": "quota", "code": "insufficient_quota"}}),
]


@pytest.mark.parametrize(("status", "body"), HOPELESS)
def test_a_hopeless_answer_in_mid_run_leaves_the_rest_pending(status, body):
    wired = go(400, during(10, 1e9, lambda: status_error(status, body)))
    assert Counter(wired.statuses)["failed"] == 0
    assert Counter(wired.statuses)["pending"] > 200
    assert wired.parts.halt.verdict.status == status
    first_bad = 10.0
    late = requests_between(wired, first_bad + 1.01, 1e9)  # what was in flight took a second
    assert len(late) == (status == 401)  # a key that was good before is tried once more


@pytest.mark.parametrize("until", [10.5, 11.5])
def test_a_key_that_is_refused_for_a_moment_costs_no_row(until):
    wired = go(400, during(10, until, lambda: status_error(401)))
    assert wired.statuses == ["ok"] * 400
    assert max(wired.provider.asked.values()) == 2


# -- the dialects -------------------------------------------------------------------------------


class Endpoint:
    """Answers as an endpoint does that knows none of some parameters."""

    def __init__(self, *unknown, format_="json_schema"):
        self.unknown = unknown
        self.provider = Provider(self.answer)
        self.bodies = self.provider.bodies

    def answer(self, _text, _attempt):
        body = self.bodies[-1]
        for name in self.unknown:
            kind = (body.get("response_format") or {}).get("type")
            if name in body or kind == name:
                param = "response_format" if kind == name else name
                message = f"Unsupported parameter: {param}"
                return 0.1, status_error(400, {"error": {"message": message, "param": param}})
        return reply()


def run_against(endpoint, n=200, **options):
    async def main():
        return await wire(numbered(n), endpoint.provider, probes=True, **options).run()

    return virtual_time.run(main())


@pytest.mark.parametrize(
    "unknown",
    [("json_schema",), ("json_schema", "json_object"), ("max_completion_tokens",),
     ("temperature",), ("seed",),
     ("json_schema", "json_object", "max_completion_tokens", "temperature", "seed")],
    ids=lambda names: "+".join(names),
)  # fmt: skip
def test_what_an_endpoint_does_not_understand_is_found_out_once(unknown):
    endpoint = Endpoint(*unknown)
    wired = run_against(endpoint, max_output_tokens=50)
    asked = [name for name in unknown if name != "seed"]  # it was not sent
    assert wired.statuses == ["ok"] * 200
    assert len(endpoint.bodies) == 200 + len(asked)


def test_requests_of_an_older_rung_are_sent_again_free():
    late = Endpoint("json_schema")
    slow = late.answer
    late.provider.answer = lambda *asked: (
        (5.0, slow(*asked)[1]) if isinstance(slow(*asked), tuple) else reply()
    )
    wired = run_against(late, patience=Patience(max_attempts=1))  # the probe waits three seconds
    assert wired.statuses == ["ok"] * 200
    assert len(late.bodies) > 201


def test_what_the_person_gave_is_refused_aloud():
    wired = run_against(Endpoint("temperature"), n=5, temperature=0.7)
    assert wired.statuses == ["failed"] * 5
    assert all("temperature" in error for error in wired.errors)


# -- storms -----------------------------------------------------------------------------------


@pytest.mark.parametrize("retry_after", [None, 0.0, 2.0])
def test_a_storm_of_refusals_fails_no_row_and_is_not_answered_by_a_storm(retry_after):
    wired = go(3000, during(10, 40, lambda: (0.05, refusal(retry_after))), cap=50)
    assert wired.statuses == ["ok"] * 3000
    normal = len(requests_between(wired, 5, 10)) / 5
    storm = requests_between(wired, 10, 40)
    assert len(storm) <= 30 * (0.2 * normal + FLOOR) + RESERVE


def test_an_hour_of_retry_after_is_honoured_and_stop_works_in_it():
    def before(wired):
        loop = asyncio.get_running_loop()
        loop.call_later(600, lambda: seen.append(wired.parts.governor.binding().pause))
        loop.call_later(601, wired.pipeline.stop)
        loop.call_later(601, lambda: seen.append(loop.time()))

    seen = []

    async def main():
        wired = wire(numbered(500), Provider(during(10, 1e9, lambda: refusal(3600))))
        before(wired)
        await wired.run()
        return wired, asyncio.get_running_loop().time()

    wired, ended = virtual_time.run(main())
    assert 2900 < seen[0] < 3600
    assert ended - seen[1] < 1
    assert Counter(wired.statuses)["failed"] == 0
    assert not requests_between(wired, 12, 1e9)


def test_repeats_wait_for_their_budget():
    def answer(text, attempt):
        return (
            (0.01, status_error(500, BROKEN)) if attempt == 0 and text[-1] in "02468" else reply()
        )

    wired = go(400, answer, cap=100, latency=0.02)
    assert wired.statuses == ["ok"] * 400
    took = wired.provider.calls[-1][0] - 1000
    assert wired.tally.retries - wired.provider.asked[TEXT] == 200
    assert wired.provider.asked[TEXT] <= 2
    # half the rows repeat: a fifth of the 400, ten at first, and the rest ten a second
    assert took >= (200 - 0.2 * 400 - RESERVE) / FLOOR - 1
    assert took <= 200 / FLOOR


# -- budgets ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "budget",
    [lambda: Budget(max_tokens=2600),
     lambda: Budget(max_cost=2.6, prices=Prices(1000.0, 1000.0))],
    ids=["tokens", "cost"],
)  # fmt: skip
def test_a_budget_ends_the_run_with_rows_pending(budget):
    wired = go(1000, budget=budget(), cap=10)
    used = wired.tally.usage.tokens_in + wired.tally.usage.tokens_out
    assert wired.parts.halt.over_budget
    assert set(wired.statuses) == {"ok", "pending"}
    assert 2000 <= used <= 2600 + 10 * 13  # thirteen a request, ten in flight


def test_answers_dearer_than_expected_overshoot_by_what_is_in_flight_only():
    def answer(text, _):
        return Reply(GOOD, "stop", None, Usage(500, 500), {})

    wired = go(1000, answer, budget=Budget(max_tokens=10_000), cap=10)
    used = wired.tally.usage.tokens_in + wired.tally.usage.tokens_out
    assert used <= 10_000 + 10 * 1000
    assert wired.parts.halt.over_budget


def test_the_endpoint_s_own_price_counts():
    def answer(*_):
        return Reply(GOOD, "stop", None, Usage(10, 3, cost=1.0), {})

    wired = go(1000, answer, budget=Budget(max_cost=50.0, prices=Prices(1.0, 1.0)), cap=5)
    assert 50 <= wired.tally.usage.cost <= 55


# -- sleeping machines ----------------------------------------------------------------------------


@pytest.mark.parametrize(("asleep", "status"), [(65.0, "ok"), (0.0, "failed")])
def test_a_time_out_that_comes_late_because_the_machine_slept_is_not_charged(asleep, status):
    def answer(_text, attempt):
        if attempt >= 1:
            return reply()
        loop = asyncio.get_running_loop()
        loop.call_later(5, lambda: setattr(loop, "now", loop.now + asleep))
        return 3600.0, reply()

    wired = go(1, answer, patience=Patience(timeout=10, deadline=20, max_attempts=1))
    assert wired.statuses == [status]


# -- headers ----------------------------------------------------------------------------------


def test_a_limit_in_headers_is_kept_from_the_first_answer_on():
    headers = httpx2.Headers({"x-ratelimit-limit-requests": "120"})

    def answer(*_):
        return Reply(GOOD, "stop", None, Usage(10, 3), headers)

    wired = go(300, answer, cap=50)
    assert wired.statuses == ["ok"] * 300
    assert len(requests_between(wired, 5, 65)) == pytest.approx(116, abs=2)


def test_a_run_that_joins_keeps_the_rate_of_the_other():
    async def main():
        governor = Governor(virtual_time.now)
        provider = Provider()
        runs = [
            wire(numbered(100, name), provider, governor=governor, cap=20, rpm=rpm)
            for name, rpm in (("a", 60), ("b", None))
        ]
        await asyncio.gather(*(each.run() for each in runs))
        return provider.calls

    calls = virtual_time.run(main())
    assert calls[99][0] - calls[0][0] >= 98  # one a second, for both together
