"""Late rows are asked once more at the end; the first valid answer wins."""

from __future__ import annotations

import asyncio

from llmframe.engine.rows import attempts
from llmframe.engine.rows.work import Work
from llmframe.system.timeout import TimeOut
from tests.kits.engine import GOOD, Provider, numbered, refusal, reply, wire
from tests.kits.virtual_time import now, run

ROWS = 60


def slow_last(text, attempt):
    """The last row's first request hangs; its second is as fast as any."""
    return (50.0, reply()) if text == f"row {ROWS - 1}" and attempt == 0 else reply()


def finish(provider, **options):
    async def main():
        begun = now()
        wired = await wire(numbered(ROWS), provider, **options).run()
        return now() - begun, wired

    return run(main())


def test_a_late_row_is_asked_again_and_the_faster_answer_wins():
    seconds, wired = finish(Provider(slow_last), hedge=True)
    assert wired.statuses == ["ok"] * ROWS
    assert seconds < 15
    assert wired.tally.hedges == 1
    assert wired.tally.requests == ROWS + 1
    assert wired.tally.retries == 0


def test_without_the_option_nobody_is_asked_twice():
    seconds, wired = finish(Provider(slow_last))
    assert seconds > 50
    assert wired.tally.hedges == 0


def test_an_answer_that_is_not_valid_does_not_win():
    def answer(text, attempt):
        if text != f"row {ROWS - 1}":
            return reply()
        return (20.0, reply(GOOD)) if attempt == 0 else reply("{broken")

    seconds, wired = finish(Provider(answer), hedge=True)
    assert wired.statuses == ["ok"] * ROWS
    assert seconds >= 20
    assert wired.tally.hedges == 1
    assert wired.tally.usage.tokens_out == 3 * (ROWS + 1)


def test_nothing_is_hedged_soon_after_a_refusal():
    def answer(text, attempt):
        if text == f"row {ROWS - 2}" and attempt == 0:
            return (0.1, refusal(1.0))
        return (8.0, reply()) if text == f"row {ROWS - 1}" else reply()

    _, wired = finish(Provider(answer), hedge=True)
    assert wired.statuses == ["ok"] * ROWS
    assert wired.tally.hedges == 0


def test_a_hedge_that_fails_leaves_the_row_to_its_own_request():
    def answer(text, attempt):
        if text != f"row {ROWS - 1}":
            return reply()
        return (20.0, reply()) if attempt == 0 else refusal(1.0)

    seconds, wired = finish(Provider(answer), hedge=True)
    assert wired.statuses == ["ok"] * ROWS
    assert seconds >= 20


def test_an_answer_that_wins_in_the_moment_of_the_time_out_ends_its_row_once(monkeypatch):
    won = asyncio.Event()

    class Last(Provider):
        async def send(self, body):
            if f"row {ROWS - 1}\n" not in body["messages"][1]["content"]:
                return await super().send(body)
            self.asked["last"] += 1
            if self.asked["last"] == 1:
                await asyncio.sleep(1000)
            await won.wait()
            return reply()

    class Moment(TimeOut):
        def _on_timer(self):
            if self._left <= 0:
                won.set()
            super()._on_timer()

    ended = []
    done = Work.done
    monkeypatch.setattr(attempts, "TimeOut", Moment)
    monkeypatch.setattr(Work, "done", lambda work: ended.append(1) or done(work))
    _, wired = finish(Last(), hedge=True)
    assert wired.statuses == ["ok"] * ROWS
    assert wired.provider.asked["last"] == 2
    assert len(ended) == ROWS
