"""Counts what happens in a run, for its snapshots and its report."""

from __future__ import annotations

from collections import Counter, deque
from dataclasses import KW_ONLY, dataclass, field, fields, replace
from typing import TYPE_CHECKING, Any

from llmframe.engine import events
from llmframe.report import Counts, RunReport
from llmframe.results import NOTHING_USED, RowResult, Usage

if TYPE_CHECKING:
    from collections.abc import Callable

    from llmframe.engine.wire.verdict import Verdict

RATE_WINDOW = 10.0  # seconds, of the live rows per second
SETTLING = 4.0  # seconds, over which a pace must hold before a time left is worth saying
STEADY = 1.5  # times as fast in one half of the window as in the other: no faster is steady


@dataclass(slots=True)
class Tally:
    """The counters of one run; written on the run's loop, read from anywhere."""

    rows: int
    _: KW_ONLY
    clock: Callable[[], float]
    started: float = 0.0
    ended: float | None = None
    ok: int = 0
    failed: int = 0
    skipped: int = 0
    reused: int = 0
    shared: int = 0
    examples: int = 0
    planned: bool = False
    requests: int = 0
    retries: int = 0
    refusals: int = 0
    last_refusal: str = ""  # in the provider's words
    last_lost: Verdict | None = None
    retry_reasons: Counter[tuple[str, int | None]] = field(default_factory=Counter)
    hedges: int = 0
    cut: int = 0
    usage: Usage = NOTHING_USED
    unread: int = 0
    unread_usage: Usage = NOTHING_USED
    in_batches: tuple[int, int] = (0, 0)  # rows, batches
    errors_by_kind: Counter[str] = field(default_factory=Counter)
    _recent: deque[tuple[float, int]] = field(default_factory=deque)

    def __call__(self, event: events.Event) -> None:
        """Count one event."""
        match event:
            case events.RequestSent(repeated, hedge, reason):
                self.requests += 1
                self.hedges += hedge
                self.retries += repeated and not hedge
                self.retry_reasons[reason] += repeated and not hedge
            case events.RequestRefused(verdict):
                self.refusals += 1
                self.last_refusal = verdict.message
            case events.RequestLost(verdict):
                self.last_lost = replace(verdict, text="")  # unlike its message, as it came
            case _:
                self._count_rows(event)

    def _count_rows(self, event: events.Event) -> None:
        match event:
            case events.RowsDone(positions, result, source):
                self._count(result, len(positions), source)
                if source == "request" and not event.counted:
                    self.usage += result.usage
            case events.RowsReused(positions):
                self.ok += len(positions)
                self.reused += len(positions)
            case events.Spent(usage) | events.Voted(usage):
                self.usage += usage
            case events.Unread(usage):
                self.unread += 1
                self.unread_usage += usage
            case events.InBatches(rows, batches):
                self.in_batches = (rows, batches)
            case events.TextCut():
                self.cut += 1
            case events.Planned(rows):
                self.planned = rows is None
                self.rows = self.rows if rows is None else rows

    def _count(self, result: RowResult, rows: int, source: events.Source) -> None:
        if result.status == "ok":
            self.ok += rows
        elif result.status == "failed":
            self.failed += rows
            self.errors_by_kind[result.error.kind if result.error else "output"] += rows
        else:
            self.skipped += rows
        if source == "checkpoint":
            self.reused += rows
        elif source == "shared":
            self.shared += rows
        elif source == "example":
            self.examples += rows

    @property
    def done(self) -> int:
        """Rows that need nothing more."""
        return self.ok + self.failed + self.skipped

    @property
    def answered(self) -> int:
        """Rows that requests of this run have brought to their end."""
        return self.done - self.reused - self.skipped - self.examples

    @property
    def seconds(self) -> float:
        """Seconds since the start, or until the end of a run that has ended."""
        return (self.clock() if self.ended is None else self.ended) - self.started

    def rate(self) -> float:
        """Rows answered per second over the last ten seconds, without those of the checkpoint."""
        now, answered = self.clock(), self.answered
        recent = self._recent  # ten samples a second at most: many views ask at any time
        if not recent or now - recent[-1][0] >= 0.1:  # so that frequent calls keep few entries
            recent.append((now, answered))
        while len(recent) > 2 and now - recent[1][0] >= RATE_WINDOW:
            recent.popleft()
        since, before = recent[0] if len(recent) > 1 else (self.started, 0)
        return (answered - before) / (now - since) if now > since else 0.0

    def eta(self) -> float | None:
        """Seconds left; None until the pace has settled, and where it breaks off."""
        rate, recent = self.rate(), tuple(self._recent)
        if self.ended is not None or rate <= 0 or recent[-1][0] - recent[0][0] < SETTLING:
            return None
        (begin, before), (end, after) = recent[0], recent[-1]
        # not the middle sample: samples come unevenly when nobody asks
        middle, between = min(recent, key=lambda sample: abs(2 * sample[0] - begin - end))
        if middle in (begin, end):  # nobody asked for long: a machine that slept
            return None
        halves = sorted(((between - before) / (middle - begin), (after - between) / (end - middle)))
        return (self.rows - self.done) / rate if halves[1] <= STEADY * halves[0] else None

    def counts(self) -> dict[str, Any]:
        """The fields of Counts, as they are now."""
        counts = {counter.name: getattr(self, counter.name) for counter in fields(Counts)}
        return counts | {"errors_by_kind": dict(self.errors_by_kind)}  # a copy: ours goes on

    def report(self, **known: Any) -> RunReport:
        """The counts so far as a report. known: those of its fields that are not counted here."""
        counts = self.counts()  # once: the seconds go on
        answered, seconds = self.answered, counts["seconds"]
        return RunReport(
            **counts,
            pending=self.rows - self.done,
            done=self.done,
            tokens_in=self.usage.tokens_in,
            tokens_out=self.usage.tokens_out,
            cost=self.usage.cost,
            rows_per_second=answered / seconds if seconds > 0 else 0.0,
            hedges=self.hedges,
            cut=self.cut,
            examples=self.examples,
            tokens_cached=self.usage.tokens_cached,
            in_batches=self.in_batches,
            estimated=self.usage.estimated,
            unread=self.unread,
            unread_tokens=self.unread_usage.tokens,
            unread_cost=self.unread_usage.cost,
            **known,
        )
