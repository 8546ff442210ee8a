"""Every row is planned once: blank, shared, answered already, or to be sent."""

from __future__ import annotations

import asyncio
import threading
import time
from types import SimpleNamespace

import pytest

from llmframe.engine.asking.outgoing import NO_RULES, TextRules
from llmframe.engine.events import Events, Planned, RowsDone, RowsReused, TextCut
from llmframe.engine.rows import planner as planners
from llmframe.engine.rows.answers import Answers, StoredAnswers
from llmframe.engine.rows.halt import Halt
from llmframe.engine.rows.planner import Planner
from llmframe.engine.rows.work import Work
from llmframe.errors import CheckpointError
from llmframe.options.settings import Settings
from llmframe.results import SKIPPED, Failure, ResultStore, RowResult
from tests.kits.engine import KEYS, Texts, numbered

ANSWER = RowResult("ok", {"intent": "refund"}, attempts=1)


class Planning:
    """A plan that was carried out, and what it did."""

    def __init__(self, rows, **options):
        self.events = []
        self.unsent = []
        self.store = ResultStore(rows.n)
        self.slices = 0
        self.rows = rows
        self.options = {"checkpoint": None, **options}

    async def run(self, after_slice=None):
        self.work = Work(time.monotonic, lambda: 10)
        self.halt = Halt()
        checkpoint, reuse = self.options["checkpoint"], self.options.get("reuse", True)
        answers = Answers()
        if checkpoint is not None:
            answers = StoredAnswers(
                checkpoint, rows=self.rows, halt=self.halt, settings=Settings(reuse=reuse)
            )
        self.planner = Planner(
            SimpleNamespace(
                job=SimpleNamespace(
                    rows=self.rows,
                    source=None,
                    keys=KEYS,
                    votes=None,
                    rules=self.options.get("rules", NO_RULES),
                ),
                store=self.store,
                events=Events(self.events.append),
                halt=self.halt,
                processes={},
            ),
            work=self.work,
            answers=answers,
            settler=SimpleNamespace(fail_unsent=self.note_unsent),
        )

        def count():
            self.slices += 1
            if after_slice is not None:
                after_slice(self)

        await self.planner.run(count)
        return self

    def note_unsent(self, position, result):
        if result.status == "failed":
            self.unsent.append((position, result))

    @property
    def fresh(self):
        async def taken():
            found = []
            while self.work.unattended:
                found.append(await self.work.next())
            return found

        return asyncio.run(taken())

    @property
    def statuses(self):
        return [None if each is None else each.status for each in self.store.results]


def plan(rows, after_slice=None, **options):
    return asyncio.run(Planning(rows, **options).run(after_slice))


def test_distinct_rows_are_fresh_and_blank_ones_are_skipped():
    done = plan(Texts(["a", None, "b"]))
    assert done.fresh == [0, 2]
    assert list(done.store.results) == [None, SKIPPED, None]
    assert done.events == [RowsDone((1,), SKIPPED, "blank"), Planned()]


def test_no_rows_are_planned_at_once():
    assert plan(Texts([])).events == [Planned()]


def test_equal_rows_have_one_leader_and_are_settled_with_it():
    done = plan(Texts(["a", "b", "a", "a"]))
    assert done.fresh == [0, 1]
    assert done.store.settle(0, ANSWER) == [2, 3]
    assert done.statuses == ["ok", None, "ok", "ok"]
    assert done.store.settle(1, ANSWER) == []


def test_an_equal_row_that_comes_after_the_answer_shares_it_at_once(monkeypatch):
    monkeypatch.setattr(planners, "SLICE", 1)
    answered = RowResult("ok", {"intent": "refund"}, attempts=1, seconds=0.5)

    def settle(done):
        if done.slices == 1:
            done.store.settle(0, answered)

    done = plan(Texts(["a", "a"]), settle)
    assert done.statuses == ["ok", "ok"]
    assert done.events[0] == RowsDone((1,), answered, "shared")


def test_an_equal_row_that_comes_after_the_failure_shares_it(monkeypatch):
    monkeypatch.setattr(planners, "SLICE", 1)
    broken = RowResult("failed", error=Failure("server", "x"))

    def settle(done):
        if done.slices == 1:
            done.store.settle(0, broken)

    done = plan(Texts(["a", "a"]), settle)
    assert done.events[0] == RowsDone((1,), broken, "shared")
    assert done.unsent == [(1, broken)]


# -- the checkpoint ----


def test_what_is_in_the_checkpoint_is_not_sent(checkpoint):
    checkpoint.append(KEYS.key("a"), ANSWER)
    done = plan(Texts(["a", "b", "a"]), checkpoint=checkpoint)
    assert done.fresh == [1]
    assert done.statuses == ["ok", None, "ok"]
    assert done.events == [RowsReused([0, 2]), Planned()]


def test_what_failed_before_is_sent_again(checkpoint):
    checkpoint.append(KEYS.key("a"), RowResult("failed", error=Failure("server", "x")))
    assert plan(Texts(["a"]), checkpoint=checkpoint).fresh == [0]


def test_without_reuse_everything_is_sent(checkpoint):
    checkpoint.append(KEYS.key("a"), ANSWER)
    assert plan(Texts(["a"]), checkpoint=checkpoint, reuse=False).fresh == [0]


def test_new_ids_of_known_answers_are_noted_once(checkpoint):
    checkpoint.append(KEYS.key("a"), ANSWER, id="first")
    rows = Texts(["a", "a", "a", "b"], ids=["first", "second", None, "other"])
    plan(rows, checkpoint=checkpoint)
    size = checkpoint.path.stat().st_size
    plan(rows, checkpoint=checkpoint)
    assert checkpoint.path.stat().st_size == size
    assert checkpoint.has_id(KEYS.key("a"), "second")
    assert not checkpoint.has_id(KEYS.key("b"), "other")


def test_a_checkpoint_that_cannot_be_read_is_an_error(tmp_path):
    class Broken:
        def get_all(self, keys, today=None):
            raise CheckpointError("the disk is gone")

    done = plan(Texts(["a"]), checkpoint=Broken())
    assert "gone" in str(done.halt.error)


# -- slices ----


def test_rows_are_planned_in_slices_and_the_loop_runs_between_them():
    async def main():
        planning = Planning(numbered(3 * planners.SLICE))
        turns = 0

        async def beat():
            nonlocal turns
            while True:
                await asyncio.sleep(0)
                turns += 1

        beating = asyncio.create_task(beat())
        await planning.run()
        beating.cancel()
        assert planning.slices >= 3
        assert turns >= 2

    asyncio.run(main())


def test_long_texts_are_planned_in_smaller_slices():
    rows = Texts([f"{i}" * 40_000 for i in range(2 * planners.SLICE)])
    done = plan(rows)
    assert done.slices > 3
    assert done.fresh == list(range(rows.n))


@pytest.mark.parametrize(
    ("size", "took", "following"),
    [(512, 0.001, 512), (512, 0.004, 256), (512, 10.0, 1), (1, 0.0, 2), (16, 0.0, 32), (1, 9.9, 1)],
)
def test_a_slice_takes_two_thousandths_of_a_second_at_most(size, took, following):
    assert planners.next_size(size, took) == following


# -- redact ----


def test_redacted_texts_are_asked_and_sent():
    done = plan(Texts(["a 1", "a 2", "b 1"]), rules=TextRules(lambda text: text[:1]))
    assert done.fresh == [0, 2]
    assert (done.planner.row(0).text, done.planner.row(2).text) == ("a", "b")


def test_redact_runs_in_a_thread():
    threads = set()

    def redact(text):
        threads.add(threading.current_thread())
        return text

    plan(numbered(3), rules=TextRules(redact))
    assert threading.current_thread() not in threads


def test_redact_is_called_once_a_row_and_never_for_a_blank_one():
    seen = []
    plan(Texts(["a", None, "b"]), rules=TextRules(lambda text: seen.append(text) or text))
    assert seen == ["a", "b"]


def fails(text):
    raise ValueError(f"secret {text}")


@pytest.mark.parametrize(
    ("redact", "word"),
    [(fails, "ValueError"), (lambda text: None, "TypeError"), (lambda text: 3, "TypeError"),
     (lambda text: b"x", "TypeError")],
)  # fmt: skip
def test_a_row_that_cannot_be_redacted_fails_unsent_without_its_text_in_the_error(redact, word):
    rules = TextRules(lambda text: redact(text) if text == "a" else text)
    done = plan(Texts(["a", "b"]), rules=rules)
    assert done.fresh == [1]
    (result,) = [each for each in done.store.results if each]
    assert str(result.error) == f"redact: {word} in redact=; nothing was sent"
    assert done.unsent == [(0, result)]


@pytest.mark.parametrize("blank", ["", " \n"])
def test_a_row_of_which_nothing_is_left_is_skipped(blank):
    rules = TextRules(lambda text: blank if text == "a" else text)
    done = plan(Texts(["a", "b"]), rules=rules)
    assert done.statuses == ["skipped", None]


def test_half_an_emoji_is_made_whole():
    done = plan(Texts(["a"]), rules=TextRules(lambda text: "x\ud83d\ude00y\ud83dz"))
    assert done.planner.row(0).text == "x😀y\ufffdz"


def test_after_a_stop_nothing_more_is_redacted():
    seen = []

    def stop(done):
        done.work.close()

    done = plan(numbered(1000), stop, rules=TextRules(lambda text: seen.append(text) or text))
    assert len(seen) < 1000
    assert Planned() not in done.events


def test_a_stop_while_something_is_redacted_ends_that_at_the_next_row():
    async def main():
        seen = []
        planning = Planning(numbered(1000))

        def redact(text):
            seen.append(text)
            planning.work.close()
            return text

        planning.options["rules"] = TextRules(redact)
        await planning.run()
        return seen, planning

    seen, planning = asyncio.run(main())
    assert seen == ["row 0"]
    assert planning.fresh == []


# -- long texts ----


def test_a_text_that_is_too_long_is_not_sent():
    done = plan(Texts(["short", "long " * 100]), rules=TextRules(max_tokens=50))
    assert done.fresh == [0]
    ((position, result),) = done.unsent
    assert (position, result.status) == (1, "failed")
    assert str(result.error).startswith("context_length: the text has about 125 tokens")


def test_a_text_that_is_too_long_may_lose_its_end_and_is_counted():
    rules = TextRules(max_tokens=5, truncate=True)
    done = plan(Texts(["short", "long " * 100]), rules=rules)
    assert done.fresh == [0, 1]
    assert (done.planner.row(0).text, done.planner.row(1).text) == ("short", "long " * 4)
    assert done.events == [TextCut(1), Planned()]


def test_texts_that_begin_alike_are_one_when_they_are_cut():
    rules = TextRules(max_tokens=1, truncate=True)
    assert plan(Texts(["same a", "same b"]), rules=rules).fresh == [0]


def test_a_text_is_redacted_before_it_is_measured_and_cut():
    rules = TextRules(lambda text: text.replace("long ", ""), max_tokens=1, truncate=True)
    done = plan(Texts(["long secret"]), rules=rules)
    assert done.planner.row(0).text == "secr"


# -- after a stop ----


def test_after_a_stop_the_answers_in_the_checkpoint_are_still_found(checkpoint):
    rows = numbered(3 * planners.SLICE)
    checkpoint.append(KEYS.key(rows.text(rows.n - 1)), ANSWER)
    done = plan(rows, lambda done: done.work.close(), checkpoint=checkpoint)
    assert done.statuses[-1] == "ok"
    assert done.fresh == []
    assert done.events[-1] == Planned()


def test_a_text_is_rendered_again_when_it_is_sent():
    done = plan(Texts(["a", None]))
    assert (done.planner.row(0).text, done.planner.row(1).text) == ("a", "")


def test_after_a_stop_reading_the_checkpoint_soon_ends(checkpoint, monkeypatch):
    monkeypatch.setattr(planners, "LAST_RECALL", -1.0)
    rows = numbered(3 * planners.SLICE)
    checkpoint.append(KEYS.key(rows.text(rows.n - 1)), ANSWER)
    done = plan(rows, lambda done: done.work.close(), checkpoint=checkpoint)
    assert done.slices == 1
    assert done.statuses[-1] is None
    assert Planned() not in done.events
