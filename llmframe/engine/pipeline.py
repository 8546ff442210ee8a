"""Workers over one iterator: every row gets its result, and none costs another.

The way of a row: key -> checkpoint? -> in flight elsewhere? -> lease -> request under our
time-out -> parse -> checkpoint's line -> event. Between a reply and its line there is no
await, so a reply that came back is never lost to a cancel.
"""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

from llmframe.engine.asking import failed
from llmframe.engine.events import RequestRefused, RequestSent, RowsDone
from llmframe.engine.planner import Planner
from llmframe.engine.retry import RetryPolicy, Verdict, classify
from llmframe.engine.work import Row, Work
from llmframe.errors import CallError, CheckpointError, OutputError, RowError

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
    from llmframe.errors import ErrorKind

STUBBORN_AFTER = 3  # refusals of one row while others succeed: it goes last
HOPELESS_AFTER = 10  # refusals of such a row: it fails
REFUSED_ALONE = 2  # refusals of a row that was alone on the wire: it fails
NEVER_CONNECTED = 8.0  # seconds of failing connections, and never a response: the run ends


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

    def is_over(self, row: Row, wait: float = 0.0) -> bool:
        """Whether the row's deadline is over, or would be after a wait."""
        return self.deadline is not None and row.busy + wait >= self.deadline


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
            checkpoint=parts.checkpoint, reuse=reuse, redact=redact,
        )  # fmt: skip
        self._workers: set[asyncio.Task[None]] = set()
        self._nobody_left = asyncio.Event()
        self._crash: BaseException | None = None
        self._responded = False
        self._unconnected_since: float | None = None
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
            if row.claimed:
                self._parts.in_flight.resolve(row.key, None)

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

    async def _dismiss(self) -> None:
        """Cancel whoever is left; a normal end leaves nobody."""
        self.stop()
        workers = list(self._workers)
        for worker in workers:
            worker.cancel()
        await asyncio.gather(*workers, return_exceptions=True)

    # -- workers ------------------------------------------------------------------

    def _hire(self) -> None:
        """As many workers as requests may be on the wire, while there is work for them."""
        room = self._parts.seat.limit - len(self._workers)
        for _ in range(min(room, self._work.unattended)):
            worker = self._loop.create_task(self._serve())
            self._workers.add(worker)
            worker.add_done_callback(self._on_leave)

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
            if not (row.claimed or self._claim(row)):
                continue
            lease = await self._lease(row)
            if lease is None:
                return
            await self._attempt(row, lease)
            self._hire()

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
        answer = self._planner.recall(row.key)  # another run may just have written it
        if answer is not None:
            self._finish(row, answer, "checkpoint")
        return answer is None

    def _on_answer(self, row: Row, answer: Future[RowResult | None]) -> None:
        """Another run is done with this row's key; take over where it has no answer."""
        result = answer.result()
        if self._work.closed:
            return
        if result is None or result.status != "ok":
            self._work.give_back(row, self._clock())
        else:
            if not self._is_kept(row):
                self._write(row, result)
            self._settle(row, result, "shared")

    def _is_kept(self, row: Row) -> bool:
        """Whether the checkpoint has the row's line already: two runs may share one file."""
        checkpoint = self._parts.checkpoint
        return checkpoint is not None and checkpoint.get(row.key) is not None

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
        elif verdict.action == "end_run" or self._never_connects(verdict):
            self._drop(row)
            self._parts.governor.doom(verdict)
        else:
            self._retry(row, verdict)

    def _retry(self, row: Row, verdict: Verdict) -> None:
        if verdict.kind == "connection" and not self._responded:
            row.charged = 0  # nobody has answered yet: that is no fault of the row
        wait = self._policy.wait(max(row.charged, 1))
        if self._patience.is_over(row, wait or 0.0):
            message = f"{self._patience.deadline:g} s are over; last: {verdict.message}"
            self._finish(row, failed(row, "deadline", message))
        elif wait is None:
            after = (
                f"{verdict.message} (after {row.sent} attempts)"
                if row.sent > 1
                else verdict.message
            )
            self._finish(row, failed(row, verdict.kind, after))
        else:
            row.busy += wait
            self._try_again(row, wait)

    def _defer(self, row: Row, lease: Lease, verdict: Verdict) -> None:
        """The provider refused the row: it waits without using up attempts."""
        governor = self._parts.governor
        self._parts.events.emit(RequestRefused(verdict))
        row.note_refused(alone=lease.alone, successes=governor.successes)
        others_succeed = governor.successes > row.successes_before
        stubborn = others_succeed and row.refused >= STUBBORN_AFTER
        self._parts.seat.refuse(lease, verdict.retry_after, counts=not stubborn)
        alone = others_succeed and row.refused_alone >= REFUSED_ALONE
        if alone or (stubborn and row.refused >= HOPELESS_AFTER):
            message = f"{verdict.message} (refused {row.refused} times while other rows passed)"
            self._finish(row, failed(row, "rate_limit", message))
        elif stubborn and not row.is_last:
            row.is_last = True
            self._try_last(row)
        else:
            wait = verdict.retry_after
            self._try_again(row, self._policy.backoff(row.refused) if wait is None else wait)

    def _never_connects(self, verdict: Verdict) -> bool:
        """Whether no request has ever reached the endpoint, for too long to hope."""
        if self._responded or verdict.kind != "connection":
            return False
        if self._unconnected_since is None:
            self._unconnected_since = self._clock()
        return self._clock() - self._unconnected_since > NEVER_CONNECTED

    def _try_again(self, row: Row, wait: float) -> None:
        if self._work.closed:
            self._drop(row)
        else:
            self._work.give_back(row, self._clock() + wait)

    def _try_last(self, row: Row) -> None:
        if self._work.closed:
            self._drop(row)
        else:
            self._work.put_last(row)

    def _drop(self, row: Row) -> None:
        """The row stays pending; who waits for its key takes over."""
        self._parts.in_flight.resolve(row.key, None)
        self._work.done()

    def _finish(self, row: Row, result: RowResult, source: Source = "request") -> None:
        if source == "request":
            self._write(row, result)
        self._settle(row, result, source)
        self._parts.in_flight.resolve(row.key, result)
        if result.status == "failed" and self._raise_on_failure:
            self.fail(_row_error(row, result))

    def _write(self, row: Row, result: RowResult) -> None:
        """The row's line; where it cannot be written the answer is kept in memory."""
        checkpoint = self._parts.checkpoint
        if checkpoint is None:
            return
        try:
            checkpoint.append(
                row.key, result, error_info=_error_info(row, result), id=self._id(row.position),
                text=row.text if self._store_input else None,
            )  # fmt: skip
        except CheckpointError as error:
            self.fail(error)

    def _settle(self, row: Row, result: RowResult, source: Source) -> None:
        followers = self._parts.book.settle(row.position, result)
        self._parts.events.emit(RowsDone((row.position,), result, source))
        if followers:
            self._note_ids(row.key, followers, result)
            shared: Source = "checkpoint" if source == "checkpoint" else "shared"
            self._parts.events.emit(RowsDone(followers, result, shared))
        self._work.done()

    def _note_ids(self, key: bytes, positions: list[int], result: RowResult) -> None:
        if result.status != "ok" or self._parts.checkpoint is None:
            return
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

    def _on_checkpoint_error(self, error: CheckpointError) -> None:
        self._from_outside(self.fail, error)

    def _from_outside(self, callback: Callable[..., object], *args: object) -> None:
        """Call on this run's loop, from any thread; a loop that is gone needs nothing."""
        with contextlib.suppress(RuntimeError):
            self._loop.call_soon_threadsafe(callback, *args)


def _row_error(row: Row, result: RowResult) -> RowError:
    kind, _, _ = (result.error or "").partition(":")
    message = f"row {row.position}: {result.error}"
    if row.failure is None:
        error: RowError = OutputError(message, kind=cast("ErrorKind", kind))
    else:
        failure = row.failure
        error = CallError(
            message, kind=failure.kind, status=failure.status, code=failure.code,
            retry_after=failure.retry_after,
        )  # fmt: skip
    error.position = row.position
    return error


def _error_info(row: Row, result: RowResult) -> dict[str, object] | None:
    """What the checkpoint keeps of a failure: no words of the provider or the model."""
    if result.status != "failed":
        return None
    kind, _, _ = (result.error or "").partition(":")
    failure = row.failure
    return {
        "kind": kind,
        "status": failure.status if failure else None,
        "code": failure.code if failure else None,
    }
