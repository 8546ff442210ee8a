"""In an outage: one harmless request at a time, so that no row is lost to find out."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from llmframe.engine.events import RequestRefused, RequestSent, Spent
from llmframe.engine.row import Row
from llmframe.engine.wire.verdict import BadReply, Verdict, classify
from llmframe.results import NOTHING_USED
from llmframe.system.timeout import TimeOut

if TYPE_CHECKING:
    from collections.abc import Callable

    from llmframe.engine.governor import Lease
    from llmframe.engine.rows.parts import Parts
    from llmframe.results import Usage

TEXT = "Is anybody there?"  # in place of a row's text
NEVER_ANSWERED = 120.0  # seconds of an outage in which nothing was ever answered: the run ends


@dataclass(frozen=True, slots=True)
class HealthProbe:
    """Looks whether the endpoint answers again; its answers are nobody's.

    timeout: seconds, one look. give_up: told when the run is hopeless.
    """

    parts: Parts
    timeout: float
    give_up: Callable[[Verdict], None]

    async def look(self, lease: Lease) -> None:
        """One request without a row."""
        parts = self.parts
        parts.events.emit(RequestSent(repeated=True))
        body = parts.asker.body(Row(-1, b"", TEXT), parts.governor.dialect)
        try:
            async with TimeOut(self.timeout):
                reply = await parts.backend.send(body)
        except asyncio.CancelledError:
            parts.governor.release(lease)
            raise
        except Exception as exc:  # noqa: BLE001 - whatever it is, it is judged
            if isinstance(exc, BadReply):
                self._spend(exc.usage)
            self._judge(lease, classify(exc, timeout=self.timeout, scrub=parts.scrub))
        else:
            self._spend(reply.usage)
            parts.governor.release(lease, answered=True, usage=reply.usage)

    def _judge(self, lease: Lease, verdict: Verdict) -> None:
        governor = self.parts.governor
        if verdict.action == "refused":
            self.parts.events.emit(RequestRefused(verdict))
            governor.refuse(lease, verdict.retry_after)
        elif verdict.action == "fail_row":  # it answers, if only that it does not like this
            governor.release(lease, answered=True)
        elif verdict.action == "retry" or verdict.kind == "connection":
            self._still_lost(lease, verdict)
        elif not (verdict.status == 401 and governor.key_refused(lease)):
            governor.release(lease)
            governor.abort_all(verdict)

    def _still_lost(self, lease: Lease, verdict: Verdict) -> None:
        governor = self.parts.governor
        if not governor.successes and governor.lost_for > NEVER_ANSWERED:
            governor.release(lease)
            self.give_up(replace(verdict, action="end_run"))
        else:
            governor.lose(lease)

    def _spend(self, usage: Usage) -> None:
        paid = self.parts.budget.priced(usage)
        self.parts.budget.settle(NOTHING_USED, paid)
        self.parts.events.emit(Spent(paid))
