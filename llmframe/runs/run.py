"""Run: what a person holds of a run."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NoReturn, cast

from llmframe.errors import MisuseError
from llmframe.runs.session import registry

if TYPE_CHECKING:
    from collections.abc import Generator

    import pandas as pd

    from llmframe.report import RunReport, RunStatus
    from llmframe.runs.session import Session


class Run:
    """A run of rows through a model; every method may be called from any thread.

    >>> run = df.llm.start("text", {"tone": ["good", "bad"]})
    >>> run.report.done, run.status
    (1200, 'running')
    >>> out = await run
    """

    def __init__(self, session: Session) -> None:
        self._session = session
        session.handle = self

    def _ipython_display_(self) -> None:
        """In a notebook: live while it goes on, then its card; elsewhere its text."""
        stage = self._session.stage
        if stage is None or not stage.display():
            raise NotImplementedError  # IPython falls back to the repr

    def __getattr__(self, name: str) -> NoReturn:
        if name.startswith("_"):  # what tools look for
            raise AttributeError(name)
        self._refuse()

    def _refuse(self, *_: object) -> NoReturn:
        raise MisuseError("a Run is no frame: out = run.result() waits for it, or out = await run")

    __getitem__ = __setitem__ = _refuse

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
        return self._session.status

    @property
    def report(self) -> RunReport:
        """Counts, tokens, cost and speed so far."""
        return self._session.execution.report()

    @property
    def errors(self) -> pd.DataFrame:
        """The rows that failed so far, on the frame's index: the input and llm_error.

        With ``details=True`` the model's replies too, as ``llm_raw``.
        """
        from llmframe.frame.typed_columns import texts
        from llmframe.notebook.failed_rows import FailedRows

        target, failed = self._session.target, self._session.execution.results.failed()
        rows = target.df[list(target.rows.columns)].iloc[[position for position, _ in failed]]
        messages = texts([str(result.error) for _, result in failed])
        prefix = target.columns.prefix
        added = {f"{prefix}llm_error": messages}
        if any(result.raw for _, result in failed):
            added[f"{prefix}llm_raw"] = texts([result.raw for _, result in failed])
        return FailedRows(rows.assign(**added))

    def pause(self) -> None:
        """Send nothing new until ``resume()``; what is in flight comes back."""
        self._session.pause()

    def resume(self) -> None:
        """Go on after ``pause()``."""
        self._session.resume()

    def stop(self) -> None:
        """Send nothing new and end; what is in flight comes back into the checkpoint.

        With ``mode="batch"`` the provider is asked to cancel the task's batches; what they have
        answered by then is paid, and saved. A second stop does not wait for what is in flight.
        """
        self._session.stop()

    def wait(self, timeout: float | None = None) -> bool:
        """Wait until the run has ended, at most timeout seconds; returns whether it has.

        An interrupt or a time limit of your own ends the waiting, not the run. Raises PlanError on
        the event loop that the run lives on, which the waiting would hold up for good; and, without
        a timeout, on the loop of any other run, whose requests this one may wait for.
        """
        return self._session.wait(timeout)

    def result(self) -> pd.DataFrame:
        """Wait until the run has ended and return the frame.

        Raises RunAborted when the run was hopeless, CheckpointError when answers could not
        be kept, RowError with ``on_error="raise"``. A stopped run returns the frame with
        pending rows and gives one IncompleteWarning.
        """
        self._session.wait()
        self._session.settle_views()
        return self._session.outcome()

    def partial(self) -> pd.DataFrame:
        """The frame as it is now; rows that are not done are pending."""
        return self._session.partial()

    def __await__(self) -> Generator[Any, None, pd.DataFrame]:
        """Wait on the caller's loop; the same as ``result()``."""
        return self._session.wait_and_return().__await__()


def session_of(run: Run) -> Session:
    """The session behind a handle: for tests and benchmarks, which read its parts."""
    return run._session  # noqa: SLF001 - the handle shows a person nothing else


def last_run() -> Run:
    """The newest run of this process; LLMFrameError when there is none."""
    return cast("Run", registry.newest().handle)
