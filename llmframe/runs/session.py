"""One run as the rooms of the house see it: engine, frame, loop and end; and all runs alive."""

from __future__ import annotations

import asyncio
import contextlib
import math
import threading
import time
from concurrent import futures
from concurrent.futures import Future
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from llmframe.errors import (
    CheckpointError,
    IncompleteWarning,
    LLMFrameError,
    PlanError,
    RowError,
    RunAborted,
    warn,
)
from llmframe.messages import endings
from llmframe.messages.causes import Address
from llmframe.results import SPENT
from llmframe.system.executor import run_in_daemon_thread
from llmframe.system.loops import require_asyncio, running_loop

if TYPE_CHECKING:
    import pandas as pd

    from llmframe.engine.events import Event
    from llmframe.engine.execution import Execution
    from llmframe.frame.columns import ColumnPlan
    from llmframe.frame.records import Records
    from llmframe.frame.rows import RowPlan
    from llmframe.frame.selection import Selection
    from llmframe.notebook.stage import Stage
    from llmframe.report import RunStatus, Snapshot

SLICE = 10_000  # rows whose texts are compared together
PROBE = 1.0  # seconds after which a waiting thread checks again that the run's loop is open


@dataclass(frozen=True, slots=True)
class Target:
    """What a run is about, and where its answers go.

    df: the rows to tag as they were at the call. rows: the same as texts.
    selection: which rows of which frame they are, where not all are tagged.
    only_new: return only the new columns. options: all else that makes two calls over equal frames
    the same.
    """

    df: pd.DataFrame
    rows: RowPlan | Records
    columns: ColumnPlan
    selection: Selection | None = None
    only_new: bool = False
    options: tuple[object, ...] = ()

    def is_same(self, other: Target) -> bool:
        """Whether the other call has the same plan over an equal frame."""
        mine, its = self.columns, other.columns
        # the cheap comparisons first: most calls differ in their task already
        return (
            (mine.task, mine.columns, mine.stale) == (its.task, its.columns, its.stale)
            and self.rows.columns == other.rows.columns
            and (self.only_new, mine.kept) == (other.only_new, its.kept)
            and self.options == other.options
            and (
                self.selection.is_same(other.selection)
                if self.selection
                else other.selection is None
            )
            and self.df.index.equals(other.df.index)
            and self.df.equals(other.df)
            and self._has_equal_texts(other)
        )

    def _has_equal_texts(self, other: Target) -> bool:
        """Two templates over the same columns make different texts, so the texts decide."""
        mine, its = self.rows, other.rows
        return all(
            mine.texts(start, start + SLICE) == its.texts(start, start + SLICE)
            and mine.ids(start, start + SLICE) == its.ids(start, start + SLICE)
            for start in range(0, mine.n, SLICE)
        )


class Session:
    """One run; every method may be called from any thread.

    url: the endpoint, for people. notes: about the provider and the checkpoint, for the card.
    loop: the event loop that the run lives on, None before it begins.
    handle: the person's Run. stage: where the run is shown.
    """

    def __init__(
        self, execution: Execution, target: Target, *, url: str, notes: tuple[str, ...] = ()
    ) -> None:
        self.execution = execution
        self.target = target
        self.notes = notes
        self.loop: asyncio.AbstractEventLoop | None = None
        self.handle: object = None
        self.stage: Stage | None = None
        self._url = url
        self._over: Future[None] = Future()
        self._over.set_running_or_notify_cancel()  # whoever awaits it cannot cancel it
        self._abandoning = threading.RLock()
        self._crash: Exception | None = None
        self._warned: set[str] = set()
        self._examples: list[int] = []  # positions of the rows that are examples
        if execution.job.prompt.examples and execution.job.source is None:
            execution.observe(self._note_examples)

    # -- what it is doing ----------------------------------------------------------------

    @property
    def has_ended(self) -> bool:
        """Whether nothing more will happen: it came to its end, or its loop was closed."""
        return self._over.done() or (self.loop is not None and self.loop.is_closed())

    @property
    def lives_here(self) -> bool:
        """Whether the run lives on the event loop that is running in this thread."""
        return self.loop is not None and self.loop is running_loop()

    @property
    def status(self) -> RunStatus:
        """See Run.status."""
        execution = self.execution
        if not self.has_ended:
            if execution.stop_requested:
                return "stopping"
            return "paused" if execution.held else "running"
        halt = execution.halt
        if self._crash is not None or halt.verdict or halt.error:
            return "aborted"
        return "stopped" if execution.report().pending else "finished"

    @property
    def raises_incomplete(self) -> bool:
        """Whether rows that are left pending are an error."""
        return self.execution.job.settings.on_incomplete == "raise"

    def snapshot(self, message: str = "") -> Snapshot:
        """The run at this moment, for the views."""
        return self.execution.snapshot(self.status, message)

    # -- what can be done to it ------------------------------------------------------------

    def pause(self) -> None:
        """See Run.pause."""
        self.execution.hold(True)

    def resume(self) -> None:
        """See Run.resume."""
        self._warned.discard(endings.PAUSED)
        self.execution.hold(False)

    def stop(self, *, cancels_batches: bool = True) -> None:
        """See Run.stop. cancels_batches: False for what is no Stop of the person's."""
        if self.execution.stop_requested:  # the second stop does not wait for what is in flight
            self.execution.cancel()
        self.execution.stop(cancels_batches=cancels_batches)

    def leave(self) -> None:
        """Stop for an interrupt or an end: batches at the provider go on, a later call has them."""
        self.stop(cancels_batches=False)

    def finish(self, crash: BaseException | None = None) -> None:
        """Note that the engine is done. crash: the exception it ended with, if any."""
        if isinstance(crash, Exception):  # a cancel or an interrupt is a stop, no crash
            self._crash = crash
        if not self._over.done():
            self._over.set_result(None)

    def abandon_if_loop_closed(self) -> None:
        """End a run whose loop was closed: what came back is kept, its checkpoint is closed.

        The one place that does so; asking for a status or a list of runs changes nothing.
        """
        if self.loop is None or not self.loop.is_closed():
            return
        with self._abandoning:  # two threads may notice at the same time
            if not self._over.done():
                self.execution.abandon()
                self.finish()

    # -- its end ---------------------------------------------------------------------------

    def wait(self, timeout: float | None = None) -> bool:
        """See Run.wait."""
        end = math.inf if timeout is None else time.monotonic() + timeout
        if timeout != 0 and not self.has_ended:
            self._refuse_to_hold_up(endless=timeout is None)
        if timeout is None:
            self.warn_if_paused()
        while not self.has_ended:
            left = end - time.monotonic()
            if left <= 0:
                return False
            # a loop that is closed in mid-run reports no end, so check for that now and then; and
            # nothing is caught here: a TimeoutError may be a time limit of the person's
            futures.wait([self._over], min(PROBE, left))
        return True

    def warn_if_paused(self) -> None:
        """Tell whoever is about to wait for a paused run how it goes on; once a pause."""
        if self.status == "paused":
            self._warn_once(endings.PAUSED)

    def _refuse_to_hold_up(self, *, endless: bool) -> None:
        if self.lives_here:
            raise PlanError(
                "this run lives on the event loop that a blocking wait would hold up; "
                "use `await run`, or start it with lf.start(...)"
            )
        if endless and registry.lives_here():
            raise PlanError(
                "another run lives on this thread's event loop, and a wait without an end would "
                "hold it up, and with it this one; use `await run`, or run.wait(timeout)"
            )

    async def wait_and_return(self) -> pd.DataFrame:
        """Wait on the caller's loop, then return as ``outcome`` does."""
        require_asyncio("await run")
        self.abandon_if_loop_closed()
        self.warn_if_paused()
        await asyncio.wrap_future(self._over)
        await run_in_daemon_thread(self.settle_views)
        return self.outcome()

    def settle_views(self) -> None:
        """Wait until the views of a run that has ended show its card: the notebook may end here."""
        if self.stage is not None:
            self.stage.settle()

    def partial(self) -> pd.DataFrame:
        """See Run.partial."""
        from llmframe.frame.columns import add_columns, new_columns

        target, results = self.target, self.execution.results.copy()
        info, selection = self._metadata(), target.selection
        if target.only_new:
            return new_columns(
                target.df.index, target.columns, results, info=info, selection=selection
            )
        return add_columns(target.df, target.columns, results, info=info, selection=selection)

    def outcome(self) -> pd.DataFrame:
        """The frame of a run that has ended, or the error that ended it; does not wait."""
        self.abandon_if_loop_closed()
        if (error := self.failure) is not None:
            raise error.with_traceback(None)  # it may have been raised in another cell already
        frame, report = self.partial(), self.execution.report()
        if report.pending:
            warning = IncompleteWarning(endings.incomplete(report))
            if self.raises_incomplete:
                warning.run = self.handle  # type: ignore[attr-defined]
                raise warning
            self._warn_once(warning, printed=self.stage is None or not self.stage.has_card)
        if report.ok and not self.target.columns.has_confidence(frame):
            self._warn_once(endings.NO_LOGPROBS)
        return frame

    @property
    def failure(self) -> Exception | None:
        """The error that ended the run, with its cure; None if none did."""
        halt, report = self.execution.halt, self.execution.report()
        if self._crash is not None:
            return self._crash
        error: LLMFrameError | None = None
        if halt.verdict is not None:
            job, endpoint = self.execution.job, self.execution.job.endpoint
            address = Address(
                self._url,
                model=job.model,
                key_source=endpoint.key_source,
                keyless=endpoint.is_keyless,
                api=endpoint.api,
            )
            error = RunAborted(endings.aborted(halt.verdict, report, address))
        elif isinstance(halt.error, CheckpointError):
            error = CheckpointError(endings.not_durable(str(halt.error), report))
            error.__cause__ = halt.error
        elif isinstance(halt.error, RowError):
            error = halt.error
            with contextlib.suppress(OverflowError, ValueError):  # a date beyond Python's years
                error.index = self.target.df.index[error.position or 0]
        if error is not None:
            error.run = self.handle  # type: ignore[attr-defined]
        return error

    def _warn_once(self, warning: str | Warning, *, printed: bool = True) -> None:
        if str(warning) not in self._warned:
            self._warned.add(str(warning))
            warn(warning, printed=printed)

    def _example_rows(self) -> dict[str, Any]:
        """By what the rows that are examples are known wherever they move: no score counts them."""
        from llmframe.frame.example_rows import note_of

        if not self._examples:
            return {}
        target = self.target
        rows = target.df.iloc[[*self._examples]]
        return {"examples": [note_of(rows, target.rows.columns, task=target.columns.task)]}

    def _note_examples(self, event: Event) -> None:
        if getattr(event, "source", "") == "example":
            self._examples += getattr(event, "positions", ())

    def _metadata(self) -> dict[str, Any]:
        """What ``attrs["llmframe"]`` of the frame says about the run."""
        report, job = self.execution.report(), self.execution.job
        counts = ("rows", "ok", "failed", "skipped", "pending")
        # noted only where it is so: attrs are copied with every step that pandas takes
        redacted = {} if job.rules.redact is None else {"redacted": True}
        is_share = self.execution.has_shares
        means = {True: "share among the labels", False: "probability of the label's tokens"}
        confidence = {} if is_share is None else {"confidence": means[is_share]}
        return (
            redacted
            | confidence
            | self._example_rows()
            | {
                "model": job.model,
                "endpoint": urlsplit(self._url).hostname,
                "checkpoint": report.checkpoint,
                "counts": {name: getattr(report, name) for name in counts},
                "tokens_in": report.tokens_in,
                "tokens_cached": report.tokens_cached,
                "tokens_out": report.tokens_out,
                "cost": report.cost,
                "currency": report.currency,
                "table": {name: getattr(report.table, name) for name in SPENT},
                "inputs": [str(name) for name in self.target.rows.columns],
            }
        )


class Registry:
    """The runs of this process: the newest, and those that are alive."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._newest: Session | None = None
        self._begun: list[Session] = []

    def begin(self, session: Session, loop: asyncio.AbstractEventLoop) -> None:
        """Note that a run begins on a loop."""
        session.loop = loop
        self.abandon_closed()
        with self._lock:
            self._newest = session
            self._begun = [*self.alive(), session]

    def alive(self) -> list[Session]:
        """Runs that have not ended."""
        return [session for session in self._begun if not session.has_ended]

    def lives_here(self) -> bool:
        """Whether any of them lives on the event loop that is running in this thread."""
        return any(session.lives_here for session in self.alive())

    def find(self, target: Target) -> Session | None:
        """A run of the same plan that is alive and was not asked to stop."""
        for session in self.alive():
            # a loop that stands still may never run again: nobody should wait for its run
            moves = session.loop is not None and session.loop.is_running()
            joinable = moves and session.status in ("running", "paused")
            if joinable and session.target.is_same(target):
                return session
        return None

    def abandon_closed(self) -> None:
        """End the runs whose loops were closed, so that their files and shares are free."""
        for session in list(self._begun):
            session.abandon_if_loop_closed()

    def forget_all(self) -> None:
        """Forget the parent's runs in a forked child."""
        self._lock = threading.Lock()
        self._newest, self._begun = None, []

    def newest(self) -> Session:
        """The newest run; LLMFrameError when there is none."""
        if self._newest is None:
            raise LLMFrameError("no run yet in this process; call df.llm.tag(...) first")
        return self._newest


registry = Registry()
"""The process's own."""
