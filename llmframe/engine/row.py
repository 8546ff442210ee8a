"""The rows of a frame as the engine sees them, and one row on its way through it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from llmframe.providers.dialect import FULL_DIALECT, Dialect
from llmframe.results import NOTHING_USED, Failure, RowResult, Usage

if TYPE_CHECKING:
    from collections.abc import Sequence

    from llmframe.engine.wire.verdict import Verdict
    from llmframe.errors import ErrorKind


class Rows(Protocol):
    """The rows of a frame, rendered slice by slice."""

    @property
    def n(self) -> int:
        """How many."""

    @property
    def is_stable(self) -> bool:
        """Whether a row's text is the same whenever it is rendered."""

    def texts(self, start: int, stop: int) -> Sequence[str | RowResult | None]:
        """Rendered texts of a slice; None for a blank row, its result for one without a text."""

    def text(self, position: int) -> str | RowResult | None:
        """One rendered text; cheap when read in ascending order."""

    def ids(self, start: int, stop: int) -> Sequence[object] | None:
        """The rows' ids, None where no id column was named."""


class Source(Protocol):
    """Where rows come from that are not all known when the run begins. buffer: rows it holds."""

    @property
    def buffer(self) -> int:
        """Rows that it has taken and nobody has got back, at most."""

    async def more(self, known: int) -> bool:
        """Wait until there are more than so many rows; False if there never will be."""

    def close(self) -> None:
        """The run ends: take no more, and end the waiting."""


@dataclass(eq=False, slots=True)
class Halves:
    """A request that failed and was cut in two. texts: it had. answered: halves of it."""

    texts: int
    answered: int = 0


@dataclass(eq=False, slots=True)
class Row:
    """One row on its way, over all its requests.

    position, key, text: where it stands in the frame, what identifies it, what is sent.
    sent: requests so far. charged: those of them that use up attempts. paid: replies that came
        back with output. usage: of all of them.
    began: when the first request left. elapsed: seconds from then to the last reply. busy:
        seconds that count against the deadline.
    claimed: its key is this run's to ask for. is_last: it is sent after all other rows.
    failure: the last failed request, None after a reply. dialect: of the last request.
    rewritten: the dialect of the next one, None for the endpoint's. tried: those in which the row
        was refused. doubted: refusals of unknown meaning.
    others: rows whose texts are in the same request, where one request is for several. All that
        is noted here of requests is noted on the first row alone.
    half_of: the request that was cut in two, of which this is one half.
    vote: which of the row's votes this is, from 0. votes: the results of those before it. first:
    the row as its first vote, None where it is that. bought: whether this run asked for a vote
    before it.
    """

    position: int
    key: bytes
    text: str
    sent: int = 0
    charged: int = 0
    paid: int = 0
    usage: Usage = NOTHING_USED
    began: float | None = None
    elapsed: float = 0.0
    busy: float = 0.0
    claimed: bool = False
    is_last: bool = False
    failure: Verdict | None = None
    dialect: Dialect = FULL_DIALECT
    rewritten: Dialect | None = None
    tried: tuple[Dialect, ...] = ()
    doubted: int = 0
    others: list[Row] = field(default_factory=list)
    half_of: Halves | None = None
    vote: int = 0
    votes: tuple[RowResult, ...] = ()
    first: Row | None = None
    bought: bool = False
    raw: str | None = None  # the last reply's text, where details= asks for it

    # what the next request does otherwise than the first, each of them once
    correction: list[dict[str, str]] = field(default_factory=list)  # messages of the one re-ask
    cap: int | None = None  # a larger cap on the output than asked for
    reasked: bool = False
    larger: bool = False
    again: bool = False  # asked again after a blank reply

    # refusals: how often, how often with nothing else on the wire, how often for no reason but
    # the row itself, since when, and how many requests of all rows had been answered and refused
    # before the first, and answered before the last for which only the row can be the reason
    refused: int = 0
    refused_alone: int = 0
    suspected: int = 0
    refused_since: float = 0.0
    successes_before: int = 0
    refusals_before: int = 0
    successes_then: int = 0

    # losses that may turn out to belong to an outage: in which streak, how many were charged
    lost_in: int | None = None
    lost: int = 0

    @property
    def reason(self) -> tuple[str, int | None]:
        """Why its next request repeats the last: the kind of failure and the HTTP status."""
        return (self.failure.kind, self.failure.status) if self.failure else ("output", None)

    @property
    def members(self) -> list[Row]:
        """All rows of the request: this one, and the others."""
        return [self, *self.others]

    def note_sent(self, now: float, dialect: Dialect) -> None:
        """A request leaves, in this dialect."""
        if self.began is None:
            self.began = now
        self.dialect = dialect
        self.sent += 1
        self.charged += 1

    def rewrite(self, dialect: Dialect) -> None:
        """Send the row in this dialect next, as it is refused in its last one."""
        self.tried += (self.dialect,)
        self.rewritten = dialect

    def begin_again(self) -> None:
        """Ask as if for the first time; what was paid counts."""
        self.charged, self.rewritten = 0, None
        self.reasked = self.larger = self.again = False
        self.correction, self.cap = [], None

    def note_back(self, sent_at: float, now: float, void: float = 0.0) -> None:
        """The request has ended in any way; void: seconds of it that do not count."""
        self.busy += now - sent_at - void
        self.elapsed = now - (self.began if self.began is not None else sent_at)

    def note_paid(self, usage: Usage, *, counts: bool = True) -> None:
        """A bad reply came back that is paid; without output it costs next to nothing.

        counts: False where the server broke it off: it says nothing about the row.
        """
        self.usage += usage
        self.paid += counts and usage.tokens_out > 0

    def note_lost(self, streak: int) -> None:
        """A request was lost; whether in an outage is not known yet."""
        if streak != self.lost_in:
            self.lost_in, self.lost = streak, 0
        self.lost += 1

    def forgive_lost(self) -> None:
        """The requests were lost in an outage after all: no row is charged for that."""
        self.charged -= self.lost
        self.lost = 0

    def note_refused(self, now: float, *, alone: bool, successes: int, refusals: int) -> None:
        """The provider refused it; successes, refusals: of all requests so far."""
        self.charged -= 1
        self.refused += 1
        self.refused_alone += alone
        if self.refused == 1:
            self.refused_since = now
            self.successes_before = successes
            self.refusals_before = refusals
            self.successes_then = successes

    def note_suspect(self, successes: int) -> None:
        """It was refused for no reason but the row itself."""
        self.suspected += 1
        self.successes_then = successes

    def failed(self, kind: ErrorKind, message: str) -> RowResult:
        """The result of this row, if it fails for good."""
        last = self.failure
        error = Failure(kind, message, last.status if last else None, last.code if last else None)
        return RowResult("failed", None, error, self.sent, self.usage, self.elapsed, self.raw)
