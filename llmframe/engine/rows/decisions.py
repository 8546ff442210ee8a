"""What to do with a row whose request failed: one pure decision, without a clock or a governor.

Whoever carries a decision out (attempts.py) collects the facts before and acts afterwards.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from llmframe.engine.asking.asking import MAX_PAID

if TYPE_CHECKING:
    from llmframe.engine.row import Row
    from llmframe.engine.rows.patience import Patience
    from llmframe.engine.wire.verdict import Verdict
    from llmframe.errors import ErrorKind

NEVER_CONNECTED = 8.0  # seconds of failing connections without any response: the run ends
LONGEST_RECONNECT = 1.0  # seconds between two attempts while nothing has ever responded

# A limit a minute may refuse any row often and in a row while others pass, so it takes much to
# blame a row: failing a good row is worse than trying a bad one for long.
STUBBORN_AFTER = 3  # refusals of one row while others succeed: it goes last
HOPELESS_AFTER = 10  # refusals of such a row: it fails
REFUSED_ALONE = 2  # refusals of such a row while nothing else was on the wire: it fails
SUCCESSES_PER_REFUSAL = 10  # from here on it is the row that is refused, not the rate
SUSPECTED = 2  # refusals for which only the row itself can be the reason: it fails
LONGEST_WINDOW = 60.0  # seconds; the longest wait of a row that others do not share
LONGEST_STORM = 900.0  # seconds without any success, after which a run's last rows fail
# refusals of unknown meaning while others are answered: the row fails. One upstream of a gateway
# may refuse by chance: of those that refuse 2 % of the requests, two in a row are not rare
DOUBTED = 3


@dataclass(frozen=True, slots=True)
class Resend:
    """Send the row again immediately; free: the failed request does not count as an attempt."""

    free: bool = True


@dataclass(frozen=True, slots=True)
class Retry:
    """Send the row again after so many seconds, which count against its deadline.

    free: the failed request does not count as an attempt. restart: neither did any before it.
    """

    after: float
    free: bool = False
    restart: bool = False


@dataclass(frozen=True, slots=True)
class Defer:
    """The provider asks to wait so many seconds; last: then the row goes behind all others."""

    after: float
    last: bool = False


@dataclass(frozen=True, slots=True)
class Fail:
    """The row has failed for good."""

    kind: ErrorKind
    message: str


@dataclass(frozen=True, slots=True)
class Pending:
    """The run is ending: the row stays pending."""


@dataclass(frozen=True, slots=True)
class EndRun:
    """No row can succeed; for_all: neither can those of other runs with the same key."""

    verdict: Verdict
    for_all: bool = True


Decision = Resend | Retry | Defer | Fail | Pending | EndRun


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What is known, apart from the row itself, when its request failed.

    stopped: the run is ending. responded: the API has responded to this run before. connecting:
    seconds since the run's first request. rewritten: a simpler request dialect is now in use.
    outage: the endpoint, not the row, is to blame. in_doubt: a health probe is to show whose
    fault a refusal is.
    now: seconds, the governor's clock. successes, refusals: requests answered and refused so far,
    over all runs. none_fresh: every row that is left has
    been sent before. suspect: only the row itself can be the reason of its refusal. pause:
    seconds for which nothing is sent after a refusal.
    """

    stopped: bool = False
    responded: bool = True
    connecting: float = 0.0
    rewritten: bool = False
    outage: bool = False
    in_doubt: bool = False
    now: float = 0.0
    successes: int = 0
    refusals: int = 0
    none_fresh: bool = False
    suspect: bool = False
    pause: float = 0.0


def decide(row: Row, verdict: Verdict, facts: Facts, patience: Patience) -> Decision:
    """What to do with a row after a failed request."""
    if verdict.action == "refused":
        return _after_refusal(row, verdict, facts, patience)
    if verdict.action == "fail_row":
        return Fail(verdict.kind, verdict.message)
    if facts.rewritten:
        return unless_over(Resend(), row, facts, patience)
    if verdict.action == "suspect":
        return _after_doubt(row, verdict, facts, patience)
    if is_hopeless(verdict, facts):
        # nobody at an address may be this run's own mistake: others may have got through
        return EndRun(verdict, for_all=not is_nobody(verdict))
    return _after_loss(row, verdict, facts, patience)


def is_at_fault(row: Row, *, in_doubt: bool) -> bool:
    """True when a row was refused so often, while others are answered, that it is the row."""
    return row.doubted >= DOUBTED and not in_doubt


def _after_doubt(row: Row, verdict: Verdict, facts: Facts, patience: Patience) -> Decision:
    """Once more after all others; the row fails when it is refused again while they are not."""
    if is_at_fault(row, in_doubt=facts.in_doubt):
        return Fail(verdict.kind, verdict.message)
    return unless_over(Retry(0.0, free=True), row, facts, patience)


def is_nobody(verdict: Verdict) -> bool:
    """True when nothing responded, or nothing that is the API: a proxy's page, another server."""
    return verdict.about == "page" or (verdict.kind == "connection" and not verdict.about)


def is_hopeless(verdict: Verdict, facts: Facts) -> bool:
    """True when no row of this run can succeed."""
    if not is_nobody(verdict):
        return verdict.action == "end_run"
    if facts.responded:  # the address is right: a connection was lost
        return False
    return verdict.action == "end_run" or facts.connecting > NEVER_CONNECTED


def is_stubborn(row: Row, facts: Facts) -> bool:
    """True when the row is refused while others pass so well that no rate can be the reason."""
    passed = facts.successes - row.successes_before
    refused = facts.refusals - row.refusals_before
    return row.refused >= STUBBORN_AFTER and passed >= SUCCESSES_PER_REFUSAL * (refused + 1)


def unless_over(
    decision: Resend | Retry | Defer, row: Row, facts: Facts, patience: Patience
) -> Decision:
    """The same, unless the row's deadline has passed or the run is ending."""
    busy = row.busy
    if isinstance(decision, Retry):  # waiting for the provider (Defer) does not count
        busy = decision.after if decision.restart else busy + decision.after
    return _overdue(row, busy, patience) or (Pending() if facts.stopped else decision)


def _overdue(row: Row, busy: float, patience: Patience) -> Fail | None:
    """The failure of a row that has been busy for longer than its deadline allows."""
    if not patience.is_over(busy):
        return None
    last = "" if row.failure is None else f"; last: {row.failure.message}"
    return Fail("deadline", f"the deadline of {patience.deadline:g} s has passed{last}")


def _after_refusal(row: Row, verdict: Verdict, facts: Facts, patience: Patience) -> Decision:
    """Wait as long as all others do; attempts are not used up."""
    stubborn = is_stubborn(row, facts)
    if _is_refused_for_good(row, facts, stubborn=stubborn):
        return Fail("rate_limit", f"{verdict.message} (rate-limited {row.refused} times)")
    wait = patience.backoff(row.refused)
    if verdict.retry_after is not None:
        # the answers that others get outrank the time that was asked for
        longest = LONGEST_WINDOW if stubborn else max(facts.pause, wait)
        wait = min(verdict.retry_after, longest, LONGEST_WINDOW)
    return unless_over(Defer(wait, last=row.is_last or stubborn), row, facts, patience)


def is_to_blame(row: Row, facts: Facts) -> bool:
    """True when a refusal is about this row alone: it pauses nobody."""
    return facts.suspect or is_stubborn(row, facts)


def _is_refused_for_good(row: Row, facts: Facts, *, stubborn: bool) -> bool:
    """True when a row that was refused once more has to fail."""
    if stubborn:
        return row.refused_alone >= REFUSED_ALONE or row.refused >= HOPELESS_AFTER
    if facts.suspect:
        return row.suspected >= SUSPECTED
    # a storm that lets nothing through fails no row, but for a run's last ones after a quarter of
    # an hour: a cell that is run again for the rows that are always refused must come to an end
    lasts = facts.now - row.refused_since
    return facts.none_fresh and row.refused_alone >= HOPELESS_AFTER and lasts >= LONGEST_STORM


def _after_loss(row: Row, verdict: Verdict, facts: Facts, patience: Patience) -> Decision:
    """A 5xx, a lost connection or a time-out: try again while attempts are left."""
    if is_nobody(verdict) and not facts.responded:  # no fault of the row: nothing counts yet
        wait = min(patience.backoff(row.sent), LONGEST_RECONNECT)
        return unless_over(Retry(wait, restart=True), row, facts, patience)
    charged = row.charged - facts.outage
    if row.paid >= MAX_PAID or (charged > 0 and patience.is_last(charged)):
        often = f" (after {row.sent} attempts)" if row.sent > 1 else ""
        cure = "; if rows need longer, raise timeout=" if verdict.kind == "timeout" else ""
        failed = Fail(verdict.kind, verdict.message + often + cure)
        return _overdue(row, row.busy, patience) or failed
    wait = patience.backoff(charged or row.sent)
    return unless_over(Retry(wait, free=facts.outage), row, facts, patience)
