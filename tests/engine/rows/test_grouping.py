"""Several rows in one request: put together, cut apart, paused, stopped, never lost or doubled."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from dataclasses import dataclass, field

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llmframe.engine.asking.embedding import Capacity, EmbeddingAsker
from llmframe.engine.rows.claims import InFlight
from llmframe.engine.rows.health_probe import TEXT as PROBE
from llmframe.engine.wire.reply import Reply
from llmframe.options.settings import Settings
from llmframe.results import Usage
from tests.kits import virtual_time
from tests.kits.engine import lost_connection, numbered, refusal, status_error, wire


@dataclass
class Vectors:
    """Answers requests for embeddings in the loop's time.

    answer: texts -> None for good vectors, an exception, or a Reply.
    """

    answer: object = lambda texts: None
    latency: float = 1.0
    sizes: list[int] = field(default_factory=list)
    paid: Counter = field(default_factory=Counter)
    on_wire: int = 0
    peak: int = 0

    async def send(self, body):
        texts = body["input"]
        self.sizes.append(len(texts))
        self.on_wire += 1
        self.peak = max(self.peak, self.on_wire)
        try:
            await asyncio.sleep(self.latency)
        finally:
            self.on_wire -= 1
        found = self.answer(texts)
        if isinstance(found, BaseException):
            raise found
        self.paid.update(text for text in texts if text != PROBE)
        return found or good(texts)


def good(texts, keep=lambda text: True):
    items = [{"index": at, "embedding": [1.0, 2.0]} for at, text in enumerate(texts) if keep(text)]
    return Reply(None, "stop", None, Usage(len(texts)), {}, vectors=items)


def embedding_asker(texts=10, size=10_000):
    return EmbeddingAsker(Settings(model="m"), Capacity(texts, size))


def run(rows, provider, *, act=None, asker=None, **options):
    """Run to the end; act: a coroutine function that gets the wired pipeline, beside it."""

    async def main():
        wired = wire(rows, provider, asker=asker or embedding_asker(), **options)
        acting = asyncio.ensure_future(act(wired)) if act else None
        await wired.run()
        if acting:
            await acting
        return wired

    return virtual_time.run(main())


def test_requests_are_full_and_every_row_is_answered():
    provider = Vectors()
    wired = run(numbered(95), provider)
    assert wired.statuses == ["ok"] * 95
    assert sorted(provider.sizes) == [5] + [10] * 9
    assert wired.tally.requests == 10


def test_a_request_holds_no_more_bytes_than_it_may():
    provider = Vectors()
    run(numbered(40), provider, asker=embedding_asker(10, size=30))  # "row 12": 6 bytes
    assert max(provider.sizes) <= 6


def test_as_many_requests_are_on_the_wire_as_may_be():
    provider = Vectors()
    run(numbered(500), provider, cap=7)
    assert provider.peak == 7


def test_the_usage_of_all_rows_is_that_of_the_requests():
    wired = run(numbered(95), Vectors())
    assert wired.tally.usage.tokens_in == 95


@pytest.mark.parametrize("bad", [{"row 3"}, {"row 0", "row 9"}, {f"row {i}" for i in range(9)}])
def test_bad_texts_fail_alone(bad):
    def refuse(texts):
        too_long = {"message": "maximum context length", "code": "context_length_exceeded"}
        return status_error(400, {"error": too_long}) if bad & {*texts} else None

    provider = Vectors(refuse)
    wired = run(numbered(10), provider)
    failed = {f"row {at}" for at, status in enumerate(wired.statuses) if status == "failed"}
    assert failed == bad
    assert max(provider.paid.values(), default=1) == 1


def test_a_request_that_is_too_large_for_the_endpoint_makes_later_ones_smaller():
    asker = embedding_asker(100)
    provider = Vectors(lambda texts: status_error(413) if len(texts) > 32 else None)
    wired = run(numbered(2000), provider, asker=asker, cap=2)
    assert wired.statuses == ["ok"] * 2000
    assert asker.most_texts == 25
    assert max(provider.sizes[-40:]) <= 25


def test_a_bad_text_makes_no_later_request_smaller():
    asker = embedding_asker(10)
    provider = Vectors(lambda texts: status_error(422) if "row 3" in texts else None)
    run(numbered(100), provider, asker=asker, cap=2)
    assert asker.most_texts == 10


def test_a_server_that_breaks_at_one_text_is_asked_for_the_others():
    provider = Vectors(lambda texts: status_error(500) if "row 37" in texts else None)
    wired = run(numbered(100), provider, cap=4)
    assert wired.statuses.count("ok") == 99
    assert wired.errors[37].startswith("server: ")


def test_refusals_and_losses_use_up_no_row():
    chance = random.Random(5)
    storm = [refusal(2.0), lost_connection(), status_error(503), None, None, None]
    provider = Vectors(lambda texts: chance.choice(storm))
    wired = run(numbered(300), provider, max_attempts=30)
    assert wired.statuses == ["ok"] * 300
    assert set(provider.paid.values()) == {1}


def test_rows_whose_vectors_are_missing_are_asked_again_and_paid_rows_kept():
    asked = Counter()

    def sometimes(texts):
        asked.update(texts)
        return good(texts, keep=lambda text: asked[text] > 1 or not text.endswith("3"))

    wired = run(numbered(40), Vectors(sometimes))
    assert wired.statuses == ["ok"] * 40
    assert {text: times for text, times in asked.items() if times > 1} == {
        f"row {at}": 2 for at in (3, 13, 23, 33)
    }  # fmt: skip


def test_a_reply_with_too_few_vectors_is_asked_for_in_halves():
    def too_few(texts):
        items = [{"embedding": [1.0, 2.0]}] * (1 if len(texts) == 1 else len(texts) - 1)
        return Reply(None, "stop", None, Usage(len(texts)), {}, vectors=items)

    wired = run(numbered(8), Vectors(too_few))
    assert wired.statuses == ["ok"] * 8


def test_a_stop_keeps_what_comes_back_and_leaves_the_rest_pending():
    async def stop(wired):
        await asyncio.sleep(1.5)
        wired.pipeline.stop()

    in_flight = InFlight()
    provider = Vectors()
    wired = run(numbered(500), provider, act=stop, cap=4, in_flight=in_flight)
    counts = Counter(wired.statuses)
    assert counts == {"ok": provider.paid.total(), "pending": 500 - provider.paid.total()}
    assert counts["ok"] == 80
    assert in_flight.count == 0


def test_a_pause_frees_the_keys_and_afterwards_requests_are_full_again():
    in_flight, keys = InFlight(), []

    async def pause(wired):
        await asyncio.sleep(0.5)
        wired.pipeline.hold(True)
        await asyncio.sleep(5.0)
        keys.append(in_flight.count)
        wired.pipeline.hold(False)

    provider = Vectors()
    wired = run(numbered(400), provider, act=pause, cap=4, in_flight=in_flight)
    assert wired.statuses == ["ok"] * 400
    assert keys == [0]
    assert set(provider.paid.values()) == {1}
    assert provider.sizes.count(10) >= 36


def test_two_runs_over_the_same_texts_share_the_answers():
    async def main():
        in_flight, provider = InFlight(), Vectors()
        one = wire(numbered(200), provider, asker=embedding_asker(), in_flight=in_flight)
        other = wire(numbered(200), provider, asker=embedding_asker(7), in_flight=in_flight)
        await asyncio.gather(one.run(), other.run())
        assert one.statuses == other.statuses == ["ok"] * 200
        assert set(provider.paid.values()) == {1}

    virtual_time.run(main())


def test_a_cancel_loses_no_key():
    async def main():
        in_flight, provider = InFlight(), Vectors()
        wired = wire(numbered(200), provider, asker=embedding_asker(), in_flight=in_flight)
        running = asyncio.ensure_future(wired.run())
        await asyncio.sleep(1.5)
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        assert in_flight.count == 0

    virtual_time.run(main())


@settings(max_examples=60)
@given(
    n=st.integers(1, 60),
    texts=st.integers(1, 20),
    takes=st.integers(1, 20),
    cap=st.integers(1, 8),
    bad=st.sets(st.integers(0, 59), max_size=4),
    seed=st.integers(0, 999),
)
def test_any_endpoint_answers_every_good_row_once_and_fails_every_bad_one(
    n, texts, takes, cap, bad, seed
):
    chance = random.Random(seed)
    refused = {f"row {at}" for at in bad}

    def answer(asked):
        if len(asked) > takes:
            return status_error(chance.choice([400, 413, 422]))
        if refused & {*asked}:
            return status_error(422)
        return chance.choice([None] * 9 + [refusal(1.0), status_error(502)])

    provider = Vectors(answer)
    asker = embedding_asker(texts)
    wired = run(numbered(n), provider, asker=asker, cap=cap, max_attempts=20)
    for at, status in enumerate(wired.statuses):
        # where every row is bad nothing tells that it is the rows
        assert status == ("failed" if at in bad else "ok") or {*range(n)} <= bad
    assert max(provider.paid.values(), default=1) == 1
