"""Workers over one iterator: every row gets its result.

The way of a row: key -> checkpoint? -> in flight elsewhere? -> budget? -> lease -> its
course: request under our time-out -> parse -> checkpoint's line -> event.
"""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING

from llmframe.engine.asking.outgoing import NO_RULES
from llmframe.engine.row import Row
from llmframe.engine.rows.attempts import Attempts
from llmframe.engine.rows.hedge import Hedges
from llmframe.engine.rows.parts import Parts
from llmframe.engine.rows.patience import Patience
from llmframe.engine.rows.planner import Planner
from llmframe.engine.rows.settle import Settler
from llmframe.engine.rows.work import Work
from llmframe.errors import CheckpointError, RowError
from llmframe.results import NOTHING_USED, Usage
from llmframe.system.executor import as_exception

if TYPE_CHECKING:
    from collections.abc import Callable
    from concurrent.futures import Future

    from llmframe.engine.asking.outgoing import TextRules
    from llmframe.engine.governor import Lease
    from llmframe.engine.wire.verdict import Verdict
    from llmframe.results import RowResult

LOOK = 0.1  # seconds between two looks for late rows, only with hedging
CALM = 10.0  # seconds without a refusal, before anything is hedged
WATCH = 0.25  # seconds between two looks whether who asks for an awaited answer is gone


class Pipeline:
    """One run of rows through the engine; lives on one loop.

    raise_on_failure: stop at the first row that fails for good. hedge: ask late rows twice.
    reuse, rules: see Planner.
    After the run: verdict, if the run was hopeless; error, if it must be raised;
    over_budget, if that is why it stopped.
    """

    def __init__(
        self,
        parts: Parts,
        patience: Patience,
        *,
        reuse: bool = True,
        rules: TextRules = NO_RULES,
        store_input: bool = False,
        raise_on_failure: bool = False,
        hedge: bool = False,
    ) -> None:
        self._parts = parts
        self._clock = parts.governor.clock
        self._loop = asyncio.get_running_loop()
        self._work = Work(self._clock, lambda: parts.share.limit)
        self._planner = Planner(
            parts.rows, parts.keys, parts.book, self._work, parts.events,
            checkpoint=parts.checkpoint, reuse=reuse, rules=rules,
            on_unsent=lambda position, result: self._settler.on_failed(position, result),
        )  # fmt: skip
        self._hedges = Hedges() if hedge else None
        self._settler = Settler(
            parts, self._work, self._planner, store_input=store_input,
            raise_on_failure=raise_on_failure, fail=self.fail, give_up=self._on_doom,
        )  # fmt: skip
        self._attempts = Attempts(
            parts, patience, self._work, self._settler,
            give_up=self._on_doom, hedges=self._hedges,
        )  # fmt: skip
        self._workers: set[asyncio.Task[None]] = set()
        self._hires = False
        self._nobody_left = asyncio.Event()
        self._queued: set[Row] = set()  # rows that wait for their turn
        self._watch: asyncio.TimerHandle | None = None
        self._crash: Exception | None = None
        self.over_budget = False
        self.verdict: Verdict | None = None
        self.error: CheckpointError | RowError | None = None
        parts.share.on_hopeless = self._on_doom
        if parts.checkpoint is not None:
            parts.checkpoint.on_error(self._on_checkpoint_error)

    @property
    def waiting(self) -> int:
        """Rows that wait to be tried again."""
        return self._work.waiting

    async def run(self) -> None:
        """Run to the end: all rows done, or stopped and what was in flight is back."""
        hedging = self._loop.create_task(self._hedge()) if self._hedges is not None else None
        try:
            await self._plan()
            while self._workers:
                self._nobody_left.clear()
                await self._nobody_left.wait()
        finally:
            self._settler.release_held()
            if hedging is not None:
                hedging.cancel()
            if self._watch is not None:
                self._watch.cancel()
            await self._dismiss()
        if self._crash is not None:
            raise self._crash

    def stop(self) -> None:
        """Send nothing new; what is in flight goes on to its end."""
        self._parts.share.close()
        for row in self._work.close():
            self._settler.unclaim(row)

    def hold(self, held: bool) -> None:
        """The person's pause: send nothing new while held, and keep no key from other runs."""
        if not held:
            self._parts.share.resume()
            return
        self._parts.share.hold()
        for row in (*self._queued, *self._work.at_hand()):
            self._settler.unclaim(row)

    def fail(self, error: CheckpointError | RowError) -> None:
        """Stop because of an error that the caller must see."""
        self.error = self.error or error
        self.stop()

    async def _plan(self) -> None:
        try:
            await self._planner.run(self._hire)
        except CheckpointError as error:
            self.fail(error)
        except Exception as exc:  # noqa: BLE001 - raised when what is in flight is back
            self._crash = exc
            self.stop()

    async def _dismiss(self) -> None:
        """Cancel whoever is left; a normal end leaves nobody."""
        self.stop()
        workers = list(self._workers)
        for worker in workers:
            worker.cancel()
        await asyncio.gather(*workers, return_exceptions=True)

    # -- workers ------------------------------------------------------------------

    def _hire(self) -> None:
        """As many workers as requests may be on the wire, while there is work for them.

        One in each turn of the loop: the first request leaves before hundreds are made.
        """
        enough = len(self._workers) >= self._parts.share.limit or not self._work.unattended
        if self._hires or enough:
            return
        worker = self._loop.create_task(self._serve())
        self._workers.add(worker)
        worker.add_done_callback(self._on_leave)
        self._hires = True
        self._loop.call_soon(self._hire_more)

    def _hire_more(self) -> None:
        self._hires = False
        self._hire()

    def _on_leave(self, worker: asyncio.Task[None]) -> None:
        self._workers.discard(worker)
        if not worker.cancelled() and (exc := worker.exception()) is not None:
            if not isinstance(exc, KeyboardInterrupt | SystemExit):  # raised by the loop itself
                self._crash = self._crash or as_exception(exc)
            self.stop()
        if not self._workers:
            self._nobody_left.set()

    async def _serve(self) -> None:
        """One worker: row after row, until there are no more."""
        while (taken := await self._work.next()) is not None:
            row = self._render(taken) if isinstance(taken, int) else taken
            try:
                if row.claimed or self._parts.share.is_held or self._claim(row):
                    await self._send(row)
            except BaseException:
                self._settler.unclaim(row)  # whoever waits for its key takes over
                raise

    async def _hedge(self) -> None:
        """While nothing is left to be sent, ask late rows once more; never under a refusal."""
        async with asyncio.TaskGroup() as second:
            while True:
                await asyncio.sleep(LOOK)
                calm = self._parts.governor.refused_for >= CALM and self._work.is_drained
                row = self._hedges.late(self._clock()) if calm and self._hedges else None
                lease = None if row is None else await self._turn()
                if row is not None and lease is not None:
                    second.create_task(self._attempts.hedge(row, lease))

    def _render(self, position: int) -> Row:
        text = self._planner.text(position)
        return Row(position, self._parts.keys.key(text), text)

    def _claim(self, row: Row) -> bool:
        """Make the row ours to ask; if another run is asking it, wait for its answer."""
        asked = self._parts.in_flight.claim(row.key, self._loop)
        if asked is not None:
            asked.add_done_callback(lambda answer: self._from_outside(self._on_answer, row, answer))
            self._work.lend()
            self._watch = self._watch or self._loop.call_later(WATCH, self._look_after_awaited)
            return False
        row.claimed = True
        answer = self._settler.recall(row)  # another run may just have written it
        if answer is not None:
            self._settler.recalled(row, answer)
        return answer is None

    def _look_after_awaited(self) -> None:
        """As long as answers of other runs are awaited: whose loop is gone will never answer."""
        self._watch = None
        self._parts.in_flight.free_the_gone()
        if self._work.elsewhere:
            self._watch = self._loop.call_later(WATCH, self._look_after_awaited)

    def _on_answer(self, row: Row, answer: Future[RowResult | None]) -> None:
        """Another run is done with this row's key; take over where it has no answer."""
        self._work.regain()
        result = answer.result()
        if self._work.closed:
            return
        if result is None or result.status != "ok":
            self._work.give_back(row, self._clock())
            return
        self._settler.shared(row, result)

    async def _send(self, row: Row) -> None:
        """Wait in turn and send the row once, if the budget allows it."""
        expected = self._expect(row)
        if expected is None:
            self._settler.drop(row)
            return
        before = row.usage
        try:
            lease = await self._lease(row, self._parts.asker.size(row))
            if lease is None:
                pass
            elif row.claimed or self._claim(row):
                await self._attempts.attempt(row, lease)
            else:  # while this run was held another has taken the row's key
                self._parts.governor.give_back(lease)
        finally:
            self._parts.budget.settle(expected, row.usage - before)
        self._hire()

    def _expect(self, row: Row) -> Usage | None:
        """What the request may take, set aside; None, and the run stops, if that is too much."""
        budget, asker = self._parts.budget, self._parts.asker
        if not budget.is_set:
            return NOTHING_USED
        tokens_in, tokens_out = self._parts.governor.expected(asker.size(row))
        expected = Usage(round(tokens_in), round(min(tokens_out, asker.cap(row) or tokens_out)))
        if budget.reserve(expected):
            return expected
        self.over_budget = True
        self.stop()
        return None

    async def _lease(self, row: Row, size: int) -> Lease | None:
        self._queued.add(row)
        try:
            lease = await self._turn(size)
        except asyncio.CancelledError:
            self._settler.drop(row)
            raise
        finally:
            self._queued.discard(row)
        if lease is None:
            self._settler.drop(row)
        return lease

    async def _turn(self, size: int = 0) -> Lease | None:
        """Wait in turn; in an outage the turn is for a look, and then it is waited for again."""
        share = self._parts.share
        while (lease := await share.acquire(size)) is not None and lease.is_probe:
            await self._attempts.look(lease)
        return lease

    # -- told from elsewhere -------------------------------------------------------

    def _on_doom(self, verdict: Verdict) -> None:
        self.verdict = self.verdict or verdict
        self.stop()

    def _on_checkpoint_error(self, error: CheckpointError) -> None:
        self._from_outside(self.fail, error)

    def _from_outside(self, callback: Callable[..., object], *args: object) -> None:
        """Call on this run's loop, from any thread; a loop that is gone needs nothing."""
        with contextlib.suppress(RuntimeError):
            self._loop.call_soon_threadsafe(callback, *args)
