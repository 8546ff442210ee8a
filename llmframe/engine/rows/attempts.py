"""One row's attempts: send it, read the reply or judge the failure, and carry the decision out."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import TYPE_CHECKING

from llmframe.engine.asking.asking import MAX_PAID
from llmframe.engine.asking.validating import Validator
from llmframe.engine.events import AnswerGrows, RequestLost, RequestRefused, RequestSent, Spent
from llmframe.engine.rows.breaker import FIRST
from llmframe.engine.rows.budget import Reservation, Sender
from llmframe.engine.rows.decisions import (
    DOUBTED,
    LONGEST_WINDOW,
    Decision,
    Defer,
    EndRun,
    Facts,
    Fail,
    Pending,
    Resend,
    Retry,
    decide,
    is_at_fault,
    is_hopeless,
    is_nobody,
    is_to_blame,
    unless_over,
)
from llmframe.engine.rows.health_probe import HealthProbe
from llmframe.engine.rows.hedge import Hedges
from llmframe.engine.wire.verdict import (
    BadReply,
    Verdict,
    classify,
    doubted_key,
    is_about_key,
)
from llmframe.providers.responses.finish_reason import ending
from llmframe.providers.responses.streamed import GrowingText
from llmframe.system.timeout import TimeOut

if TYPE_CHECKING:
    from collections.abc import Sequence

    from llmframe.engine.asking.grouping import Grouping
    from llmframe.engine.governor import Lease
    from llmframe.engine.row import Row
    from llmframe.engine.rows.claims import Claims
    from llmframe.engine.rows.parts import Parts
    from llmframe.engine.rows.settle import Settler
    from llmframe.engine.rows.work import Work
    from llmframe.engine.wire.reply import Reply
    from llmframe.errors import ErrorKind
    from llmframe.results import RowResult


FOR_THE_ROW = frozenset({400, 422})
NOT_BY_CHANCE = 422  # it has read the request, and would say the same again


class Attempts:
    """What happens to a run's rows between a lease and a result; lives on the run's loop.

    hedges: its requests on the wire, where late ones are asked twice.
    """

    def __init__(
        self,
        parts: Parts,
        *,
        work: Work,
        claims: Claims,
        settler: Settler,
        grouping: Grouping,
    ) -> None:
        self._parts = parts
        self._patience = parts.patience
        self._work = work
        self._claims = claims
        self._settler = settler
        self._grouping = grouping
        self.hedges = Hedges() if parts.job.settings.hedge else None
        self._sender = Sender(
            parts.backend, asker=parts.asker, budget=parts.job.budget, events=parts.events
        )
        self.health_probe = HealthProbe(
            parts, self._sender, timeout=self._patience.timeout, on_reply=settler.probed
        )
        self._validator = Validator(parts.asker, parts.processes.get("fields"))
        self._clock = parts.governor.clock
        self._responded = False  # the API has responded to this run
        self._first_sent: float | None = None

    async def attempt(self, row: Row, lease: Lease, reservation: Reservation) -> None:
        """One request, and what it means for the row."""
        governor, failure = self._parts.governor, row.failure
        if failure is None or not is_at_fault(row, in_doubt=governor.in_doubt):
            await self._send(row, lease, reservation)
        else:  # others have been answered meanwhile: it was the row, and that is known already
            governor.give_back(lease)
            self._fail(row, failure.kind, failure.message)

    async def _send(self, row: Row, lease: Lease, reservation: Reservation) -> None:
        began = self._clock()
        if self._first_sent is None:
            self._first_sent = began
        governor, enums = self._parts.governor, self._parts.asker.enums
        row.note_sent(began, governor.dialects.next(row.rewritten, row.tried, enums=enums))
        if row.sent == 1:
            governor.earn_repeats()
        self._parts.events.emit(RequestSent(row.sent > 1, reason=row.reason))
        timeout = self._patience.left(row)
        limit = TimeOut(timeout)
        try:
            async with limit:
                reply = await self._call(row, reservation, self._growing(row, limit))
        except asyncio.CancelledError:
            governor.dialects.lost(row.dialect, enums=enums)
            governor.release(lease)
            if self._was_overtaken(row):
                return
            self._settler.drop(row)
            raise
        except Exception as exc:  # noqa: BLE001 - one row must never end the run
            if self._was_overtaken(row):  # it timed out just then
                governor.release(lease)
                return
            row.note_back(began, self._clock(), limit.void)
            if isinstance(exc, BadReply):
                row.note_paid(exc.usage, counts=not exc.broken_off)
            self._read_headers(getattr(exc, "response", None), lease)
            if limit.void:  # connections die while the machine sleeps: no fault of the row
                row.charged -= 1
            own = self._parts.asker.texts(row)
            verdict = classify(exc, timeout=timeout, scrub=self._parts.scrub, own=own)
            self._failed(row, lease, verdict)
        else:
            # from here to the row's line in the checkpoint there is no await but for validators
            # of the person's, where a cancel waits: a reply that came back is never lost to it
            row.note_back(began, self._clock(), limit.void)
            self._responded = True
            self._read_headers(reply, lease)
            self._parts.understood(row)
            stated = reply.usage.if_stated
            governor.release(lease, answered=True, clean=row.sent == 1, usage=stated)
            await self.read(row, reply)

    async def hedge(self, row: Row, lease: Lease) -> None:
        """Ask for a late row once more; the first valid answer wins."""
        hedges, governor = self.hedges, self._parts.governor
        size, cap = self._parts.asker.size(row), self._parts.asker.cap(row)
        is_open = hedges is not None and hedges.is_open(row)  # not answered in the meantime
        reservation = self._parts.job.budget.reserve(size, cap) if is_open else None
        if hedges is None or reservation is None:
            governor.give_back(lease)
            return
        self._parts.events.emit(RequestSent(repeated=True, hedge=True))
        try:
            async with TimeOut(self._patience.timeout):
                reply = await self._sender.send(row, row.dialect, reservation)
        except BadReply as exc:
            self._parts.events.emit(Spent(exc.usage))
            governor.release(lease)
            return
        except Exception:  # noqa: BLE001 - the row's own request is still out and will be judged
            governor.release(lease)
            return
        except asyncio.CancelledError:
            governor.release(lease)
            raise
        governor.release(lease, answered=True, usage=reply.usage.if_stated)
        try:
            reply = await self._validator.parsed(reply)
        except asyncio.CancelledError:
            self._parts.events.emit(Spent(reply.usage))
            raise
        result = self._parts.asker.valid(row, reply) if hedges.is_open(row) else None
        if result is None:  # too late or not valid: paid all the same
            self._parts.events.emit(Spent(reply.usage))
        else:
            hedges.overtake(row)
            self._settler.finish(row, result)

    async def _call(self, row: Row, reservation: Reservation, growing: GrowingText | None) -> Reply:
        """Send the row's request; with hedging so that a faster answer can end it."""
        sending = self._sender.send(row, row.dialect, reservation, growing)
        if self.hedges is None:
            return await sending
        async with self.hedges.watch(row, sending, self._clock()) as call:
            return await call

    def _growing(self, row: Row, limit: TimeOut) -> GrowingText | None:
        """Reads the row's answer while it is written; None where answers are not streamed."""
        if not self._parts.asker.streams:
            return None

        def on_growth(text: str) -> None:
            if self._patience.deadline is None:  # words that keep coming are paid for: no time-out
                limit.restart()
            self._responded = True
            # the others wait for the first answer no longer: it is being written
            self._parts.understood(row)
            self._parts.events.emit(AnswerGrows(row.position, text))

        return GrowingText(on_growth)

    def _was_overtaken(self, row: Row) -> bool:
        return self.hedges is not None and self.hedges.was_overtaken(row)

    def _read_headers(self, response: object, lease: Lease) -> None:
        """Tell the governor which limits a reply, or the response of an error, states."""
        raw = getattr(getattr(response, "headers", None), "raw", None)
        if raw is not None:
            self._parts.governor.read_headers(raw, lease)

    async def read(self, row: Row, reply: Reply) -> None:
        """Settle the row by its reply, or ask again where the reply is not valid."""
        try:
            reply = await self._validator.parsed(reply)
        except asyncio.CancelledError:  # validators hang, and nobody waits: it is paid all the same
            row.note_paid(reply.usage)
            self._settler.drop(row)
            raise
        row.failure = None  # what fails from here on is the reply, not the request
        self._forgive_lost(row)
        final = self._patience.is_last(row.charged)
        dialects = self._parts.governor.dialects
        results = self._parts.asker.results(row, reply, final=final)
        result = results[0]
        # once an answer was of use it is not the format: nearly every reply is read no further
        is_useless = not dialects.worked and _is_useless(reply, result)
        if is_useless and dialects.disappointed(row.dialect) and row.paid < MAX_PAID:
            row.begin_again()
            results = [None] * len(row.members)
        elif result is not None:
            dialects.worked = dialects.worked or result.status == "ok"
            if row.rewritten and result.status == "ok" and row.dialect.cap != dialects.dialect.cap:
                dialects.ignored("max_completion_tokens")  # its other name is what works
        self._settle(row, results)

    def _settle(self, row: Row, results: Sequence[RowResult | None]) -> None:
        """Settle the members of a request; those without a result are asked again."""
        left = []
        for member, result in zip(row.members, results, strict=True):
            if result is None:
                left.append(member)
            else:
                self._settler.finish(member, result)
        if not left:
            self._grouping.answered(row)
        elif row.others:
            self._grouping.split(row, left)
        else:
            facts = Facts(stopped=self._work.closed)
            self.carry_out(row, unless_over(Resend(free=False), row, facts, self._patience))

    def _failed(self, row: Row, lease: Lease, verdict: Verdict) -> None:
        if self._parts.governor.successes:  # the key was good before
            verdict = doubted_key(verdict)
        row.failure = verdict
        # a proxy's page proves nothing: the API behind it may not exist
        if verdict.status is not None and verdict.about != "page":
            self._responded = True
        facts = self._report(row, lease, verdict)
        self.carry_out(row, decide(row, verdict, facts, self._patience))

    def _report(self, row: Row, lease: Lease, verdict: Verdict) -> Facts:
        """Tell the governor what happened, and collect what the decision depends on."""
        governor, now = self._parts.governor, self._clock()
        facts = Facts(
            stopped=self._work.closed,
            responded=self._responded,
            connecting=now - (self._first_sent or 0.0),
            now=now,
            successes=governor.successes,
            refusals=governor.refusals,
            none_fresh=self._work.none_fresh,
        )
        if verdict.action == "refused":
            facts = self._refused(row, lease, verdict, facts)
        elif verdict.action == "fail_row":
            governor.release(lease, answered=True)
        elif verdict.action == "suspect":
            facts = self._suspected(row, lease, verdict, facts)
        elif is_hopeless(verdict, facts):
            governor.release(lease)
        else:
            facts = replace(facts, outage=self._lose(row, lease, verdict, facts))
        return facts

    def _refused(self, row: Row, lease: Lease, verdict: Verdict, facts: Facts) -> Facts:
        """The provider refuses the request: because of a limit, or because of its row."""
        governor = self._parts.governor
        self._parts.events.emit(RequestRefused(verdict))
        is_quiet = governor.quiet >= LONGEST_WINDOW
        answered = row.refused > 0 and facts.successes > row.successes_then
        suspect = lease.alone and answered and is_quiet and governor.is_slow
        row.note_refused(
            facts.now, alone=lease.alone, successes=facts.successes, refusals=facts.refusals
        )
        if suspect:
            row.note_suspect(facts.successes)
        facts = replace(facts, suspect=suspect)
        # where all rows that are left were refused, they may be the reason: ask something else
        ask_else = facts.none_fresh and row.refused > 1 and is_quiet and not answered
        pause = governor.refuse(
            lease, verdict.retry_after, counts=not is_to_blame(row, facts), probe=ask_else
        )
        if lease.alone:  # the next to be sent is chosen anew: this row's kind may be to blame
            self._work.refused_alone()
            governor.recall(self._parts.share)
        return replace(facts, pause=pause)

    def _suspected(self, row: Row, lease: Lease, verdict: Verdict, facts: Facts) -> Facts:
        """The request is wrong: in how it is written, because of its row, or for everybody."""
        governor = self._parts.governor
        if self._parts.rewrite(row, verdict):
            governor.suspect(lease, counts=False)
            if not governor.dialects.known:  # the same row is sent next, so that few are lost
                governor.recall(self._parts.share)
            return replace(facts, rewritten=True)
        governor.dialects.lost(row.dialect, enums=self._parts.asker.enums)
        row.rewritten = None
        is_new = not row.doubted
        row.doubted += 1
        of_key = is_about_key(verdict)
        if governor.successes:
            is_final = self._parts.hurried and not of_key  # a bad key is never one row's failure
            counts = not is_final
            if is_final or verdict.status == NOT_BY_CHANCE or row.others:
                row.doubted = DOUBTED  # of several texts one, or their number, may be the reason
        else:  # of few rows none ends the run for its text alone
            is_text = verdict.status in FOR_THE_ROW and verdict.kind == "bad_request"
            counts = not is_text or self._parts.most_rows >= FIRST
            row.doubted = DOUBTED if row.others else row.doubted
        governor.suspect(lease, counts=counts and is_new, of_key=of_key)
        return replace(facts, in_doubt=governor.in_doubt)

    def _lose(self, row: Row, lease: Lease, verdict: Verdict, facts: Facts) -> bool:
        """The request is lost; whether an outage took it, which is no fault of the row."""
        governor = self._parts.governor
        self._parts.events.emit(RequestLost(verdict))
        unreachable = is_nobody(verdict) and not facts.responded
        enums = self._parts.asker.enums
        governor.dialects.lost(row.dialect, enums=enums)
        # 200: without a completion in it
        is_broken = verdict.status == 200 or (verdict.status or 0) >= 500
        is_silent = verdict.kind == "timeout"
        if (is_broken or is_silent) and not unreachable:
            lower = governor.dialects.broke(
                (*row.tried, row.dialect), enums=enums, silent=is_silent and not is_broken
            )
            if lower is not None:
                row.rewrite(lower)
        self._forgive_lost(row)
        if governor.lose(lease, left=self._work.left, counts=not unreachable):
            return True
        row.note_lost(governor.streak)
        return False

    def _forgive_lost(self, row: Row) -> None:
        """Earlier losses of the row do not count if it is known by now that it was an outage."""
        if row.lost and row.lost_in is not None and self._parts.governor.was_outage(row.lost_in):
            row.forgive_lost()

    def carry_out(self, row: Row, decision: Decision) -> None:
        """Do what was decided about a row."""
        governor = self._parts.governor
        match decision:
            case Resend(free):
                row.charged -= free
                self._send_later(row, 0.0)
            case Retry(after, free, restart):
                row.charged = 0 if restart else row.charged - free
                row.busy = after if restart else row.busy + after
                # what the budget of repeats adds is no part of the row's deadline
                self._send_later(row, max(after, governor.take_repeat()))
            case Defer(after, last):
                row.is_last = last
                self._send_later(row, max(after, governor.take_repeat()))
            case Fail(kind, message):
                self._fail(row, kind, message)
            case Pending():
                self._settler.drop(row)
            case EndRun(verdict, for_all):
                self._settler.drop(row)
                if for_all:
                    governor.abort_all(verdict)
                else:
                    self._parts.halt.hopeless(verdict)

    def _fail(self, row: Row, kind: ErrorKind, message: str) -> None:
        """The row has failed; of several in one request only the one that fails alone."""
        if row.others and kind != "deadline":
            self._grouping.split(row)
            return
        failed = row.failed(kind, message)
        for member in row.members:
            self._settler.finish(member, failed._replace(usage=member.usage))

    def _send_later(self, row: Row, wait: float) -> None:
        if self._parts.share.held:
            self._grouping.dissolve(row)
            self._claims.release(row)  # the person's pause must not hold up another run
        self._work.retry(row, self._clock() + wait)


def _is_useless(reply: Reply, result: RowResult | None) -> bool:
    """Whether a reply may show that the way in which JSON is asked for does not work."""
    if ending(reply.finish_reason) == "cut":  # mostly it is only too long
        return not (reply.content or "").strip("{ \t\r\n")
    return result is None or (result.error is not None and result.error.kind == "output")
