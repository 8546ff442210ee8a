"""One harmless request at a time: in an outage, and to learn whose fault failures are."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import TYPE_CHECKING

from llmframe.engine.events import RequestLost, RequestRefused, RequestSent, Spent
from llmframe.engine.row import Row
from llmframe.engine.wire.verdict import (
    BadReply,
    Verdict,
    classify,
    doubted_key,
)
from llmframe.system.timeout import TimeOut

if TYPE_CHECKING:
    from collections.abc import Callable

    from llmframe.engine.governor import Lease
    from llmframe.engine.rows.budget import Sender
    from llmframe.engine.rows.parts import Parts

TEXT = "Is anybody there?"  # in place of a row's text
NEVER_ANSWERED = 120.0  # seconds of an outage in which nothing was ever answered: the run ends


class HealthProbe:
    """Finds out whether the endpoint responds, and answers as it should; no row gets its answers.

    timeout: seconds, one probe. on_reply: is called with whether an answer was valid.
    """

    def __init__(
        self,
        parts: Parts,
        sender: Sender,
        *,
        timeout: float,
        on_reply: Callable[[bool], None],
    ) -> None:
        self._parts = parts
        self._sender = sender
        self._timeout = timeout
        self._on_reply = on_reply
        self._row = Row(-1, b"", TEXT)

    async def send(self, lease: Lease) -> None:
        """One request without a row."""
        parts, governor, row = self._parts, self._parts.governor, self._row
        parts.events.emit(RequestSent(repeated=True, reason=("check", None)))
        enums = parts.asker.enums
        row.dialect = governor.dialects.next(row.rewritten, row.tried, enums=enums, may_try=False)
        size, cap = parts.asker.size(row), parts.asker.cap(row)
        reservation = parts.job.budget.force(size, cap)
        try:
            async with TimeOut(self._timeout):
                reply = await self._sender.send(row, row.dialect, reservation)
        except asyncio.CancelledError:
            governor.release(lease)
            raise
        except Exception as exc:  # noqa: BLE001 - every failure is judged
            if isinstance(exc, BadReply):
                parts.events.emit(Spent(exc.usage))
            own = parts.asker.texts(row)
            verdict = classify(exc, timeout=self._timeout, scrub=parts.scrub, own=own)
            self._judge(lease, verdict)
        else:
            parts.events.emit(Spent(reply.usage))
            valid = parts.asker.valid(row, reply) is not None
            parts.understood(row)
            self._row = Row(-1, b"", TEXT)
            self._on_reply(valid)
            governor.release(lease, answered=True, usage=reply.usage.if_stated)

    def _judge(self, lease: Lease, verdict: Verdict) -> None:
        governor, verdict = self._parts.governor, doubted_key(verdict)
        if verdict.action == "refused":
            self._parts.events.emit(RequestRefused(verdict))
            governor.refuse(lease, verdict.retry_after)
        elif verdict.action == "suspect" and governor.in_doubt:
            self._suspected(lease, verdict)
        elif verdict.action == "suspect" and verdict.kind == "rate_limit":  # no money, then
            governor.release(lease)
            governor.abort_all(replace(verdict, action="end_run"))
        elif verdict.action in ("fail_row", "suspect"):  # it responds, if only to reject this
            governor.release(lease, answered=True)
        elif verdict.action == "retry" or verdict.kind == "connection":
            self._parts.events.emit(RequestLost(verdict))
            if governor.successes or governor.lost_for <= NEVER_ANSWERED:
                governor.lose(lease)
                return
            governor.release(lease)
            self._parts.halt.hopeless(replace(verdict, action="end_run"))
        else:
            governor.release(lease)
            governor.abort_all(verdict)

    def _suspected(self, lease: Lease, verdict: Verdict) -> None:
        """A text that nobody can object to is refused like the rows: so are all."""
        governor = self._parts.governor
        if self._parts.rewrite(self._row, verdict, sure=True):
            governor.suspect(lease, counts=False)
        elif governor.probe_refused(lease):
            governor.abort_all(replace(verdict, action="end_run"))
        else:
            self._row = Row(-1, b"", TEXT)
