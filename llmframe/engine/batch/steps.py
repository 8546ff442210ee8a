"""The steps of one batch, each a call of the provider and a note in the checkpoint."""

from __future__ import annotations

import asyncio
import errno
import tempfile
import time
from typing import IO, TYPE_CHECKING, Any

from llmframe.engine.batch.lines import about_batch
from llmframe.engine.batch.room import FEWEST, jittered
from llmframe.engine.batch.state import (
    DropLines,
    Hopeless,
    Wait,
    is_crowded,
    is_not_ready,
    judge,
)
from llmframe.engine.rows.decisions import Facts, is_hopeless
from llmframe.engine.wire.verdict import NO_API, Verdict, classify
from llmframe.errors import CheckpointError, warn
from llmframe.system.timeout import TimeOut

if TYPE_CHECKING:
    from collections.abc import Awaitable

    from llmframe.engine.batch.part import Part, Step
    from llmframe.engine.batch.provider import BatchProvider
    from llmframe.engine.batch.results import Results
    from llmframe.engine.batch.room import Room
    from llmframe.engine.batch.state import Remote
    from llmframe.engine.rows.parts import Parts
    from llmframe.engine.rows.settle import Settler

FIRST_LOOK, LAST_LOOK = 0.5, 60.0  # seconds between two looks at a batch: a fifth of its age
CANCELLING = 5.0  # the same, at most, while it is being cancelled
LISTED = 10.0  # seconds after which a batch that was created is surely listed
ELSEWHERE = 600.0  # the same where another process that lives may be about to create it
TRANSFER = 1800.0  # seconds for one file, up or down
FLUSH = 30.0  # seconds for the disk
NOT_FOUND = 5  # times that a thing is not found, until it is not there
FORGOTTEN = 48 * 3600.0  # seconds after which a batch that is not there any more is over

NO_SPACE = frozenset({errno.ENOSPC, errno.EFBIG, errno.EDQUOT})


class NoBatchesError(Exception):
    """The endpoint has no Batch API. verdict: what it answered."""

    def __init__(self, verdict: Verdict) -> None:
        super().__init__(verdict.message)
        self.verdict = verdict


class Steps:
    """Carries out what is next for a batch; lives on the run's loop.

    others_there: whether another batch of the run is at the provider. looked: when one was seen.
    """

    def __init__(
        self,
        parts: Parts,
        *,
        provider: BatchProvider,
        results: Results,
        settler: Settler,
        room: Room,
    ) -> None:
        assert parts.job.checkpoint is not None
        self._parts = parts
        self._checkpoint = parts.job.checkpoint
        self._provider = provider
        self._results = results
        self._settler = settler
        self._room = room
        self._patience = parts.patience
        self._clock = parts.governor.clock
        self._failed_before: set[bytes] = set()  # rows whose batch has failed as a whole
        self._lost_before: set[bytes] = set()  # rows whose results were not there any more
        self._failed_in_a_row = 0
        self._doing: Step = "look"
        self._first_call: float | None = None
        self._responded = self._worked = False  # the last: a call has succeeded
        self.others_there = False
        self.looked: float | None = None

    async def step(self, part: Part) -> str:
        """Do what is next; returns why the batch needs nothing more, "" while it does.

        Raises CheckpointError, and NoBatchesError where the endpoint has none.
        """
        self._doing = part.next_step
        match self._doing:
            case "drop":
                return "never started"
            case "match":
                return await self._match(part)
            case "upload":
                return await self._upload(part)
            case "create":
                return await self._create(part)
            case "look":
                return await self._show(part, self._provider.look(part.id))
            case "cancel":
                return await self._show(part, self._provider.cancel(part.id))
            case "take":
                return await self._take(part)
            case "judge":
                return self._judge(part)

    async def note(self, part: Part, *, flush: bool = True, **noted: str) -> None:
        """Write something about a batch into the checkpoint; with flush it is on the disk.

        Raises CheckpointError.
        """
        self._checkpoint.append_batch(part.nonce, **noted)
        if flush and not await asyncio.to_thread(self._checkpoint.flush, FLUSH):
            raise CheckpointError(f"the checkpoint {self._checkpoint.path} cannot be saved")

    # -- the steps ----------------------------------------------------------------------

    async def _match(self, part: Part) -> str:
        """Find out whether the provider has the batch."""
        found, why = await self._call(part, self._provider.find(part.nonce, part.file))
        if found is None:
            return why
        if found:
            part.unsure, part.id = False, found[0].id
            await self.note(part, flush=False, id=part.id)
            return self._seen(part, found[0])
        owned = part.stored is None or part.stored.owned
        left = part.since + (LISTED if owned else ELSEWHERE) - time.time()
        if left > 0:  # it may be on its way to the list
            part.due = self._clock() + min(left, LAST_LOOK)
        else:
            part.unsure = False  # it is not there
        return ""

    async def _upload(self, part: Part) -> str:
        assert part.input is not None
        name = f"llmframe-{part.nonce}.jsonl"
        upload = self._provider.upload(part.input, name)
        file, why = await self._call(part, upload, limit=TRANSFER)
        if file is not None:
            await self.note(part, file=file)  # from now on a batch of it may exist
            part.file = file
            part.close_input()
        return why

    async def _create(self, part: Part) -> str:
        part.since, part.unsure = time.time(), True  # until the reply is here, whatever ends this
        about = {"task": self._checkpoint.task.short, "rows": str(len(part.keys))}
        create = self._provider.create(part.file, part.nonce, metadata=about)
        remote, why = await self._call(part, create)
        if remote is None:
            return why
        part.id, part.unsure, part.began = remote.id, False, self._clock()
        self._room.accepted()
        await self.note(part, flush=False, id=part.id)  # where it is lost it is found by its nonce
        return self._seen(part, remote)

    async def _show(self, part: Part, call: Awaitable[Remote]) -> str:
        remote, why = await self._call(part, call)
        return why if remote is None else self._seen(part, remote)

    def _seen(self, part: Part, remote: Remote) -> str:
        """The provider has shown a batch: go on with it now, or look again after a while."""
        part.remote = remote
        self.looked = part.due = now = self._clock()
        if remote.status not in ("validating", "failed"):
            self._failed_in_a_row = 0
        if remote.is_going:
            part.was_going = True
            known = time.time() - remote.created if remote.created else 0.0
            pause = min(max(FIRST_LOOK, now - part.began, known) / 5, LAST_LOOK)
            part.due += jittered(max(FIRST_LOOK, min(pause, CANCELLING) if part.cancel else pause))
        elif remote.status == "cancelled" and part.was_going and not part.cancel:
            # at the provider's site, or by another process: that is a Stop, too
            self._parts.halt.stop(cancels_batches=True)
        return ""

    async def _take(self, part: Part) -> str:
        """Take back what became of every request; only then is the batch done with."""
        assert part.remote is not None
        with tempfile.TemporaryFile(prefix="llmframe-") as outcomes:
            for file in filter(None, (part.remote.output, part.remote.errors)):
                outcomes.seek(0, 2)
                get = self._download(file, outcomes)
                _, why = await self._call(part, get, limit=TRANSFER)
                if why or part.tries:
                    return why
            outcomes.seek(0)
            used = await self._results.take(part, outcomes)
        if part.reservation is not None:
            part.reservation.settle(used)
        if self._parts.halt.error is not None:
            raise self._parts.halt.error
        return part.remote.status

    async def _download(self, file: str, to: IO[bytes]) -> None:
        begin = to.tell()
        try:
            await self._provider.download(file, to)
        except BaseException:
            to.truncate(begin)
            raise
        to.write(b"\n")

    def _judge(self, part: Part) -> str:
        """The batch has failed as a whole: nothing of it was asked, and nothing is paid."""
        assert part.remote is not None
        again = any(key in self._failed_before for key in part.keys)
        alone, problems = not self.others_there, part.remote.problems
        judgement = judge(problems, alone=alone, again=again, in_a_row=self._failed_in_a_row)
        self._failed_in_a_row += isinstance(judgement, DropLines)
        match judgement:
            case DropLines(reasons) if min(reasons) < len(part.keys):
                for at, reason in reasons.items():
                    row = part.rows.pop(part.keys[at], None) if at < len(part.keys) else None
                    if row is not None:
                        words = self._parts.scrub(f"the provider refused it: {reason}")
                        self._settler.finish(row, row.failed("bad_request", words))
            case Wait(reason, halve):
                self._refused(part, reason, halve=halve)
            case Hopeless(reason):
                words = self._parts.scrub(reason)
                self._parts.halt.hopeless(
                    Verdict("end_run", "bad_request", words, about="batch_refused")
                )
            case _:
                self._failed_before.update(part.keys)
        return "failed"

    # -- what goes wrong ------------------------------------------------------------------

    async def _call(
        self, part: Part, call: Awaitable[Any], *, limit: float = 0.0
    ) -> tuple[Any, str]:
        """What the provider answers; where the call failed None, and why the batch ends, if so.

        limit: seconds, those of any request if 0.
        """
        limit = limit or self._patience.timeout
        self._first_call = self._clock() if self._first_call is None else self._first_call
        try:
            async with TimeOut(limit):
                answer = await call
        except Exception as exc:  # judged like the failure of a row's request
            if isinstance(exc, OSError) and exc.errno in NO_SPACE:
                raise disk_full(exc) from exc
            verdict = classify(exc, timeout=limit, scrub=self._parts.scrub)
            part.tries, part.failing = part.tries + 1, verdict.message
            # only a refusal is sure: whatever else a create ends in, it may have come through
            status = verdict.status or 0
            if self._doing == "create" and 400 <= status < 500 and status not in (408, 409):
                part.unsure = False
            return None, self._failed(part, verdict)
        self._responded = self._worked = True
        part.tries, part.failing = 0, ""
        return answer, ""

    def _failed(self, part: Part, verdict: Verdict) -> str:
        """Try again after a while, end the run, or return why the batch ends."""
        step, text = self._doing, f"{verdict.code} {verdict.message}"
        self._responded |= verdict.status is not None and verdict.about != "page"
        connecting = self._clock() - (self._first_call or 0.0)
        facts = Facts(responded=self._responded, connecting=connecting)
        wait = max(verdict.retry_after or 0.0, self._patience.backoff(part.tries), 0.1)
        part.due = self._clock() + wait
        if step == "cancel":  # it may have ended meanwhile
            part.remote = None
        names_model = step == "create" and verdict.about == "model"
        if verdict.status in NO_API and not names_model:
            return self._not_there(part, verdict)
        if is_hopeless(verdict, facts):
            self._parts.halt.hopeless(verdict)
        elif step == "upload" and _is_too_large(verdict, text):
            self._room.too_large()
            return "too large"
        elif step == "create" and is_crowded(text) and not part.unsure:
            return self._no_room(part, verdict)
        elif not (verdict.action in ("retry", "refused") or is_not_ready(text)):
            self._parts.halt.hopeless(about_batch(verdict))
        return ""

    def _no_room(self, part: Part, verdict: Verdict) -> str:
        """The batch has too many requests, or finds no room in the provider's queue."""
        if verdict.status != 429 and len(part.keys) > 1:
            self._room.too_many(len(part.keys))
            return "too many requests"
        halve = part.tries > 1 and not self.others_there and len(part.keys) > FEWEST
        self._refused(part, verdict.message, halve=halve, at_least=verdict.retry_after or 0.0)
        part.due = self._room.until
        return "no room" if halve else ""

    def _refused(self, part: Part, reason: str, *, halve: bool, at_least: float = 0.0) -> None:
        self._room.refused(
            self._parts.scrub(reason),
            self._clock(),
            requests=len(part.keys),
            halve=halve,
            at_least=at_least,
        )

    def _not_there(self, part: Part, verdict: Verdict) -> str:
        """An address, or a batch or its file, that the endpoint does not know.

        Right after something was made it may not be found for a moment.
        """
        step = self._doing
        if part.tries < NOT_FOUND and (self._worked or part.stored is not None):
            return ""
        if step in ("upload", "create"):
            raise NoBatchesError(verdict)
        if step == "take" or time.time() - (part.since or time.time()) > FORGOTTEN:
            if not self._lost_before.isdisjoint(part.keys):
                # paid twice, and not to be had: a third batch would be lost as well
                words = f"batch {part.id} has ended, and its results are not there"
                lost = Verdict("end_run", "server", words, verdict.status, about="results")
                self._parts.halt.hopeless(lost)
                return ""
            self._lost_before.update(part.keys)
            warn(
                f"the provider does not have the results of batch {part.id} any more; its "
                f"{len(part.rows):,} rows are asked, and paid, again"
            )
            return "its results are gone"
        words = (
            f"batch {part.id or part.nonce} has {len(part.keys):,} rows of this task, and may be "
            "at work in another account"
        )
        about = Verdict("end_run", "bad_request", words, verdict.status, about="batch")
        self._parts.halt.hopeless(about)
        return ""


def _is_too_large(verdict: Verdict, text: str) -> bool:
    """Whether an upload was refused for its size; a 429 is about the number of requests."""
    return verdict.status == 413 or (verdict.status == 400 and is_crowded(text))


def disk_full(exc: OSError) -> CheckpointError:
    """The error for a batch's file that finds no room on this machine's disk."""
    return CheckpointError(
        f"a batch's file cannot be written into the temporary folder {tempfile.gettempdir()} "
        f"({exc.strerror}). Nothing is lost: make room there, or name another folder in the "
        "variable TMPDIR, and run the same call again"
    )
