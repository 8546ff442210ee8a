"""Errors that no retry cures end the run and leave the rest pending."""

from __future__ import annotations

import asyncio

import pytest

from llmframe.engine.governor import Governor
from llmframe.engine.rows.decisions import NEVER_CONNECTED
from llmframe.engine.rows.patience import Patience
from llmframe.engine.wire.verdict import BadReply
from tests.kits import virtual_time
from tests.kits.engine import (
    Provider,
    knowing,
    lost_connection,
    numbered,
    reply,
    status_error,
    wire,
)
from tests.kits.virtual_pipelines import (
    for_row,
    outcome,
    run,
)


@pytest.mark.parametrize(
    "response",
    [
        status_error(401),
        status_error(402, {"error": {"message": "Insufficient Balance"}}),
        status_error(403),
        status_error(404, {"error": {"code": "model_not_found"}}),
        status_error(429, {"error": {"code": "insufficient_quota"}}),
        BadReply("x", error={"code": 401}),
    ],
)
def test_an_error_that_no_retry_cures_ends_the_run_and_leaves_rows_pending(response):
    def answer(text, attempt):
        row = int(text.split()[1]) if text.startswith("row") else 25
        return (1.0, reply()) if row < 25 else (0.5, response)

    provider = Provider(answer)
    done = outcome(numbered(200), provider)
    assert done.parts.halt.verdict.action == "end_run"
    assert done.statuses.count("failed") == 0
    assert done.statuses.count("ok") == 25
    assert len(provider.calls) <= 25 + 10 + 3  # in flight, until several rows and a probe show it


def test_an_error_that_no_retry_cures_ends_every_run_of_the_key():
    async def main():
        governor = knowing(Governor(virtual_time.now))
        responses = [reply()]
        providers = [Provider(lambda text, attempt: responses[0]) for _ in range(2)]
        wired = [
            wire(numbered(500, name), each, governor=governor)
            for name, each in zip("ab", providers, strict=True)
        ]
        tasks = [asyncio.create_task(each.run()) for each in wired]
        await asyncio.sleep(5.5)
        responses[0] = status_error(401)
        await asyncio.gather(*tasks)
        assert all(each.parts.halt.verdict.status == 401 for each in wired)
        assert all("failed" not in each.statuses for each in wired)
        assert all("pending" in each.statuses for each in wired)

    run(main)


@pytest.mark.parametrize("max_attempts", [1, 5])
@pytest.mark.parametrize("deadline", [None, 2.0])
def test_an_endpoint_that_never_answers_ends_the_run_within_ten_seconds(max_attempts, deadline):
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
    done = outcome(numbered(30), cut, max_output_tokens=20)
    assert done.statuses == ["failed"] * 30


def test_a_single_row_is_tried_until_the_end_too():
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
