"""In an outage: one harmless request at a time, so that no row is lost to find out more."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import TYPE_CHECKING

from llmframe.engine.events import RequestRefused, RequestSent, Spent
from llmframe.engine.row import Row
from llmframe.engine.wire.verdict import BadReply, Verdict, classify
from llmframe.system.timeout import TimeOut

if TYPE_CHECKING:
    from llmframe.engine.governor import Lease
    from llmframe.engine.rows.budget import Sender
    from llmframe.engine.rows.parts import Parts

TEXT = "Is anybody there?"  # in place of a row's text
NEVER_ANSWERED = 120.0  # seconds of an outage in which nothing was ever answered: the run ends


class HealthProbe:
    """Finds out whether the endpoint responds again; no row gets its answers.

    timeout: seconds, one probe.
    """

    def __init__(self, parts: Parts, sender: Sender, *, timeout: float) -> None:
        self._parts = parts
        self._sender = sender
        self._timeout = timeout

    async def send(self, lease: Lease) -> None:
        """One request without a row."""
        parts, governor = self._parts, self._parts.governor
        parts.events.emit(RequestSent(repeated=True))
        row = Row(-1, b"", TEXT)
        size, cap = parts.asker.size(row), parts.asker.cap(row)
        reservation = parts.budget.force(size, cap)
        try:
            async with TimeOut(self._timeout):
                reply = await self._sender.send(row, governor.dialects.dialect, reservation)
        except asyncio.CancelledError:
            governor.release(lease)
            raise
        except Exception as exc:  # noqa: BLE001 - every failure is judged
            if isinstance(exc, BadReply):
                parts.events.emit(Spent(exc.usage))
            self._judge(lease, classify(exc, timeout=self._timeout, scrub=parts.scrub))
        else:
            parts.events.emit(Spent(reply.usage))
            governor.release(lease, answered=True, usage=reply.usage.if_stated)

    def _judge(self, lease: Lease, verdict: Verdict) -> None:
        governor = self._parts.governor
        if verdict.action == "refused":
            self._parts.events.emit(RequestRefused(verdict))
            governor.refuse(lease, verdict.retry_after)
        elif verdict.action == "fail_row":  # it responds, if only that it rejects this request
            governor.release(lease, answered=True)
        elif verdict.action == "retry" or verdict.kind == "connection":
            if governor.successes or governor.lost_for <= NEVER_ANSWERED:
                governor.lose(lease)
                return
            governor.release(lease)
            self._parts.halt.hopeless(replace(verdict, action="end_run"))
        elif not (verdict.status == 401 and governor.key_refused(lease)):
            governor.release(lease)
            governor.abort_all(verdict)
