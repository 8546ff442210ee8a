"""Why a run ends: one record that every part of it may write to."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from llmframe.engine.wire.verdict import Verdict
    from llmframe.errors import CheckpointError, RowError


class Halt:
    """The reasons to end a run early; the first of each kind counts. Lives on the run's loop.

    verdict: no row can succeed. error: the caller must see it. crash: a defect in our own code,
    raised once everything in flight is back. over_budget: the next request might cost more than
    the budget has left. cancels_batches: the person's Stop ends the provider's batches, too.
    stopped: no new request leaves, for one of these reasons or because the
    person asked for it.
    """

    def __init__(self) -> None:
        self.verdict: Verdict | None = None
        self.error: CheckpointError | RowError | None = None
        self.crash: Exception | None = None
        self.over_budget = False
        self.cancels_batches = False
        self.stopped = False
        self._on_stop: Callable[[], None] = _do_nothing

    def on_stop(self, callback: Callable[[], None]) -> None:
        """Call this once, when the first reason arrives."""
        self._on_stop = callback

    def stop(self, *, cancels_batches: bool = False) -> None:
        """Send nothing new; what is in flight still comes back."""
        self.cancels_batches |= cancels_batches
        if not self.stopped:
            self.stopped = True
            # The record outlives the run: it must not keep the pipeline, and with it all rows.
            callback, self._on_stop = self._on_stop, _do_nothing
            callback()

    def hopeless(self, verdict: Verdict) -> None:
        """No row can succeed."""
        self.verdict = self.verdict or verdict
        self.stop()

    def fail(self, error: CheckpointError | RowError) -> None:
        """Something went wrong that the caller must see."""
        self.error = self.error or error
        self.stop()

    def crashed(self, crash: Exception) -> None:
        """Our own code raised something that nobody expected."""
        self.crash = self.crash or crash
        self.stop()

    def spent(self) -> None:
        """The budget does not allow the next request."""
        self.over_budget = True
        self.stop()


def _do_nothing() -> None:
    pass
