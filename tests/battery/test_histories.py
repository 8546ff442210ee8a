"""Any history of runs, stops, kills, damage and changed frames: resumed is as uninterrupted.

200 histories are tried, and 5,000 with ``-m soak``, or the share of them that it goes.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import re
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd
import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule
from pandas.testing import assert_frame_equal

from llmframe.errors import PlanError
from llmframe.frame.columns import new_columns, plan_columns
from llmframe.journal import open_checkpoint
from llmframe.options.settings import Settings
from tests.kits import virtual_time
from tests.kits.columns import held
from tests.kits.engine import PROMPT, Provider, Texts, reply
from tests.kits.engine import wire as wired
from tests.kits.histories import KEYS, NAMES, TASKS, TEXTS, Ledger, right
from tests.kits.journal import QuickOps
from tests.kits.soak import times

if TYPE_CHECKING:
    from llmframe.results import RowResult

pytestmark = pytest.mark.battery
EXAMPLES, MANY = 200, times(5000)
STEPS = 8  # rules in one history
COLUMNS = plan_columns(
    pd.DataFrame(),
    PROMPT.fields.specs,
    Settings(),
    inputs=(),
    task="t",
)

texts = st.lists(st.sampled_from([*TEXTS, None]), max_size=16)
moments = st.floats(0.0, 12.0)


class Histories(RuleBasedStateMachine):
    """One checkpoint through everything that may happen to it and to the frame.

    safe: the answers that came back and were not damaged since: (prompt, text); held: those
    that were safe when the run began; harmed: those that may ever have been damaged.
    """

    name = "run.jsonl"

    @initialize(rows=texts, ids=st.booleans())
    def begin(self, rows: list[str | None], ids: bool) -> None:
        self.place = tempfile.TemporaryDirectory()
        self.path = Path(self.place.name) / self.name
        self.rows = rows
        self.ids = ids
        self.prompt = 0
        self.cap = 4
        self.bad: set[str] = set()
        self.safe: set[tuple[int, str]] = set()
        self.harmed: set[tuple[int, str]] = set()
        self.runs = 0

    # -- what happens to the frame and the call ----

    @rule(rows=texts)
    def change_the_frame(self, rows: list[str | None]) -> None:
        self.rows = rows

    @rule(more=texts)
    def add_rows(self, more: list[str | None]) -> None:
        self.rows = [*self.rows, *more][:24]

    @rule(random=st.randoms(use_true_random=False))
    def reorder_rows(self, random: Any) -> None:
        self.rows = random.sample(self.rows, len(self.rows))

    @rule()
    def change_the_prompt(self) -> None:
        self.prompt = 1 - self.prompt

    @rule(cap=st.integers(1, 6))
    def change_the_concurrency(self, cap: int) -> None:
        self.cap = cap

    @rule(text=st.sampled_from(TEXTS))
    def a_row_begins_or_ceases_to_fail(self, text: str) -> None:
        self.bad ^= {text}

    # -- runs ----

    @rule()
    def run_to_the_end(self) -> None:
        results = self.run()
        for text, result in zip(self.rows, results, strict=True):
            assert self.outcome(result) in self.wanted(text), text

    @rule(moment=moments, how=st.sampled_from(["stop", "cancel"]))
    def run_and_stop(self, moment: float, how: str) -> None:
        results = self.run(moment, how)
        for text, result in zip(self.rows, results, strict=True):
            assert result is None or self.outcome(result) in self.wanted(text), text

    @rule(moment=moments)
    def run_and_die(self, moment: float) -> None:
        self.run(moment, "kill")

    # -- what happens to the file ----

    @rule(size=st.integers(1, 120))
    def tear_the_tail(self, size: int) -> None:
        if self.lines:
            left = max(0, self.path.stat().st_size - size)
            self.damage(left, 1 << 60)
            os.truncate(self.path, left)

    @rule(cut=st.integers(1, 80))
    def leave_a_torn_line(self, cut: int) -> None:
        if self.lines:
            with self.path.open("ab") as file:
                file.write(self.lines[-1][:cut].rstrip(b"\n"))

    @rule(where=st.integers(0, 5000), mask=st.integers(1, 255))
    def flip_a_byte(self, where: int, mask: int) -> None:
        if self.lines:
            self.flip(where % self.path.stat().st_size, mask)

    @rule(which=st.integers(0, 100), letter=st.integers(0, 4))
    def flip_a_letter_of_an_answer(self, which: int, letter: int) -> None:
        whole = b"".join(self.lines)
        found = [match.start(1) for match in re.finditer(rb'"intent": ?"(.{5})', whole)]
        if found:
            self.flip(found[which % len(found)] + letter, 1)

    # -- how it is done ----

    @property
    def lines(self) -> list[bytes]:
        """The lines of the file, each with its newline."""
        return self.path.read_bytes().splitlines(keepends=True) if self.path.exists() else []

    def damage(self, begin: int, end: int) -> None:
        """The answers of the lines that these bytes are part of may be bought again."""
        at, hit = 0, set()
        for line in self.lines:
            if at < end and begin <= at + len(line):  # a lost newline harms its neighbour too
                hit |= self.named(line)
            at += len(line)
        self.harmed |= hit
        self.safe -= hit

    def flip(self, at: int, mask: int) -> None:
        """Change one byte."""
        whole = bytearray(self.path.read_bytes())
        self.damage(at, at + 1)
        whole[at] ^= mask
        self.path.write_bytes(whole)

    @staticmethod
    def named(line: bytes) -> set[tuple[int, str]]:
        """Which answers a line is about."""
        return {name for key, name in NAMES.items() if key in line}

    def wanted(self, text: str | None) -> list[tuple[str, str | None]]:
        """What may become of a row: one thing, unless its answer may have been damaged."""
        if text is None:
            return [("skipped", None)]
        ok, failed = ("ok", right(self.prompt, text)), ("failed", None)
        name = (self.prompt, text)
        if text not in self.bad or name in self.held:
            return [ok]
        return [ok, failed] if name in self.harmed else [failed]

    @staticmethod
    def outcome(result: RowResult | None) -> tuple[str, str | None]:
        if result is None:
            return "pending", None
        return result.status, result.values["intent"] if result.values else None

    def run(self, moment: float | None = None, how: str = "") -> list[RowResult | None]:
        """One life of a run; nothing that is safe may be asked again."""
        self.runs += 1
        self.held = set(self.safe)
        checkpoint = self.open()
        provider = Ledger(self.prompt, self.bad, self.runs)
        try:
            results, left = virtual_time.run(self._live(checkpoint, provider, moment, how))
        finally:
            checkpoint.close()
        asked = {(self.prompt, text) for _, text in provider.calls}
        assert not asked & self.safe, "bought again"
        self.safe |= {(self.prompt, text) for text in provider.good}
        if left is not None:
            self.restore(left)
        elif not how:
            self.check_frame(results)
        return results

    def open(self) -> Any:
        folder = self.path.parent / "default"
        task = TASKS[self.prompt]
        try:
            return open_checkpoint(self.path, task, folder=folder, ops=QuickOps(), ids=self.ids)
        except PlanError:  # nothing whole is left in it, so it may be a stranger's
            assert not self.safe
            self.path.unlink()
            return open_checkpoint(self.path, task, folder=folder, ops=QuickOps(), ids=self.ids)

    async def _live(
        self, checkpoint: Any, provider: Ledger, moment: float | None, how: str
    ) -> tuple[list[RowResult | None], dict[Path, bytes] | None]:
        """The run; its results, and where it was killed the files as they were then."""
        ids = [f"R-{i}" for i in range(len(self.rows))] if self.ids else None
        rows = Texts(self.rows, ids)
        run = wired(
            rows, provider, checkpoint=checkpoint, cap=self.cap, keys=KEYS[self.prompt]
        )  # fmt: skip
        task = asyncio.ensure_future(run.run())
        if moment is not None:
            await asyncio.wait([task], timeout=moment)
        left = self.files() if how == "kill" else None
        provider.dead = how == "kill"
        if how == "stop":
            run.pipeline.stop()
        elif how:
            task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
        assert run.parts.in_flight.count == 0
        return list(run.parts.store.results), left

    def files(self) -> dict[Path, bytes]:
        """The checkpoint's files as they are."""
        return {file: file.read_bytes() for file in self.path.parent.glob(self.name + "*")}

    def restore(self, left: dict[Path, bytes]) -> None:
        """Whatever was done since has not been done: the process was dead."""
        for file in self.files():
            file.unlink()
        for file, content in left.items():
            if file.suffix != ".lock":
                file.write_bytes(content)

    def check_frame(self, results: list[RowResult | None]) -> None:
        """The columns are those of a run that nothing disturbed, without a checkpoint."""
        if any(text in self.bad for text in self.rows):
            return
        calm = Provider(lambda text, _: reply(json.dumps({"intent": right(self.prompt, text)})))

        async def main() -> Any:
            return (await wired(Texts(self.rows), calm).run()).parts.store.results

        index = pd.RangeIndex(len(self.rows))
        frames = [
            new_columns(index, COLUMNS, held(each), info={})
            for each in (results, virtual_time.run(main()))
        ]
        assert_frame_equal(*frames)

    def teardown(self) -> None:
        if hasattr(self, "place"):
            with self.place:
                self.run_to_the_end()


def histories(machine: type[Histories], examples: int) -> Any:
    """The test case that tries so many histories."""

    class Case(machine.TestCase):  # type: ignore[name-defined]
        settings = settings(
            max_examples=examples, stateful_step_count=STEPS, deadline=None,
            suppress_health_check=list(HealthCheck), database=None,
        )  # fmt: skip

    return Case


TestHistories = histories(Histories, EXAMPLES)
TestManyHistories = pytest.mark.soak(histories(Histories, MANY))
