"""What is known of a run: a snapshot while it goes on, and the report at the end."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from llmframe.results import NOTHING_USED, Usage

RunStatus = Literal["running", "paused", "stopping", "stopped", "finished", "aborted"]


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskBudget:
    """What a task may spend, and what counts against it so far.

    max_cost, max_tokens: as the call gave them; None has no end. cost, tokens: of all calls of the
    task that its checkpoint knows, this one included, with requests whose answers were never
    read; cost is None where no price is known. currency: of both costs; "" if it is not known.
    """

    max_cost: float | None
    max_tokens: int | None
    cost: float | None
    tokens: int
    currency: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Counts:
    """What both a snapshot and a report count.

    rows: rows of the frame. ok, failed, skipped: rows done, by status.
    reused, shared: of the ok rows, those answered by the checkpoint and by an equal row's request.
    requests, retries, refusals: everything sent; of them repeats; of them rate-limited (429).
    seconds: since the start, to the end. errors_by_kind: failed rows by kind.
    """

    rows: int
    ok: int
    failed: int
    skipped: int
    reused: int
    shared: int
    requests: int
    retries: int
    refusals: int
    seconds: float
    errors_by_kind: dict[str, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot(Counts):
    """A run at one moment, for the views.

    planned: every row has been planned; until then the counts are a lower bound.
    in_batches: rows that the provider has in batches.
    in_flight, limit, waiting: requests on the wire, the most allowed, rows waiting for a retry.
    rate: rows answered by requests per second, over the last ten. eta: seconds left, None if
    unknown, in an outage, and until the pace has settled. limited_by: what limits the run now,
    in a few words; pace: the same in a plain sentence. model, endpoint: its name, its host.
    retry_reasons: what the retries repeat, by kind of error and HTTP status; they sum to retries.
    message: one sentence for the person, empty while all is well. expected_stop: which limit will
    probably stop it, by what was known before the first request. usage: of this call. currency,
    unread, table, budget, price_missing: as in RunReport.
    """

    status: RunStatus
    planned: bool
    usage: Usage
    in_flight: int
    limit: int
    waiting: int
    rate: float
    eta: float | None
    limited_by: str
    message: str = ""
    currency: str = ""
    unread: int = 0
    in_batches: int = 0
    table: Usage = NOTHING_USED
    budget: TaskBudget | None = None
    expected_stop: str = ""
    price_missing: bool = False
    model: str = ""
    endpoint: str = ""
    pace: str = ""
    retry_reasons: dict[tuple[str, int | None], int] = field(default_factory=dict)

    @property
    def cost(self) -> float | None:
        """Of this call so far; None if it is not known."""
        return self.usage.cost

    @property
    def done(self) -> int:
        """Rows that need nothing more."""
        return self.ok + self.failed + self.skipped

    @property
    def pending(self) -> int:
        """Rows that were not reached."""
        return self.rows - self.done


@dataclass(frozen=True, slots=True, kw_only=True)
class RunReport(Counts):
    """What a run did: rows = done + pending, done = ok + failed + skipped.

    tokens_in, tokens_out: as the provider counted them. tokens_cached: of tokens_in, those that it
    had in its cache. cost: as the endpoint says, else by the prices; None if neither is known.
    currency: of the cost, "" if it is not known. price_missing: no price is known of an endpoint
    that may charge. estimated: replies that did not state their tokens, which are an estimate.
    table: what all answers of this table took: this call, and the answers that it reused from the
    checkpoint. budget: what the whole task may spend; None without max_cost and max_tokens.
    unread: requests that left and whose answers were never read (timed out, lost, cancelled), and
    what they may have taken: max_cost and max_tokens count it, the tokens and cost above do not.
    limited_by: what limited the run for the longest. checkpoint: its path, None
    without one. time_went_to: shares of the time by what limited the run, largest first.
    in_batches: rows that were left in batches at the provider, which go on, and how many batches.
    limits: (seconds since the start, concurrent requests allowed) at each change. hedges: second
    requests for late rows. cut: rows whose text was too long and lost its end. examples: of the ok
    rows, those that are among examples= and were not asked.
    """

    pending: int
    done: int
    tokens_in: int
    tokens_out: int
    cost: float | None
    rows_per_second: float
    limited_by: str
    checkpoint: str | None
    time_went_to: dict[str, float] = field(default_factory=dict)
    limits: tuple[tuple[float, int], ...] = ()
    hedges: int = 0
    cut: int = 0
    examples: int = 0
    tokens_cached: int = 0
    currency: str = ""
    estimated: int = 0
    unread: int = 0
    unread_tokens: int = 0
    unread_cost: float | None = None
    table: Usage = NOTHING_USED
    budget: TaskBudget | None = None
    price_missing: bool = False
    in_batches: tuple[int, int] = (0, 0)

    @property
    def usage(self) -> Usage:
        """The tokens and the cost of this call together."""
        return Usage(
            self.tokens_in,
            self.tokens_out,
            self.cost,
            self.tokens_cached,
            self.estimated,
            self.currency,
        )

    @property
    def cached_share(self) -> float:
        """The share of the prompts' tokens that the provider had in its cache, from 0 to 1."""
        return self.tokens_cached / self.tokens_in if self.tokens_in else 0.0
