"""One run of the engine: opens its parts on the running loop, runs, closes."""

from __future__ import annotations

import asyncio
import contextlib
import secrets
import time
from dataclasses import replace
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from llmframe.engine.asking.asking import Asker
from llmframe.engine.asking.embedding import EmbeddingAsker
from llmframe.engine.batch.batches import Batches
from llmframe.engine.events import Events, Spent, Unread
from llmframe.engine.governor import auto_cap, governor_for
from llmframe.engine.limited_by import BATCH, Bounds, LimitHistory, cause, pace, words
from llmframe.engine.recent import RecentStore
from llmframe.engine.rows.claims import in_flight
from llmframe.engine.rows.halt import Halt
from llmframe.engine.rows.parts import Job, Parts
from llmframe.engine.rows.pipeline import Pipeline
from llmframe.engine.tally import Tally
from llmframe.engine.wire.backend import open_backend
from llmframe.errors import CheckpointError
from llmframe.providers.responses.scrubber import Scrubber
from llmframe.report import RunReport, Snapshot
from llmframe.results import NOTHING_USED, ResultStore, UsageSum
from llmframe.system.loops import running_loop
from llmframe.system.processes import open_processes
from llmframe.text import cut

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Mapping

    from llmframe.engine.asking.embedding import AnyAsker
    from llmframe.engine.events import Event, Observer
    from llmframe.engine.governor import Share
    from llmframe.report import RunStatus
    from llmframe.results import Results, Usage
    from llmframe.system.processes import Processes

FIRST_NOTE = 0.01  # seconds
REFUSAL = 90  # characters of the provider's words that are shown
NOTE = 0.25  # seconds between two notes of what limits the run
LAST_SYNC = 10.0  # seconds that the end of a run waits for a hanging disk


class Execution:
    """A job being carried out. ``run`` lives on one loop; all else is safe from any thread.

    halt: why the run ended early, if it did. store: what every row got. stop_requested, held:
    what the person asked for. expected_stop: the limit that will probably stop it, in words.
    """

    def __init__(self, job: Job, clock: Callable[[], float] = time.monotonic) -> None:
        self.job = job
        self.halt = Halt()
        unspent = job.budget.priced(NOTHING_USED)  # 0, not unknown, where prices are known
        self.tally = Tally(job.rows.n, clock=clock, started=clock(), usage=unspent)
        self.stop_requested = False
        self.held = False
        self.expected_stop = ""
        self._cancels_batches = False
        source = job.source
        self.store = ResultStore(job.rows.n) if source is None else RecentStore(source.buffer)
        self._recalled = UsageSum() if job.checkpoint is None else job.checkpoint.recalled
        self._path = None if job.checkpoint is None else str(job.checkpoint.path)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._task: asyncio.Task[None] | None = None
        self._pipeline: Pipeline | None = None
        self._asker: AnyAsker | None = None
        self._batches: Batches | None = None
        self._governor = governor_for(
            job.endpoint.base_url.rstrip("/"), job.endpoint.api_key, job.model, dialect=job.dialect
        )
        self._share: Share | None = None
        self._history = LimitHistory()
        self._observers: list[Observer] = []

    @property
    def results(self) -> Results:
        """What every row got so far, by position."""
        return self.store.results

    @property
    def has_shares(self) -> bool | None:
        """Whether its confidences are a label's share among all; None where none is new."""
        return None if self._asker is None else self._asker.are_shares

    def observe(self, observer: Observer) -> None:
        """Send every event to an observer; call it before the run begins."""
        self._observers.append(observer)

    async def run(self) -> None:
        """Run to the end; the checkpoint is on the disk and closed afterwards."""
        self._loop = asyncio.get_running_loop()
        self._task = asyncio.current_task()
        try:
            async with open_processes(self.job.packed) as processes:
                await self._run(processes)
        finally:
            self.tally.ended = self.tally.clock()
            try:
                await self._close_checkpoint()
            finally:
                self._forget()

    async def _run(self, processes: Mapping[str, Processes]) -> None:
        job, settings = self.job, self.job.settings
        backend = await open_backend(job.endpoint, connections=job.cap or auto_cap())
        self._share = share = self._governor.join(
            job.cap, rpm=settings.rpm, tpm=settings.tpm, slots=job.slots
        )
        self._asker = asker = asker_for(job)
        parts = Parts(
            job=job,
            processes=processes,
            store=self.store,
            events=Events(self.tally, self._keep_unanswered, *self._observers),
            asker=asker,
            share=share,
            governor=self._governor,
            backend=backend,
            in_flight=in_flight,
            scrub=Scrubber(*job.endpoint.secrets),
            halt=self.halt,
        )
        self._pipeline = pipeline = Pipeline(parts)
        if settings.mode == "batch":
            self._batches = pipeline.batching = Batches(
                parts, attempts=pipeline.attempts, work=pipeline.work, settler=pipeline.settler
            )
        noting = asyncio.ensure_future(self._note_limits())
        try:
            self._obey()  # the person may have stopped or paused it before it began
            await pipeline.run()
        finally:
            noting.cancel()
            self._governor.leave(share)
            await backend.close()

    def stop(self, *, cancels_batches: bool = False) -> None:
        """Send nothing new; what is in flight goes on to its end.

        cancels_batches: the provider is asked to end its batches; else they go on by themselves.
        """
        self.stop_requested = True
        self._cancels_batches |= cancels_batches
        self._on_loop(self._obey)

    def hold(self, held: bool) -> None:
        """Send nothing new while held."""
        self.held = held
        self._on_loop(self._obey)

    def cancel(self) -> None:
        """End now: what is in flight is abandoned."""
        self.stop_requested = True
        if (task := self._task) is not None:  # the run may end meanwhile
            self._on_loop(task.cancel)

    def abandon(self) -> None:
        """The loop was closed in mid-run: keep what came back, abandon the rest."""
        self.stop_requested = True
        self.tally.ended = self.tally.clock()
        if self._share is not None:
            self._governor.leave(self._share)
        if self.job.checkpoint is not None:
            self.job.checkpoint.close()
        self._forget()

    def _forget(self) -> None:
        """Drop what only a running run needs: the checkpoint's index holds all answers."""
        self._pipeline = self._task = self._batches = None
        self.job = replace(self.job, checkpoint=None)
        self.store.close()

    def snapshot(self, status: RunStatus, message: str = "") -> Snapshot:
        """The run at this moment."""
        tally, binding, pipeline = self.tally, self._governor.binding(), self._pipeline
        said = cut(tally.last_refusal, REFUSAL)
        batched = self._batched()
        return Snapshot(
            **tally.counts(),
            status=status,
            planned=tally.planned,
            usage=tally.usage,
            in_flight=0 if self._share is None else self._share.on_wire,
            in_batches=0 if batched is None else batched.rows,
            limit=min(binding.limit, self.job.cap or binding.limit),
            waiting=0 if pipeline is None else pipeline.waiting,
            rate=tally.rate(),
            eta=None if binding.outage or self.held or batched else tally.eta(),
            limited_by=self._limited_by(),
            message=message,
            currency=self.job.budget.currency,
            unread=tally.unread,
            table=self._table(),
            budget=self.job.budget.state(),
            expected_stop=self.expected_stop,
            price_missing=self.job.budget.price_missing,
            model=self.job.model,
            endpoint=urlsplit(self.job.endpoint.base_url).hostname or "",
            pace=""
            if tally.ended is not None
            else batched.words
            if batched is not None
            else pace(binding, refusal=said, lost=tally.last_lost, **self._bounds()),
            retry_reasons=dict(+tally.retry_reasons),
        )

    def report(self) -> RunReport:
        """What the run did so far."""
        return self.tally.report(
            limited_by=self._limited_by(),
            time_went_to=self._history.shares,
            limits=tuple(self._history.limits),
            checkpoint=self._path,
            table=self._table(),
            budget=self.job.budget.state(),
            currency=self.job.budget.currency,
            price_missing=self.job.budget.price_missing,
        )

    def _table(self) -> Usage:
        """What all answers of the table took: this call, and the answers that it reused."""
        reused = map(self.job.budget.stored, self._recalled.parts)
        return UsageSum(*reused, self.tally.usage).total

    def _keep_unanswered(self, event: Event) -> None:
        """Write down what was paid without an answer, so that later calls of the task count it."""
        checkpoint = self.job.checkpoint
        if checkpoint is None or not (isinstance(event, Spent | Unread) and event.usage.tokens):
            return
        try:
            checkpoint.append_unanswered(event.usage, unread=isinstance(event, Unread))
        except CheckpointError as error:
            self.halt.fail(error)

    def _limited_by(self) -> str:
        if self.halt.over_budget:
            return "budget"
        if self.tally.ended is not None:
            return self._history.most
        if self._batched() is not None:
            return BATCH
        binding = self._governor.binding()
        said = cut(self.tally.last_refusal, REFUSAL)
        return words(binding, refusal=said, **self._bounds())

    def _batched(self) -> Batches | None:
        """The run's batches, as long as it waits for them."""
        batches = self._batches
        return None if batches is None or not batches.is_on else batches

    def _bounds(self) -> Bounds:
        """What the person and the server allow."""
        own = "concurrency" in self.job.settings.given
        return {"cap": self.job.cap, "own": own, "held": self.held}

    async def _note_limits(self) -> None:
        """Note what limits the run, four times a second, and more often at first."""
        pause = FIRST_NOTE
        while True:
            await asyncio.sleep(pause)
            binding = self._governor.binding()
            now = BATCH if self._batched() else cause(binding, **self._bounds())
            self._history.note(now, pause, at=self.tally.seconds, limit=binding.limit)
            pause = min(2 * pause, NOTE)

    def _obey(self) -> None:
        """Carry out what was asked from outside, on the run's loop."""
        if self._pipeline is None:
            return
        if self.stop_requested:
            self._pipeline.stop(cancels_batches=self._cancels_batches)
        self._pipeline.hold(self.held)

    def _on_loop(self, callback: Callable[[], object]) -> None:
        if self._loop is not None:
            with contextlib.suppress(RuntimeError):  # the loop is closed: the run is over
                self._loop.call_soon_threadsafe(callback)

    async def _close_checkpoint(self) -> None:
        """Bring the checkpoint to the disk, off the loop: an fsync may take a while."""
        checkpoint = self.job.checkpoint
        if checkpoint is None:
            return

        def close() -> None:
            # close waits for no fsync, since another run may go on using the file
            checkpoint.flush(LAST_SYNC)
            checkpoint.close()

        if running_loop() is not self._loop:  # the run was abandoned and is garbage-collected
            close()
            return
        try:
            await _to_the_end(asyncio.to_thread(close))
        except RuntimeError:  # the interpreter is shutting down and has no threads left
            close()


def asker_for(job: Job) -> AnyAsker:
    """What writes the requests of a run and reads their replies."""
    if job.capacity is not None:
        return EmbeddingAsker(job.settings, job.capacity)
    nonce = secrets.token_hex(4)  # one a run: the provider's prompt cache goes on working
    later = () if job.votes is None else job.votes.later
    return Asker(job.prompt, job.settings, nonce=nonce, streams=job.streams, later_votes=later)


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
