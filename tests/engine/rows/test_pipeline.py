"""Workers over one iterator, in virtual time: no row costs another, and nothing is asked twice."""

from __future__ import annotations

import asyncio
import contextlib
import random
import threading
from collections import Counter, deque

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llmframe.engine.asking.asking import Sampling
from llmframe.engine.asking.outgoing import TextRules
from llmframe.engine.events import RequestRefused, RequestSent, RowsDone
from llmframe.engine.governor import Governor
from llmframe.engine.rows.claims import InFlight
from llmframe.engine.rows.decisions import NEVER_CONNECTED
from llmframe.engine.rows.patience import Patience
from llmframe.engine.wire.verdict import BadReply
from llmframe.errors import CallError, CheckpointError, OutputError
from llmframe.providers.dialect import Dialect
from llmframe.results import RowResult, Usage
from tests.kits import virtual_time
from tests.kits.engine import (
    GOOD,
    KEYS,
    Provider,
    Texts,
    knowing,
    lost_connection,
    numbered,
    refusal,
    reply,
    status_error,
    wire,
)
from tests.kits.journal import FailingOps, opened

BAD = '{"intent": "elsewhere"}'


def run(main):
    return virtual_time.run(main())


def for_row(bad, told, otherwise=None):
    """An answer for one row, and the good one for all others."""

    def answer(text, attempt):
        if text != bad:
            return otherwise or reply()
        return told(attempt) if callable(told) else told

    return answer


@pytest.fixture
def checkpoint(tmp_path):
    with opened(tmp_path / "c.jsonl", tmp_path) as each:
        yield each


def lines(checkpoint, sort='"v"'):
    return [each for each in checkpoint.path.read_text().splitlines() if sort in each]


def outcome(rows, provider, **options):
    """Run to the end; the wired pipeline."""

    async def main():
        return await wire(rows, provider, **options).run()

    return run(main)


# -- the plain way ----


def test_every_row_is_asked_once_and_answered():
    provider = Provider()
    done = outcome(numbered(100), provider, cap=10)
    assert done.statuses == ["ok"] * 100
    assert set(provider.asked.values()) == {1}
    assert provider.peak == 10
    assert (done.tally.ok, done.tally.requests, done.tally.usage) == (100, 100, Usage(1000, 300))


def test_the_wire_is_kept_full():
    async def main():
        loop = asyncio.get_running_loop()
        began = loop.time()
        await wire(numbered(1000), Provider(latency=2.0), cap=50).run()
        assert loop.time() - began == pytest.approx(40.0)

    run(main)


def test_no_rows_need_no_request():
    done = outcome(Texts([]), provider := Provider())
    assert (done.statuses, provider.calls) == ([], [])


def test_there_are_never_more_workers_than_requests_may_be_on_the_wire():
    async def main():
        wired = wire(numbered(1000), Provider(), cap=7)
        task = asyncio.create_task(wired.run())
        for _ in range(20):
            await asyncio.sleep(0.5)
            assert len(wired.pipeline._workers) <= 7
        await task

    run(main)


def test_equal_rows_are_one_request():
    provider = Provider()
    done = outcome(Texts(["same"] * 50), provider)
    assert done.statuses == ["ok"] * 50
    assert len(provider.calls) == 1
    assert (done.tally.ok, done.tally.shared) == (50, 49)


def test_equal_rows_share_a_failure():
    provider = Provider(lambda text, attempt: status_error(400, {"error": {"message": "bad"}}))
    done = outcome(Texts(["same"] * 5), provider)
    assert done.errors == ["bad_request: bad"] * 5
    assert len(provider.calls) == 1


def test_a_large_limit_finds_itself():
    provider = Provider()
    done = outcome(numbered(2000), provider, cap=None)
    assert provider.peak > 300
    assert done.tally.ok == 2000


# -- one bad row costs no other ----


@pytest.mark.parametrize(
    ("told", "error", "requests"),
    [
        (status_error(500, {"error": {"message": "broke"}}), "server: broke (after 5 attempts)", 5),
        (status_error(400, {"error": {"message": "no"}}), "bad_request: no", 1),
        (status_error(422, {"error": {"message": "no"}}), "bad_request: no", 1),
        (status_error(400, {"error": {"code": "content_filter"}}), "content_filter: ", 1),
        (status_error(400, {"error": {"code": "context_length_exceeded"}}), "context_length: ", 1),
        (status_error(429, {"error": {"message": "Limit 5, Requested 9"}}), "rate_limit: Limit", 1),
        (lost_connection(), "connection: the connection failed", 5),
        (BadReply("the endpoint answered with text/html instead of JSON"), "server: the end", 5),
        (BadReply("without a choice", usage=Usage(9, 1)), "server: without a choice (after 3", 3),
        (ValueError("what is this"), "bad_request: ValueError: what is this", 1),
        (reply(BAD), "output: ", 2),
        (reply(None), "output: ", 3),
        (reply("{", "length"), "truncated: ", 2),
        (reply(None, refusal="no"), "refusal: ", 1),
        (reply(GOOD, "content_filter"), "content_filter: ", 1),
        ((1e9, reply()), "timeout: no complete reply within 60 s (after 5 attempts)", 5),
    ],
)
def test_a_bad_row_fails_with_its_reason_and_costs_no_other(told, error, requests):
    provider = Provider(for_row("row 7", told))
    done = outcome(numbered(30), provider)
    assert done.statuses.count("ok") == 29
    assert done.errors[7].startswith(error)
    assert provider.asked["row 7"] == requests
    assert done.parts.store.results[7].attempts == requests


def test_a_failure_that_passes_is_forgotten():
    told = deque([status_error(500), lost_connection(), reply(None), reply(GOOD)])
    provider = Provider(for_row("row 3", lambda attempt: told[attempt]))
    done = outcome(numbered(10), provider)
    assert done.statuses == ["ok"] * 10
    assert done.parts.store.results[3].attempts == 4
    assert done.tally.retries == 3


def test_attempts_are_counted_over_all_legs():
    told = [status_error(500), status_error(500), reply(BAD), reply(GOOD)]
    provider = Provider(for_row("row 3", lambda attempt: told[attempt]))
    done = outcome(numbered(10), provider, patience=Patience(max_attempts=3))
    assert provider.asked["row 3"] == 3
    assert done.errors[3].startswith("output: ")


def test_one_attempt_is_one_request():
    provider = Provider(lambda text, attempt: status_error(500))
    done = outcome(numbered(4), provider, patience=Patience(max_attempts=1))
    assert done.tally.requests == 4
    assert done.errors[0] == "server: the endpoint answered HTTP 500"


def test_a_failure_on_a_re_ask_repeats_the_re_ask():
    told = [reply(BAD), status_error(502), reply(GOOD)]
    provider = Provider(for_row("row 0", lambda attempt: told[attempt]))
    done = outcome(numbered(1), provider)
    assert done.statuses == ["ok"]
    assert [len(body["messages"]) for body in provider.bodies] == [2, 4, 4]
    assert done.parts.store.results[0].usage == Usage(20, 6)


def test_a_row_that_comes_back_says_how_long_it_took():
    told = [(3.0, status_error(500)), (2.0, reply())]
    done = outcome(numbered(1), Provider(lambda text, attempt: told[attempt]))
    assert 5.0 <= done.parts.store.results[0].seconds <= 5.5


# -- time-out and deadline ----


def test_what_hangs_is_ended_and_gives_its_place_back():
    async def main():
        loop = asyncio.get_running_loop()
        began = loop.time()

        def answer(text, attempt):
            hangs = attempt == 0 and int(text.split()[1]) % 3 == 0
            return (1e9 if hangs else 1.0, reply())

        provider = Provider(answer)
        done = await wire(numbered(20), provider, patience=Patience(timeout=5.0)).run()
        assert done.statuses == ["ok"] * 20
        assert loop.time() - began < 2 * (5.0 + 1.0) + 2

    run(main)


def test_a_row_has_a_deadline_over_all_its_attempts():
    async def main():
        loop = asyncio.get_running_loop()
        began = loop.time()
        provider = Provider(for_row("row 0", status_error(500)), latency=2.0)
        patience = Patience(deadline=7.0, max_attempts=1000)
        done = await wire(numbered(3), provider, patience=patience).run()
        assert done.errors[0].startswith("deadline: the deadline of 7 s has passed; last: ")
        assert done.statuses[1:] == ["ok", "ok"]
        assert loop.time() - began < 7.001 + 5.0  # a look at what seems an outage is not its time

    run(main)


def test_the_last_attempt_is_cut_off_at_the_deadline():
    async def main():
        loop = asyncio.get_running_loop()
        began = loop.time()
        provider = Provider(lambda text, attempt: (1e9, reply()))
        done = await wire(numbered(1), provider, patience=Patience(deadline=7.0)).run()
        assert done.errors[0].startswith(
            "deadline: the deadline of 7 s has passed; last: no complete"
        )
        assert loop.time() - began == pytest.approx(7.0)

    run(main)


def test_a_re_ask_after_the_deadline_is_not_sent():
    told = [reply(BAD), (4.0, status_error(500)), reply()]
    provider = Provider(lambda text, attempt: told[attempt], latency=4.0)
    done = outcome(numbered(1), provider, patience=Patience(deadline=7.0, max_attempts=9))
    assert done.errors[0].startswith("deadline: the deadline of 7 s has passed; last: ")
    assert len(provider.calls) == 2


def test_a_reply_that_would_need_one_more_leg_at_the_deadline_is_the_last():
    async def main():
        wired = wire(numbered(1), Provider(lambda *_: (6.0, reply(BAD))),
                     patience=Patience(deadline=7.0))  # fmt: skip
        task = asyncio.create_task(wired.run())
        await asyncio.sleep(3)
        asyncio.get_running_loop().now += 5  # the loop was held up: the reply comes late
        await task
        assert wired.errors[0].startswith("deadline: the deadline of 7 s has passed")

    run(main)


def test_waiting_for_the_provider_does_not_count_against_the_deadline():
    def answer(text, attempt):
        return (0.1, refusal(100)) if attempt == 0 else (1.0, reply())

    done = outcome(numbered(3), Provider(answer), patience=Patience(deadline=5.0))
    assert done.statuses == ["ok"] * 3


def test_a_row_that_is_refused_after_its_deadline_fails():
    provider = Provider(lambda text, attempt: (6.0, refusal(1)))
    done = outcome(numbered(1), provider, patience=Patience(deadline=5.0))
    assert done.errors[0].startswith("deadline: ")


# -- waiting rows hold no slot ----


def test_rows_that_wait_to_be_tried_again_hold_nothing_up():
    async def main():
        loop = asyncio.get_running_loop()

        def answer(text, attempt):
            bad = int(text.split()[1]) % 10 < 3  # 30 % fail at once, as often as repeats allow
            return (0.0, status_error(500)) if bad and attempt < 1 else (1.0, reply())

        began = loop.time()
        done = await wire(numbered(1000), Provider(answer), cap=50).run()
        assert done.tally.ok == 1000
        assert loop.time() - began <= 1.1 * 1000 / 50 + 3  # and the last one's waits

    run(main)


def test_a_long_wait_of_one_row_lets_the_others_finish():
    async def main():
        random.seed(1)
        loop = asyncio.get_running_loop()
        seen = []

        def note(event):
            if isinstance(event, RowsDone):
                seen.append((event.positions[0], loop.time() - 1000))

        provider = Provider(for_row("row 0", lambda n: status_error(500) if n < 7 else reply()))
        patience = Patience(max_attempts=9)
        await wire(numbered(20), provider, cap=2, observers=[note], patience=patience).run()
        assert seen[-1][0] == 0
        assert all(at < 15 for _, at in seen[:-1])

    run(main)


# -- refusals ----


def test_a_refusal_pauses_all_and_uses_up_no_attempt():
    async def main():
        refused = []

        def answer(text, attempt):
            if text == "row 0" and attempt < 9:
                refused.append(virtual_time.now())
                return 0.1, refusal(30)
            return 1.0, reply()

        provider = Provider(answer)
        done = await wire(numbered(200), provider, patience=Patience(max_attempts=2)).run()
        assert done.statuses.count("ok") >= 199
        for moment in refused[:2]:
            assert not [at for at, _ in provider.calls if moment + 0.2 < at < moment + 30]
        assert done.tally.refusals == len(refused)
        assert sum(isinstance(each, RequestRefused) for each in done.events) == len(refused)

    run(main)


class Bucket:
    """At most so many requests a second, and a few at once."""

    def __init__(self, rate, *, burst=1.0, retry_after=None):
        self.rate, self.burst, self.level = rate, burst, burst
        self.at = None
        self.retry_after = retry_after

    def __call__(self, text, attempt):
        now = virtual_time.now()
        earned = 0.0 if self.at is None else (now - self.at) * self.rate
        self.level, self.at = min(self.burst, self.level + earned), now
        if self.level >= 1 - 1e-9:
            self.level -= 1
            return 2.0, reply()
        wait = self.retry_after
        return 0.1, refusal((1 - self.level) / self.rate if wait == "right" else wait)


class Window:
    """At most so many requests in any minute."""

    def __init__(self, limit, *, retry_after=None):
        self.limit = limit
        self.taken = deque()
        self.retry_after = retry_after

    def __call__(self, text, attempt):
        now = virtual_time.now()
        while self.taken and self.taken[0] <= now - 60:
            self.taken.popleft()
        if len(self.taken) < self.limit:
            self.taken.append(now)
            return 2.0, reply()
        wait = self.taken[0] + 60 - now if self.retry_after == "right" else self.retry_after
        return 0.1, refusal(wait)


@pytest.mark.parametrize("cap", [1, 2, 10, 50, None])
@pytest.mark.parametrize("retry_after", [None, 1.0, "right"])
@pytest.mark.parametrize("limit", [lambda w: Bucket(0.3, retry_after=w),
                                   lambda w: Bucket(10, burst=10, retry_after=w),
                                   lambda w: Window(10, retry_after=w),
                                   lambda w: Window(60, retry_after=w)])  # fmt: skip
def test_a_rate_limit_fails_no_row(limit, retry_after, cap):
    done = outcome(numbered(120), Provider(limit(retry_after)), cap=cap)
    assert done.statuses == ["ok"] * 120


@pytest.mark.parametrize("retry_after", [None, 1.0])
def test_a_storm_of_refusals_fails_no_row(retry_after):
    def answer(text, attempt):
        storms = 1003 < virtual_time.now() < 1040
        return (0.1, refusal(retry_after)) if storms else (1.0, reply())

    provider = Provider(answer)
    done = outcome(numbered(300), provider)
    assert done.statuses == ["ok"] * 300
    in_storm = [at for at, _ in provider.calls if 1004 < at < 1040]
    assert len(in_storm) <= 2 * 37


@pytest.mark.parametrize("retry_after", [None, 1.0])
def test_a_row_that_alone_is_refused_fails_and_the_others_pass(retry_after):
    async def main():
        loop = asyncio.get_running_loop()
        provider = Provider(for_row("row 5", (0.1, refusal(retry_after))))
        began = loop.time()
        done = await wire(numbered(500), provider, cap=20).run()
        assert done.statuses.count("ok") == 499
        assert done.errors[5].startswith("rate_limit: slow down (refused ")
        assert provider.asked["row 5"] <= 10
        assert loop.time() - began < 60

    run(main)


@pytest.mark.parametrize("rows", [2, 5])
def test_where_few_rows_tell_little_it_takes_a_minute_of_quiet_to_blame_the_row(rows):
    async def main():
        loop = asyncio.get_running_loop()
        provider = Provider(for_row("row 0", (0.1, refusal(1.0))))
        began = loop.time()
        done = await wire(numbered(rows), provider).run()
        assert done.statuses.count("ok") == rows - 1
        assert done.errors[0].startswith("rate_limit: ")
        assert 60 <= loop.time() - began < 300

    run(main)


def test_several_rows_that_are_always_refused_go_last_and_pause_nobody():
    def answer(text, attempt):
        bad = int(text.split()[1]) % 100 == 0
        return (0.1, refusal(1.0)) if bad else (1.0, reply())

    done = outcome(numbered(1000), Provider(answer), cap=20)
    assert done.statuses.count("ok") == 990
    assert {each.split(":")[0] for each in done.errors if each} == {"rate_limit"}


def test_an_hour_long_wait_is_honoured_and_a_stop_works_in_it():
    async def main():
        loop = asyncio.get_running_loop()
        provider = Provider(lambda text, attempt: (0.1, refusal(3600)))
        wired = wire(numbered(5), provider)
        task = asyncio.create_task(wired.run())
        await asyncio.sleep(1000)
        sent = len(provider.calls)
        assert wired.parts.governor.binding().pause > 2000
        wired.pipeline.stop()
        began = loop.time()
        await task
        assert loop.time() - began < 1
        assert len(provider.calls) == sent
        assert wired.statuses == ["pending"] * 5

    run(main)


# -- hopeless ----


@pytest.mark.parametrize(
    "told",
    [
        status_error(401),
        status_error(402, {"error": {"message": "Insufficient Balance"}}),
        status_error(403),
        status_error(404, {"error": {"code": "model_not_found"}}),
        status_error(429, {"error": {"code": "insufficient_quota"}}),
        BadReply("x", error={"code": 401}),
    ],
)
def test_the_hopeless_ends_the_run_and_leaves_rows_pending(told):
    def answer(text, attempt):
        return (1.0, reply()) if int(text.split()[1]) < 25 else (0.5, told)

    provider = Provider(answer)
    done = outcome(numbered(200), provider)
    assert done.parts.halt.verdict.action == "end_run"
    assert done.statuses.count("failed") == 0
    assert done.statuses.count("ok") == 25
    assert len(provider.calls) <= 25 + 10


def test_the_hopeless_ends_every_run_of_the_key():
    async def main():
        governor = knowing(Governor(virtual_time.now))
        told = [reply()]
        providers = [Provider(lambda text, attempt: told[0]) for _ in range(2)]
        wired = [
            wire(numbered(500, name), each, governor=governor)
            for name, each in zip("ab", providers, strict=True)
        ]
        tasks = [asyncio.create_task(each.run()) for each in wired]
        await asyncio.sleep(5.5)
        told[0] = status_error(401)
        await asyncio.gather(*tasks)
        assert all(each.parts.halt.verdict.status == 401 for each in wired)
        assert all("failed" not in each.statuses for each in wired)
        assert all("pending" in each.statuses for each in wired)

    run(main)


@pytest.mark.parametrize("max_attempts", [1, 5])
@pytest.mark.parametrize("deadline", [None, 2.0])
def test_an_endpoint_that_never_answers_a_knock_ends_the_run_within_ten_seconds(
    max_attempts, deadline
):
    async def main():
        loop = asyncio.get_running_loop()
        began = loop.time()
        provider = Provider(lambda text, attempt: (0.01, lost_connection()))
        patience = Patience(deadline=deadline, max_attempts=max_attempts)
        done = await wire(numbered(50), provider, patience=patience, probes=True).run()
        assert NEVER_CONNECTED < loop.time() - began < 10
        assert done.statuses == ["pending"] * 50
        assert done.parts.halt.verdict.kind == "connection"
        assert len(provider.calls) < 2 * 10

    run(main)


def test_ten_answers_that_are_cut_off_though_nobody_set_a_cap_end_the_run():
    cut = Provider(lambda text, attempt: (0.1, reply("", "length")))
    done = outcome(numbered(200), cut)
    assert done.parts.halt.verdict.action == "end_run"
    assert set(done.statuses) == {"pending"}
    assert len(cut.calls) < 60


def test_ten_answers_that_are_cut_off_at_the_persons_own_cap_fail_their_rows():
    cut = Provider(lambda text, attempt: (0.1, reply("", "length")))
    done = outcome(numbered(30), cut, sampling=Sampling(max_output_tokens=20))
    assert done.statuses == ["failed"] * 30


def test_a_single_row_knocks_until_the_end_too():
    async def main():
        loop = asyncio.get_running_loop()
        began = loop.time()
        done = await wire(numbered(1), Provider(lambda *_: (0.01, lost_connection()))).run()
        assert NEVER_CONNECTED < loop.time() - began < 10
        assert done.statuses == ["pending"]

    run(main)


def test_an_endpoint_that_comes_up_late_is_no_failure():
    def answer(text, attempt):
        return (0.01, lost_connection()) if virtual_time.now() < 1006 else (1.0, reply())

    done = outcome(numbered(50), Provider(answer), patience=Patience(max_attempts=2))
    assert done.statuses == ["ok"] * 50


def test_no_tls_ends_the_run_at_once_but_not_after_an_answer():
    import ssl

    insecure = lost_connection()
    insecure.__cause__ = ssl.SSLError(1, "WRONG_VERSION_NUMBER")
    provider = Provider(lambda text, attempt: (0.1, insecure))
    done = outcome(numbered(50), provider, cap=1)
    assert (len(provider.calls), done.statuses) == (1, ["pending"] * 50)
    assert done.parts.halt.verdict.message.startswith("no secure connection")

    provider = Provider(for_row("row 3", lambda n: (0.1, insecure) if n < 2 else reply()))
    done = outcome(numbered(50), provider, cap=1)
    assert done.statuses == ["ok"] * 50


def test_a_run_that_cannot_connect_does_not_end_another_that_could():
    async def main():
        governor = knowing(Governor(virtual_time.now))
        reached = wire(numbered(100, "a"), Provider(), governor=governor, cap=2)
        never = wire(
            numbered(3, "b"), Provider(lambda *_: (0.1, lost_connection())), governor=governor
        )
        await asyncio.gather(reached.run(), never.run())
        assert reached.statuses == ["ok"] * 100
        assert reached.parts.halt.verdict is None
        assert never.statuses == ["pending"] * 3

    run(main)


# -- stop, hold, cancel ----


def test_a_stop_sends_nothing_new_and_keeps_what_is_in_flight():
    async def main():
        provider = Provider(latency=3.0)
        wired = wire(numbered(100), provider, cap=10)
        task = asyncio.create_task(wired.run())
        await asyncio.sleep(4)
        wired.pipeline.stop()
        sent = len(provider.calls)
        await task
        assert len(provider.calls) == sent == 20
        assert Counter(wired.statuses) == {"ok": 20, "pending": 80}
        assert wired.parts.in_flight.count == 0

    run(main)


def test_a_stop_between_grant_and_sending_sends_nothing():
    async def main():
        provider = Provider(latency=3.0)
        wired = wire(numbered(100), provider, cap=1)
        release = wired.parts.governor.release

        def release_and_stop(lease, **told):
            release(lease, **told)
            wired.pipeline.stop()

        wired.parts.governor.release = release_and_stop
        await wired.run()
        assert len(provider.calls) == 1
        assert wired.statuses[0] == "ok"

    run(main)


def test_rows_that_wait_are_pending_after_a_stop():
    async def main():
        def answer(text, attempt):
            return (0.1, status_error(500)) if text < "row 5" else (1.0, reply())

        wired = wire(numbered(10), Provider(answer), patience=Patience(max_attempts=50))
        task = asyncio.create_task(wired.run())
        while not wired.pipeline.waiting:  # noqa: ASYNC110 - no event tells it
            await asyncio.sleep(0.7)
        wired.pipeline.stop()
        await task
        assert Counter(wired.statuses) == {"ok": 5, "pending": 5}
        assert wired.parts.in_flight.count == 0

    run(main)


@pytest.mark.parametrize("told", [refusal(1), status_error(500), reply(BAD)])
def test_a_row_that_would_be_tried_again_after_the_stop_is_pending(told):
    async def main():
        wired = wire(numbered(1), Provider(lambda *_: (2.0, told)))
        task = asyncio.create_task(wired.run())
        await asyncio.sleep(1)
        wired.pipeline.stop()
        await task
        assert wired.statuses == ["pending"]

    run(main)


def test_a_stop_before_the_start_sends_nothing():
    async def main():
        provider = Provider()
        wired = wire(numbered(10), provider)
        wired.pipeline.stop()
        await wired.run()
        assert (provider.calls, wired.statuses) == ([], ["pending"] * 10)

    run(main)


def test_a_stop_while_planning_ends_the_run():
    async def main():
        provider = Provider()
        wired = wire(numbered(5000), provider, cap=10)
        task = asyncio.create_task(wired.run())
        await asyncio.sleep(0)
        wired.pipeline.stop()
        await task
        assert len(provider.calls) == 0
        assert wired.tally.planned

    run(main)


def test_who_stops_twice_stops():
    async def main():
        wired = wire(numbered(10), Provider())
        task = asyncio.create_task(wired.run())
        await asyncio.sleep(0.5)
        wired.pipeline.stop()
        wired.pipeline.stop()
        await task
        assert wired.statuses == ["ok"] * 10

    run(main)


def test_a_held_run_sends_nothing_until_it_goes_on():
    async def main():
        provider = Provider()
        wired = wire(numbered(100), provider, cap=10)
        task = asyncio.create_task(wired.run())
        await asyncio.sleep(1.5)
        wired.pipeline.hold(True)
        sent = len(provider.calls)
        await asyncio.sleep(1000)
        assert len(provider.calls) == sent
        wired.pipeline.hold(False)
        await task
        assert wired.statuses == ["ok"] * 100

    run(main)


def test_a_cancel_gives_up_what_is_in_flight_and_gives_everything_back():
    async def main():
        governor = knowing(Governor(virtual_time.now))
        provider = Provider(latency=100.0)
        wired = wire(numbered(100), provider, governor=governor, cap=10)
        task = asyncio.create_task(wired.run())
        await asyncio.sleep(4)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert (provider.on_wire, governor.binding().on_wire) == (0, 0)
        assert wired.parts.in_flight.count == 0
        assert wired.pipeline._workers == set()
        assert wired.statuses == ["pending"] * 100

    run(main)


def test_a_cancel_while_planning_ends_the_workers():
    async def main():
        governor = knowing(Governor(virtual_time.now))
        wired = wire(numbered(50_000), Provider(latency=100.0), governor=governor)
        task = asyncio.create_task(wired.run())
        for _ in range(5):
            await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert governor.binding().on_wire == 0
        assert wired.parts.in_flight.count == 0

    run(main)


def test_a_cancel_of_rows_that_wait_for_the_provider_gives_their_keys_back():
    async def main():
        in_flight = InFlight()
        wired = wire(
            numbered(30), Provider(lambda *_: (0.1, refusal(1000))), in_flight=in_flight
        )  # fmt: skip
        task = asyncio.create_task(wired.run())
        await asyncio.sleep(5)
        assert in_flight.count
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert in_flight.count == 0

    run(main)


@settings(max_examples=60, deadline=None)
@given(
    moment=st.floats(0, 30),
    step=st.sampled_from(["stop", "cancel", "hold and stop"]),
    faults=st.lists(st.sampled_from(["ok", "500", "429", "429 after", "bad", "drop"]), max_size=5),
)
def test_whenever_it_ends_nothing_is_lost_and_all_is_given_back(moment, step, faults):
    async def main():
        governor = knowing(Governor(virtual_time.now))
        told = {
            "ok": reply(), "500": status_error(500), "429": refusal(), "429 after": refusal(3),
            "bad": reply(BAD), "drop": lost_connection(),
        }  # fmt: skip

        def answer(text, attempt):
            fault = faults[attempt] if attempt < len(faults) else "ok"
            return 0.7, told[fault if int(text.split()[1]) % 3 == 0 else "ok"]

        provider = Provider(answer)
        wired = wire(numbered(60), provider, governor=governor, cap=5)
        task = asyncio.create_task(wired.run())
        await asyncio.sleep(moment)
        if step == "hold and stop":
            wired.pipeline.hold(True)
        sent = len(provider.calls)
        if step == "cancel":
            task.cancel()
        else:
            wired.pipeline.stop()
        with contextlib.suppress(asyncio.CancelledError):
            await task
        assert len(provider.calls) <= sent + (step == "cancel")  # it takes a turn of the loop
        assert governor.binding().on_wire == provider.on_wire == 0
        assert wired.parts.in_flight.count == 0
        done = Counter(wired.statuses)
        assert (done["ok"], done["failed"]) == (wired.tally.ok, wired.tally.failed)
        assert wired.tally.requests == len(provider.calls)

    run(main)


# -- two runs at once ----


class Pair:
    """Two runs over the same texts, which share what is in flight."""

    def __init__(self, rows=40, provider=None, **options):
        self.governor = knowing(Governor(virtual_time.now))
        self.in_flight = InFlight()
        self.provider = provider or Provider()
        self.wired = [
            wire(
                numbered(rows), self.provider, governor=self.governor, in_flight=self.in_flight,
                **options,
            )
            for _ in range(2)
        ]  # fmt: skip

    def start(self):
        return [asyncio.create_task(each.run()) for each in self.wired]


def test_two_runs_at_once_never_send_the_same_key_twice(checkpoint):
    async def main():
        pair = Pair(checkpoint=checkpoint)
        await asyncio.gather(*pair.start())
        assert set(pair.provider.asked.values()) == {1}
        assert [each.statuses for each in pair.wired] == [["ok"] * 40] * 2
        assert sum(each.tally.requests for each in pair.wired) == 40
        assert sum(each.tally.shared + each.tally.reused for each in pair.wired) == 40
        assert len(lines(checkpoint)) == 40

    run(main)


def test_who_waits_takes_over_when_the_owner_is_cancelled():
    async def main():
        pair = Pair(provider=Provider(latency=10.0), cap=5)
        first, second = pair.start()
        await asyncio.sleep(15)
        first.cancel()
        with pytest.raises(asyncio.CancelledError):
            await first
        await second
        assert pair.wired[1].statuses == ["ok"] * 40
        assert pair.in_flight.count == 0

    run(main)


def test_who_waits_takes_over_when_the_owner_is_stopped(checkpoint):
    async def main():
        pair = Pair(provider=Provider(latency=10.0), cap=5, checkpoint=checkpoint)
        tasks = pair.start()
        await asyncio.sleep(15)
        pair.wired[0].pipeline.stop()
        await asyncio.gather(*tasks)
        assert pair.wired[1].statuses == ["ok"] * 40
        assert set(pair.provider.asked.values()) == {1}

    run(main)


def test_who_waits_takes_over_when_the_owner_fails():
    async def main():
        provider = Provider(for_row("row 0", status_error(400, {"error": {"message": "no"}})))
        pair = Pair(rows=10, provider=provider)
        await asyncio.gather(*pair.start())
        assert [each.errors[0] for each in pair.wired] == ["bad_request: no"] * 2
        assert provider.asked["row 0"] == 2

    run(main)


def test_a_stop_while_a_key_of_another_run_is_awaited_leaves_the_row_pending():
    async def main():
        pair = Pair(rows=5, provider=Provider(latency=10.0))
        first = asyncio.create_task(pair.wired[0].run())
        await asyncio.sleep(1)
        second = asyncio.create_task(pair.wired[1].run())
        await asyncio.sleep(1)
        began = virtual_time.now()
        pair.wired[1].pipeline.stop()
        await second
        assert virtual_time.now() - began < 1
        assert pair.wired[1].statuses == ["pending"] * 5
        await first
        assert pair.wired[0].statuses == ["ok"] * 5

    run(main)


def test_a_cancel_while_a_key_of_another_run_is_awaited_disturbs_nobody():
    async def main():
        pair = Pair(rows=5, provider=Provider(latency=10.0))
        first, second = pair.start()
        await asyncio.sleep(1)
        second.cancel()
        with pytest.raises(asyncio.CancelledError):
            await second
        await first
        assert pair.wired[0].statuses == ["ok"] * 5

    run(main)


def test_a_row_that_waits_for_another_run_holds_nobody_up():
    async def main():
        pair = Pair(rows=3, provider=Provider(latency=50.0))
        first = asyncio.create_task(pair.wired[0].run())
        await asyncio.sleep(1)
        provider = Provider()
        both = wire(
            Texts(["row 0", "row 1", "row 2", "mine"]), provider, governor=pair.governor,
            in_flight=pair.in_flight, cap=1,
        )  # fmt: skip
        task = asyncio.create_task(both.run())
        await asyncio.sleep(10)
        assert both.statuses == ["pending"] * 3 + ["ok"]
        await asyncio.gather(first, task)
        assert both.statuses == ["ok"] * 4
        assert len(provider.calls) == 1

    run(main)


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.tuples(st.floats(0, 25), st.integers(0, 1), st.booleans()), max_size=2),
    st.lists(st.sampled_from(["ok", "500", "400", "bad"]), min_size=1, max_size=4),
)
def test_no_key_is_ever_on_the_wire_twice(ends, faults):
    async def main():
        told = {"ok": reply(), "500": status_error(500), "400": status_error(400),
                "bad": reply(BAD)}  # fmt: skip
        on_wire, at_once = Counter(), []

        class Watched(Provider):
            async def send(self, body):
                text = body["messages"][1]["content"]
                on_wire[text] += 1
                at_once.append(on_wire[text])
                try:
                    return await super().send(body)
                finally:
                    on_wire[text] -= 1

        def answer(text, attempt):
            return told[faults[(attempt + int(text.split()[1])) % len(faults)]]

        pair = Pair(provider=Watched(answer), cap=4)
        tasks = pair.start()
        for moment, which, cancel in sorted(ends):
            await asyncio.sleep(max(0.0, 1000 + moment - virtual_time.now()))
            if cancel:
                tasks[which].cancel()
            else:
                pair.wired[which].pipeline.stop()
        await asyncio.wait(tasks)
        assert set(at_once) <= {1}
        assert pair.in_flight.count == 0
        assert pair.governor.binding().on_wire == 0
        for number, each in enumerate(pair.wired):
            if number not in {which for _, which, _ in ends}:
                assert "pending" not in each.statuses or each.parts.halt.verdict

    run(main)


def test_two_runs_in_two_threads_share_what_is_in_flight():
    governor, in_flight = knowing(Governor()), InFlight()
    asked = Counter()
    lock = threading.Lock()

    class Quick(Provider):
        async def send(self, body):
            with lock:
                asked[body["messages"][1]["content"]] += 1
            await asyncio.sleep(0.001)
            return reply()

    results = []

    async def main():
        wired = wire(numbered(200), Quick(), governor=governor, in_flight=in_flight, cap=8)
        wired.pipeline._clock = governor.clock
        results.append((await wired.run()).statuses)

    threads = [threading.Thread(target=asyncio.run, args=(main(),)) for _ in range(3)]
    for each in threads:
        each.start()
    for each in threads:
        each.join(30)
    assert results == [["ok"] * 200] * 3
    assert in_flight.count == 0
    # a key that was asked and answered may be asked anew by who comes after, without a checkpoint
    assert len(asked) == 200


# -- the checkpoint ----


def test_every_answer_is_written_once_over_all_its_legs(checkpoint):
    provider = Provider(lambda text, attempt: reply(BAD) if attempt == 0 else reply())
    outcome(numbered(10), provider, checkpoint=checkpoint)
    assert len(lines(checkpoint)) == 10
    assert checkpoint.get(KEYS.key("row 3")).usage == Usage(20, 6)
    assert checkpoint.get(KEYS.key("row 3")).attempts == 2


def test_what_is_answered_is_not_asked_again(checkpoint):
    outcome(numbered(10), Provider(), checkpoint=checkpoint)
    provider = Provider()
    done = outcome(numbered(12), provider, checkpoint=checkpoint)
    assert sorted(provider.asked) == ["row 10", "row 11"]
    assert (done.tally.reused, done.tally.ok) == (10, 12)


def test_what_failed_is_asked_again(checkpoint):
    outcome(numbered(3), Provider(for_row("row 1", status_error(400))), checkpoint=checkpoint)
    assert len(lines(checkpoint, '"e"')) == 1
    provider = Provider()
    done = outcome(numbered(3), provider, checkpoint=checkpoint)
    assert (list(provider.asked), done.statuses) == (["row 1"], ["ok"] * 3)


def test_a_failure_is_written_without_anybodys_words(checkpoint):
    words = {"error": {"message": "the secret row", "code": "odd_code"}}
    outcome(numbered(1), Provider(lambda *_: status_error(400, words)), checkpoint=checkpoint)
    (line,) = lines(checkpoint, '"e"')
    assert "secret" not in line
    assert '"kind":"bad_request","status":400,"code":"odd_code"' in line


def test_rows_that_share_an_answer_have_their_ids_noted(checkpoint):
    rows = Texts(["a", "a", "b", "a"], ids=[1, 2, 3, 4])
    outcome(rows, Provider(), checkpoint=checkpoint)
    assert all(checkpoint.has_id(KEYS.key("a"), each) for each in (1, 2, 4))
    assert checkpoint.has_id(KEYS.key("b"), 3)
    assert len(lines(checkpoint)) == 2


def test_texts_are_kept_only_where_the_person_wants_them(checkpoint):
    outcome(numbered(1), Provider(), checkpoint=checkpoint)
    assert "row 0" not in checkpoint.path.read_text()
    outcome(Texts(["secret"]), Provider(), checkpoint=checkpoint, store_input=True)
    assert "secret" in checkpoint.path.read_text()


def test_an_answer_of_another_run_goes_into_ones_own_checkpoint_with_its_id(tmp_path):
    async def main(mine, theirs):
        governor, in_flight, provider = knowing(Governor(virtual_time.now)), InFlight(), Provider()
        shared = {"governor": governor, "in_flight": in_flight}
        first = wire(Texts(["a"], ids=["x"]), provider, checkpoint=theirs, **shared)
        second = wire(Texts(["a"], ids=["y"]), provider, checkpoint=mine, **shared)
        tasks = [asyncio.create_task(first.run()), asyncio.create_task(second.run())]
        await asyncio.gather(*tasks)
        assert len(provider.calls) == 1
        assert mine.get(KEYS.key("a")).status == "ok"
        assert mine.has_id(KEYS.key("a"), "y")
        assert not mine.has_id(KEYS.key("a"), "x")

    with opened(tmp_path / "1", tmp_path) as theirs, opened(tmp_path / "2", tmp_path) as mine:
        virtual_time.run(main(mine, theirs))


def test_what_another_run_wrote_meanwhile_is_not_asked_and_its_id_is_noted(checkpoint):
    async def main():
        provider = Provider()
        wired = wire(Texts(["a", "b"], ids=[1, 2]), provider, checkpoint=checkpoint, cap=1)
        task = asyncio.create_task(wired.run())
        await asyncio.sleep(0.5)
        checkpoint.append(KEYS.key("b"), RowResult("ok", {"intent": "other"}, attempts=1))
        await task
        assert list(provider.asked) == ["a"]
        assert wired.parts.store.results[1].values == {"intent": "other"}
        assert checkpoint.has_id(KEYS.key("b"), 2)
        assert wired.tally.reused == 1

    run(main)


def test_a_write_error_ends_the_run_and_keeps_every_paid_answer(tmp_path):
    async def main(checkpoint, ops):
        provider = Provider()
        wired = wire(numbered(100), provider, checkpoint=checkpoint, cap=10)
        task = asyncio.create_task(wired.run())
        await asyncio.sleep(2.5)
        ops.broken = True
        await asyncio.sleep(1)
        sent = len(provider.calls)
        await task
        assert isinstance(wired.parts.halt.error, CheckpointError)
        assert len(provider.calls) == sent == 30
        assert Counter(wired.statuses) == {"ok": 30, "pending": 70}

    ops = FailingOps("write")
    with opened(tmp_path / "c.jsonl", tmp_path, ops=ops) as checkpoint:
        virtual_time.run(main(checkpoint, ops))


@pytest.mark.parametrize("where", ["planning", "ids", "claim"])
def test_a_read_error_ends_the_run_as_a_checkpoint_error(checkpoint, monkeypatch, where):
    """where: while planning; while a shared id is noted; when a row is about to be sent."""
    broken = False

    def fail(*arguments):
        if broken:
            raise CheckpointError("the disk is gone")
        return False if where == "ids" else None

    async def main():
        nonlocal broken
        provider = Provider()
        rows = Texts([f"row {i // 2}" for i in range(60)], ids=list(range(60)))
        monkeypatch.setattr(checkpoint, "has_id" if where == "ids" else "get", fail)
        broken = where == "planning"
        wired = wire(rows, provider, checkpoint=checkpoint, cap=5)
        task = asyncio.create_task(wired.run())
        await asyncio.sleep(0.5)
        broken = True
        await task
        assert str(wired.parts.halt.error) == "the disk is gone"
        assert len(provider.calls) == (0 if where == "planning" else 5)
        assert wired.tally.ok == 2 * len(provider.calls)
        assert wired.parts.in_flight.count == 0

    run(main)


def test_values_that_are_no_json_fail_their_row_only(checkpoint, monkeypatch):
    append = checkpoint.append

    def refuse(key, result, **more):
        if key == KEYS.key("row 1"):
            raise OutputError("the answer cannot be stored as JSON: nan")
        append(key, result, **more)

    monkeypatch.setattr(checkpoint, "append", refuse)
    done = outcome(numbered(3), Provider(), checkpoint=checkpoint)
    assert done.statuses == ["ok", "failed", "ok"]
    assert done.errors[1].startswith("output: the answer cannot be stored")


def test_a_failing_fsync_ends_the_run(tmp_path):
    """The news come from another thread, and may come late."""
    ops = FailingOps("fsync")
    with opened(tmp_path / "c.jsonl", tmp_path, ops=ops) as checkpoint:

        async def main():
            async def send(body):
                await asyncio.sleep(0.01)
                return reply()

            wired = wire(numbered(10_000), provider := Provider(), checkpoint=checkpoint)
            provider.send = send
            ops.broken = True
            return await wired.run()

        done = asyncio.run(main())
    assert isinstance(done.parts.halt.error, CheckpointError)
    assert 0 < done.statuses.count("ok") < 10_000
    assert "failed" not in done.statuses


def test_news_of_a_checkpoint_after_the_loop_is_closed_are_no_error(tmp_path):
    ops = FailingOps("fsync")
    with opened(tmp_path / "c.jsonl", tmp_path, ops=ops) as checkpoint:
        outcome(numbered(1), Provider(), checkpoint=checkpoint)
        ops.broken = True
        checkpoint.append(KEYS.key("x"), RowResult("ok", {}, attempts=1))
        assert not checkpoint.flush(5)
        assert not checkpoint.durable


# -- the first failure raises, where it is asked for ----


def test_the_first_row_that_fails_stops_the_run():
    provider = Provider(for_row("row 25", status_error(400, {"error": {"message": "no"}})))
    done = outcome(numbered(100), provider, cap=10, on_error="raise")
    error = done.parts.halt.error
    assert isinstance(error, CallError)
    assert str(error) == "row 25: bad_request: no"
    assert (error.position, error.kind, error.status) == (25, "bad_request", 400)
    assert done.statuses.count("ok") == len(provider.calls) - 1
    assert len(provider.calls) <= 26 + 2 * 9


def test_a_bad_answer_raises_an_output_error():
    done = outcome(numbered(1), Provider(lambda *_: reply(BAD)), on_error="raise")
    assert isinstance(done.parts.halt.error, OutputError)
    assert (done.parts.halt.error.kind, done.parts.halt.error.position) == ("output", 0)


def test_a_row_that_cannot_be_redacted_raises_too():
    def redact(text):
        raise ValueError(text)

    rules = TextRules(redact)
    done = outcome(numbered(10), provider := Provider(), rules=rules, on_error="raise")
    assert done.parts.halt.error.kind == "redact"
    assert provider.calls == []


def test_a_deadline_raises_with_its_own_kind():
    provider = Provider(lambda *_: (9.0, reply()))
    patience = Patience(deadline=3.0)
    done = outcome(numbered(1), provider, patience=patience, on_error="raise")
    assert done.parts.halt.error.kind == "deadline"


# -- faults of our own parts ----


def test_an_observer_that_raises_is_told_nothing_more_and_harms_nobody(caplog):
    seen = []

    def observer(event):
        seen.append(event)
        raise RuntimeError("the panel is gone")

    done = outcome(numbered(10), Provider(), observers=[observer])
    assert done.statuses == ["ok"] * 10
    assert len(seen) == 1
    assert len([each for each in done.events if isinstance(each, RequestSent)]) == 10
    assert "an observer failed" in caplog.text


def test_rows_that_cannot_be_rendered_end_the_run_after_what_is_in_flight_came_back():
    class Broken(Texts):
        def texts(self, start, stop):
            if start > 5000:
                raise RuntimeError("cannot render")
            return super().texts(start, stop)

    async def main():
        rows = Broken([f"row {i}" for i in range(10_000)])
        wired = wire(rows, Provider(latency=5.0), cap=10)
        with pytest.raises(RuntimeError, match="cannot render"):
            await wired.run()
        assert wired.statuses.count("ok") == 10

    run(main)


def test_a_worker_that_breaks_ends_the_run_and_gives_its_key_back():
    async def main():
        wired = wire(numbered(100), Provider(), cap=10)
        settle = wired.parts.store.settle

        def break_at_25(position, result):
            if position == 25:
                raise RuntimeError("a bug")
            return settle(position, result)

        wired.parts.store.settle = break_at_25
        with pytest.raises(RuntimeError, match="a bug"):
            await wired.run()
        assert wired.parts.in_flight.count == 0
        assert 25 <= wired.statuses.count("ok") == len(wired.provider.calls) - 1
        assert wired.parts.governor.binding().on_wire == 0

    run(main)


# -- what is in flight ----


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


# -- runs that share rows ------------------------------------------------------------------------


def wired_together(*rows, provider, **options):
    """A run over each of these rows, of one governor and with the keys that are being asked."""
    governor, in_flight = Governor(asyncio.get_running_loop().time), InFlight()
    governor.understood(Dialect())
    return [
        wire(each, provider, governor=governor, in_flight=in_flight, cap=4, **options)
        for each in rows
    ]


def both(first, second, provider, seconds=3600.0):
    """Two runs over rows that they share; whether both have come to an end."""

    async def main():
        runs = wired_together(first, second, provider=provider)
        tasks = [asyncio.create_task(each.run()) for each in runs]
        _, left = await asyncio.wait(tasks, timeout=seconds)
        for task in left:
            task.cancel()
        assert runs[0].parts.in_flight.count == 0 or left
        return not left, runs

    return virtual_time.run(main())


def second_beside_held(rows, provider, checkpoint, *, hold_at, held_for):
    """Two runs over the same rows: the first is held, the second runs, then the first goes on."""

    async def main():
        runs = wired_together(
            numbered(rows), numbered(rows), provider=provider, checkpoint=checkpoint
        )
        first, second = runs
        task = asyncio.create_task(first.run())
        await asyncio.sleep(hold_at)
        first.pipeline.hold(held=True)
        await asyncio.sleep(held_for)
        assert first.parts.in_flight.count == 0
        assert (await second.run()).statuses == ["ok"] * rows
        first.pipeline.hold(held=False)
        await task
        assert first.statuses == ["ok"] * rows
        assert first.parts.governor.binding().on_wire == 0
        return runs

    return virtual_time.run(main())


def test_two_runs_whose_first_answers_all_fail_do_not_wait_for_each_others_held_rows():
    ended, runs = both(numbered(12), numbered(12), Provider(lambda *_: (0.1, reply(BAD))))
    assert ended
    assert all(each.parts.halt.verdict.kind == "output" for each in runs)
    assert all(each.statuses == ["pending"] * 12 for each in runs)


def test_two_runs_do_not_wait_for_each_others_last_rows():
    def answer(text, attempt):
        return (0.1, refusal()) if "always refused" in text else reply()

    texts = [f"row {n}" for n in range(400)]
    texts[20], texts[-21] = "always refused 1", "always refused 2"
    ended, runs = both(Texts(texts), Texts(texts[::-1]), Provider(answer))
    assert ended
    for each in runs:
        assert Counter(each.statuses) == {"ok": 398, "failed": 2}
        assert all(error.startswith("rate_limit") for error in each.errors if error)


def test_a_row_that_is_always_refused_ends_even_where_no_other_is_left():
    async def main():
        began = virtual_time.now()
        wired = wire(numbered(1), Provider(lambda *_: (0.1, refusal())))
        task = asyncio.create_task(wired.run())
        await asyncio.wait([task], timeout=3600)
        assert wired.statuses == ["failed"]
        assert 900 <= virtual_time.now() - began < 1000

    run(main)


@pytest.mark.parametrize("rows", [1, 3, 10])
@pytest.mark.parametrize("retry_after", [None, 1.0, 5.0])
def test_a_storm_at_the_very_beginning_fails_no_row_of_a_small_frame(rows, retry_after):
    async def main():
        def answer(text, attempt):
            return (0.1, refusal(retry_after)) if virtual_time.now() < 1300 else reply()

        wired = await wire(numbered(rows), Provider(answer)).run()
        assert wired.statuses == ["ok"] * rows
        assert virtual_time.now() < 1500

    run(main)


@pytest.mark.parametrize("told", [status_error(500), refusal(), reply(BAD)])
def test_what_comes_back_to_a_held_run_to_be_tried_again_keeps_no_key(checkpoint, told):
    provider = Provider(lambda text, attempt: (2.0, reply() if attempt else told))
    runs = second_beside_held(4, provider, checkpoint, hold_at=0.5, held_for=60.0)
    paid = sum(each.tally.usage.tokens_in for each in runs)
    replies = len(provider.calls) - 4 * isinstance(told, Exception)
    assert paid == 10 * replies


def test_a_run_that_is_held_keeps_no_key_from_others(checkpoint):
    provider = Provider(latency=1.0)
    second_beside_held(20, provider, checkpoint, hold_at=1.5, held_for=2.0)
    assert len(provider.calls) == 20
