"""Workers over one iterator: every row gets its result.

The way of a row: key -> checkpoint? -> asked for by another run? -> budget? -> lease -> its
attempts: request under our time-out -> parse -> checkpoint's line -> event.
"""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, Protocol

from llmframe.engine.asking.grouping import Grouping
from llmframe.engine.events import Spent
from llmframe.engine.rows.answers import Answers, PreviewedAnswers, StoredAnswers
from llmframe.engine.rows.attempts import Attempts
from llmframe.engine.rows.claims import Claims
from llmframe.engine.rows.planner import Planner
from llmframe.engine.rows.settle import Settler
from llmframe.engine.rows.work import Work
from llmframe.results import NOTHING_USED
from llmframe.system.executor import as_exception

if TYPE_CHECKING:
    from collections.abc import Sequence

    from llmframe.engine.governor import Lease
    from llmframe.engine.row import Row
    from llmframe.engine.rows.budget import Reservation
    from llmframe.engine.rows.parts import Parts
    from llmframe.errors import CheckpointError
    from llmframe.results import RowResult

HEDGE_INTERVAL = 0.1  # seconds between two checks for late rows, only with hedging
CALM = 10.0  # seconds without a refusal, before anything is hedged


class Batching(Protocol):
    """What a pipeline needs of the provider's batch mode; see engine/batch."""

    def add(self, row: Row) -> bool:
        """Take a row; False for one that is to be asked live."""

    def wake(self) -> None:
        """Look again at what there is to do."""

    async def run(self) -> None:
        """Until no row of the run is left, or the run is stopped."""


class Pipeline:
    """One run of rows through the engine; lives on one loop. See parts.halt for why it ended.

    batching: what sends the rows in batches, set before the run; None asks live.
    """

    def __init__(self, parts: Parts) -> None:
        self._parts, self._halt = parts, parts.halt
        self._loop, self._clock = asyncio.get_running_loop(), parts.governor.clock
        limit, endless = parts.governor.limit_of, parts.job.source is not None
        self.work = Work(self._clock, lambda: limit(parts.share), endless=endless)
        self._answers = self._open_answers()
        self._claims = Claims(parts.in_flight, on_answer=self._on_answer)
        self.settler = Settler(parts, work=self.work, claims=self._claims, answers=self._answers)
        self._planner = Planner(parts, work=self.work, answers=self._answers, settler=self.settler)
        self._grouping = Grouping(
            parts.asker,
            fresh=self._fresh,
            claim=self._claim_all,
            put_back=self._put_back,
            resend=self._resend,
        )
        self.attempts = Attempts(
            parts,
            work=self.work,
            claims=self._claims,
            settler=self.settler,
            grouping=self._grouping,
        )
        self.batching: Batching | None = None
        self._workers: set[asyncio.Task[None]] = set()
        self._hires = False
        self._nobody_left = asyncio.Event()
        self._queued: set[Row] = set()  # rows that wait for a lease
        parts.share.on_hopeless = parts.halt.hopeless
        parts.halt.on_stop(self._stop)

    def _open_answers(self) -> Answers:
        """Where stored answers come from: the checkpoint, where there is one."""
        job, recheck = self._parts.job, self._parts.asker.recheck
        checkpoint = job.checkpoint
        if checkpoint is None:
            known = PreviewedAnswers(remembers=job.remembers, recheck=recheck)
            return known if job.settings.reuse else Answers()
        checkpoint.on_error(self._on_checkpoint_error)  # a failed fsync, in a thread
        return StoredAnswers(
            checkpoint, rows=job.rows, halt=self._halt, settings=job.settings, recheck=recheck
        )

    @property
    def waiting(self) -> int:
        """Rows that wait to be tried again."""
        return self.work.waiting

    @property
    def workers(self) -> int:
        """Workers that serve rows now."""
        return len(self._workers)

    async def run(self) -> None:
        """Run to the end: all rows done, or stopped and everything in flight is back."""
        beside = [] if self.attempts.hedges is None else [self._loop.create_task(self._hedge())]
        try:
            try:
                await self._planner.run(self._hire)
            except Exception as exc:  # noqa: BLE001 - raised when everything in flight is back
                self._halt.crashed(exc)
            batches = self._loop.create_task(self._run_batches())
            beside.append(batches)
            while self._workers:
                self._nobody_left.clear()
                await self._nobody_left.wait()
            self._wake_batches()
            await batches
        finally:
            self.settler.release_held()
            for task in beside:
                task.cancel()
            self._claims.close()
            self._halt.stop()
            workers = [*self._workers, *beside]  # a normal end leaves nobody
            for worker in workers:
                worker.cancel()
            await asyncio.gather(*workers, return_exceptions=True)
        if self._halt.crash is not None:
            raise self._halt.crash

    def stop(self, *, cancels_batches: bool = False) -> None:
        """Send nothing new; what is in flight goes on to its end."""
        self._halt.stop(cancels_batches=cancels_batches)

    def hold(self, held: bool) -> None:
        """The person's pause: send nothing new while held, and keep no key from other runs."""
        if not held:
            self._parts.governor.resume(self._parts.share)
            self._wake_batches()
            return
        self._parts.governor.hold(self._parts.share)
        # rows on the wire keep their keys: their answers are about to come
        for row in (*self._queued, *self.work.waiting_rows()):
            self._grouping.dissolve(row)
            self._claims.release(row)

    async def _run_batches(self) -> None:
        if self.batching is not None:
            try:
                await self.batching.run()
            except (asyncio.CancelledError, KeyboardInterrupt, SystemExit):
                self._halt.stop()
                raise
            except BaseException as exc:  # noqa: BLE001 - raised when everything in flight is back
                self._halt.crashed(as_exception(exc))

    def _wake_batches(self) -> None:
        if self.batching is not None:
            self.batching.wake()

    def _stop(self) -> None:
        self._wake_batches()
        self._parts.governor.close(self._parts.share)
        self._parts.job.budget.wake()
        if self._parts.job.source is not None:
            self._parts.job.source.close()
        for row in [member for first in self.work.close() for member in first.members]:
            self._claims.release(row)
            if row.usage is not NOTHING_USED:  # its answer was of no use, and paid
                self._parts.events.emit(Spent(row.usage))

    # -- workers ------------------------------------------------------------------

    def _hire(self) -> None:
        """As many workers as requests may be on the wire, while there is work for them."""
        limit = self._parts.governor.limit_of(self._parts.share)
        enough = len(self._workers) >= limit or not self.work.unattended
        if self._hires or enough:
            return
        worker = self._loop.create_task(self._serve())
        self._workers.add(worker)
        worker.add_done_callback(self._on_leave)

        def hire_more() -> None:
            self._hires = False
            self._hire()

        # one in each turn of the loop: the first request leaves before hundreds of tasks are made
        self._hires = True
        self._loop.call_soon(hire_more)

    def _on_leave(self, worker: asyncio.Task[None]) -> None:
        self._workers.discard(worker)
        if not worker.cancelled() and (exc := worker.exception()) is not None:
            if isinstance(exc, KeyboardInterrupt | SystemExit):
                self._halt.stop()  # the loop itself raises it
            else:
                self._halt.crashed(as_exception(exc))
        if not self._workers:
            self._nobody_left.set()

    async def _serve(self) -> None:
        """One worker: row after row, until there are no more."""
        while (taken := await self.work.next()) is not None:
            row = self._row(taken)
            with self._claims.released_on_error(row):
                if self.batching is not None and self._add_to_batch(self.batching, row):
                    continue
                # a held run claims nothing: it would keep the key from other runs
                if row.claimed or self._parts.share.held or self._claim(row):
                    if row.claimed and self._grouping.is_on:
                        self._grouping.fill(row)
                    await self._send(row)

    def _fresh(self) -> Row | None:
        """A fresh row for a request that others are in."""
        taken = self.work.take_fresh()
        return None if taken is None else self._row(taken)

    def _resend(self, row: Row) -> None:
        """Send a request that is a part of a failed one, unless the run is ending."""
        if self.work.closed:
            self.settler.drop(row)
        else:
            self.work.retry(row, self._clock())

    def _row(self, taken: Row | int) -> Row:
        """A row from the work, made where it gives a position."""
        return self._planner.row(taken) if isinstance(taken, int) else taken

    def _add_to_batch(self, batching: Batching, row: Row) -> bool:
        """Whether the row needs no request of its own: it goes into a batch, or has an answer."""
        return not (row.claimed or self._claim(row)) or batching.add(row)

    def _claim(self, row: Row) -> bool:
        """Whether the row is this run's to ask for, and nobody has its answer yet."""
        return bool(self._claim_all([row]))

    def _claim_all(self, rows: Sequence[Row]) -> list[Row]:
        """Those of the rows that are this run's to ask for, and whose answers nobody has yet."""
        claimed = []
        for row in rows:
            if self._claims.claim(row):
                claimed.append(row)
            else:
                self.work.await_elsewhere()
        # another run may just have written them
        answers = self._answers.recall_all([row.key for row in claimed])
        for row, answer in zip(claimed, answers, strict=True):
            if answer is not None:
                self.settler.recalled(row, answer[0]._replace(values=answer[1]))
        return [row for row, answer in zip(claimed, answers, strict=True) if answer is None]

    async def _send(self, row: Row) -> None:
        """Wait in turn and send the row once, if the budget allows it."""
        lease, reservation = None, None
        self._queued.add(row)
        try:
            lease, reservation = await self._turn(row)
            self._queued.discard(row)
            if lease is None or reservation is None:
                self._not_sent(row)
            elif not row.claimed and self._grouping.is_on:  # it was held: others join it first
                self._parts.governor.give_back(lease)
                self._put_back(row)
            elif row.claimed or self._claim(row):
                await self.attempts.attempt(row, lease, reservation)
            else:  # while this run was held another one has taken the row's key
                self._parts.governor.give_back(lease)
        except asyncio.CancelledError:
            if row in self._queued:  # it was never sent, so attempt() did not drop it
                self.settler.drop(row)
            raise
        finally:
            self._queued.discard(row)
            if reservation is not None:
                reservation.settle()  # of a request that was not sent after all
        if self.settler.in_doubt:
            await self._settle_doubt()
        self._hire()
        if lease is None or row.refused:
            await asyncio.sleep(0)  # all that were recalled put their rows back first

    def _not_sent(self, row: Row) -> None:
        """The row got no lease: because the run ends, or because others are to queue before it."""
        if self.work.closed or self._parts.share.closed:
            self.settler.drop(row)
        elif row.sent:
            self.work.retry(row, self._clock())
        else:
            self._grouping.dissolve(row)
            self._put_back(row)

    def _put_back(self, row: Row) -> None:
        """A row was not sent: this run or another asks for it later."""
        self._claims.release(row)
        self.work.put_back(row)

    async def _turn(self, row: Row) -> tuple[Lease, Reservation] | tuple[None, None]:
        """Wait until the row may be sent and the budget allows it; None if that is never."""
        budget, asker = self._parts.job.budget, self._parts.asker
        cap = asker.cap(row)
        while not self.work.closed:
            size = asker.size(row)
            if not budget.allows(size, cap):
                if row.others and not budget.in_flight:  # what is left may do for fewer rows
                    self._grouping.dissolve(row, len(row.others) // 2)
                    continue
                if not budget.in_flight:  # all is back, and what is left does not suffice
                    self._halt.spent()
                    break
                await budget.settled()
                continue
            lease = await self._lease(size, cap)
            if lease is None:
                break
            # only now: what waits in a queue has spent nothing
            reservation = budget.reserve(size, cap)
            if reservation is not None:
                return lease, reservation
            self._parts.governor.give_back(lease)
        return None, None

    async def _lease(self, size: int = 0, cap: int | None = None) -> Lease | None:
        """Wait in turn; in an outage the lease may be for a health probe, then wait again."""
        governor, share = self._parts.governor, self._parts.share
        while (lease := await governor.acquire(share, size, cap)) is not None and lease.is_probe:
            await self.attempts.health_probe.send(lease)
        return lease

    async def _settle_doubt(self) -> None:
        """Send the health probe that shows whose fault the first failures are."""
        lease = await self._lease()
        if lease is not None:  # another worker has sent it meanwhile
            self._parts.governor.give_back(lease)

    async def _hedge(self) -> None:
        """While nothing is left to be sent, ask for late rows once more; never under a refusal."""
        hedges = self.attempts.hedges
        async with asyncio.TaskGroup() as second:
            while True:
                await asyncio.sleep(HEDGE_INTERVAL)
                calm = self._parts.governor.refused_for >= CALM and self.work.is_drained
                row = hedges.late(self._clock()) if calm and hedges else None
                lease = await self._lease(self._parts.asker.size(row)) if row else None
                if row is not None and lease is not None:
                    second.create_task(self.attempts.hedge(row, lease))

    # -- from outside ---------------------------------------------------------------

    def _on_answer(self, row: Row, result: RowResult | None) -> None:
        """Another run is done with this row's key; take over where it has no answer."""
        self.work.back_from_elsewhere()
        if self.work.closed:
            return
        if result is None or result.status != "ok":
            self.work.retry(row, self._clock())
        else:
            self.settler.shared(row, result)

    def _on_checkpoint_error(self, error: CheckpointError) -> None:
        """An fsync has failed, in a thread."""
        with contextlib.suppress(RuntimeError):  # the loop is closed: the run is over
            self._loop.call_soon_threadsafe(self._halt.fail, error)
