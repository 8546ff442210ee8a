"""A stream of records through a run: fed from any source, read by ``for`` or ``async for``.

The run lives on llmframe's own loop. Three sides meet in ``Flow``: whoever feeds records, the run
that answers them, and the consumer.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterable, Generator, Iterable
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from llmframe.engine.events import Event, RowsDone, RowsReused
from llmframe.engine.recent import RecentStore
from llmframe.errors import PlanError
from llmframe.frame.records import Records
from llmframe.results import NOTHING_USED, Usage
from llmframe.runs import thread
from llmframe.system.executor import run_in_daemon_thread

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator
    from types import TracebackType

    from llmframe.journal import Checkpoint
    from llmframe.runs.run import Run
    from llmframe.runs.session import Session

POLL = 0.1  # seconds between two looks of a waiting consumer whether it is interrupted
ANNOUNCE = 0.002  # seconds in which results are gathered before the consumer is woken
GRACE = 1.0  # seconds that a close waits for what is in flight
REPORTS = 16  # times that a consumer reports what it has taken while it empties the buffer once


class TagResult(NamedTuple):
    """One record and what became of it.

    record: the object that the source gave. values: field name -> str, int, float, bool, None,
    list or dict (dates as ISO text); None unless ok. status: ok, failed, skipped (blank) or
    pending (the stream was stopped before). error: ``kind: message`` of a failed record.
    usage: the tokens and cost that the record itself took, nothing where another one paid.
    """

    record: Any
    values: dict[str, Any] | None
    status: Literal["ok", "failed", "skipped", "pending"]
    error: str | None
    usage: Usage


class Flow:
    """What is under way between source, run and consumer; safe from any thread.

    ordered: results are given out in the order of their records.
    """

    def __init__(self, session: Session, *, ordered: bool) -> None:
        self.error: BaseException | None = None  # of the source, or of the run
        records, store = session.target.rows, session.execution.store
        assert isinstance(records, Records)
        assert isinstance(store, RecentStore)
        self._records, self._store = records, store
        self._ordered = ordered
        self._checkpoint = session.execution.job.checkpoint
        self._fresh: list[tuple[int, TagResult]] = []  # not given out yet; on the run's loop
        self._saving: asyncio.Task[None] | None = None
        self._lock = threading.RLock()
        self._has_room = threading.Condition(self._lock)
        self._has_results = threading.Condition(self._lock)
        self._is_announcing = False
        self._wakers: set[Callable[[], None]] = set()
        self._ready: deque[TagResult] = deque()
        self._held: dict[int, TagResult] = {}  # of an ordered stream: an earlier one is missing
        self._next = 0
        self._yielded = 0
        self._closed = False
        self._ended = False

    # -- the source's side -----------------------------------------------------------------

    @property
    def room(self) -> int:
        """Records that may be taken from the source now; 0 once nothing more is wanted."""
        with self._lock:
            return 0 if self._closed else self._records.buffer - (self._records.n - self._yielded)

    @property
    def closed(self) -> bool:
        """Whether nothing more is wanted from the source."""
        return self._closed

    def wait_for_room(self) -> int:
        """Wait until records may be taken; how many, 0 once nothing more is wanted."""
        with self._has_room:
            self._has_room.wait_for(lambda: self._closed or self.room > 0)
            return self.room

    async def room_here(self) -> int:
        """The same on the caller's loop."""
        await self.changed(lambda: self._closed or self.room > 0)
        return self.room

    def put(self, record: object) -> None:
        """The source gave a record."""
        self._records.add(record)

    def end_source(self, error: BaseException | None = None) -> None:
        """The source has ended, perhaps with an error, which the consumer gets in the end."""
        self.error = self.error or error
        self._records.end()

    # -- the run's side --------------------------------------------------------------------

    def __call__(self, event: Event) -> None:
        """Give out the results of an event; an observer on the run's loop."""
        if isinstance(event, RowsDone):
            own = event.positions if event.source == "request" else ()
            self._give(event.positions, paid=frozenset(own))
        elif isinstance(event, RowsReused):
            self._give(event.positions)

    def end(self, error: BaseException | None) -> None:
        """The run has ended: what it did not reach is pending."""
        checkpoint, self._checkpoint = self._checkpoint, None
        is_kept = checkpoint is None or checkpoint.durable
        with self._lock:
            self.error = error or self.error
            self._closed = True
            for position, result in self._fresh:
                self._put(position, result if is_kept else _pending(result.record))
            self._fresh = []
            if error is None:
                for position in self._records.left():
                    self._put(position, _pending(self._records.take(position)))
            for position in sorted(self._held):  # of a run that failed: in their order
                self._ready.append(self._held.pop(position))
            self._ended = True
        self._notify()

    def _give(self, positions: Iterable[int], paid: frozenset[int] = frozenset()) -> None:
        for position in positions:
            result = self._store.take(position)
            error = None if result.error is None else str(result.error)
            usage = result.usage if position in paid else NOTHING_USED
            record = self._records.take(position)
            given = TagResult(record, result.values, result.status, error, usage)
            self._fresh.append((position, given))
        if not self._is_announcing:  # a consumer that is woken by each result costs a third more
            self._is_announcing = True
            asyncio.get_running_loop().call_later(ANNOUNCE, self._announce)

    def _announce(self) -> None:
        if self._checkpoint is None:
            self._is_announcing = False
            self._hand_over(len(self._fresh))
        else:
            self._saving = asyncio.get_running_loop().create_task(self._save(self._checkpoint))

    async def _save(self, checkpoint: Checkpoint) -> None:
        """Give out what is on the disk: who has read a result may forget its record."""
        while count := len(self._fresh):
            if not await run_in_daemon_thread(checkpoint.flush) or not checkpoint.durable:
                return  # the run is about to end with a CheckpointError
            self._hand_over(count)
        self._is_announcing = False

    def _hand_over(self, count: int) -> None:
        """Give the oldest fresh results to the consumer."""
        handed, self._fresh = self._fresh[:count], self._fresh[count:]
        with self._lock:
            for position, result in handed:
                self._put(position, result)
        self._notify()

    def _put(self, position: int, result: TagResult) -> None:
        if not self._ordered:
            self._ready.append(result)
            return
        self._held[position] = result
        while self._next in self._held:
            self._ready.append(self._held.pop(self._next))
            self._next += 1

    # -- the consumer's side ---------------------------------------------------------------

    def take_ready(self, yielded: int) -> deque[TagResult] | None:
        """All results that are ready, which may be none; None once there will be no more.

        yielded: results that the consumer has given on since the last call.
        """
        with self._lock:
            self._yielded += yielded
            ready, self._ready = self._ready, deque()
            over = self._ended and not ready
            if yielded:
                self._has_room.notify()
        if yielded:
            self._wake_loops()
        return None if over else ready

    def close(self) -> None:
        """Nothing more is wanted."""
        with self._lock:
            self._closed = True
        self._notify()

    def wait(self, timeout: float) -> None:
        """Wait until something is ready or it has ended, at most so many seconds."""
        with self._has_results:
            self._has_results.wait_for(lambda: self.has_news, timeout)

    async def changed(self, is_so: Callable[[], object]) -> None:
        """Wait on the caller's loop until this is so; it is asked at every change."""
        loop, change = asyncio.get_running_loop(), asyncio.Event()

        def wake() -> None:
            with contextlib.suppress(RuntimeError):  # the loop is closed
                loop.call_soon_threadsafe(change.set)

        self._wakers.add(wake)
        try:
            while not is_so():
                await change.wait()
                change.clear()
        finally:
            self._wakers.discard(wake)

    @property
    def has_news(self) -> bool:
        """Whether something is ready for the consumer, or there will be nothing more."""
        return bool(self._ready) or self._ended

    def _notify(self) -> None:
        with self._lock:
            self._has_room.notify_all()
            self._has_results.notify_all()
        self._wake_loops()

    def _wake_loops(self) -> None:
        for wake in [*self._wakers]:
            wake()


def _pending(record: object) -> TagResult:
    return TagResult(record, None, "pending", None, NOTHING_USED)


class TagStream:
    """Tagged records: read it by ``for`` or ``async for``; close it, or leave it, to stop.

    ``run`` shows how it goes on (``run.report``) and can pause and stop it.
    """

    def __init__(self, source: Any, session: Session, flow: Flow) -> None:
        self._source = source
        self._session = session
        self._flow = flow
        self._ready: deque[TagResult] = deque()
        self._unreported = 0
        self._every = 1
        self._begun = False
        self._stopped = False
        self._feeding: asyncio.Task[None] | None = None

    @property
    def run(self) -> Run:
        """The run behind it."""
        handle: Run = self._session.handle  # type: ignore[assignment]
        return handle

    def __repr__(self) -> str:
        report = self.run.report
        return f"<TagStream {self.run.status}: {report.done:,} of {report.rows:,} records done>"

    # -- for ---------------------------------------------------------------------------

    def __iter__(self) -> Iterator[TagResult]:
        if isinstance(self._source, AsyncIterable):
            raise PlanError(
                "these records come from an async source, which needs its event loop: read them by "
                "`async for result in lf.tag_stream(...)`"
            )
        return self

    def __next__(self) -> TagResult:
        with self._stopped_by_error():
            self._begin()
            while (result := self._taken()) is None:
                self._flow.wait(POLL)
        if result is _END:
            self._raise_or_end(StopIteration)
        return result

    def __enter__(self) -> TagStream:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Stop: nothing new is sent, and what is in flight has a second to come back."""
        self._stop()
        if not self._session.wait(GRACE):
            self._session.stop()  # what is still out is abandoned

    # -- async for -----------------------------------------------------------------------

    def __aiter__(self) -> AsyncIterator[TagResult]:
        return self

    async def __anext__(self) -> TagResult:
        with self._stopped_by_error():
            self._begin()
            while (result := self._taken()) is None:
                await self._flow.changed(lambda: self._flow.has_news)
        if result is _END:
            self._raise_or_end(StopAsyncIteration)
        return result

    async def __aenter__(self) -> TagStream:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """The same as ``close``, without holding up the loop."""
        await run_in_daemon_thread(self.close)

    # -- both ----------------------------------------------------------------------------

    def _taken(self) -> TagResult | None:
        """The next result; None where none is ready, _END where there will be none."""
        if not self._ready or self._unreported >= self._every:
            more = self._flow.take_ready(self._unreported)
            self._unreported = 0
            if more is None:
                return self._ready.popleft() if self._ready else _END
            self._ready.extend(more)
        if not self._ready:
            return None
        self._unreported += 1
        return self._ready.popleft()

    def _begin(self) -> None:
        """Start to feed, at the first result that is asked for."""
        if self._begun:
            return
        self._begun = True
        self._every = max(1, self._flow.room // REPORTS)
        if isinstance(self._source, AsyncIterable):
            feeding = feed_here(aiter(self._source), self._flow)
            self._feeding = asyncio.get_running_loop().create_task(feeding)
        else:
            arguments = (iter(self._source), self._flow)
            threading.Thread(
                target=feed, args=arguments, name="llmframe-source", daemon=True
            ).start()

    @contextlib.contextmanager
    def _stopped_by_error(self) -> Iterator[None]:
        """A cancel or an interrupt of the consumer ends the stream, as it ends a generator."""
        try:
            yield
        except BaseException:
            self._stop()
            raise

    def _raise_or_end(self, end: type[Exception]) -> None:
        error, self._flow.error = self._flow.error, None
        raise end if error is None else error

    def _stop(self) -> None:
        self._flow.close()
        if self._feeding is not None:
            with contextlib.suppress(RuntimeError):  # its loop is closed
                self._feeding.get_loop().call_soon_threadsafe(self._feeding.cancel)
        if not self._stopped and not self._session.has_ended:
            self._stopped = True  # a run's second stop would abandon what is in flight
            self._session.stop()

    def __del__(self) -> None:
        with contextlib.suppress(Exception):  # the interpreter may be shutting down
            self._stop()


_END: Any = object()


def begin(session: Session, flow: Flow) -> None:
    """Start the run on llmframe's loop; its results go into the flow."""
    session.execution.observe(flow)
    thread.begin(session, on_end=lambda: flow.end(session.failure))


def feed(source: Iterator[Any], flow: Flow) -> None:
    """Give a source's records to the flow as long as it has room; runs in a thread of its own."""
    error: BaseException | None = None
    try:
        while room := flow.wait_for_room():
            for _ in range(room):
                flow.put(next(source))
                if flow.closed:
                    break
    except StopIteration:
        pass
    except BaseException as exc:  # noqa: BLE001 - the source is foreign code; the consumer gets it
        error = exc
    finally:
        flow.end_source(error)
        if isinstance(source, Generator):  # a file or a cursor is still its owner's, as in any loop
            source.close()


async def feed_here(source: AsyncIterator[Any], flow: Flow) -> None:
    """The same for an async source, on the loop of its consumer."""
    error: BaseException | None = None
    try:
        while room := await flow.room_here():
            for _ in range(room):
                flow.put(await anext(source))
                if flow.closed:
                    break
    except StopAsyncIteration:
        pass
    except asyncio.CancelledError:
        raise
    except BaseException as exc:  # noqa: BLE001 - as above
        error = exc
    finally:
        flow.end_source(error)
        if isinstance(source, AsyncGenerator):
            await source.aclose()
