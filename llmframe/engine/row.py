"""One row on its way through the engine."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from llmframe.providers.dialect import FULL_DIALECT, Dialect
from llmframe.results import NOTHING_USED, Usage

if TYPE_CHECKING:
    from llmframe.engine.wire.verdict import Verdict


@dataclass(eq=False, slots=True)
class Row:
    """One row on its way, over all its legs.

    sent: requests so far. charged: of them, those that use up attempts. refused: of them,
    refused by the provider. paid: replies that came back. began: when the first request
    left; elapsed: seconds from then to the last reply. busy: seconds that count against
    the row's deadline. correction: messages appended for the one re-ask.
    cap: a larger cap on the output than asked for. reasked, larger, again: which of the
    once-only legs are used up. claimed: no other run asks its key. is_last: it goes behind
    all others. failure: the last failed request, None after a reply.
    refused_alone: refusals while nothing else was on the wire. refused_since: when it was
    first refused. successes_before, refusals_before: of all requests, then. dialect: how the
    last request was written. lost_in: the streak of losses in which it was last lost; lost:
    how often in it, as far as that is charged.
    """

    position: int
    key: bytes
    text: str
    sent: int = 0
    charged: int = 0
    refused: int = 0
    refused_alone: int = 0
    refused_since: float = 0.0
    successes_before: int = 0
    refusals_before: int = 0
    paid: int = 0
    usage: Usage = NOTHING_USED
    began: float | None = None
    elapsed: float = 0.0
    busy: float = 0.0
    correction: list[dict[str, str]] = field(default_factory=list)
    cap: int | None = None
    reasked: bool = False
    larger: bool = False
    again: bool = False
    raw: str | None = None
    claimed: bool = False
    is_last: bool = False
    failure: Verdict | None = None
    dialect: Dialect = FULL_DIALECT
    lost_in: int | None = None
    lost: int = 0

    def note_sent(self, now: float, dialect: Dialect) -> None:
        """A request leaves, written so."""
        if self.began is None:
            self.began = now
        self.dialect = dialect
        self.sent += 1
        self.charged += 1

    def note_back(self, sent_at: float, now: float, void: float = 0.0) -> None:
        """The request has ended, whatever came of it; void: seconds of it that do not count."""
        self.busy += now - sent_at - void
        self.elapsed = now - (self.began if self.began is not None else sent_at)

    def note_paid(self, usage: Usage) -> None:
        """A reply came back that is paid; without output it costs next to nothing."""
        self.usage += usage
        self.paid += usage.tokens_out > 0

    def note_lost(self, streak: int) -> None:
        """A request was lost, and it is not known yet whether in an outage."""
        if streak != self.lost_in:
            self.lost_in, self.lost = streak, 0
        self.lost += 1

    def forgive(self) -> None:
        """It was an outage that lost it: that charges no row."""
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
