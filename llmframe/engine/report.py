"""Counting a run: the live tally, its snapshots for the views, and the final report."""

from __future__ import annotations

from collections import Counter, deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from llmframe.engine.events import (
    Event,
    Planned,
    RequestRefused,
    RequestSent,
    RowsDone,
    RowsReused,
    Source,
    Spent,
    TextCut,
)
from llmframe.results import NOTHING_USED, RowResult, Usage

if TYPE_CHECKING:
    from collections.abc import Callable

RunStatus = Literal["running", "paused", "stopping", "stopped", "finished", "aborted"]

RATE_WINDOW = 10.0  # seconds over which the live rows/s is taken


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A run at one moment, for the views.

    rows: rows of the frame. ok, failed, skipped: rows done, by status.
    reused, shared: of the ok rows, those answered by the checkpoint and by an equal row.
    planned: every row has been looked at; before that the counts say "at least".
    requests, retries, refusals: requests sent; of them repeats; of them refused (429).
    in_flight, limit, waiting: requests on the wire, how many may be, rows waiting to retry.
    seconds: since the start. rate: rows answered by requests per second over the last ten.
    eta: seconds left, None when nothing tells.
    limited_by: what binds right now, in words.
    message: one sentence for the person, empty while all is well.
    """

    status: RunStatus
    rows: int
    ok: int
    failed: int
    skipped: int
    reused: int
    shared: int
    planned: bool
    requests: int
    retries: int
    refusals: int
    usage: Usage
    in_flight: int
    limit: int
    waiting: int
    seconds: float
    rate: float
    eta: float | None
    limited_by: str
    errors_by_kind: dict[str, int]
    message: str = ""

    @property
    def done(self) -> int:
        """Rows that need nothing more."""
        return self.ok + self.failed + self.skipped

    @property
    def pending(self) -> int:
        """Rows that were not reached."""
        return self.rows - self.done


@dataclass(frozen=True, slots=True)
class RunReport:
    """What a run did.

    rows = ok + failed + skipped + pending; done = ok + failed + skipped.
    reused: answered by the checkpoint. shared: answered by an equal row's request.
    requests: everything sent. retries: of them, repeats. refusals: of them, refused (429).
    tokens_in, tokens_out: as the provider counted them. cost: as the endpoint charged
        it, None where it does not say. seconds: from the call to the end.
    limited_by: what bound the run. errors_by_kind: failed rows by kind.
    checkpoint: path of the checkpoint, None without one. time_went_to: shares of the time
        by what bound, largest first. limits: how many requests were allowed at once, as
        (seconds since the start, limit) at each change. hedges: second requests for late
        rows, among the requests. cut: rows whose text was too long and lost its end.
    """

    rows: int
    ok: int
    failed: int
    skipped: int
    pending: int
    done: int
    reused: int
    shared: int
    requests: int
    retries: int
    refusals: int
    tokens_in: int
    tokens_out: int
    cost: float | None
    seconds: float
    rows_per_second: float
    limited_by: str
    errors_by_kind: dict[str, int]
    checkpoint: str | None
    time_went_to: dict[str, float] = field(default_factory=dict)
    limits: tuple[tuple[float, int], ...] = ()
    hedges: int = 0
    cut: int = 0


@dataclass(slots=True)
class Tally:
    """The counters of one run; written on the run's loop, read from anywhere."""

    rows: int
    clock: Callable[[], float]
    started: float = 0.0
    ended: float | None = None
    ok: int = 0
    failed: int = 0
    skipped: int = 0
    reused: int = 0
    shared: int = 0
    planned: bool = False
    requests: int = 0
    retries: int = 0
    refusals: int = 0
    hedges: int = 0
    cut: int = 0
    usage: Usage = NOTHING_USED
    errors_by_kind: Counter[str] = field(default_factory=Counter)
    _recent: deque[tuple[float, int]] = field(default_factory=deque)

    def __call__(self, event: Event) -> None:
        """Count one event."""
        match event:
            case RequestSent(repeated, hedge):
                self.requests += 1
                self.retries += repeated and not hedge
                self.hedges += hedge
            case RequestRefused():
                self.refusals += 1
            case RowsDone(positions, result, source):
                self._count(result, len(positions), source)
            case RowsReused(positions):
                self.ok += len(positions)
                self.reused += len(positions)
            case Spent(usage):
                self.usage += usage
            case TextCut():
                self.cut += 1
            case Planned():
                self.planned = True

    def _count(self, result: RowResult, rows: int, source: Source) -> None:
        if result.status == "ok":
            self.ok += rows
        elif result.status == "failed":
            self.failed += rows
            self.errors_by_kind[(result.error or "output").partition(":")[0]] += rows
        else:
            self.skipped += rows
        if source == "checkpoint":
            self.reused += rows
        elif source == "shared":
            self.shared += rows
        elif source == "request":
            self.usage += result.usage

    @property
    def done(self) -> int:
        """Rows that need nothing more."""
        return self.ok + self.failed + self.skipped

    @property
    def seconds(self) -> float:
        """Seconds since the start, or of the whole run once it has ended."""
        return (self.clock() if self.ended is None else self.ended) - self.started

    def rate(self) -> float:
        """Rows answered per second over the last ten seconds, checkpoint not counted."""
        now, answered = self.clock(), self.done - self.reused - self.skipped
        recent = self._recent
        if not recent or now - recent[-1][0] >= 0.1:
            recent.append((now, answered))
        while len(recent) > 2 and now - recent[1][0] >= RATE_WINDOW:
            recent.popleft()
        since, before = recent[0] if len(recent) > 1 else (self.started, 0)
        return (answered - before) / (now - since) if now > since else 0.0

    def report(
        self,
        *,
        limited_by: str,
        time_went_to: dict[str, float],
        limits: tuple[tuple[float, int], ...],
        checkpoint: str | None,
    ) -> RunReport:
        """The counts so far as a report."""
        answered, seconds = self.done - self.reused - self.skipped, self.seconds
        return RunReport(
            rows=self.rows,
            ok=self.ok,
            failed=self.failed,
            skipped=self.skipped,
            pending=self.rows - self.done,
            done=self.done,
            reused=self.reused,
            shared=self.shared,
            requests=self.requests,
            retries=self.retries,
            refusals=self.refusals,
            tokens_in=self.usage.tokens_in,
            tokens_out=self.usage.tokens_out,
            cost=self.usage.cost,
            seconds=seconds,
            rows_per_second=answered / seconds if seconds > 0 else 0.0,
            limited_by=limited_by,
            errors_by_kind=dict(self.errors_by_kind),
            checkpoint=checkpoint,
            time_went_to=time_went_to,
            limits=limits,
            hedges=self.hedges,
            cut=self.cut,
        )
