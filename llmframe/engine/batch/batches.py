"""A run's batches: made of the rows that wait, sent, watched and taken back, one step at a time.

Whatever kills the process, the checkpoint knows every batch that may exist, because its nonce and
keys are on the disk before the first call about it; the same call finds it by them. A batch is
marked as ended there only after the last of its rows has its line.
"""

from __future__ import annotations

import asyncio
import contextlib
import math
import tempfile
from collections import deque
from dataclasses import replace
from typing import IO, TYPE_CHECKING

from llmframe.engine.batch.lines import request_line
from llmframe.engine.batch.part import Part, resumed
from llmframe.engine.batch.provider import BatchProvider
from llmframe.engine.batch.results import Results, note_paid
from llmframe.engine.batch.room import Room
from llmframe.engine.batch.steps import FIRST_LOOK, NoBatchesError, Steps, disk_full
from llmframe.engine.batch.words import batch_words
from llmframe.engine.events import InBatches
from llmframe.errors import CheckpointError, warn
from llmframe.journal.batches import join_keys
from llmframe.providers.batch_limits import DEFAULT, batch_limits
from llmframe.results import Usage, UsageSum

if TYPE_CHECKING:
    from collections.abc import Iterable

    from llmframe.engine.row import Row
    from llmframe.engine.rows.attempts import Attempts
    from llmframe.engine.rows.parts import Parts
    from llmframe.engine.rows.settle import Settler
    from llmframe.engine.rows.work import Work

GATHER = 600.0  # seconds that rows to be asked again wait for others like them
SLICE = 256  # lines written in one go
ALL_LIVE = (
    'the endpoint has no batches: all rows are asked live, at the live price, as batch_fallback="'
    'live" says'
)


class Batches:
    """The batches of one run; lives on its loop. is_on: rows go into batches at all."""

    def __init__(
        self,
        parts: Parts,
        *,
        attempts: Attempts,
        work: Work,
        settler: Settler,
    ) -> None:
        job = parts.job
        assert job.checkpoint is not None
        self._parts = parts
        self._checkpoint = job.checkpoint
        self._work = work
        self._settler = settler
        self._clock = parts.governor.clock
        self._fallback = job.settings.batch_fallback == "live"
        limits = batch_limits(job.endpoint.base_url)
        self.is_on = limits is not None  # else the plan has made sure of the fallback
        self._room = Room(limits or DEFAULT)
        self._url = "/v1/responses" if job.endpoint.api == "responses" else "/v1/chat/completions"
        purpose = (limits or DEFAULT).purpose
        self._steps = Steps(
            parts,
            provider=BatchProvider(parts.backend.client, url=self._url, purpose=purpose),
            results=Results(parts, attempts=attempts, settler=settler),
            settler=settler,
            room=self._room,
        )
        stored = self._checkpoint.open_batches()
        self._open = [resumed(one, self._clock()) for one in stored]
        self._of_key = {key: part for part in self._open for key in part.keys}
        self._queue: deque[Row] = deque()
        self._is_urgent = False  # they were never asked, or not by the batch they were in
        self._since = 0.0  # when the first of them came
        self._wake = asyncio.Event()

    # -- for the pipeline and the views -------------------------------------------------

    def add(self, row: Row) -> bool:
        """Take a row that is this run's to ask for; False for one that is to be asked live."""
        if not self.is_on or (self._fallback and row.sent):
            return False
        part = None if row.sent else self._of_key.get(row.key)
        if part is not None:  # an earlier call has sent it
            row.dialect = self._parts.governor.dialects.next(
                enums=self._parts.asker.enums, may_try=False
            )
            part.rows[row.key] = row
        else:
            note_paid(row, self._parts)
            self._enqueue([row], urgent=not row.sent)
        self._wake.set()
        return True

    def wake(self) -> None:
        """Look again at what there is to do: the run ends, or goes on."""
        self._wake.set()

    @property
    def rows(self) -> int:
        """Rows that are at the provider."""
        return sum(len(part.rows) for part in self._open if part.is_there)

    @property
    def words(self) -> str:
        """What is going on, in a plain sentence."""
        now, room = self._clock(), self._room
        return batch_words(
            tuple(self._open),
            waiting=len(self._queue),
            looked=None if self._steps.looked is None else now - self._steps.looked,
            full=room.reason if now < room.until else "",
            left=room.until - now,
        )

    async def run(self) -> None:
        """Send, watch and take back, until no row of the run is left, or the run is stopped."""
        try:
            while not self._is_over():
                self._wake.clear()
                for part in tuple(self._open):
                    if part in self._open and self._due(part) <= self._clock():
                        await self._step(part)
                if self._may_form():
                    await self._form()
                elif not self._is_over():
                    await self._rest()
        except CheckpointError as error:
            self._parts.halt.fail(error)
        finally:
            self._leave()

    # -- when -------------------------------------------------------------------------

    def _is_over(self) -> bool:
        """Whether there is nothing more to do for this run."""
        halt = self._parts.halt
        if halt.stopped:
            if not halt.cancels_batches:
                return True  # the batches go on by themselves, and the next call finds them
            for part in tuple(self._open):
                part.cancel = True
                if not part.may_exist:
                    self._end(part, "never started")
            return not self._open
        if self._work.left or any(part.rows for part in self._open):
            return False
        # a batch without rows of this run is looked at once: it may be over
        return not any(part.remote is None and not part.tries for part in self._open)

    def _due(self, part: Part) -> float:
        """When to go on with a batch; nothing new is started during the person's pause."""
        is_held = self._parts.share.held and not part.may_exist
        return math.inf if is_held else part.due

    def _may_form(self) -> bool:
        """Whether to make a batch of the rows that wait: one at a time, and old ones first."""
        if not self._queue or self._parts.halt.stopped or self._parts.share.held:
            return False
        if any(not part.id for part in self._open) or not self._work.none_fresh:
            return False
        now = self._clock()
        is_worth = self._is_urgent or len(self._queue) >= self._room.requests
        others = self._work.waiting or any(part.rows for part in self._open)
        return now >= self._room.until and (is_worth or not others or now - self._since >= GATHER)

    async def _rest(self) -> None:
        """Wait until something is due, or something has changed."""
        now = self._clock()
        due = min(map(self._due, self._open), default=math.inf)
        if self._queue:
            due = min(due, max(self._room.until, now + FIRST_LOOK))
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(None if due == math.inf else max(0.0, due - now)):
                await self._wake.wait()

    # -- making and ending batches -------------------------------------------------------

    async def _form(self) -> None:
        """Make a batch of rows that wait, and note it on the disk before anything is sent."""
        for part in self._open:
            if part.reservation is None and part.rows:  # of an earlier call
                part.reservation = self._parts.job.budget.set_aside(
                    self._expected(part.rows.values())
                )
        file = tempfile.TemporaryFile(prefix="llmframe-")  # noqa: SIM115 - closed with its part
        rows, expected = await self._write(file)
        if self._parts.halt.error is not None:
            self._queue.extend(rows)  # they are dropped as the run ends
            return
        if not rows:
            file.close()
            if self._queue and not self._parts.job.budget.in_flight:
                self._parts.halt.spent()  # all is back, and what is left does not suffice
            self._room.until = self._clock() + FIRST_LOOK
            return
        part = Part(keys=tuple(row.key for row in rows), input=file, began=self._clock())
        part.rows = {row.key: row for row in rows}
        part.reservation = self._parts.job.budget.set_aside(expected)
        self._open.append(part)
        self._is_urgent &= bool(self._queue)
        await self._steps.note(part, keys=join_keys(part.keys))

    async def _write(self, file: IO[bytes]) -> tuple[list[Row], Usage]:
        """Write requests up to the limits and the budget; the rows, and what they may take."""
        asker, budget = self._parts.asker, self._parts.job.budget
        dialects = self._parts.governor.dialects
        rows: list[Row] = []
        expected = Usage(cost=0.0)
        while self._queue and len(rows) < self._room.requests:
            row = self._queue[0]
            usage = self._expected([row])
            if not budget.has_room_for(expected + usage):
                break
            row.dialect = dialects.next(row.rewritten, row.tried, enums=asker.enums, may_try=False)
            line = request_line(row.key, asker.body(row, row.dialect), self._url)
            if rows and file.tell() + len(line) > self._room.size:
                break
            self._queue.popleft()
            if len(line) > self._room.size:
                words = f"its request has {len(line):,} bytes, more than a batch may have"
                self._settler.finish(row, row.failed("context_length", words))
                continue
            rows.append(row)
            try:
                file.write(line)
            except OSError as exc:
                self._parts.halt.fail(disk_full(exc))
                break
            expected += usage
            if len(rows) % SLICE == 0:
                await asyncio.sleep(0)
        return rows, expected

    def _expected(self, rows: Iterable[Row]) -> Usage:
        """What rows may take, where there is a budget."""
        asker, budget, total = self._parts.asker, self._parts.job.budget, UsageSum(Usage(cost=0.0))
        for row in rows if budget.is_set else ():
            total.add(budget.expected(asker.size(row), asker.cap(row), batch=True))
        return total.total

    async def _step(self, part: Part) -> None:
        self._steps.others_there = any(one.is_there for one in self._open if one is not part)
        try:
            why = await self._steps.step(part)
        except NoBatchesError as none:
            self._go_live(none)
        else:
            if why:
                self._end(part, why)

    def _end(self, part: Part, why: str) -> None:
        """The batch needs nothing more; rows that it did not ask about go into another one."""
        rows, part.rows = list(part.rows.values()), {}
        self._enqueue(rows, urgent=True)
        self._open.remove(part)
        for key in part.keys:
            self._of_key.pop(key, None)
        part.close()
        self._checkpoint.append_batch(part.nonce, end=why)

    def _enqueue(self, rows: list[Row], *, urgent: bool) -> None:
        if rows and not self._queue:
            self._since = self._clock()
        self._queue.extend(rows)
        self._is_urgent |= urgent and bool(rows)

    def _go_live(self, none: NoBatchesError) -> None:
        """The endpoint has no batches."""
        if not self._fallback:
            self._parts.halt.hopeless(replace(none.verdict, action="end_run", about="batches"))
            return
        warn(ALL_LIVE)
        self.is_on = False
        for part in tuple(self._open):
            self._end(part, "no batches")
        while self._queue:
            self._work.retry(self._queue.popleft(), self._clock())

    def _leave(self) -> None:
        """The run ends: what it has not got back stays pending, and its batches where they are."""
        if going := [part for part in self._open if part.is_there and not part.cancel]:
            self._parts.events.emit(InBatches(sum(len(one.rows) for one in going), len(going)))
        for part in tuple(self._open):
            if part.may_exist:
                self._queue.extend(part.rows.values())
                part.rows = {}
                part.close()
            else:
                with contextlib.suppress(CheckpointError):  # then a later call finds that out
                    self._end(part, "never started")
        while self._queue:
            self._settler.drop(self._queue.popleft())
