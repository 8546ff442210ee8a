"""Workers over one iterator: every row gets its result, and none costs another.

The way of a row: key -> checkpoint? -> in flight elsewhere? -> lease -> request under our
time-out -> parse -> checkpoint's line -> event. Between a reply and its line there is no
await, so a reply that came back is never lost to a cancel.
"""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

from llmframe.engine.asking import MAX_PAID, failed
from llmframe.engine.events import RequestRefused, RequestSent, RowsDone
from llmframe.engine.outcome import error_info, row_error
from llmframe.engine.planner import Planner
from llmframe.engine.refusals import is_refused_for_good, is_stubborn
from llmframe.engine.retry import BadReply, RetryPolicy, Verdict, classify
from llmframe.engine.work import Row, Work
from llmframe.errors import CheckpointError, OutputError, RowError

if TYPE_CHECKING:
    from collections.abc import Callable
    from concurrent.futures import Future

    from llmframe.engine.asking import Asker
    from llmframe.engine.backend import Backend, Reply
    from llmframe.engine.book import Book, Rows
    from llmframe.engine.events import Events, Source
    from llmframe.engine.governor import Governor, Lease, Seat
    from llmframe.engine.identity import KeyMaker
    from llmframe.engine.inflight import InFlight
    from llmframe.engine.journal import Checkpoint
    from llmframe.engine.results import RowResult
    from llmframe.engine.retry import Scrubber

NEVER_CONNECTED = 8.0  # seconds of failing connections, and never a response: the run ends
LONGEST_KNOCK = 1.0  # seconds between two attempts of a row while nobody has ever answered


@dataclass(frozen=True, slots=True)
class Patience:
    """How long to try.

    timeout: seconds, one attempt. deadline: seconds, one row, waiting for the provider
    not counted; None has no end. max_attempts: requests of a row, refusals not counted.
    """

    timeout: float = 60.0
    deadline: float | None = None
    max_attempts: int = 5

    def left(self, row: Row) -> float:
        """Seconds that the row's next attempt may take."""
        return (
            self.timeout if self.deadline is None else min(self.timeout, self.deadline - row.busy)
        )

    def is_over(self, row: Row) -> bool:
        """Whether the row's deadline is over."""
        return self.deadline is not None and row.busy >= self.deadline


@dataclass(frozen=True, slots=True)
class Parts:
    """What a pipeline is wired from; see their own modules."""

    rows: Rows
    keys: KeyMaker
    book: Book
    events: Events
    asker: Asker
    seat: Seat
    governor: Governor
    backend: Backend
    checkpoint: Checkpoint | None
    in_flight: InFlight
    scrub: Scrubber


class Pipeline:
    """One run of rows through the engine; lives on one loop.

    raise_on_failure: stop at the first row that fails for good.
    reuse, redact: see Planner.
    After the run: verdict, if the run was hopeless; error, if it must be raised.
    """

    def __init__(
        self,
        parts: Parts,
        patience: Patience,
        *,
        reuse: bool = True,
        redact: Callable[[str], str] | None = None,
        store_input: bool = False,
        raise_on_failure: bool = False,
    ) -> None:
        self._parts = parts
        self._patience = patience
        self._store_input = store_input
        self._raise_on_failure = raise_on_failure
        self._policy = RetryPolicy(patience.max_attempts)
        self._clock = parts.governor.clock
        self._loop = asyncio.get_running_loop()
        self._work = Work(self._clock, lambda: parts.seat.limit)
        self._planner = Planner(
            parts.rows, parts.keys, parts.book, self._work, parts.events,
            checkpoint=parts.checkpoint, reuse=reuse, redact=redact, on_unsent=self._on_failed,
        )  # fmt: skip
        self._workers: set[asyncio.Task[None]] = set()
        self._hires = False
        self._nobody_left = asyncio.Event()
        self._crash: BaseException | None = None
        self._responded = False
        self._first_sent: float | None = None
        self.verdict: Verdict | None = None
        self.error: CheckpointError | RowError | None = None
        parts.seat.on_doom = self._on_doom
        if parts.checkpoint is not None:
            parts.checkpoint.on_error(self._on_checkpoint_error)

    @property
    def waiting(self) -> int:
        """Rows that wait to be tried again."""
        return self._work.waiting

    async def run(self) -> None:
        """Run to the end: all rows done, or stopped and what was in flight is back."""
        try:
            await self._plan()
            while self._workers:
                self._nobody_left.clear()
                await self._nobody_left.wait()
        finally:
            await self._dismiss()
        if self._crash is not None:
            raise self._crash

    def stop(self) -> None:
        """Send nothing new; what is in flight goes on to its end."""
        self._parts.seat.close()
        for row in self._work.close():
            self._unclaim(row)

    def hold(self, held: bool) -> None:
        """The person's pause: send nothing new while held."""
        if held:
            self._parts.seat.hold()
        else:
            self._parts.seat.resume()

    def fail(self, error: CheckpointError | RowError) -> None:
        """Stop because of an error that the caller must see."""
        self.error = self.error or error
        self.stop()

    async def _plan(self) -> None:
        try:
            await self._planner.run(self._hire)
        except CheckpointError as error:
            self.fail(error)
        except Exception as exc:  # noqa: BLE001 - raised when what is in flight is back
            self._crash = exc
            self.stop()

    async def _dismiss(self) -> None:
        """Cancel whoever is left; a normal end leaves nobody."""
        self.stop()
        workers = list(self._workers)
        for worker in workers:
            worker.cancel()
        await asyncio.gather(*workers, return_exceptions=True)

    # -- workers ------------------------------------------------------------------

    def _hire(self) -> None:
        """As many workers as requests may be on the wire, while there is work for them.

        One in each turn of the loop: the first request leaves before hundreds are made.
        """
        enough = len(self._workers) >= self._parts.seat.limit or not self._work.unattended
        if self._hires or enough:
            return
        worker = self._loop.create_task(self._serve())
        self._workers.add(worker)
        worker.add_done_callback(self._on_leave)
        self._hires = True
        self._loop.call_soon(self._hire_more)

    def _hire_more(self) -> None:
        self._hires = False
        self._hire()

    def _on_leave(self, worker: asyncio.Task[None]) -> None:
        self._workers.discard(worker)
        if not worker.cancelled() and worker.exception() is not None:
            self._crash = self._crash or worker.exception()
            self.stop()
        if not self._workers:
            self._nobody_left.set()

    async def _serve(self) -> None:
        """One worker: row after row, until there are no more."""
        while (taken := await self._work.next()) is not None:
            row = self._render(taken) if isinstance(taken, int) else taken
            try:
                if row.claimed or self._claim(row):
                    await self._send(row)
            except BaseException:
                self._unclaim(row)  # whoever waits for its key takes over
                raise

    def _render(self, position: int) -> Row:
        text = self._planner.text(position)
        return Row(position, self._parts.keys.key(text), text)

    def _claim(self, row: Row) -> bool:
        """Make the row ours to ask; if another run is asking it, wait for its answer."""
        asked = self._parts.in_flight.claim(row.key)
        if asked is not None:
            asked.add_done_callback(lambda answer: self._from_outside(self._on_answer, row, answer))
            return False
        row.claimed = True
        answer = self._recall(row)  # another run may just have written it
        if answer is not None:
            self._note_ids(row.key, [row.position])
            self._finish(row, answer, "checkpoint")
        return answer is None

    def _unclaim(self, row: Row, result: RowResult | None = None) -> None:
        """The key is nobody's again; without a result whoever waits for it takes over."""
        if row.claimed:
            row.claimed = False
            self._parts.in_flight.resolve(row.key, result)

    def _recall(self, row: Row) -> RowResult | None:
        try:
            return self._planner.recall(row.key)
        except CheckpointError as error:
            self.fail(error)
            return None

    def _on_answer(self, row: Row, answer: Future[RowResult | None]) -> None:
        """Another run is done with this row's key; take over where it has no answer."""
        result = answer.result()
        if self._work.closed:
            return
        if result is None or result.status != "ok":
            self._work.give_back(row, self._clock())
            return
        if self._recall(row) is None:  # it has another checkpoint, or none
            self._keep(row, result)
        self._note_ids(row.key, [row.position])
        self._settle(row, result, "shared")

    async def _send(self, row: Row) -> None:
        """Wait in turn and send the row once."""
        lease = await self._lease(row)
        if lease is not None:
            await self._attempt(row, lease)
            self._hire()

    async def _lease(self, row: Row) -> Lease | None:
        try:
            lease = await self._parts.seat.acquire()
        except asyncio.CancelledError:
            self._drop(row)
            raise
        if lease is None:
            self._drop(row)
        return lease

    async def _attempt(self, row: Row, lease: Lease) -> None:
        """One request, and what it means for the row."""
        began = self._clock()
        if self._first_sent is None:
            self._first_sent = began
        row.note_sent(began)
        self._parts.events.emit(RequestSent(row.sent > 1))
        timeout = self._patience.left(row)
        try:
            async with asyncio.timeout(timeout):
                reply = await self._parts.backend.send(self._parts.asker.body(row))
        except asyncio.CancelledError:
            self._parts.seat.release(lease)
            self._drop(row)
            raise
        except Exception as exc:  # noqa: BLE001 - one row must never end the run
            row.note_back(began, self._clock())
            if isinstance(exc, BadReply):
                row.note_paid(exc.usage)
            self._judge(row, lease, classify(exc, timeout=timeout, scrub=self._parts.scrub))
        else:
            row.note_back(began, self._clock())
            self._responded = True
            self._parts.seat.release(lease, answered=True, clean=row.sent == 1)
            self._read(row, reply)

    # -- what came of an attempt; from here to the row's end there is no await ----

    def _read(self, row: Row, reply: Reply) -> None:
        row.failure = None
        result = self._parts.asker.read(row, reply, final=self._policy.is_over(row.charged))
        if result is None:
            self._try_again(row, 0.0)
        else:
            self._finish(row, result)

    def _judge(self, row: Row, lease: Lease, verdict: Verdict) -> None:
        row.failure = verdict
        self._responded = self._responded or verdict.status is not None
        if verdict.action == "refused":
            self._defer(row, lease, verdict)
            return
        self._parts.seat.release(lease, answered=verdict.action == "fail_row")
        if verdict.action == "fail_row":
            self._finish(row, failed(row, verdict.kind, verdict.message))
        elif self._is_hopeless(verdict):
            self._drop(row)
            self._give_up(verdict)
        else:
            self._retry(row, verdict)

    def _is_hopeless(self, verdict: Verdict) -> bool:
        """Whether no row of this run can succeed."""
        if verdict.kind != "connection":
            return verdict.action == "end_run"
        if self._responded:
            return False  # the address is right: a connection was lost
        knocking = self._clock() - (self._first_sent or 0.0)
        return verdict.action == "end_run" or knocking > NEVER_CONNECTED

    def _give_up(self, verdict: Verdict) -> None:
        if verdict.kind == "connection":
            self._on_doom(verdict)  # other runs may have got through
        else:
            self._parts.governor.doom(verdict)

    def _retry(self, row: Row, verdict: Verdict) -> None:
        wait = self._wait(row, verdict)
        if wait is None and not self._patience.is_over(row):
            often = f" (after {row.sent} attempts)" if row.sent > 1 else ""
            self._finish(row, failed(row, verdict.kind, verdict.message + often))
        else:
            row.busy += wait or 0.0
            self._try_again(row, wait or 0.0)

    def _wait(self, row: Row, verdict: Verdict) -> float | None:
        """Seconds until the row's next attempt, None when none is left."""
        if verdict.kind == "connection" and not self._responded:
            row.charged, row.busy = 0, 0.0  # nobody has answered yet: no fault of the row
            return min(self._policy.backoff(row.sent), LONGEST_KNOCK)
        return None if row.paid >= MAX_PAID else self._policy.wait(row.charged)

    def _defer(self, row: Row, lease: Lease, verdict: Verdict) -> None:
        """The provider refused the row: it waits without using up attempts."""
        governor = self._parts.governor
        self._parts.events.emit(RequestRefused(verdict))
        row.note_refused(
            alone=lease.alone, successes=governor.successes, refusals=governor.refusals
        )
        stubborn = is_stubborn(row, governor)
        self._parts.seat.refuse(lease, verdict.retry_after, counts=not stubborn)
        if is_refused_for_good(row, governor, stubborn=stubborn):
            message = f"{verdict.message} (refused {row.refused} times while other rows passed)"
            self._finish(row, failed(row, "rate_limit", message))
            return
        row.is_last = row.is_last or stubborn
        wait = verdict.retry_after
        self._try_again(row, self._policy.backoff(row.refused) if wait is None else wait)

    def _try_again(self, row: Row, wait: float) -> None:
        if self._patience.is_over(row):
            last = "" if row.failure is None else f"; last: {row.failure.message}"
            message = f"{self._patience.deadline:g} s are over{last}"
            self._finish(row, failed(row, "deadline", message))
        elif self._work.closed:
            self._drop(row)
        else:
            self._work.give_back(row, self._clock() + wait)

    def _drop(self, row: Row) -> None:
        """The row stays pending; who waits for its key takes over."""
        self._unclaim(row)
        self._work.done()

    def _finish(self, row: Row, result: RowResult, source: Source = "request") -> None:
        if source == "request":
            result = self._keep(row, result)
        self._settle(row, result, source)
        self._unclaim(row, result)
        if result.status == "failed":
            self._on_failed(row.position, result, row.failure)

    def _keep(self, row: Row, result: RowResult) -> RowResult:
        """Write the row's line; where it cannot be written the answer is kept in memory."""
        checkpoint = self._parts.checkpoint
        if checkpoint is None:
            return result
        try:
            checkpoint.append(
                row.key,
                result,
                error_info=error_info(result, row.failure),
                id=self._id(row.position),
                text=row.text if self._store_input else None,
            )
        except CheckpointError as error:
            self.fail(error)
        except OutputError as error:  # values that are no JSON
            return failed(row, "output", str(error))
        return result

    def _settle(self, row: Row, result: RowResult, source: Source) -> None:
        followers = self._parts.book.settle(row.position, result)
        self._parts.events.emit(RowsDone((row.position,), result, source))
        if followers:
            if result.status == "ok":
                self._note_ids(row.key, followers)
            shared: Source = "checkpoint" if source == "checkpoint" else "shared"
            self._parts.events.emit(RowsDone(followers, result, shared))
        self._work.done()

    def _note_ids(self, key: bytes, positions: list[int]) -> None:
        """The checkpoint knows that these rows have the key's answer."""
        try:
            for position in positions:
                self._planner.note_id(key, self._id(position))
        except CheckpointError as error:
            self.fail(error)

    def _id(self, position: int) -> object:
        ids = self._parts.rows.ids(position, position + 1)
        return None if ids is None else ids[0]

    # -- told from elsewhere -------------------------------------------------------

    def _on_doom(self, verdict: Verdict) -> None:
        self.verdict = self.verdict or verdict
        self.stop()

    def _on_failed(self, position: int, result: RowResult, failure: Verdict | None = None) -> None:
        """A row has failed for good."""
        if self._raise_on_failure:
            self.fail(row_error(position, result, failure))

    def _on_checkpoint_error(self, error: CheckpointError) -> None:
        self._from_outside(self.fail, error)

    def _from_outside(self, callback: Callable[..., object], *args: object) -> None:
        """Call on this run's loop, from any thread; a loop that is gone needs nothing."""
        with contextlib.suppress(RuntimeError):
            self._loop.call_soon_threadsafe(callback, *args)
