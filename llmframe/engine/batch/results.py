"""What comes back in a batch's files, settled as live replies and failures are."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import IO, TYPE_CHECKING

from llmframe.engine.batch.lines import LOST, Outcome, about_batch, read_outcome, verdict_on
from llmframe.engine.events import RequestLost, RequestSent, Spent
from llmframe.engine.row import Row
from llmframe.engine.rows.breaker import FIRST
from llmframe.engine.rows.decisions import DOUBTED, Facts, Resend, Retry, decide
from llmframe.engine.wire.verdict import BadReply, Verdict, classify
from llmframe.errors import CheckpointError
from llmframe.results import NOTHING_USED, Usage

if TYPE_CHECKING:
    from llmframe.engine.batch.part import Part
    from llmframe.engine.rows.attempts import Attempts
    from llmframe.engine.rows.parts import Parts
    from llmframe.engine.rows.settle import Settler
    from llmframe.engine.wire.reply import Reply

SLICE = 128  # lines read in one go


class Results:
    """Settles the rows of one run by the outcomes in files; lives on the run's loop."""

    def __init__(self, parts: Parts, *, attempts: Attempts, settler: Settler) -> None:
        self._parts = parts
        self._attempts = attempts
        self._settler = settler
        self._patience = parts.patience

    async def take(self, part: Part, outcomes: IO[bytes]) -> Usage:
        """Settle every row of a batch that has ended; returns what its answers took.

        First the answers: they show whether a failure may be everybody's. A row without any
        outcome is one that the batch did not come to.
        """
        used, failed, wanted = NOTHING_USED, dict[bytes, Verdict](), frozenset(part.keys)
        is_any_valid = False
        for number, line in enumerate(outcomes):
            if number % SLICE == 0:
                await asyncio.sleep(0)
            outcome = read_outcome(line)
            if outcome is None or outcome.key not in wanted:
                continue
            row = part.rows.get(outcome.key)
            if row is None:
                self._keep_for_others(outcome)
            elif not outcome.is_answer:
                own = self._parts.asker.texts(row)
                failed[row.key] = verdict_on(outcome, self._parts.scrub, own)
            else:
                try:
                    reply = self._reply(row, outcome)
                except BadReply as exc:
                    failed[row.key] = self._bad_reply(row, exc)
                    continue
                used += reply.usage
                is_any_valid = True
                await self._read(part, row, reply)
        self._fail(part, failed, is_any_answered=is_any_valid)
        if self._settler.in_doubt:  # the first ten failed alike, and no other was better
            self._settler.probed(valid=False)
        return used

    def _reply(self, row: Row, outcome: Outcome) -> Reply:
        """The completion in an outcome, priced; raises BadReply where there is none."""
        reply = self._parts.backend.read(outcome.body)
        size = self._parts.asker.size(row)
        usage = self._parts.job.budget.accounted(reply.usage, size, reply.written, batch=True)
        return replace(reply, usage=usage)

    def _bad_reply(self, row: Row, bad: BadReply) -> Verdict:
        """What a response without a completion means; what it took is the row's."""
        usage = self._parts.job.budget.priced(bad.usage, batch=True)
        row.note_paid(usage, counts=not bad.broken_off)
        return classify(bad, timeout=0.0, scrub=self._parts.scrub)

    async def _read(self, part: Part, row: Row, reply: Reply) -> None:
        """Settle a row by its reply, or ask again where the reply is not valid."""
        self._note_back(part, row)
        self._parts.understood(row)
        del part.rows[row.key]
        try:
            await self._attempts.read(row, reply)
        except asyncio.CancelledError:  # it has dropped the row
            raise
        except BaseException:
            part.rows[row.key] = row  # it is still held, and dropped at the end of the run
            raise

    def _fail(self, part: Part, failed: dict[bytes, Verdict], *, is_any_answered: bool) -> None:
        refused, everything = [], tuple(part.rows.items())
        for key, row in everything:
            verdict = failed.get(key, LOST)
            self._note_back(part, row, was_asked=verdict is not LOST)
            if verdict.action == "suspect" and not self._parts.rewrite(row, verdict):
                refused.append((row, verdict))
            else:
                self._decide(row, verdict, rewritten=verdict.action == "suspect")
                del part.rows[key]
        # every one refused, for a reason that may be everybody's: then the call is wrong
        if FIRST <= len(refused) == len(everything) and not is_any_answered:
            self._parts.halt.hopeless(about_batch(refused[0][1]))
            return  # they are dropped as the run ends
        for row, verdict in refused:
            self._decide(row, verdict)
            del part.rows[row.key]

    def _decide(self, row: Row, verdict: Verdict, *, rewritten: bool = False) -> None:
        row.failure = verdict
        if verdict.action in ("retry", "refused"):  # its own limit of rounds ends both
            self._parts.events.emit(RequestLost(verdict))
            verdict = replace(verdict, action="retry")
        if verdict.action == "suspect" and not rewritten:
            row.doubted = DOUBTED  # all others of the batch have been heard already
        facts = Facts(stopped=self._parts.halt.stopped, rewritten=rewritten)
        decision = decide(row, verdict, facts, self._patience)
        if isinstance(decision, Retry):  # a batch takes long enough without a back-off
            decision = Resend(free=decision.free)
        self._attempts.carry_out(row, decision)

    def _note_back(self, part: Part, row: Row, *, was_asked: bool = True) -> None:
        """The row's request has ended; the time that a batch takes counts against no deadline."""
        if was_asked:  # counted by the call that hears of it, not by the one that sent the file
            self._parts.events.emit(RequestSent(row.sent > 0, reason=row.reason))
        row.note_sent(part.began, row.dialect)
        row.elapsed = self._parts.governor.clock() - (row.began or part.began)

    def _keep_for_others(self, outcome: Outcome) -> None:
        """Keep an answer to a row that this run does not wait for: it is paid."""
        checkpoint, row = self._parts.job.checkpoint, Row(-1, outcome.key, "", sent=1)
        if checkpoint is None or not outcome.is_answer or checkpoint.holds(outcome.key):
            return
        try:
            reply = self._reply(row, outcome)
        except BadReply:
            return
        [result] = self._parts.asker.results(row, reply, final=True)
        if result is not None and result.status == "ok":
            try:
                checkpoint.append(row.key, result)
            except CheckpointError as error:
                self._parts.halt.fail(error)


def note_paid(row: Row, parts: Parts) -> None:
    """Note what a row's useless replies took before it waits, perhaps for a day, for another."""
    if row.usage is not NOTHING_USED:
        parts.events.emit(Spent(row.usage))
        row.usage = NOTHING_USED
