"""A run: its handle, its results, its report."""

from __future__ import annotations

import asyncio
import math
import threading
import time
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
from llmframe.messages import endings as advice
from llmframe.messages.causes import Address
from llmframe.system.loops import running_loop

if TYPE_CHECKING:
    from collections.abc import Generator, Hashable

    import pandas as pd

    from llmframe.engine.execution import Execution
    from llmframe.engine.report import RunReport, RunStatus, Snapshot
    from llmframe.frame.columns import ColumnPlan

SLICE = 10_000  # rows whose texts are compared at once
LOOK = 1.0  # seconds between two looks of who waits whether the run's loop was closed


@dataclass(frozen=True, slots=True)
class Target:
    """Where answers go.

    df: the frame as it was at the call. inputs: its columns that are asked about.
    only_new: give back only the new columns. raise_incomplete: pending rows are an error.
    """

    df: pd.DataFrame
    inputs: tuple[Hashable, ...]
    columns: ColumnPlan
    only_new: bool = False
    raise_incomplete: bool = False


class Run:
    """A run of rows through a model; every method may be called from any thread.

    ``status``: running, paused, stopping, stopped, finished or aborted.
    loop: the event loop it lives on, None before it begins.
    """

    def __init__(self, execution: Execution, target: Target, *, url: str) -> None:
        self._execution = execution
        self._target = target
        self._url = url
        self.loop: asyncio.AbstractEventLoop | None = None
        self._over: Future[None] = Future()
        self._over.set_running_or_notify_cancel()  # who awaits it cannot cancel it
        self._abandoning = threading.RLock()
        self._crash: BaseException | None = None
        self._told: set[str] = set()
        self.stage: Any = None

    def _ipython_display_(self) -> None:
        """In a notebook: live while it goes on, then its card; elsewhere its text."""
        if self.stage is None or not self.stage.display():
            raise NotImplementedError

    def __reduce__(self) -> Any:
        raise TypeError(
            "a Run lives in this process and is neither pickled nor copied; keep run.partial(), "
            "the frame, and run.report"
        )

    def __repr__(self) -> str:
        report = self.report
        return (
            f"<Run {self.status}: {report.done:,} of {report.rows:,} rows done, "
            f"{report.failed:,} failed, {report.pending:,} pending>"
        )

    @property
    def status(self) -> RunStatus:
        """running | paused | stopping | stopped | finished | aborted."""
        execution = self._execution
        if not self._over.done():
            if execution.stop_requested:
                return "stopping"
            return "paused" if execution.held else "running"
        if self._crash is not None or execution.verdict or execution.error:
            return "aborted"
        return "stopped" if execution.report().pending else "finished"

    @property
    def report(self) -> RunReport:
        """Counts, tokens, cost and speed so far."""
        return self._execution.report()

    @property
    def errors(self) -> pd.DataFrame:
        """The rows that failed so far, on the frame's index: the input beside llm_error."""
        from llmframe.frame.typed import texts

        failed = self._execution.book.results.failed()
        rows = self._target.df[list(self._target.inputs)].iloc[[position for position, _ in failed]]
        told = texts([result.error for _, result in failed])
        return rows.assign(**{f"{self._target.columns.prefix}llm_error": told})

    def pause(self) -> None:
        """Send nothing new until resume; what is in flight comes back."""
        self._execution.hold()

    def resume(self) -> None:
        """Go on after pause."""
        self._execution.resume()

    def stop(self) -> None:
        """Send nothing new and end; what is in flight comes back into the checkpoint.

        A second stop gives up what is in flight.
        """
        if self._execution.stop_requested:
            self._execution.cancel()
        self._execution.stop()

    def wait(self, timeout: float | None = None) -> bool:
        """Wait for the end, at most timeout seconds; whether it has come.

        An interrupt ends the waiting, not the run. PlanError on the event loop that the run
        lives on, which the waiting would hold up for good; and, for a wait without an end, on
        that of any other run, whose requests this one may wait for.
        """
        end = math.inf if timeout is None else time.monotonic() + timeout
        if timeout != 0 and not self._over.done():
            self._refuse_to_hold_up(endless=timeout is None)
        while not self._ends_within(max(0.0, end - time.monotonic())):
            if time.monotonic() >= end:
                return False
        return True

    def _ends_within(self, timeout: float) -> bool:
        """Whether it ends within a look's time, and the timeout; a closed loop ends it."""
        if self.loop is not None and self.loop.is_closed():
            with self._abandoning:
                if not self._over.done():
                    self._execution.abandon()
                    self.ended()
        try:
            self._over.exception(min(LOOK, timeout))
        except TimeoutError:
            return False
        return True

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

    def result(self) -> pd.DataFrame:
        """Wait for the end and return the frame.

        Raises RunAborted when the run was hopeless, CheckpointError when answers could not
        be kept, RowError with ``on_error="raise"``. A run that was stopped gives the frame
        with pending rows and one IncompleteWarning.
        """
        self.wait()
        return self.outcome()

    def partial(self) -> pd.DataFrame:
        """The frame as it is now; rows that are not done are pending."""
        from llmframe.frame.columns import add_columns, new_columns

        target, results = self._target, self._execution.book.results.copy()
        if target.only_new:
            return new_columns(target.df.index, target.columns, results, info=self._info())
        return add_columns(target.df, target.columns, results, info=self._info())

    def outcome(self) -> pd.DataFrame:
        """The frame as far as it is, or the error that ended the run; does not wait."""
        error = self._failure()
        if error is not None:
            raise error
        frame = self.partial()
        if self.report.pending:
            self._tell_incomplete()
        if self.report.ok and not self._target.columns.has_confidence(frame):
            self._tell_once(advice.NO_LOGPROBS)
        return frame

    def snapshot(self, message: str = "") -> Snapshot:
        """The run at this moment, for the views."""
        return self._execution.snapshot(self.status, message)

    def __await__(self) -> Generator[Any, None, pd.DataFrame]:
        """Wait on the caller's loop; the result as ``result()`` gives it."""
        yield from asyncio.wrap_future(self._over).__await__()
        return self.outcome()

    def is_same(self, other: Run) -> bool:
        """Whether the other run was called with the same plan over an equal frame."""
        mine, its = self._target, other._target
        return (
            self._plan() == other._plan()
            and mine.df.index.equals(its.df.index)
            and mine.df.equals(its.df)
            and self._asks_the_same(other)
        )

    def _plan(self) -> tuple[object, ...]:
        """What makes two calls over one frame the same, but for how rows become texts."""
        job, target = self._execution.job, self._target
        return (
            target.columns.task,
            (target.columns.columns, target.columns.stale),
            (target.inputs, target.only_new, target.raise_incomplete),
            (job.raise_on_failure, job.reuse, job.rules, job.store_input),
            (job.budget.max_cost, job.budget.max_tokens, job.budget.prices),
            None if job.checkpoint is None else job.checkpoint.path,
        )

    def _asks_the_same(self, other: Run) -> bool:
        """Whether the texts and ids of two frames of equal length are equal, told by the slice."""
        mine, its = self._execution.job.rows, other._execution.job.rows
        return all(
            mine.texts(start, start + SLICE) == its.texts(start, start + SLICE)
            and mine.ids(start, start + SLICE) == its.ids(start, start + SLICE)
            for start in range(0, mine.n, SLICE)
        )

    @property
    def lives_here(self) -> bool:
        """Whether the run lives on the event loop that is running in this thread."""
        return self.loop is not None and self.loop is running_loop()

    @property
    def execution(self) -> Execution:
        """The engine's side; for the runner."""
        return self._execution

    def ended(self, crash: BaseException | None = None) -> None:
        """Told by the runner when the engine is done; crash: what it ended with, if anything.

        A cancel or an interrupt is no crash: it stops the run.
        """
        if isinstance(crash, Exception):
            self._crash = crash
        if not self._over.done():
            self._over.set_result(None)

    @property
    def failure_message(self) -> str:
        """Why the run was aborted; empty if it was not."""
        error = self._failure()
        return "" if error is None else str(error)

    def _failure(self) -> BaseException | None:
        execution = self._execution
        if self._crash is not None:
            return self._crash
        error: LLMFrameError | None = None
        if execution.verdict is not None:
            job = execution.job
            endpoint = job.endpoint
            address = Address(
                self._url,
                model=job.model,
                key_source=endpoint.key_source,
                keyless=endpoint.is_keyless,
            )
            error = RunAborted(advice.aborted(execution.verdict, self.report, address))
        elif isinstance(execution.error, CheckpointError):
            error = CheckpointError(advice.not_durable(str(execution.error), self.report))
            error.__cause__ = execution.error
        elif isinstance(execution.error, RowError):
            error = execution.error
            error.index = self._target.df.index[error.position or 0]
        if error is not None:
            error.run = self  # type: ignore[attr-defined]
        return error

    def _tell_incomplete(self) -> None:
        warning = IncompleteWarning(advice.incomplete(self.report))
        if self._target.raise_incomplete:
            warning.run = self  # type: ignore[attr-defined]
            raise warning
        self._tell_once(warning)

    def _tell_once(self, warning: str | Warning) -> None:
        if str(warning) not in self._told:
            self._told.add(str(warning))
            warn(warning)

    def _info(self) -> dict[str, Any]:
        report = self.report
        counts = ("rows", "ok", "failed", "skipped", "pending")
        return {
            "model": self._execution.job.model,
            "endpoint": urlsplit(self._url).hostname,
            "checkpoint": report.checkpoint,
            "counts": {name: getattr(report, name) for name in counts},
            "tokens_in": report.tokens_in,
            "tokens_out": report.tokens_out,
            "cost": report.cost,
            "inputs": [str(name) for name in self._target.inputs],
        }

    def label(self, position: int) -> Hashable:
        """The index label of a row."""
        label: Hashable = self._target.df.index[position]
        return label


class Registry:
    """The runs of this process: the newest, and those that are alive."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._newest: Run | None = None
        self._alive: list[Run] = []

    def add(self, run: Run) -> None:
        """A run begins."""
        with self._lock:
            self._newest = run
            self._alive = [*self.alive(), run]

    def alive(self) -> list[Run]:
        """Runs that have not ended."""
        return [run for run in self._alive if not run.wait(0)]

    def lives_here(self) -> bool:
        """Whether any of them lives on the event loop that is running in this thread."""
        return any(run.lives_here for run in self.alive())

    def find(self, wanted: Run) -> Run | None:
        """A run of the same plan that is alive and was not told to stop."""
        running = (run for run in self.alive() if run.status in ("running", "paused"))
        joinable = (run for run in running if run.loop is not None and run.loop.is_running())
        return next((run for run in joinable if run.is_same(wanted)), None)

    def forget_all(self) -> None:
        """A forked child: the parent's runs are not its own."""
        self._lock = threading.Lock()
        self._newest, self._alive = None, []

    def newest(self) -> Run:
        """The newest run; LLMFrameError when there is none."""
        if self._newest is None:
            raise LLMFrameError("no run yet in this process; call df.llm.tag(...) first")
        return self._newest


registry = Registry()
"""The process's own."""


def last_run() -> Run:
    """The newest run of this process; LLMFrameError when there is none."""
    return registry.newest()
