"""A row's course: sent, read or judged, and tried again, to its end; none costs another.

Between a reply and its end (see closing.py) there is no await.
"""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import TYPE_CHECKING

from llmframe.engine.asking.asking import MAX_PAID, failed
from llmframe.engine.events import RequestRefused, RequestSent, Spent
from llmframe.engine.rows.decisions import is_refused_for_good, is_stubborn
from llmframe.engine.rows.health_probe import HealthProbe
from llmframe.engine.rows.parts import Parts
from llmframe.engine.rows.patience import Patience, RetryPolicy
from llmframe.engine.wire.verdict import BadReply, Verdict, classify
from llmframe.system.timeout import TimeOut

if TYPE_CHECKING:
    from collections.abc import Callable

    from llmframe.engine.governor import Lease
    from llmframe.engine.row import Row
    from llmframe.engine.rows.hedge import Hedges
    from llmframe.engine.rows.settle import Settler
    from llmframe.engine.rows.work import Work
    from llmframe.engine.wire.reply import Reply

NEVER_CONNECTED = 8.0  # seconds of failing connections, and never a response: the run ends
LONGEST_KNOCK = 1.0  # seconds between two attempts of a row while nobody has ever answered


class Attempts:
    """What happens to the rows of one run between a lease and a result; lives on its loop.

    give_up: told when the run is hopeless.
    """

    def __init__(
        self,
        parts: Parts,
        patience: Patience,
        work: Work,
        closing: Settler,
        *,
        give_up: Callable[[Verdict], None],
        hedges: Hedges | None = None,
    ) -> None:
        self._parts = parts
        self._patience = patience
        self._work = work
        self._settler = closing
        self._give_up_run = give_up
        self._hedges = hedges
        self._policy = RetryPolicy(patience.max_attempts)
        self._health_probe = HealthProbe(parts, patience.timeout, give_up)
        self._clock = parts.governor.clock
        self._responded = False
        self._first_sent: float | None = None

    async def attempt(self, row: Row, lease: Lease) -> None:
        """One request, and what it means for the row."""
        began = self._clock()
        if self._first_sent is None:
            self._first_sent = began
        row.note_sent(began, self._parts.governor.dialect)
        if row.sent == 1:
            self._parts.governor.earn_repeats()
        self._parts.events.emit(RequestSent(row.sent > 1))
        timeout = self._patience.left(row)
        limit = TimeOut(timeout)
        try:
            async with limit:
                reply = await self._call(row)
        except asyncio.CancelledError:
            self._parts.governor.release(lease)
            if self._hedges is not None and self._hedges.was_overtaken(row):
                return
            self._settler.drop(row)
            raise
        except Exception as exc:  # noqa: BLE001 - one row must never end the run
            if self._hedges is not None and self._hedges.was_overtaken(row):
                self._parts.governor.release(lease)  # it timed out just then
                return
            row.note_back(began, self._clock(), limit.void)
            if isinstance(exc, BadReply):
                row.note_paid(self._parts.budget.priced(exc.usage))
            self._read_headers(getattr(exc, "response", None))
            if limit.void:
                row.charged -= 1  # connections die in a sleep: nobody's fault
            self._judge(row, lease, classify(exc, timeout=timeout, scrub=self._parts.scrub))
        else:
            row.note_back(began, self._clock(), limit.void)
            self._answered(row, lease, reply)

    async def look(self, lease: Lease) -> None:
        """Find out whether anything gets through."""
        await self._health_probe.look(lease)

    async def _call(self, row: Row) -> Reply:
        """Send the row's request; where it may be hedged, so that a faster answer can end it."""
        sending = self._parts.backend.send(self._parts.asker.body(row, row.dialect))
        if self._hedges is None:
            return await sending
        async with self._hedges.watch(row, sending, self._clock()) as call:
            return await call

    async def hedge(self, row: Row, lease: Lease) -> None:
        """Ask a late row once more; the first valid answer wins."""
        hedges, governor = self._hedges, self._parts.governor
        if hedges is None or not hedges.is_open(row):
            governor.give_back(lease)
            return
        self._parts.events.emit(RequestSent(repeated=True, hedge=True))
        try:
            async with TimeOut(self._patience.timeout):
                reply = await self._parts.backend.send(self._parts.asker.body(row, row.dialect))
        except Exception:  # noqa: BLE001 - the row's own request goes on, and tells
            governor.release(lease)
            return
        except asyncio.CancelledError:
            governor.release(lease)
            raise
        governor.release(lease, answered=True, usage=reply.usage)
        reply = replace(reply, usage=self._parts.budget.priced(reply.usage))
        result = self._parts.asker.valid(row, reply) if hedges.is_open(row) else None
        if result is None:
            self._parts.events.emit(Spent(reply.usage))
        else:
            hedges.overtake(row)
            self._settler.finish(row, result)

    def _answered(self, row: Row, lease: Lease, reply: Reply) -> None:
        governor = self._parts.governor
        self._responded = True
        self._read_headers(reply)
        governor.understood(row.dialect)
        governor.release(lease, answered=True, clean=row.sent == 1, usage=reply.usage)
        self._read(row, reply)

    def _read_headers(self, response: object) -> None:
        """What a reply, or the response of an error, says of the limits."""
        raw = getattr(getattr(response, "headers", None), "raw", None)
        if raw is not None:
            self._parts.governor.read_headers(raw)

    def _read(self, row: Row, reply: Reply) -> None:
        row.failure = None
        self._forgive(row)
        reply = replace(reply, usage=self._parts.budget.priced(reply.usage))
        result = self._parts.asker.read(row, reply, final=self._policy.is_over(row.charged))
        if result is None:
            self._try_again(row, 0.0)
        else:
            self._settler.finish(row, result)

    def _judge(self, row: Row, lease: Lease, verdict: Verdict) -> None:
        row.failure = verdict
        self._responded = self._responded or (
            verdict.status is not None and verdict.about != "page"
        )
        if verdict.action == "refused":
            self._defer(row, lease, verdict)
        elif verdict.action == "fail_row":
            self._parts.governor.release(lease, answered=True)
            self._fail_row(row, verdict)
        elif verdict.status == 401 and self._parts.governor.key_refused(lease):
            row.charged -= 1
            self._try_again(row, 0.0)
        elif self._is_hopeless(verdict):
            self._parts.governor.release(lease)
            self._settler.drop(row)
            self._give_up(verdict)
        else:
            self._retry(row, lease, verdict)

    def _fail_row(self, row: Row, verdict: Verdict) -> None:
        """A 400 may be about how the request was written: then it is written anew, for free."""
        asker, governor = self._parts.asker, self._parts.governor
        if verdict.kind == "bad_request" and governor.misunderstood(
            row.dialect, verdict.param, verdict.message, asker.given
        ):
            row.charged -= 1
            self._try_again(row, 0.0)
        else:
            self._settler.finish(row, failed(row, verdict.kind, verdict.message))

    @staticmethod
    def _is_nobody(verdict: Verdict) -> bool:
        """Whether nobody answered, or nobody that is the API: a proxy's page, another server."""
        return verdict.about == "page" or (verdict.kind == "connection" and not verdict.about)

    def _is_hopeless(self, verdict: Verdict) -> bool:
        """Whether no row of this run can succeed."""
        if not self._is_nobody(verdict):
            return verdict.action == "end_run"
        if self._responded:
            return False  # the address is right: a connection was lost
        knocking = self._clock() - (self._first_sent or 0.0)
        return verdict.action == "end_run" or knocking > NEVER_CONNECTED

    def _give_up(self, verdict: Verdict) -> None:
        if self._is_nobody(verdict):
            self._give_up_run(verdict)  # other runs may have got through
        else:
            self._parts.governor.abort_all(verdict)

    def _retry(self, row: Row, lease: Lease, verdict: Verdict) -> None:
        governor = self._parts.governor
        knocks = self._is_nobody(verdict) and not self._responded
        if verdict.status is not None and verdict.status >= 500 and not knocks:
            governor.broke(row.dialect)
        self._forgive(row)
        if governor.lose(lease, left=self._work.left, counts=not knocks):
            row.charged -= 1  # an outage is no fault of the row
        else:
            row.note_lost(governor.streak)
        wait = self._wait(row, verdict)
        if wait is None and not self._patience.is_over(row):
            often = f" (after {row.sent} attempts)" if row.sent > 1 else ""
            self._settler.finish(row, failed(row, verdict.kind, verdict.message + often))
        else:
            wait = wait or 0.0
            row.busy += wait  # the budget of repeats is no part of the row's deadline
            self._try_again(row, max(wait, governor.repeat_wait()))

    def _forgive(self, row: Row) -> None:
        """Attempts of a row do not count that were lost in what is an outage, as is known now."""
        if row.lost and row.lost_in is not None and self._parts.governor.was_outage(row.lost_in):
            row.forgive()

    def _wait(self, row: Row, verdict: Verdict) -> float | None:
        """Seconds until the row's next attempt, None when none is left."""
        if self._is_nobody(verdict) and not self._responded:
            row.charged, row.busy = 0, 0.0  # nobody has answered yet: no fault of the row
            return min(self._policy.backoff(row.sent), LONGEST_KNOCK)
        if row.paid >= MAX_PAID:
            return None
        if row.charged == 0:
            return self._policy.backoff(row.sent)
        return self._policy.wait(row.charged)

    def _defer(self, row: Row, lease: Lease, verdict: Verdict) -> None:
        """The provider refused the row: it waits without using up attempts."""
        governor = self._parts.governor
        self._parts.events.emit(RequestRefused(verdict))
        row.note_refused(
            self._clock(),
            alone=lease.alone,
            successes=governor.successes,
            refusals=governor.refusals,
        )
        stubborn = is_stubborn(row, governor)
        governor.refuse(lease, verdict.retry_after, counts=not stubborn)
        last = self._work.none_fresh
        if is_refused_for_good(row, governor, stubborn=stubborn, none_fresh=last):
            message = f"{verdict.message} (refused {row.refused} times)"
            self._settler.finish(row, failed(row, "rate_limit", message))
            return
        row.is_last = row.is_last or stubborn
        asked = verdict.retry_after
        wait = self._policy.backoff(row.refused) if asked is None else asked
        self._try_again(row, max(wait, governor.repeat_wait()))

    def _try_again(self, row: Row, wait: float) -> None:
        if self._patience.is_over(row):
            last = "" if row.failure is None else f"; last: {row.failure.message}"
            message = f"{self._patience.deadline:g} s are over{last}"
            self._settler.finish(row, failed(row, "deadline", message))
        elif self._work.closed:
            self._settler.drop(row)
        else:
            if self._parts.share.is_held:
                self._settler.unclaim(row)  # the person's pause holds up no other run
            self._work.give_back(row, self._clock() + wait)
