"""One run of the engine: opens the parts on the running loop, runs, closes; told from outside."""

from __future__ import annotations

import asyncio
import contextlib
import secrets
import time
from dataclasses import replace
from typing import TYPE_CHECKING

from llmframe.engine.asking.asking import Asker
from llmframe.engine.events import BoundBy as BoundByEvent
from llmframe.engine.events import Events
from llmframe.engine.governor import auto_cap, governor_for
from llmframe.engine.job import Job
from llmframe.engine.limited_by import BoundBy, cause, words
from llmframe.engine.report import RunReport, Snapshot, Tally
from llmframe.engine.rows.in_flight import in_flight
from llmframe.engine.rows.parts import Parts
from llmframe.engine.rows.pipeline import Pipeline
from llmframe.engine.rows.result_store import ResultStore
from llmframe.engine.wire.backend import open_backend
from llmframe.engine.wire.scrubber import Scrubber
from llmframe.results import NOTHING_USED
from llmframe.system.loops import running_loop

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from llmframe.engine.events import Observer
    from llmframe.engine.governor import Share
    from llmframe.engine.report import RunStatus
    from llmframe.engine.wire.verdict import Verdict
    from llmframe.errors import CheckpointError, RowError

FIRST_LOOK = 0.01  # seconds
LOOK = 0.25  # seconds between two notes of what binds
LAST_SYNC = 10.0  # seconds that the end of a run waits for a hanging disk


class Execution:
    """A job on its way. ``run`` lives on one loop; all else may be called from any thread."""

    def __init__(self, job: Job, clock: Callable[[], float] = time.monotonic) -> None:
        self.job = job
        self.book = ResultStore(job.rows.n)
        unspent = job.budget.priced(NOTHING_USED)  # 0, not unknown, where prices are known
        self.tally = Tally(job.rows.n, clock=clock, started=clock(), usage=unspent)
        self.stop_requested = False
        self.held = False
        self._path = None if job.checkpoint is None else str(job.checkpoint.path)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._pipeline: Pipeline | None = None
        self._governor = governor_for(
            job.endpoint.base_url.rstrip("/"), job.endpoint.api_key, job.model, dialect=job.dialect
        )
        self._share: Share | None = None
        self._task: asyncio.Task[None] | None = None
        self._bound_by = BoundBy()
        self._over_budget = False
        self._observers: list[Observer] = []
        self.verdict: Verdict | None = None
        self.error: CheckpointError | RowError | None = None

    def observe(self, observer: Observer) -> None:
        """Tell an observer of everything from the beginning; before the run begins."""
        self._observers.append(observer)

    async def run(self) -> None:
        """Run to the end; the checkpoint is on the disk and closed afterwards."""
        self._loop = asyncio.get_running_loop()
        self._task = asyncio.current_task()
        try:
            await self._run()
        finally:
            self.tally.ended = self.tally.clock()
            try:
                await self._close_checkpoint()
            finally:
                if self._pipeline is not None:  # the last fsync may have failed
                    self.error = self._pipeline.error
                self._forget()

    async def _run(self) -> None:
        job = self.job
        backend = open_backend(job.endpoint, connections=job.cap or auto_cap())
        self._share = share = self._governor.join(
            job.cap, rpm=job.rpm, tpm=job.tpm, at_once=job.at_once
        )
        nonce = secrets.token_hex(4)
        parts = Parts(
            rows=job.rows,
            keys=job.keys,
            book=self.book,
            events=Events(self.tally, *self._observers),
            asker=Asker(job.prompt, job.model, job.sampling, nonce=nonce, keep_raw=job.keep_raw),
            share=share,
            governor=self._governor,
            backend=backend,
            checkpoint=job.checkpoint,
            in_flight=in_flight,
            scrub=Scrubber(*job.endpoint.secrets),
            budget=job.budget,
        )
        self._pipeline = pipeline = Pipeline(
            parts,
            job.patience,
            reuse=job.reuse,
            rules=job.rules,
            store_input=job.store_input,
            raise_on_failure=job.raise_on_failure,
            hedge=job.hedge,
        )
        looking = asyncio.ensure_future(self._look(parts.events))
        try:
            self._obey()
            await pipeline.run()
        finally:
            looking.cancel()
            self.verdict, self.error = pipeline.verdict, pipeline.error
            self._over_budget = pipeline.over_budget
            share.leave()
            await backend.close()

    def stop(self) -> None:
        """Send nothing new; what is in flight goes on to its end."""
        self.stop_requested = True
        self._tell(self._obey)

    def hold(self) -> None:
        """Send nothing new until resume."""
        self.held = True
        self._tell(self._obey)

    def resume(self) -> None:
        """Go on after hold."""
        self.held = False
        self._tell(self._obey)

    def cancel(self) -> None:
        """End now: what is in flight is given up."""
        self.stop_requested = True
        if (task := self._task) is not None:  # the run may end meanwhile
            self._tell(task.cancel)

    def abandon(self) -> None:
        """The loop was closed in mid-run: what came back is kept, all else is given up."""
        self.stop_requested = True
        self.tally.ended = self.tally.clock()
        if self._share is not None:
            self._share.leave()
        if self.job.checkpoint is not None:
            self.job.checkpoint.close()
        self._forget()

    def _forget(self) -> None:
        """Only the results are wanted from now on."""
        self._pipeline = self._task = None
        self.job = replace(self.job, checkpoint=None)  # it has an index of all answers
        self.book.close()

    def snapshot(self, status: RunStatus, message: str = "") -> Snapshot:
        """The run at this moment."""
        tally, binding, pipeline = self.tally, self._governor.binding(), self._pipeline
        ended = tally.ended is not None
        rate = tally.rate()
        return Snapshot(
            **tally.counts(),
            status=status,
            planned=tally.planned,
            usage=tally.usage,
            in_flight=0 if self._share is None else self._share.on_wire,
            limit=min(binding.limit, self.job.cap or binding.limit),
            waiting=0 if pipeline is None else pipeline.waiting,
            rate=rate,
            eta=(tally.rows - tally.done) / rate if rate > 0 and not ended else None,
            limited_by=self._limited_by(),
            message=message,
        )

    def report(self) -> RunReport:
        """What the run did so far."""
        return self.tally.report(
            limited_by=self._limited_by(),
            time_went_to=self._bound_by.shares,
            limits=tuple(self._bound_by.limits),
            checkpoint=self._path,
        )

    def _limited_by(self) -> str:
        if self._over_budget:
            return "budget"
        if self.tally.ended is not None:
            return self._bound_by.most
        return words(self._governor.binding(), cap=self.job.cap, held=self.held)

    async def _look(self, events: Events) -> None:
        """Note what binds, four times a second, and more often at first."""
        before, pause = "", FIRST_LOOK
        while True:
            await asyncio.sleep(pause)
            binding = self._governor.binding()
            told = cause(binding, cap=self.job.cap, held=self.held)
            if told != before:
                events.emit(BoundByEvent(told))
                before = told
            self._bound_by.note(told, pause, at=self.tally.seconds, limit=binding.limit)
            pause = min(2 * pause, LOOK)

    def _obey(self) -> None:
        """Carry out what was asked from outside, on the run's loop."""
        if self._pipeline is None:
            return
        if self.stop_requested:
            self._pipeline.stop()
        self._pipeline.hold(self.held)

    def _tell(self, callback: Callable[[], object]) -> None:
        if self._loop is not None:
            with contextlib.suppress(RuntimeError):  # the loop is closed: the run is over
                self._loop.call_soon_threadsafe(callback)

    async def _close_checkpoint(self) -> None:
        """Bring the checkpoint to the disk, off the loop: an fsync may take a while."""
        checkpoint = self.job.checkpoint
        if checkpoint is None:
            return

        def close() -> None:
            checkpoint.flush(LAST_SYNC)  # another run may use the file on: close waits for none
            checkpoint.close()

        if running_loop() is not self._loop:  # the run was left alone, and is collected
            close()
            return
        try:
            await _to_the_end(asyncio.to_thread(close))
        except RuntimeError:  # the interpreter is going down and has no threads to give
            close()


async def _to_the_end(work: Coroutine[object, object, None]) -> None:
    """Wait until the work is done; a cancel meanwhile is raised after it, a second one at once."""
    task, cancelled = asyncio.ensure_future(work), None
    while not task.done():
        try:
            await asyncio.wait({task})
        except asyncio.CancelledError as exc:
            if cancelled is not None:
                raise
            cancelled = exc
    task.result()
    if cancelled is not None:
        raise cancelled
